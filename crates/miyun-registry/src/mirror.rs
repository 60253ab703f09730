//! Other registries' public extracts as a read-only mirror: nothing of them enters the ledger.

use std::collections::BTreeMap;

use miyun_carbon::compliance::{Code, code};
use miyun_core::{Problem, Severity};
use serde::{Deserialize, Serialize};

/// A unit and year of the EU Transaction Log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Unit {
    /// Installation.
    pub id: String,
    /// Country.
    pub country: String,
    /// Year.
    pub year: i16,
    /// Free allocation.
    pub allocated: Option<u64>,
    /// Verified emissions; `None` for anything but a number.
    pub verified: Option<u64>,
    /// Cumulative verified.
    pub cumulative_verified: Option<u64>,
    /// Cumulative surrendered.
    pub cumulative_surrendered: u64,
    /// As published.
    pub published: String,
    /// As computed now; differs where a debt was settled after the deadline.
    pub computed: Code,
}

impl Unit {
    /// True if the letters agree; a dash and C both mean that nothing is verified.
    #[must_use]
    pub fn agrees(&self) -> bool {
        let letter = self.published.trim_end_matches('*');
        letter == self.computed.letter() || (letter == "-" && self.computed == Code::C)
    }
}

/// A block of serials of another registry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Block {
    /// Which registry.
    pub registry: String,
    /// Project.
    pub project: String,
    /// Serial as written there.
    pub serial: String,
    /// First, if the registry numbers units.
    pub first: Option<u64>,
    /// Last.
    pub last: Option<u64>,
    /// Units.
    pub quantity: u64,
    /// Vintage as written.
    pub vintage: String,
    /// Status as written; some registries do not tell retirement from cancellation.
    pub status: String,
}

/// A mirror: what was read, what was wrong, and what the file was.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Mirror {
    /// Name in paths.
    pub name: String,
    /// SHA-256 of the file.
    pub sha256: String,
    /// Units and years.
    pub units: Vec<Unit>,
    /// Blocks.
    pub blocks: Vec<Block>,
    /// What was wrong.
    pub problems: Vec<Problem>,
}

/// Most rows of a mirror.
const ROWS_MAX: usize = 2_000_000;

fn problem(
    file: &str,
    line: u64,
    code: &str,
    field: &str,
    reason: String,
    fix: &str,
    severity: Severity,
) -> Problem {
    Problem {
        severity,
        code: code.into(),
        file: file.into(),
        line,
        column: 0,
        field: field.into(),
        reason,
        fix: fix.into(),
    }
}

#[derive(Deserialize)]
struct UnitRow {
    id: String,
    cc: String,
    year: i16,
    alloc: String,
    ver: String,
    cumver: String,
    cumsurr: String,
    code: String,
}

#[derive(Deserialize)]
struct BlockRow {
    registry: String,
    serial: String,
    block_start: String,
    block_end: String,
    quantity: String,
    vintage: String,
    status: String,
    project_id: String,
}

/// Tonnes as the transaction log prints them: `62428` or `62428.0`.
fn tonnes(text: &str) -> Option<u64> {
    text.strip_suffix(".0").unwrap_or(text).parse().ok()
}

/// Reads an extract of either layout, told apart by its header.
#[must_use]
pub fn read(name: &str, file: &str, text: &str) -> Mirror {
    use sha2::Digest as _;
    let mut m = Mirror {
        name: name.into(),
        sha256: hex::encode(sha2::Sha256::digest(text.as_bytes())),
        ..Mirror::default()
    };
    let header = text.lines().next().unwrap_or("");
    if header.starts_with("id,cc,") {
        units(file, text, &mut m);
    } else if header.starts_with("registry,serial,") {
        blocks(file, text, &mut m);
    } else {
        m.problems.push(problem(
            file,
            1,
            "unknown-layout",
            "header",
            format!("the header is {:?}", header.chars().take(120).collect::<String>()),
            "give an extract that begins with id,cc,... (transaction log) or registry,serial,... (serial blocks)",
            Severity::Error,
        ));
    }
    m
}

fn units(file: &str, text: &str, m: &mut Mirror) {
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    for (row, line) in reader.deserialize::<UnitRow>().zip(2u64..).take(ROWS_MAX) {
        let r = match row {
            Ok(r) => r,
            Err(e) => {
                m.problems.push(problem(
                    file,
                    line,
                    "unreadable-row",
                    "",
                    e.to_string(),
                    "mend the row",
                    Severity::Error,
                ));
                continue;
            }
        };
        let cumulative_verified = tonnes(&r.cumver);
        let Some(surrendered) =
            tonnes(&r.cumsurr).or(if r.cumsurr.is_empty() { Some(0) } else { None })
        else {
            m.problems.push(problem(
                file,
                line,
                "not-a-number",
                "cumsurr",
                format!("{:?} is no number of tonnes", r.cumsurr),
                "write whole tonnes",
                Severity::Error,
            ));
            continue;
        };
        m.units.push(Unit {
            id: r.id,
            country: r.cc,
            year: r.year,
            allocated: tonnes(&r.alloc),
            verified: tonnes(&r.ver),
            computed: code(cumulative_verified, surrendered),
            cumulative_verified,
            cumulative_surrendered: surrendered,
            published: r.code,
        });
    }
}

/// What stands around the interval of a serial: the same for blocks of one batch.
fn around(serial: &str, first: &str, last: &str) -> String {
    for written in [format!("{first}-{last}"), format!("{first} to {last}")] {
        if let Some(at) = serial.rfind(&written) {
            return format!("{}#{}", &serial[..at], &serial[at + written.len()..]);
        }
    }
    serial.to_owned()
}

/// First, last and line of a block.
type Seen = (u64, u64, u64);

fn blocks(file: &str, text: &str, m: &mut Mirror) {
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    // Blocks issued, by registry and what stands around the numbers, for overlap.
    let mut seen: BTreeMap<(String, String), Vec<Seen>> = BTreeMap::new();
    for (row, line) in reader.deserialize::<BlockRow>().zip(2u64..).take(ROWS_MAX) {
        let r = match row {
            Ok(r) => r,
            Err(e) => {
                m.problems.push(problem(
                    file,
                    line,
                    "unreadable-row",
                    "",
                    e.to_string(),
                    "mend the row",
                    Severity::Error,
                ));
                continue;
            }
        };
        let Some(quantity) = tonnes(&r.quantity) else {
            m.problems.push(problem(
                file,
                line,
                "not-a-number",
                "quantity",
                format!("{:?} is no number of units", r.quantity),
                "write whole units",
                Severity::Error,
            ));
            continue;
        };
        let range = tonnes(&r.block_start).zip(tonnes(&r.block_end));
        match range {
            None => m.problems.push(problem(
                file,
                line,
                "no-interval",
                "block_start",
                format!("{:?} to {:?} is no interval", r.block_start, r.block_end),
                "the block is shown without serials",
                Severity::Warning,
            )),
            Some((a, b)) if b < a || (b - a).checked_add(1) != Some(quantity) => {
                m.problems.push(problem(
                    file,
                    line,
                    "serial-length",
                    "quantity",
                    format!(
                        "{} units, but {a} to {b} holds {}",
                        quantity,
                        b.checked_sub(a).map_or(0, |d| d.saturating_add(1))
                    ),
                    "quantity is last - first + 1; the block is shown as published",
                    Severity::Warning,
                ))
            }
            Some((a, b)) => {
                let around = around(&r.serial, &r.block_start, &r.block_end);
                let of_status = format!("{around}|{}", r.status);
                let list = seen.entry((r.registry.clone(), of_status)).or_default();
                if let Some((_, _, other)) = list.iter().find(|(x, y, _)| *x <= b && a <= *y) {
                    m.problems.push(problem(
                        file,
                        line,
                        "serial-overlap",
                        "serial",
                        format!("{a} to {b} overlaps the block of line {other}"),
                        "the same units stand twice in one status",
                        Severity::Warning,
                    ));
                }
                list.push((a, b, line));
            }
        }
        m.blocks.push(Block {
            registry: r.registry,
            project: r.project_id,
            serial: r.serial,
            first: range.map(|r| r.0),
            last: range.map(|r| r.1),
            quantity,
            vintage: r.vintage,
            status: r.status,
        });
    }
}
