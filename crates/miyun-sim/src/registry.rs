//! A simulated carbon market: enterprises, two vintages, credit projects, one compliance year with
//! late and short surrenders. One seed, one market; every name says that it is simulated.

use jiff::civil::{Date, DateTime};
use miyun_core::Text;
use serde::Serialize;

use crate::random::Random;

/// What an enterprise or office is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Has a duty to surrender.
    Compliance,
    /// Trades without a duty.
    Institution,
    /// Owns credit projects.
    Developer,
    /// Validates and verifies.
    Verifier,
}

/// How an enterprise meets its duty: the truth that the compliance table must find.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Conduct {
    /// Surrenders in full before the deadline.
    InTime,
    /// Surrenders in full after it.
    Late,
    /// Surrenders too little and leaves it so.
    Short,
    /// Nobody verified its emissions.
    Unverified,
}

/// A party of the market.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Party {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: Text,
    /// What it is.
    pub role: Role,
    /// Its sector.
    pub sector: &'static str,
    /// Group of related parties, if it has others in it.
    pub group: Option<String>,
    /// How it behaves, for those with a duty.
    pub conduct: Option<Conduct>,
}

/// Something that happens.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "what", rename_all = "kebab-case")]
#[expect(
    missing_docs,
    reason = "fields named after what they are; tonnes everywhere"
)]
pub enum Step {
    /// Allowances of a vintage come into being.
    Issue { vintage: u16, tonnes: u64 },
    /// Allowances go to a unit.
    Allocate {
        party: String,
        vintage: u16,
        tonnes: u64,
    },
    /// A unit's emissions are verified.
    Report {
        party: String,
        year: i16,
        tonnes: u64,
    },
    /// Allowances are given up.
    Surrender {
        party: String,
        vintage: u16,
        year: i16,
        tonnes: u64,
    },
    /// Allowances are sold; a second representative approves if `approved`.
    Sell {
        from: String,
        to: String,
        vintage: u16,
        tonnes: u64,
        approved: bool,
    },
    /// A project appears, is validated and registered.
    Project {
        project: String,
        owner: String,
        name: Text,
        methodology: &'static str,
        started: Date,
        outside: bool,
        reversible: bool,
    },
    /// A period is monitored, verified and issued.
    Credits {
        project: String,
        owner: String,
        period: u32,
        from: Date,
        until: Date,
        tonnes: u64,
    },
    /// Credits are sold.
    SellCredits {
        project: String,
        owner: String,
        period: u32,
        to: String,
        tonnes: u64,
    },
    /// Credits are given up for a year.
    Offset {
        party: String,
        project: String,
        period: u32,
        year: i16,
        tonnes: u64,
    },
    /// Credits are retired for somebody.
    Retire {
        party: String,
        project: String,
        period: u32,
        tonnes: u64,
        beneficiary: String,
        event: bool,
    },
    /// Stored carbon is lost.
    Lose {
        project: String,
        period: u32,
        tonnes: u64,
    },
    /// A party is frozen.
    Freeze { party: String },
    /// A vintage is carried over.
    Carry { party: String, from: u16, into: u16 },
}

/// Something that happens at a time, in the local time of the city.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Event {
    /// When.
    pub at: DateTime,
    /// What.
    pub step: Step,
}

/// A simulated market.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Market {
    /// Its seed.
    pub seed: u64,
    /// Its parties.
    pub parties: Vec<Party>,
    /// What happens, in order of time.
    pub events: Vec<Event>,
}

const SECTORS: [(&str, &str, &str, u64); 6] = [
    ("power", "热电厂", "Heat and power", 400_000),
    ("industry", "水泥厂", "Cement works", 180_000),
    ("industry", "化工厂", "Chemical works", 60_000),
    ("services", "医院", "Hospital", 9_000),
    ("services", "大学", "University", 15_000),
    ("services", "商场", "Shopping centre", 7_000),
];

fn day(year: i16, month: i8, day: i8) -> DateTime {
    Date::constant(year, month, day).at(10, 30, 0, 0)
}

struct Maker {
    random: Random,
    events: Vec<Event>,
}

impl Maker {
    fn up_to(&mut self, n: u64) -> u64 {
        // Exact for the small ranges used here.
        (self.random.uniform() * n as f64) as u64
    }

    /// At a working hour of one of the `days` after `from`.
    fn add(&mut self, from: DateTime, days: u64, step: Step) {
        let minutes = i64::try_from(self.up_to(days.max(1)) * 1440 + self.up_to(300)).unwrap_or(0);
        let at = from
            .checked_add(jiff::Span::new().minutes(minutes))
            .unwrap_or(from);
        self.events.push(Event { at, step });
    }
}

/// A market of `enterprises` units with a duty.
#[must_use]
pub fn market(seed: u64, enterprises: usize) -> Market {
    let mut m = Maker {
        random: Random::new(seed ^ 0x6361_7262_6f6e),
        events: Vec::new(),
    };
    let mut parties = others();
    let mut issued = [0u64; 2];
    for n in 0..enterprises {
        enterprise(&mut m, n, &mut parties, &mut issued);
    }
    for (vintage, tonnes) in [(2024, issued[0]), (2025, issued[1])] {
        let at = Date::constant(2024, 7, 1).at(9, 0, 0, 0);
        // A tenth stays with the authority.
        let step = Step::Issue {
            vintage,
            tonnes: tonnes + tonnes / 10,
        };
        m.events.push(Event { at, step });
    }
    projects(&mut m, enterprises);
    m.events.sort_by_key(|e| e.at);
    Market {
        seed,
        parties,
        events: m.events,
    }
}

fn others() -> Vec<Party> {
    let party = |id: &str, zh: &str, en: &str, role, group: Option<&str>| Party {
        id: id.into(),
        name: Text::new(format!("{zh}（模拟）"), format!("{en} (simulated)")),
        role,
        sector: "services",
        group: group.map(Into::into),
        conduct: None,
    };
    vec![
        party(
            "trader-1",
            "长河碳资产",
            "Long River Carbon",
            Role::Institution,
            Some("long-river"),
        ),
        party(
            "trader-2",
            "长河投资",
            "Long River Capital",
            Role::Institution,
            Some("long-river"),
        ),
        party(
            "trader-3",
            "青禾碳管理",
            "Green Shoots",
            Role::Institution,
            None,
        ),
        party(
            "developer-1",
            "北岭林场",
            "North Ridge Forest Farm",
            Role::Developer,
            None,
        ),
        party(
            "developer-2",
            "临汐地铁",
            "Linxi Metro",
            Role::Developer,
            None,
        ),
        party(
            "developer-3",
            "西原光热",
            "West Plain Solar",
            Role::Developer,
            None,
        ),
        party(
            "verifier-1",
            "正衡核查",
            "Even Scales Verification",
            Role::Verifier,
            None,
        ),
        party(
            "verifier-2",
            "明度审定",
            "Clear Measure Validation",
            Role::Verifier,
            None,
        ),
    ]
}

fn enterprise(m: &mut Maker, n: usize, parties: &mut Vec<Party>, issued: &mut [u64; 2]) {
    let (sector, zh, en, size) = SECTORS[n % SECTORS.len()];
    let id = format!("unit-{:03}", n + 1);
    let draw = m.up_to(100);
    // The first ten show every conduct even in a small market.
    let conduct = match (n, draw) {
        (3, _) => Conduct::Late,
        (5, _) => Conduct::Short,
        (7, _) => Conduct::Unverified,
        (_, 0..=5) => Conduct::Late,
        (_, 6..=9) => Conduct::Short,
        (_, 10..=11) => Conduct::Unverified,
        _ => Conduct::InTime,
    };
    let emissions = size / 2 + m.up_to(size);
    // From 92 to 112 % of what will be emitted; the short ones get less.
    let share = if conduct == Conduct::Short {
        85
    } else {
        100 + m.up_to(12)
    };
    let first = emissions * share / 100;
    let second = first * 70 / 100;
    issued[0] += first;
    issued[1] += second;
    let work = (n + 1).to_string();
    parties.push(Party {
        id: id.clone(),
        name: Text::new(
            format!("临汐第{work}{zh}（模拟）"),
            format!("Linxi {en} {work} (simulated)"),
        ),
        role: Role::Compliance,
        sector,
        group: (n % 25 < 2).then(|| format!("holding-{}", n / 25 + 1)),
        conduct: Some(conduct),
    });
    let party = || id.clone();
    m.add(
        day(2024, 7, 2),
        20,
        Step::Allocate {
            party: party(),
            vintage: 2024,
            tonnes: first,
        },
    );
    m.add(
        day(2025, 3, 3),
        20,
        Step::Allocate {
            party: party(),
            vintage: 2025,
            tonnes: second,
        },
    );
    if conduct != Conduct::Unverified {
        m.add(
            day(2025, 4, 1),
            25,
            Step::Report {
                party: party(),
                year: 2024,
                tonnes: emissions,
            },
        );
    }
    match conduct {
        Conduct::InTime => m.add(
            day(2025, 9, 1),
            55,
            Step::Surrender {
                party: party(),
                vintage: 2024,
                year: 2024,
                tonnes: emissions,
            },
        ),
        Conduct::Late => m.add(
            day(2025, 11, 3),
            20,
            Step::Surrender {
                party: party(),
                vintage: 2024,
                year: 2024,
                tonnes: emissions,
            },
        ),
        Conduct::Short => m.add(
            day(2025, 10, 20),
            8,
            Step::Surrender {
                party: party(),
                vintage: 2024,
                year: 2024,
                tonnes: first,
            },
        ),
        Conduct::Unverified => {}
    }
    let spare = first.saturating_sub(emissions);
    if spare > 100 && n.is_multiple_of(3) {
        let to = format!("trader-{}", 1 + m.up_to(3));
        m.add(
            day(2025, 5, 12),
            60,
            Step::Sell {
                from: party(),
                to,
                vintage: 2024,
                tonnes: spare / 2,
                approved: !n.is_multiple_of(21),
            },
        );
    }
    if conduct == Conduct::InTime && sector == "power" && spare > 1_000 {
        m.add(
            day(2025, 12, 1),
            10,
            Step::Carry {
                party: party(),
                from: 2024,
                into: 2025,
            },
        );
    }
}

/// Id, owner, names, methodology, outside, reversible, size.
type Design = (
    &'static str,
    &'static str,
    &'static str,
    &'static str,
    &'static str,
    bool,
    bool,
    u64,
);

fn projects(m: &mut Maker, enterprises: usize) {
    let list: [Design; 5] = [
        (
            "LXF-001",
            "developer-1",
            "北岭造林",
            "North Ridge afforestation",
            "afforestation",
            false,
            true,
            40_000,
        ),
        (
            "LXF-002",
            "developer-1",
            "外山造林",
            "Outer Hills afforestation",
            "afforestation",
            true,
            true,
            25_000,
        ),
        (
            "LXS-001",
            "developer-3",
            "西原光热电站",
            "West Plain solar thermal",
            "solar-thermal",
            true,
            false,
            60_000,
        ),
        (
            "LXM-001",
            "developer-2",
            "地铁绿色出行",
            "Green trips by metro",
            "inclusion-metro",
            false,
            false,
            30_000,
        ),
        (
            "LXM-002",
            "developer-2",
            "公交绿色出行",
            "Green trips by bus",
            "inclusion-metro",
            false,
            false,
            8_000,
        ),
    ];
    let started = Date::constant(2022, 1, 1);
    for (k, (project, owner, zh, en, methodology, outside, reversible, size)) in
        list.into_iter().enumerate()
    {
        let (id, who) = (|| project.to_owned(), || owner.to_owned());
        let name = Text::new(format!("{zh}（模拟）"), format!("{en} (simulated)"));
        m.add(
            day(2024, 8, 1),
            10,
            Step::Project {
                project: id(),
                owner: who(),
                name,
                methodology,
                started,
                outside,
                reversible,
            },
        );
        for (period, year) in [(0u32, 2023i16), (1, 2024)] {
            let tonnes = size / 2 + m.up_to(size / 2);
            let (from, until) = (Date::constant(year, 1, 1), Date::constant(year, 12, 31));
            let at = day(
                if period == 0 { 2024 } else { 2025 },
                9 - 4 * i8::try_from(period).unwrap_or(0),
                1,
            );
            m.add(
                at,
                10,
                Step::Credits {
                    project: id(),
                    owner: who(),
                    period,
                    from,
                    until,
                    tonnes,
                },
            );
        }
        // Each buyer takes a hundredth of the first period; a unit may use what its caps allow.
        for buyer in 0..enterprises.min(12) {
            let to = format!("unit-{:03}", (k + buyer * 5) % enterprises.max(1) + 1);
            let tonnes = size / 200;
            m.add(
                day(2025, 1, 6),
                40,
                Step::SellCredits {
                    project: id(),
                    owner: who(),
                    period: 0,
                    to: to.clone(),
                    tonnes,
                },
            );
            if buyer % 2 == 0 {
                m.add(
                    day(2025, 6, 2),
                    40,
                    Step::Offset {
                        party: to,
                        project: id(),
                        period: 0,
                        year: 2024,
                        tonnes,
                    },
                );
            }
        }
        for n in 0..6u32 {
            let (zh, en) = [
                ("临汐马拉松", "Linxi Marathon"),
                ("灯会", "Lantern Fair"),
                ("市运会", "City Games"),
                ("银行年会", "Bank Assembly"),
                ("图书馆", "Public Library"),
                ("地铁公司", "Metro Company"),
            ][n as usize];
            let beneficiary = format!("{zh} {en}（模拟 simulated）");
            let tonnes = 5 + m.up_to(200);
            m.add(
                day(2025, 7, 1),
                120,
                Step::Retire {
                    party: who(),
                    project: id(),
                    period: 0,
                    tonnes,
                    beneficiary,
                    event: n < 4,
                },
            );
        }
    }
    m.add(
        day(2025, 8, 18),
        1,
        Step::Lose {
            project: "LXF-001".into(),
            period: 0,
            tonnes: 900,
        },
    );
    m.add(
        day(2025, 11, 24),
        1,
        Step::Freeze {
            party: "trader-3".into(),
        },
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_seed_one_market_and_every_conduct() {
        let (a, b, c) = (market(7, 300), market(7, 300), market(8, 300));
        assert_eq!(a, b);
        assert_ne!(a.events, c.events);
        let count = |k: Conduct| a.parties.iter().filter(|p| p.conduct == Some(k)).count();
        assert!(
            count(Conduct::Late) > 5 && count(Conduct::Short) > 3 && count(Conduct::Unverified) > 1
        );
        assert!(count(Conduct::InTime) > 230);
        assert!(
            a.parties
                .iter()
                .all(|p| p.name.zh.contains("模拟") && p.name.en.contains("simulated"))
        );
        assert!(a.events.windows(2).all(|w| w[0].at <= w[1].at));
    }

    #[test]
    fn what_is_allocated_was_issued() {
        let m = market(3, 60);
        for vintage in [2024, 2025] {
            let sum = |f: &dyn Fn(&Step) -> u64| m.events.iter().map(|e| f(&e.step)).sum::<u64>();
            let issued = sum(&|s| match s {
                Step::Issue { vintage: v, tonnes } if *v == vintage => *tonnes,
                _ => 0,
            });
            let allocated = sum(&|s| match s {
                Step::Allocate {
                    vintage: v, tonnes, ..
                } if *v == vintage => *tonnes,
                _ => 0,
            });
            assert!(allocated > 0 && allocated <= issued);
        }
    }
}
