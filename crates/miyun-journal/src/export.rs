//! The log as rows: every movement with its record, for CSV, JSON, Parquet and SQL.

use std::collections::HashMap;

use miyun_ledger::{
    AccountId, Command, CommandId, Moved, Op, Refusal, RuleId, SignerId, Time, Transfer,
    TransferKind, Transform,
};
use serde::Serialize;

use crate::error::JournalError;
use crate::format::{Answer, Record};
use crate::log::Walked;
use crate::storage::Storage;

/// One movement, definition or refusal, flat.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Row {
    /// Its record.
    pub record: u64,
    /// Its place in a chain or transform, from 0.
    pub step: u32,
    /// Its batch.
    pub batch: u64,
    /// Its instant, milliseconds since 1970.
    pub time: Time,
    /// Its id.
    pub id: CommandId,
    /// Who signed.
    pub signer: SignerId,
    /// What was asked: `transfer`, `reserve`, `post`, `void`, `expire`, `reverse`, `transform`, or
    /// the name of a definition.
    pub op: &'static str,
    /// `applied`, or the refusal's code.
    pub outcome: &'static str,
    /// Why it moved.
    pub kind: Option<&'static str>,
    /// From.
    pub debit: Option<AccountId>,
    /// To.
    pub credit: Option<AccountId>,
    /// How much, in the smallest unit.
    pub amount: Option<u64>,
    /// True if it changed posted balances (a reservation does not).
    pub posted: bool,
    /// The rulebook row.
    pub rule: Option<RuleId>,
    /// The case.
    pub case: u64,
    /// The pending transfer it resolves or the transfer it reverses.
    pub cites: Option<CommandId>,
    /// Serial numbers that moved, `first-last` joined by `;`.
    pub serials: String,
    /// Public text.
    pub memo: String,
}

#[derive(Debug, Clone)]
struct Known {
    kind: TransferKind,
    debit: AccountId,
    credit: AccountId,
    amount: u64,
    rule: RuleId,
    case: u64,
    gap: Option<AccountId>,
    reversed: u64,
}

/// Turns records into rows; remembers what later records cite.
#[derive(Debug, Default)]
pub struct Exporter {
    known: HashMap<CommandId, Known>,
    rows: Vec<Row>,
}

fn op_name(op: &Op) -> &'static str {
    match op {
        Op::Transfer(_) => "transfer",
        Op::Reserve(_) => "reserve",
        Op::Post { .. } => "post",
        Op::Void { .. } => "void",
        Op::Expire { .. } => "expire",
        Op::Reverse { .. } => "reverse",
        Op::Transform(_) => "transform",
        Op::Chain(_) => "chain",
        Op::SplitBlock { .. } => "split_block",
        Op::SetAdjustment { .. } => "set_adjustment",
        Op::DefineClass(_) => "define_class",
        Op::DefineSeries(_) => "define_series",
        Op::DefineAsset(_) => "define_asset",
        Op::DefineRule(_) => "define_rule",
        Op::CloseRule { .. } => "close_rule",
        Op::DefineLimit(_) => "define_limit",
        Op::SetLimit { .. } => "set_limit",
        Op::SetIssueCap { .. } => "set_issue_cap",
        Op::DefineSigner(_) => "define_signer",
        Op::CloseSigner { .. } => "close_signer",
        Op::OpenAccount(_) => "open_account",
        Op::SetFrozen { .. } => "set_frozen",
        Op::CloseAccount { .. } => "close_account",
    }
}

impl Exporter {
    /// The rows of one record.
    pub fn record(&mut self, number: u64, batch: u64, time: Time, record: &Record) -> &[Row] {
        self.rows.clear();
        let command = &record.command;
        let blank = Row {
            record: number,
            step: 0,
            batch,
            time,
            id: command.id,
            signer: command.signer,
            op: op_name(&command.op),
            outcome: "applied",
            kind: None,
            debit: None,
            credit: None,
            amount: None,
            posted: false,
            rule: None,
            case: 0,
            cites: None,
            serials: String::new(),
            memo: String::new(),
        };
        match &record.answer {
            Answer::Refused(refusal) => self.refused(blank, command, *refusal),
            Answer::Applied(moved) => match &command.op {
                Op::Chain(steps) => {
                    for step in steps {
                        let own = Row {
                            id: step.id,
                            op: op_name(&step.op),
                            ..blank.clone()
                        };
                        self.applied(own, &step.op, moved);
                    }
                }
                op => self.applied(blank, op, moved),
            },
        }
        for (n, row) in self.rows.iter_mut().enumerate() {
            row.step = n as u32;
        }
        &self.rows
    }

    fn refused(&mut self, mut row: Row, command: &Command, refusal: Refusal) {
        row.outcome = refusal.code();
        if let Op::Transfer(t) = &command.op {
            fill(&mut row, t);
        } else if let Op::Reserve(r) = &command.op {
            fill(&mut row, &r.transfer);
        }
        self.rows.push(row);
    }

    fn applied(&mut self, mut row: Row, op: &Op, moved: &[Moved]) {
        let (id, serials) = (row.id, serials(row.id, None, moved));
        match op {
            Op::Transfer(t) => {
                fill(&mut row, t);
                (row.posted, row.serials) = (true, serials);
                self.known.insert(id, known(t, None));
                self.rows.push(row);
            }
            Op::Reserve(r) => {
                fill(&mut row, &r.transfer);
                self.known.insert(id, known(&r.transfer, r.discrepancy));
                self.rows.push(row);
            }
            Op::Post { pending, amount } => {
                row.cites = Some(*pending);
                row.serials = serials;
                self.post(row, *pending, *amount);
            }
            Op::Void { pending } | Op::Expire { pending } => {
                row.cites = Some(*pending);
                if let Some(k) = self.known.get(pending) {
                    row.kind = Some(k.kind.name());
                    (row.debit, row.credit) = (Some(k.debit), Some(k.credit));
                    (row.amount, row.case) = (Some(k.amount), k.case);
                }
                self.rows.push(row);
            }
            Op::Reverse {
                original,
                amount,
                rule,
                memo,
                ..
            } => {
                row.cites = Some(*original);
                row.kind = Some(TransferKind::Reverse.name());
                (row.rule, row.memo) = (Some(*rule), memo.to_string());
                (row.posted, row.serials) = (true, serials);
                if let Some(k) = self.known.get_mut(original) {
                    let amount = amount.unwrap_or(k.amount - k.reversed);
                    k.reversed = k.reversed.saturating_add(amount);
                    (row.debit, row.credit) = (Some(k.credit), Some(k.debit));
                    (row.amount, row.case) = (Some(amount), k.case);
                }
                self.rows.push(row);
            }
            Op::Transform(t) => self.transform(&row, t, moved),
            _ => self.rows.push(row),
        }
    }

    fn post(&mut self, mut row: Row, pending: CommandId, amount: Option<u64>) {
        let Some(k) = self.known.get(&pending).cloned() else {
            self.rows.push(row);
            return;
        };
        let amount = amount.unwrap_or(k.amount);
        row.kind = Some(k.kind.name());
        (row.rule, row.case, row.posted) = (Some(k.rule), k.case, true);
        (row.debit, row.credit) = (Some(k.debit), Some(k.credit));
        let arrived = if k.gap.is_some() {
            amount.min(k.amount)
        } else {
            amount
        };
        row.amount = Some(arrived);
        self.known.insert(
            row.id,
            Known {
                amount,
                ..k.clone()
            },
        );
        let mut difference = row.clone();
        if arrived > 0 {
            self.rows.push(row);
        }
        if let Some(gap) = k.gap
            && amount != k.amount
        {
            difference.kind = Some(TransferKind::Adjust.name());
            difference.amount = Some(amount.abs_diff(k.amount));
            if amount < k.amount {
                difference.credit = Some(gap);
            } else {
                difference.debit = Some(gap);
            }
            self.rows.push(difference);
        }
    }

    fn transform(&mut self, row: &Row, t: &Transform, moved: &[Moved]) {
        for (debit, credit, amount) in [
            (t.input, t.sink, t.amount_in),
            (t.source, t.output, t.amount_out),
        ] {
            self.rows.push(Row {
                kind: Some(t.kind.name()),
                debit: Some(debit),
                credit: Some(credit),
                amount: Some(amount),
                posted: true,
                rule: Some(t.rule),
                case: t.case,
                serials: serials(row.id, Some(credit), moved),
                memo: t.memo.to_string(),
                ..row.clone()
            });
        }
    }
}

fn known(t: &Transfer, gap: Option<AccountId>) -> Known {
    Known {
        kind: t.kind,
        debit: t.debit,
        credit: t.credit,
        amount: t.amount,
        rule: t.rule,
        case: t.case,
        gap,
        reversed: 0,
    }
}

fn fill(row: &mut Row, t: &Transfer) {
    row.kind = Some(t.kind.name());
    (row.debit, row.credit) = (Some(t.debit), Some(t.credit));
    row.amount = Some(t.amount);
    (row.rule, row.case) = (Some(t.rule), t.case);
    row.memo = t.memo.to_string();
}

fn serials(id: CommandId, to: Option<AccountId>, moved: &[Moved]) -> String {
    let mut text = String::new();
    for m in moved
        .iter()
        .filter(|m| m.id == id && to.is_none_or(|to| m.to == to))
    {
        if !text.is_empty() {
            text.push(';');
        }
        text.push_str(&format!("{}-{}", m.range.start, m.range.end));
    }
    text
}

/// Gives every row of the log to `visit`, in order.
///
/// # Errors
/// What reading the log can fail with, and what `visit` returns.
pub fn export<S: Storage>(
    storage: &S,
    mut visit: impl FnMut(&Row) -> Result<(), JournalError>,
) -> Result<Walked, JournalError> {
    let mut exporter = Exporter::default();
    crate::read_log(storage, |batch| {
        for (n, bytes) in batch.body.records.iter().enumerate() {
            let record = Record::from_bytes(bytes)?;
            let number = batch.header.first_record + n as u64;
            let rows = exporter.record(number, batch.header.batch, batch.header.time, &record);
            rows.iter().try_for_each(&mut visit)?;
        }
        Ok(())
    })
}
