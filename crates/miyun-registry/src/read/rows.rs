//! Tables of the read model, and the rows that a record adds.

use crate::fold::Filing;
use crate::model::{Line, Model, Party, Retired};
use crate::request::Ask;
use crate::time;

/// A value of a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// A number.
    Int(i64),
    /// A text. Amounts are texts: 64 unsigned bits fit no SQL integer.
    Text(String),
}

impl From<&str> for Value {
    fn from(t: &str) -> Self {
        Self::Text(t.to_owned())
    }
}

impl From<String> for Value {
    fn from(t: String) -> Self {
        Self::Text(t)
    }
}

fn int(n: u64) -> Value {
    Value::Int(i64::try_from(n).unwrap_or(i64::MAX))
}

/// A row to be written: replaces the one with the same key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    pub(super) table: usize,
    pub(super) values: Vec<Value>,
}

pub(super) struct Table {
    pub name: &'static str,
    /// Columns with types; the first `key` are the primary key.
    pub columns: &'static [(&'static str, &'static str)],
    pub key: usize,
}

pub(super) const TABLES: [Table; 6] = [
    Table {
        name: "registry_position",
        columns: &[("id", "BIGINT"), ("record", "BIGINT")],
        key: 1,
    },
    Table {
        name: "registry_request",
        columns: &[
            ("id", "TEXT"),
            ("record", "BIGINT"),
            ("at", "TEXT"),
            ("signer", "TEXT"),
            ("asks", "TEXT"),
            ("rule", "TEXT"),
        ],
        key: 1,
    },
    Table {
        name: "registry_party",
        columns: &[
            ("id", "TEXT"),
            ("role", "TEXT"),
            ("name_zh", "TEXT"),
            ("name_en", "TEXT"),
            ("related_group", "TEXT"),
            ("frozen", "BIGINT"),
        ],
        key: 1,
    },
    Table {
        name: "registry_movement",
        columns: &[
            ("record", "BIGINT"),
            ("step", "BIGINT"),
            ("at", "TEXT"),
            ("request", "TEXT"),
            ("what", "TEXT"),
            ("debit", "BIGINT"),
            ("credit", "BIGINT"),
            ("debit_party", "TEXT"),
            ("credit_party", "TEXT"),
            ("asset", "TEXT"),
            ("amount", "TEXT"),
            ("serials", "TEXT"),
            ("rule", "TEXT"),
            ("posted", "BIGINT"),
        ],
        key: 2,
    },
    Table {
        name: "registry_retirement",
        columns: &[
            ("id", "TEXT"),
            ("record", "BIGINT"),
            ("at", "TEXT"),
            ("party", "TEXT"),
            ("asset", "TEXT"),
            ("amount", "TEXT"),
            ("serials", "TEXT"),
            ("beneficiary", "TEXT"),
            ("reason", "TEXT"),
            ("jurisdiction", "TEXT"),
            ("note", "TEXT"),
            ("rule", "TEXT"),
            ("words", "TEXT"),
        ],
        key: 1,
    },
    Table {
        name: "registry_entry",
        columns: &[
            ("record", "BIGINT"),
            ("party", "TEXT"),
            ("compliance_year", "BIGINT"),
            ("what", "TEXT"),
            ("tonnes", "TEXT"),
            ("at", "TEXT"),
        ],
        key: 1,
    },
];

fn serials(list: &[[u64; 2]]) -> String {
    list.iter()
        .map(|[a, b]| format!("{a}-{b}"))
        .collect::<Vec<_>>()
        .join(" ")
}

fn movement(model: &Model, l: &Line) -> Row {
    let party = |id| model.account_key(id).map_or("", |k| k.party.as_str());
    Row {
        table: 3,
        values: vec![
            int(l.record),
            int(l.step.into()),
            time::text(l.at).into(),
            l.request.as_str().into(),
            l.what.as_str().into(),
            int(l.debit.0),
            int(l.credit.0),
            party(l.debit).into(),
            party(l.credit).into(),
            model
                .account_key(l.debit)
                .map_or("", |k| k.asset.as_str())
                .into(),
            l.amount.to_string().into(),
            serials(&l.serials).into(),
            l.rule.as_str().into(),
            Value::Int(l.posted.into()),
        ],
    }
}

fn party(p: &Party) -> Row {
    Row {
        table: 2,
        values: vec![
            p.id.as_str().into(),
            p.role.word().into(),
            p.name.zh.as_str().into(),
            p.name.en.as_str().into(),
            p.group.as_str().into(),
            Value::Int(p.frozen.into()),
        ],
    }
}

fn retirement(r: &Retired) -> Row {
    let reason = serde_json::to_value(r.retirement.reason)
        .ok()
        .and_then(|v| v.as_str().map(str::to_owned))
        .unwrap_or_default();
    let words = format!(
        "{} {} {} {} {}",
        r.retirement.beneficiary, r.party, r.asset, r.retirement.jurisdiction, r.retirement.note
    )
    .to_lowercase();
    Row {
        table: 4,
        values: vec![
            r.id.as_str().into(),
            int(r.record),
            time::text(r.at).into(),
            r.party.as_str().into(),
            r.asset.as_str().into(),
            r.amount.to_string().into(),
            serials(&r.serials).into(),
            r.retirement.beneficiary.as_str().into(),
            reason.into(),
            r.retirement.jurisdiction.as_str().into(),
            r.retirement.note.as_str().into(),
            r.rule.as_str().into(),
            words.into(),
        ],
    }
}

/// The rows that a record adds or changes.
#[must_use]
pub fn rows(record: u64, at: miyun_ledger::Time, filing: &Filing, model: &Model) -> Vec<Row> {
    let mut out = vec![Row {
        table: 0,
        values: vec![Value::Int(1), int(record)],
    }];
    let Ok(request) = filing.envelope.open() else {
        return out;
    };
    let asks = serde_json::to_value(&request.ask)
        .ok()
        .and_then(|v| v.get("do").and_then(|d| d.as_str().map(str::to_owned)))
        .unwrap_or_default();
    out.push(Row {
        table: 1,
        values: vec![
            request.id.as_str().into(),
            int(record),
            time::text(at).into(),
            filing.envelope.by.as_str().into(),
            asks.into(),
            filing.out.rule.as_str().into(),
        ],
    });
    let lines = model.lines();
    let first = lines.partition_point(|l| l.record < record);
    out.extend(
        lines
            .iter()
            .skip(first)
            .take_while(|l| l.record == record)
            .map(|l| movement(model, l)),
    );
    let entry = |who: &str, year: i16, what: &str, tonnes: &str| Row {
        table: 5,
        values: vec![
            int(record),
            who.into(),
            Value::Int(year.into()),
            what.into(),
            tonnes.into(),
            filing.out.civil.to_string().into(),
        ],
    };
    let signer = filing.envelope.signer().map_or("", |(p, _)| p);
    match &request.ask {
        Ask::Found { authority: id, .. }
        | Ask::RegisterParty { party: id, .. }
        | Ask::Freeze { party: id, .. } => out.extend(model.party(id).ok().map(party)),
        Ask::Retire { .. } => out.extend(model.retirement(&request.id).ok().map(retirement)),
        Ask::ReportEmissions {
            party,
            year,
            tonnes,
        } => out.push(entry(party, *year, "verified", &tonnes.0)),
        Ask::Surrender { amount, year, .. } => {
            out.push(entry(signer, *year, "surrendered", &amount.0));
        }
        Ask::UseOffset { amount, year, .. } => {
            out.push(entry(signer, *year, "offset", &amount.0));
        }
        _ => {}
    }
    out
}

/// All rows of a model at one moment.
#[derive(Debug, Clone)]
pub struct Snapshot(pub(super) Vec<Row>);

impl Snapshot {
    /// The rows of a model.
    #[must_use]
    pub fn of(model: &Model) -> Self {
        let mut out: Vec<Row> = model
            .filings()
            .flat_map(|(record, at, f)| rows(record, at, f, model))
            .collect();
        // One position, the last.
        let last = out.iter().rposition(|r| r.table == 0);
        let mut n = 0;
        out.retain(|r| {
            let keep = r.table != 0 || Some(n) == last;
            n += 1;
            keep
        });
        Self(out)
    }
}
