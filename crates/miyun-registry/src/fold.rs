//! The fold: one record of the journal after the other becomes the model.

mod ask;

use miyun_ledger::{
    AccountId, Command, CommandId, Moved, Op, Receipt, Step as Part, Time, TransferKind,
};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::Error;
use crate::model::{Done, FILING_CONTRA, Line, Model};
use crate::policy::Out;
use crate::request::{Ask, Envelope};

/// What a record says besides its movements: the signed request and what the policy worked out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Filing {
    /// The request as it was signed.
    pub envelope: Envelope,
    /// What the policy worked out.
    pub out: Out,
}

impl Filing {
    /// The filing and the movements of a command, `None` if it carries no filing.
    ///
    /// # Errors
    /// [`Error::Record`] if the filing cannot be read.
    pub fn of(record: u64, command: &Command) -> Result<Option<(Self, &[Part])>, Error> {
        let Op::Chain(steps) = &command.op else {
            return Ok(None);
        };
        let mut text = String::new();
        let mut n = 0;
        while let Some(Op::Transfer(t)) = steps.get(n).map(|s| &s.op)
            && t.debit == FILING_CONTRA
        {
            text.push_str(&t.memo);
            n += 1;
        }
        if n == 0 {
            return Ok(None);
        }
        let filing = serde_json::from_str(&text).map_err(|e| Error::Record {
            record,
            reason: format!("the filing cannot be read: {e}"),
        })?;
        Ok(Some((filing, &steps[n..])))
    }
}

/// What identifies the content of a request for repetition.
pub(crate) fn digest(e: &Envelope) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(e.by.as_bytes());
    hash.update([0]);
    hash.update(e.request.as_bytes());
    hash.finalize().into()
}

impl Model {
    /// Takes a command that the ledger has applied. Signatures are checked against the key that
    /// was in force, so a fold is also an audit of who asked.
    ///
    /// # Errors
    /// [`Error::Record`] if the record cannot be read or its signature is wrong; the journal was
    /// then not written by a registry.
    pub fn take(
        &mut self,
        ledger: &[u8; 32],
        record: u64,
        now: Time,
        command: &Command,
        receipt: &Receipt,
    ) -> Result<Option<Filing>, Error> {
        self.records = record + 1;
        self.last = now;
        match &command.op {
            Op::DefineRule(r) => {
                self.next.rule = self.next.rule.max(r.id.0 + 1);
                for kind in TransferKind::ALL.iter().filter(|k| r.kinds.has(**k)) {
                    self.rules.insert(format!("{}|{kind}", r.name), r.id);
                }
                self.rule_names.insert(r.id, r.name.to_string());
            }
            Op::OpenAccount(a) => self.next.account = self.next.account.max(a.id.0 + 1),
            Op::DefineAsset(a) => self.next.asset = self.next.asset.max(a.id.0 + 1),
            Op::DefineSeries(s) => self.next.series = self.next.series.max(s.id.0 + 1),
            Op::DefineLimit(l) => {
                self.next.limit = self.next.limit.max(l.id.0 + 1);
                self.limits.insert(l.name.to_string(), l.id);
            }
            _ => {}
        }
        let Some((filing, moves)) = Filing::of(record, command)? else {
            return Ok(None);
        };
        let bad = |reason: String| Error::Record { record, reason };
        let request = filing.envelope.open().map_err(|e| bad(e.to_string()))?;
        let key = if let Ask::Found { key, .. } = &request.ask {
            if !self.parties.is_empty() {
                return Err(bad("a registry is founded once".into()));
            }
            crate::request::public_key(key).map_err(|e| bad(e.to_string()))?
        } else {
            let (party, representative) =
                filing.envelope.signer().map_err(|e| bad(e.to_string()))?;
            self.key(party, representative, now)
                .map_err(|e| bad(e.to_string()))?
        };
        filing
            .envelope
            .check(ledger, &key)
            .map_err(|e| bad(e.to_string()))?;
        let id = request.number().map_err(|e| bad(e.to_string()))?;
        self.done.insert(
            id,
            Done {
                digest: digest(&filing.envelope),
                record,
                rule: filing.out.rule.clone(),
            },
        );
        for (account, key) in &filing.out.accounts {
            self.accounts.insert(key.clone(), AccountId(*account));
            self.account_keys.insert(AccountId(*account), key.clone());
        }
        let at = At {
            record,
            now,
            by: &filing.envelope.by,
            request: &request.id,
        };
        self.add_lines(&at, moves, receipt);
        self.ask(&at, &request, &filing.out, moves, receipt)
            .map_err(|e| bad(e.to_string()))?;
        self.filings.push((record, now, filing.clone()));
        Ok(Some(filing))
    }

    fn add_lines(&mut self, at: &At<'_>, moves: &[Part], receipt: &Receipt) {
        let serials = |id: CommandId| -> Vec<[u64; 2]> {
            let of = |m: &&Moved| m.id == id;
            receipt
                .moved
                .iter()
                .filter(of)
                .map(|m| [m.range.start, m.range.end])
                .collect()
        };
        let mut new = Vec::new();
        for part in moves {
            let mut line = |what: String, debit, credit, amount, rule: String, posted| {
                new.push(Line {
                    record: at.record,
                    step: 0,
                    at: at.now,
                    request: at.request.to_owned(),
                    what,
                    debit,
                    credit,
                    amount,
                    serials: serials(part.id),
                    rule,
                    posted,
                    id: part.id,
                });
            };
            let rule = |id| self.rule_names.get(&id).cloned().unwrap_or_default();
            match &part.op {
                Op::Transfer(t) => line(
                    t.kind.name().into(),
                    t.debit,
                    t.credit,
                    t.amount,
                    rule(t.rule),
                    true,
                ),
                Op::Reserve(r) => {
                    let t = &r.transfer;
                    self.pending
                        .insert(part.id, (t.debit, t.credit, t.amount, rule(t.rule)));
                    line(
                        format!("reserve {}", t.kind),
                        t.debit,
                        t.credit,
                        t.amount,
                        rule(t.rule),
                        false,
                    );
                }
                Op::Post { pending, .. } => {
                    if let Some((d, c, amount, rule)) = self.pending.remove(pending) {
                        line("transfer".into(), d, c, amount, rule, true);
                    }
                }
                Op::Void { pending } => {
                    if let Some((d, c, amount, rule)) = self.pending.remove(pending) {
                        line("void".into(), d, c, amount, rule, false);
                    }
                }
                Op::Transform(t) => {
                    line(
                        t.kind.name().into(),
                        t.input,
                        t.sink,
                        t.amount_in,
                        rule(t.rule),
                        true,
                    );
                    line(
                        t.kind.name().into(),
                        t.source,
                        t.output,
                        t.amount_out,
                        rule(t.rule),
                        true,
                    );
                }
                Op::Reverse {
                    original, rule: r, ..
                } => {
                    let back = self.lines.iter().find(|l| l.posted && l.id == *original);
                    if let Some((d, c, amount)) = back.map(|l| (l.debit, l.credit, l.amount)) {
                        line("reverse".into(), c, d, amount, rule(*r), true);
                    }
                }
                _ => {}
            }
        }
        for (n, mut line) in new.into_iter().enumerate() {
            line.step = u32::try_from(n).unwrap_or(u32::MAX);
            let index = self.lines.len();
            self.lines_of.entry(line.debit).or_default().push(index);
            self.lines_of.entry(line.credit).or_default().push(index);
            self.lines.push(line);
        }
    }
}

struct At<'a> {
    record: u64,
    now: Time,
    by: &'a str,
    request: &'a str,
}
