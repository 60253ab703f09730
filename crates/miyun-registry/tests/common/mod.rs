//! A small simulated market for tests.
#![allow(missing_docs, dead_code)]

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use ed25519_dalek::SigningKey;
use miyun_core::{JurisdictionId, Text};
use miyun_journal::MemStorage;
use miyun_ledger::Time;
use miyun_registry::book::JournalBook;
use miyun_registry::policy::Holidays;
use miyun_registry::request::{Amount, Envelope, Request, Role};
use miyun_registry::service::{Registry, Setup};
use miyun_registry::{Answer, Ask, Error, time};
use miyun_rulebook::Rulebook;

pub const LEDGER: [u8; 32] = [7; 32];

pub struct World {
    pub registry: Registry,
    pub clock: Arc<AtomicI64>,
    ids: AtomicU64,
}

pub fn key(name: &str) -> SigningKey {
    use sha2::Digest as _;
    SigningKey::from_bytes(&sha2::Sha256::digest(name.as_bytes()).into())
}

pub fn setup(clock: &Arc<AtomicI64>) -> Setup {
    let clock = Arc::clone(clock);
    Setup {
        instruments: Rulebook::embedded().instruments(),
        holidays: Holidays::default(),
        operator: key("operator"),
        clock: Arc::new(move || Time(clock.load(Ordering::SeqCst))),
    }
}

pub fn millis(text: &str) -> i64 {
    time::parse(text).unwrap().0
}

impl World {
    /// A market at Thursday 2025-03-06 11:30 in UTC+8, with an authority and nothing else.
    pub fn new() -> Self {
        Self::on(MemStorage::new())
    }

    pub fn on(storage: MemStorage) -> Self {
        let clock = Arc::new(AtomicI64::new(millis("2025-03-06T03:30:00Z")));
        let setup = setup(&clock);
        let book = JournalBook::create(storage, LEDGER, &setup.operator).unwrap();
        let registry = Registry::found(
            Box::new(book),
            setup,
            &JurisdictionId::new("CN/sim").unwrap(),
            ("bureau", Text::new("模拟局", "Bureau (simulated)")),
            true,
        )
        .unwrap();
        Self {
            registry,
            clock,
            ids: AtomicU64::new(1),
        }
    }

    /// The market with two units, a trader, a developer and a verifier, each with two
    /// representatives; 1,000,000 t of 2024 issued, `a` 100,000 t and `b` 50,000 t.
    pub fn small() -> Self {
        let w = Self::new();
        for (id, role, group) in [
            ("a", Role::Compliance, None),
            ("b", Role::Compliance, None),
            ("c", Role::Institution, Some("cd")),
            ("d", Role::Institution, Some("cd")),
            ("dev", Role::Developer, None),
            ("ver", Role::Verifier, None),
            ("val", Role::Verifier, None),
        ] {
            w.party(id, role, group);
        }
        w.bureau(Ask::IssueAllowances {
            programme: "LXA".into(),
            vintage: 2024,
            amount: Amount::from(4_000_000),
        });
        w.allocate("a", 100_000);
        w.allocate("b", 50_000);
        w
    }

    pub fn allocate(&self, to: &str, amount: u64) {
        self.bureau(Ask::Allocate {
            asset: "LXA-2024".into(),
            to: to.into(),
            amount: Amount::from(amount),
        });
    }

    pub fn party(&self, id: &str, role: Role, group: Option<&str>) {
        self.bureau(Ask::RegisterParty {
            party: id.into(),
            role,
            name: Text::new(format!("{id}（模拟）"), format!("{id} (simulated)")),
            group: group.map(Into::into),
            sector: Some("power".into()),
        });
        for r in ["one", "two"] {
            self.bureau(Ask::AddRepresentative {
                party: id.into(),
                representative: r.into(),
                key: hex::encode(key(&format!("{id}:{r}")).verifying_key().to_bytes()),
            });
        }
    }

    pub fn id(&self) -> String {
        format!("{:032x}", 0x1000 + self.ids.fetch_add(1, Ordering::SeqCst))
    }

    pub fn request(&self, ask: Ask) -> Request {
        let now = self.clock.load(Ordering::SeqCst);
        Request {
            id: self.id(),
            from: time::text(Time(now - 60_000)),
            until: time::text(Time(now + 3_600_000)),
            ask,
        }
    }

    pub fn signed(&self, by: &str, ask: Ask) -> Envelope {
        let signer = if by == "bureau:operator" {
            key("operator")
        } else {
            key(by)
        };
        Envelope::sign(&LEDGER, by, &self.request(ask), &signer).unwrap()
    }

    pub fn ask(&self, by: &str, ask: Ask) -> Result<Answer, Error> {
        self.registry.submit_envelope(&self.signed(by, ask))
    }

    pub fn bureau(&self, ask: Ask) -> Answer {
        self.ask("bureau:operator", ask).unwrap()
    }

    pub fn held(&self, party: &str, asset: &str) -> i128 {
        self.registry
            .accounts(party)
            .unwrap()
            .iter()
            .filter(|a| a.key.asset == asset && a.key.kind.name() == "holding")
            .map(|a| a.balance)
            .sum()
    }

    pub fn go(&self, instant: &str) {
        self.clock.store(millis(instant), Ordering::SeqCst);
    }

    /// What a refusal must leave alone.
    pub fn trace(&self) -> (u64, String) {
        let digest = self.registry.look(|s| format!("{:?}", s.digest())).unwrap();
        (self.registry.model().records(), digest)
    }

    /// A registered project with a verified period of 1,000 t, credits issued.
    pub fn credits(&self, project: &str, outside: bool, reversible: bool) {
        let p = || project.to_owned();
        self.ask(
            "dev:one",
            Ask::ProposeProject {
                project: p(),
                name: Text::new("造林（模拟）", "Forest (simulated)"),
                methodology: "afforestation".into(),
                started: "2023-01-01".parse().unwrap(),
                outside,
                reversible,
            },
        )
        .unwrap();
        self.ask("val:one", Ask::ValidateProject { project: p() })
            .unwrap();
        self.bureau(Ask::RegisterProject { project: p() });
        self.ask(
            "dev:one",
            Ask::Monitor {
                project: p(),
                from: "2023-01-01".parse().unwrap(),
                until: "2023-12-31".parse().unwrap(),
            },
        )
        .unwrap();
        self.ask(
            "ver:one",
            Ask::Verify {
                project: p(),
                period: 0,
                tonnes: Amount::from(1_000),
            },
        )
        .unwrap();
        self.bureau(Ask::IssueCredits {
            project: p(),
            period: 0,
            tonnes: Amount::from(1_000),
        });
    }
}

pub fn transfer(to: &str, amount: u64) -> Ask {
    Ask::Transfer {
        asset: "LXA-2024".into(),
        to: to.into(),
        amount: Amount::from(amount),
        serials: None,
    }
}
