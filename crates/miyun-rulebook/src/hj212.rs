//! The words of HJ 212: factor, command and system codes, data flags, return codes, timeouts.
//!
//! Rows keep the standard's defects and say whether the text was read (`verified`).

use std::collections::HashMap;

use miyun_core::text::Text;
use serde::Serialize;

use crate::grid::{Cell, Grid};
use crate::page::Page;

/// A system (ST).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct System {
    /// Two characters.
    pub code: String,
    /// Name.
    pub name: Text,
    /// Edition that introduced it.
    pub since: String,
    /// The text of the standard was read.
    pub verified: bool,
}

/// A command (CN) in one direction.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Command {
    /// Four digits.
    pub code: String,
    /// `up` from the device, `down` to it, `both`.
    pub direction: String,
    /// Name.
    pub name: Text,
    /// `request`, `upload`, `notice` or `interaction`.
    pub kind: String,
    /// Edition that introduced it.
    pub since: String,
    /// `kept`, `new` or `unclear`.
    pub in_2025: String,
    /// Its region is encrypted by a device of 2025.
    pub encrypted: bool,
    /// The text of the standard was read.
    pub verified: bool,
    /// What else is to be known.
    pub note: String,
}

/// A factor, process or information code; `x` in it stands for any character.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Factor {
    /// Code.
    pub code: String,
    /// Chinese name, empty if nobody gave it.
    pub zh: String,
    /// Water, air, noise, process or information.
    pub medium: String,
    /// Code of 2005, empty if none.
    pub legacy: String,
    /// Default unit as printed, empty if none. A device may use another: its register decides.
    pub unit: String,
    /// Unit of the accumulated value.
    pub mass_unit: String,
    /// Type as printed, for example `N3.1`.
    pub data_type: String,
    /// The text of the standard was read.
    pub verified: bool,
    /// Defects and differences.
    pub note: String,
}

/// A factor code of 2005.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Legacy {
    /// Code of 2005.
    pub code: String,
    /// Chinese name.
    pub zh: String,
    /// Code of 2017, empty if none stands for it.
    pub code_2017: String,
    /// The names of both codes agree.
    pub verified: bool,
}

/// A data flag, a return code: one short code with its names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Named {
    /// `QnRtn` or `ExeRtn` for return codes, `Flag` for data flags.
    pub field: String,
    /// Code.
    pub code: String,
    /// Name.
    pub name: Text,
    /// For data flags: `yes`, `no` or `censored`.
    pub usable: String,
}

/// How long to wait on one kind of network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Timeout {
    /// Network.
    pub network: String,
    /// Seconds.
    pub timeout_s: u32,
    /// Resends.
    pub resends: u32,
}

/// What the mean of a system must rest on to be valid.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Mean {
    /// System code.
    pub system: String,
    /// `minute`, `hour` or `day`.
    pub mean: String,
    /// Of what it is the mean: `real-time`, `minute` or `hour`.
    pub of: String,
    /// How many valid ones it takes.
    pub at_least: u32,
    /// The text of the standard was read.
    pub verified: bool,
    /// Where it stands in HJ 212-2017.
    pub clause: String,
}

/// What is known of a factor code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Known<'a> {
    /// In the tables of the standard or of a device maker.
    Factor(&'a Factor),
    /// A code of 2005.
    Legacy(&'a Legacy),
    /// Seen elsewhere, without a name.
    Seen,
    /// In no table.
    Unknown,
}

/// All words of HJ 212.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Hj212 {
    /// Systems.
    pub systems: Vec<System>,
    /// Commands.
    pub commands: Vec<Command>,
    /// Factors.
    pub factors: Vec<Factor>,
    /// Factors of 2005.
    pub legacy: Vec<Legacy>,
    /// Codes seen without a name.
    pub seen: Vec<String>,
    /// Data flags and return codes.
    pub named: Vec<Named>,
    /// Timeouts.
    pub timeouts: Vec<Timeout>,
    /// What means must rest on.
    pub means: Vec<Mean>,
    /// Names that a region may use, as printed.
    pub fields: Vec<String>,
    /// Ids of checks met in the field.
    pub checks: Vec<String>,
    #[serde(skip)]
    index: HashMap<String, usize>,
}

impl Hj212 {
    /// The system with this code.
    #[must_use]
    pub fn system(&self, code: &str) -> Option<&System> {
        self.systems.iter().find(|s| s.code == code)
    }

    /// The command with this code; `up` prefers the device's side.
    #[must_use]
    pub fn command(&self, code: &str, up: bool) -> Option<&Command> {
        let side = if up { "up" } else { "down" };
        let mut of_code = self.commands.iter().filter(|c| c.code == code);
        let first = of_code.clone().next()?;
        of_code
            .find(|c| c.direction == side || c.direction == "both")
            .or(Some(first))
    }

    /// What is known of a factor code.
    #[must_use]
    pub fn factor(&self, code: &str) -> Known<'_> {
        let at = |key: &str| self.index.get(key).map(|i| &self.factors[*i]);
        let masked = |n: usize| {
            let mut key = code.get(..code.len().checked_sub(n)?)?.to_owned();
            key.push_str(&"x".repeat(n));
            Some(key)
        };
        // `e101xx` and `i3331x` stand for numbered places; information codes are also written with
        // a capital I.
        let found = at(code)
            .or_else(|| masked(2).and_then(|k| at(&k)))
            .or_else(|| masked(1).and_then(|k| at(&k)))
            .or_else(|| {
                code.strip_prefix('I')
                    .and_then(|rest| at(&format!("i{rest}")))
            });
        if let Some(f) = found {
            return Known::Factor(f);
        }
        if let Some(l) = self.legacy.iter().find(|l| l.code == code) {
            return Known::Legacy(l);
        }
        if self.seen.iter().any(|s| s == code) {
            return Known::Seen;
        }
        Known::Unknown
    }

    /// What the `hour` (or other) mean of a system must rest on, if the standard says so.
    #[must_use]
    pub fn mean(&self, system: &str, mean: &str) -> Option<&Mean> {
        self.means
            .iter()
            .find(|m| m.system == system && m.mean == mean)
    }

    /// The name of a data flag (`field` = `Flag`) or a return code (`QnRtn`, `ExeRtn`).
    #[must_use]
    pub fn named(&self, field: &str, code: &str) -> Option<&Named> {
        self.named
            .iter()
            .find(|n| n.field == field && n.code == code)
    }
}

/// Cells of a row by column.
struct Row<'r, const N: usize> {
    at: [Option<usize>; N],
    row: &'r [Cell],
}

impl<const N: usize> Row<'_, N> {
    fn text(&self, k: usize) -> String {
        self.at[k]
            .map(|i| self.row[i].text.clone())
            .filter(|t| t != "-")
            .unwrap_or_default()
    }

    fn yes(&self, k: usize) -> bool {
        self.text(k) == "yes"
    }

    fn number(&self, page: &mut Page<'_>, k: usize) -> u32 {
        let text = self.text(k);
        text.parse().unwrap_or_else(|_| {
            let span = self.at[k].map(|i| self.row[i].span.clone());
            page.problem(
                "not-a-number",
                span,
                "vocabulary",
                format!("{text:?} is not a whole number"),
                "write digits",
            );
            0
        })
    }
}

/// Reads the rows of one kind (`hj212-...`); false if the kind is unknown.
pub(crate) fn read(page: &mut Page<'_>, kind: &str, grid: &Grid, into: &mut Hj212) -> bool {
    match kind {
        "hj212-systems" => rows(
            page,
            grid,
            ["code", "zh", "en", "since", "verified", "source"],
            |_, r| {
                into.systems.push(System {
                    code: r.text(0),
                    name: Text::new(r.text(1), r.text(2)),
                    since: r.text(3),
                    verified: r.yes(4),
                });
            },
        ),
        "hj212-commands" => rows(
            page,
            grid,
            [
                "code",
                "direction",
                "zh",
                "en",
                "kind",
                "since",
                "in-2025",
                "encrypted",
                "verified",
                "note",
                "source",
            ],
            |_, r| {
                into.commands.push(Command {
                    code: r.text(0),
                    direction: r.text(1),
                    name: Text::new(r.text(2), r.text(3)),
                    kind: r.text(4),
                    since: r.text(5),
                    in_2025: r.text(6),
                    encrypted: r.yes(7),
                    verified: r.yes(8),
                    note: r.text(9),
                });
            },
        ),
        "hj212-factors" => rows(
            page,
            grid,
            [
                "code",
                "zh",
                "medium",
                "legacy",
                "unit",
                "mass-unit",
                "type",
                "table",
                "verified",
                "note",
                "agree",
            ],
            |_, r| {
                // The first of a code that the standard assigns twice is found; both are kept.
                into.index.entry(r.text(0)).or_insert(into.factors.len());
                into.factors.push(Factor {
                    code: r.text(0),
                    zh: r.text(1),
                    medium: r.text(2),
                    legacy: r.text(3),
                    unit: r.text(4),
                    mass_unit: r.text(5),
                    data_type: r.text(6),
                    verified: r.yes(8),
                    note: r.text(9),
                });
            },
        ),
        "hj212-legacy" => rows(
            page,
            grid,
            ["code", "zh", "code-2017", "verified", "name-2017"],
            |_, r| {
                into.legacy.push(Legacy {
                    code: r.text(0),
                    zh: r.text(1),
                    code_2017: r.text(2),
                    verified: r.yes(3),
                });
            },
        ),
        "hj212-seen" => rows(page, grid, ["code", "in-annex-b", "seen-in"], |_, r| {
            into.seen.push(r.text(0));
        }),
        "hj212-data-flags" => rows(
            page,
            grid,
            ["code", "zh", "en", "usable", "verified", "source"],
            |_, r| {
                into.named.push(Named {
                    field: "Flag".into(),
                    code: r.text(0),
                    name: Text::new(r.text(1), r.text(2)),
                    usable: r.text(3),
                });
            },
        ),
        "hj212-returns" => rows(
            page,
            grid,
            ["field", "code", "zh", "en", "verified"],
            |_, r| {
                into.named.push(Named {
                    field: r.text(0),
                    code: r.text(1),
                    name: Text::new(r.text(2), r.text(3)),
                    usable: String::new(),
                });
            },
        ),
        "hj212-timeouts" => rows(
            page,
            grid,
            ["network", "timeout-s", "resends", "verified"],
            |page, r| {
                let (timeout_s, resends) = (r.number(page, 1), r.number(page, 2));
                into.timeouts.push(Timeout {
                    network: r.text(0),
                    timeout_s,
                    resends,
                });
            },
        ),
        "hj212-means" => rows(
            page,
            grid,
            ["system", "mean", "of", "at-least", "verified", "source"],
            |page, r| {
                let at_least = r.number(page, 3);
                into.means.push(Mean {
                    system: r.text(0),
                    mean: r.text(1),
                    of: r.text(2),
                    at_least,
                    verified: r.yes(4),
                    clause: r.text(5),
                });
            },
        ),
        "hj212-fields" => rows(
            page,
            grid,
            ["field", "zh", "charset", "width", "rule", "verified"],
            |_, r| into.fields.push(r.text(0)),
        ),
        "hj212-crc" => rows(
            page,
            grid,
            ["id", "init", "rule", "order", "seen-in"],
            |_, r| {
                into.checks.push(r.text(0));
            },
        ),
        _ => return false,
    }
    true
}

fn rows<const N: usize>(
    page: &mut Page<'_>,
    grid: &Grid,
    names: [&str; N],
    mut take: impl FnMut(&mut Page<'_>, &Row<'_, N>),
) {
    let Some(at) = grid.columns(page, "vocabulary", names, &[]) else {
        return;
    };
    for row in &grid.rows {
        if row
            .first()
            .is_some_and(|c| c.text.is_empty() || c.text == "-")
        {
            let span = row.first().map(|c| c.span.clone());
            page.problem(
                "empty-cell",
                span,
                "vocabulary",
                "a row without a code",
                "give the code or drop the row",
            );
            continue;
        }
        take(page, &Row { at, row });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Rulebook;

    #[test]
    fn codes_are_found_with_defects_and_state() {
        let words = &Rulebook::embedded().vocabulary().hj212;
        assert_eq!(words.systems.len(), 22);
        assert_eq!(words.commands.len(), 61);
        assert_eq!(words.checks.len(), 4);
        let Known::Factor(f) = words.factor("w01018") else {
            panic!("COD is in annex B")
        };
        assert_eq!(
            (f.zh.as_str(), f.unit.as_str(), f.legacy.as_str()),
            ("化学需氧量", "mg/L", "011")
        );
        assert!(f.verified);
        let Known::Factor(pm) = words.factor("a34004") else {
            panic!("PM2.5 is in annex B")
        };
        assert_eq!(pm.unit, "ng/m3");
        assert!(pm.note.contains("device register"));
        let Known::Factor(twice) = words.factor("e70101") else {
            panic!("e701xx stands for it")
        };
        assert!(twice.note.contains("twice"));
        assert!(matches!(words.factor("I33400"), Known::Factor(_)));
        assert!(matches!(words.factor("011"), Known::Legacy(l) if l.code_2017 == "w01018"));
        assert!(matches!(words.factor("a98765"), Known::Unknown));
        assert!(matches!(words.factor("é"), Known::Unknown));
        assert!(!words.system("45").unwrap().verified);
        assert_eq!(words.command("2011", true).unwrap().kind, "upload");
        assert_eq!(words.command("2011", false).unwrap().kind, "request");
        assert_eq!(words.named("Flag", "T").unwrap().usable, "censored");
        assert_eq!(words.named("QnRtn", "9").unwrap().name.en, "bad CRC");
        let hour = words.mean("31", "hour").unwrap();
        assert_eq!(
            (hour.at_least, hour.of.as_str(), hour.verified),
            (45, "minute", true)
        );
        assert!(
            words.mean("32", "hour").is_none(),
            "water has no such number"
        );
        assert_eq!(words.timeouts.iter().map(|t| t.timeout_s).min(), Some(5));
    }
}
