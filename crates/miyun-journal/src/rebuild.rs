//! SQL read models: disposable tables that are rebuilt from the log, the same on SQLite and
//! PostgreSQL. Nothing is ever read back from them into the ledger.

use std::io::Write;

use miyun_ledger::State;

use crate::applier::Applier;
use crate::error::JournalError;
use crate::export::{Exporter, Row};
use crate::format::Record;
use crate::journal::read_genesis;
use crate::log::walk;
use crate::storage::Storage;

/// A value of a column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// Nothing.
    Null,
    /// A whole number.
    Number(i64),
    /// A text.
    Text(String),
}

/// Takes statements and rows: a database, or a file of SQL.
pub trait Sink {
    /// Runs a statement without values.
    ///
    /// # Errors
    /// What the database says.
    fn run(&mut self, sql: &str) -> Result<(), String>;
    /// Inserts rows into a table, all columns in order.
    ///
    /// # Errors
    /// What the database says.
    fn insert(&mut self, table: &str, columns: &[&str], rows: &[Vec<Value>]) -> Result<(), String>;
}

/// The tables, dropped and made anew in one transaction.
pub const SCHEMA: &[&str] = &[
    "drop table if exists ledger_moves",
    "drop table if exists ledger_accounts",
    "drop table if exists ledger_assets",
    "drop table if exists ledger_pending",
    "drop table if exists ledger_blocks",
    "drop table if exists ledger_meta",
    "create table ledger_meta (name text primary key, value text not null)",
    "create table ledger_assets (id bigint primary key, class bigint not null, name text not null, \
     vintage bigint not null, series text, issue_cap text not null, issued bigint not null)",
    "create table ledger_accounts (id bigint primary key, holder bigint not null, asset bigint not null, \
     kind text not null, flags bigint not null, debits_pending bigint not null, debits_posted bigint not null, \
     credits_pending bigint not null, credits_posted bigint not null, balance bigint not null)",
    "create table ledger_moves (record bigint not null, step bigint not null, batch bigint not null, \
     time bigint not null, id text not null, signer bigint not null, op text not null, outcome text not null, \
     kind text, debit bigint, credit bigint, amount bigint, posted bigint not null, rule bigint, \
     case_id text not null, cites text, serials text not null, memo text not null, primary key (record, step))",
    "create table ledger_pending (id text primary key, kind text not null, debit bigint not null, \
     credit bigint not null, amount bigint not null, opens bigint, expires bigint, overdue bigint not null)",
    "create table ledger_blocks (series bigint not null, first bigint not null, last bigint not null, \
     asset bigint not null, account bigint not null, locked text, adjustment bigint not null, \
     primary key (series, first))",
];

/// Made once the rows are in.
pub const INDEXES: &[&str] = &[
    "create index ledger_moves_debit on ledger_moves (debit)",
    "create index ledger_moves_credit on ledger_moves (credit)",
    "create index ledger_moves_id on ledger_moves (id)",
    "create index ledger_accounts_holder on ledger_accounts (holder)",
];

const ROWS_AT_ONCE: usize = 500;

fn number(value: u64) -> Result<Value, JournalError> {
    i64::try_from(value)
        .map(Value::Number)
        .map_err(|_| JournalError::Sink(format!("{value} does not fit a bigint column")))
}

fn signed(value: i128) -> Result<Value, JournalError> {
    i64::try_from(value)
        .map(Value::Number)
        .map_err(|_| JournalError::Sink(format!("{value} does not fit a bigint column")))
}

fn text(value: impl std::fmt::Display) -> Value {
    Value::Text(value.to_string())
}

fn some<T>(
    value: Option<T>,
    f: impl FnOnce(T) -> Result<Value, JournalError>,
) -> Result<Value, JournalError> {
    value.map_or(Ok(Value::Null), f)
}

const MOVES: [&str; 18] = [
    "record", "step", "batch", "time", "id", "signer", "op", "outcome", "kind", "debit", "credit",
    "amount", "posted", "rule", "case_id", "cites", "serials", "memo",
];

fn move_row(row: &Row) -> Result<Vec<Value>, JournalError> {
    Ok(vec![
        number(row.record)?,
        number(u64::from(row.step))?,
        number(row.batch)?,
        Value::Number(row.time.0),
        text(row.id),
        number(u64::from(row.signer.0))?,
        text(row.op),
        text(row.outcome),
        some(row.kind, |k| Ok(text(k)))?,
        some(row.debit, |a| number(a.0))?,
        some(row.credit, |a| number(a.0))?,
        // a refused amount may be anything; what was applied fits its asset
        match row.amount {
            Some(amount) if row.outcome != "applied" => {
                i64::try_from(amount).map_or(Value::Null, Value::Number)
            }
            amount => some(amount, number)?,
        },
        Value::Number(i64::from(row.posted)),
        some(row.rule, |r| number(u64::from(r.0)))?,
        text(row.case),
        some(row.cites, |c| Ok(text(c)))?,
        text(&row.serials),
        text(&row.memo),
    ])
}

struct Writer<'a> {
    sink: &'a mut dyn Sink,
}

impl Writer<'_> {
    fn run(&mut self, sql: &str) -> Result<(), JournalError> {
        self.sink.run(sql).map_err(JournalError::Sink)
    }

    fn insert(
        &mut self,
        table: &str,
        columns: &[&str],
        rows: &[Vec<Value>],
    ) -> Result<(), JournalError> {
        for chunk in rows.chunks(ROWS_AT_ONCE) {
            self.sink
                .insert(table, columns, chunk)
                .map_err(JournalError::Sink)?;
        }
        Ok(())
    }
}

/// What was rebuilt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct Rebuilt {
    /// Batches read.
    pub batches: u64,
    /// Records read.
    pub records: u64,
    /// Rows of movements written.
    pub moves: u64,
}

/// Rebuilds the read model from the whole log, in one transaction: before it the old tables hold,
/// after it the new.
///
/// # Errors
/// What reading the log can fail with, and [`JournalError::Sink`].
pub fn rebuild<S: Storage>(storage: &S, sink: &mut dyn Sink) -> Result<Rebuilt, JournalError> {
    let (genesis, genesis_hash) = read_genesis(storage)?;
    let ledger = genesis.ledger;
    let mut applier = Applier::new(genesis);
    let mut exporter = Exporter::default();
    let mut writer = Writer { sink };
    let mut waiting: Vec<Vec<Value>> = Vec::with_capacity(ROWS_AT_ONCE);
    let mut moves = 0;
    writer.run("begin")?;
    for sql in SCHEMA {
        writer.run(sql)?;
    }
    let walked = walk(storage, &ledger, &genesis_hash, None, |batch| {
        applier
            .replay(&batch.header, &batch.body.records)
            .map_err(|reason| JournalError::Corrupt {
                segment: format!("batch {}", batch.header.batch),
                at: 0,
                reason,
            })?;
        for (n, bytes) in batch.body.records.iter().enumerate() {
            let record = Record::from_bytes(bytes)?;
            let number = batch.header.first_record + n as u64;
            for row in exporter.record(number, batch.header.batch, batch.header.time, &record) {
                waiting.push(move_row(row)?);
                moves += 1;
            }
            if waiting.len() >= ROWS_AT_ONCE {
                writer.insert("ledger_moves", &MOVES, &waiting)?;
                waiting.clear();
            }
        }
        Ok(())
    })?;
    writer.insert("ledger_moves", &MOVES, &waiting)?;
    write_state(&mut writer, &applier.state)?;
    let batches = walked.index.tree.leaves().len() as u64;
    let meta = [
        ("batches", batches.to_string()),
        ("records", walked.index.records.to_string()),
        ("root", hex::encode(walked.index.tree.root())),
        ("digest", hex::encode(applier.state.digest())),
    ];
    let meta: Vec<_> = meta
        .into_iter()
        .map(|(name, value)| vec![text(name), Value::Text(value)])
        .collect();
    writer.insert("ledger_meta", &["name", "value"], &meta)?;
    for sql in INDEXES {
        writer.run(sql)?;
    }
    writer.run("commit")?;
    Ok(Rebuilt {
        batches,
        records: walked.index.records,
        moves,
    })
}

fn write_state(writer: &mut Writer<'_>, state: &State) -> Result<(), JournalError> {
    let mut rows = Vec::new();
    for asset in state.assets() {
        let d = &asset.def;
        let series = d.series.and_then(|s| state.series(s));
        rows.push(vec![
            number(u64::from(d.id.0))?,
            number(u64::from(d.class.0))?,
            text(&d.name),
            number(u64::from(d.vintage))?,
            some(series, |s| Ok(text(&s.def.prefix)))?,
            text(d.issue_cap),
            signed(asset.issued())?,
        ]);
    }
    let columns = [
        "id",
        "class",
        "name",
        "vintage",
        "series",
        "issue_cap",
        "issued",
    ];
    writer.insert("ledger_assets", &columns, &rows)?;
    rows.clear();
    for a in state.accounts() {
        let c = a.counters;
        rows.push(vec![
            number(a.id.0)?,
            number(a.holder.0)?,
            number(u64::from(a.asset.0))?,
            text(a.kind),
            number(u64::from(a.flags.0))?,
            number(c.debits_pending)?,
            number(c.debits_posted)?,
            number(c.credits_pending)?,
            number(c.credits_posted)?,
            signed(c.balance())?,
        ]);
    }
    let columns = [
        "id",
        "holder",
        "asset",
        "kind",
        "flags",
        "debits_pending",
        "debits_posted",
        "credits_pending",
        "credits_posted",
        "balance",
    ];
    writer.insert("ledger_accounts", &columns, &rows)?;
    rows.clear();
    for p in state.pendings() {
        let open = |t: miyun_ledger::Time| match t {
            miyun_ledger::Time::MIN | miyun_ledger::Time::MAX => Value::Null,
            miyun_ledger::Time(ms) => Value::Number(ms),
        };
        rows.push(vec![
            text(p.id),
            text(p.kind),
            number(p.debit.0)?,
            number(p.credit.0)?,
            number(p.amount)?,
            open(p.opens),
            open(p.expires),
            Value::Number(i64::from(p.overdue)),
        ]);
    }
    let columns = [
        "id", "kind", "debit", "credit", "amount", "opens", "expires", "overdue",
    ];
    writer.insert("ledger_pending", &columns, &rows)?;
    rows.clear();
    for series in state.all_series() {
        for b in state.blocks(series.def.id) {
            rows.push(vec![
                number(u64::from(b.series.0))?,
                number(b.range.start)?,
                number(b.range.end)?,
                number(u64::from(b.asset.0))?,
                number(b.account.0)?,
                some(b.locked, |l| Ok(text(l)))?,
                Value::Number(b.adjustment as i64),
            ]);
        }
    }
    let columns = [
        "series",
        "first",
        "last",
        "asset",
        "account",
        "locked",
        "adjustment",
    ];
    writer.insert("ledger_blocks", &columns, &rows)
}

/// A sink that writes one SQL script, for `sqlite3` or `psql`.
#[derive(Debug)]
pub struct SqlScript<W>(pub W);

impl<W: Write> Sink for SqlScript<W> {
    fn run(&mut self, sql: &str) -> Result<(), String> {
        writeln!(self.0, "{sql};").map_err(|e| e.to_string())
    }

    fn insert(&mut self, table: &str, columns: &[&str], rows: &[Vec<Value>]) -> Result<(), String> {
        let mut script = format!("insert into {table} ({}) values", columns.join(", "));
        for (n, row) in rows.iter().enumerate() {
            script.push_str(if n == 0 { "\n (" } else { ",\n (" });
            for (n, value) in row.iter().enumerate() {
                if n > 0 {
                    script.push_str(", ");
                }
                match value {
                    Value::Null => script.push_str("null"),
                    Value::Number(number) => script.push_str(&number.to_string()),
                    Value::Text(text) => {
                        script.push('\'');
                        // a nought byte is no text in PostgreSQL
                        script.push_str(&text.replace('\'', "''").replace('\0', "\u{fffd}"));
                        script.push('\'');
                    }
                }
            }
            script.push(')');
        }
        writeln!(self.0, "{script};").map_err(|e| e.to_string())
    }
}
