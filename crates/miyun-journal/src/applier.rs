//! The half of the journal that applies: envelopes to batches, and records again at replay.

use miyun_ledger::codec::Wire;
use miyun_ledger::{Command, CommandId, Genesis, Op, SYSTEM, SignerDef, State, Time, Window};
use sha2::{Digest as _, Sha256};

use crate::envelope::{Admitted, COMMANDS_MAX};
use crate::error::JournalError;
use crate::format::{self, Answer, EnvelopeEntry, Header, Record};
use crate::journal::Applied;
use crate::log::Sealed;
use crate::merkle::Hash;

/// The half that applies: holds the state, which is ahead of the disk by the batches under way.
#[derive(Debug)]
pub(crate) struct Applier {
    pub state: State,
    pub rulebook: Hash,
    pub ledger: [u8; 32],
}

/// What applying a batch gave.
#[derive(Debug)]
pub(crate) struct Batched {
    /// What is to be written; none if no command left a record.
    pub sealed: Option<Sealed>,
    /// Answers, for each envelope.
    pub answers: Vec<Vec<Applied>>,
    /// Keys that were registered.
    pub keys: Vec<SignerDef>,
}

/// The id of the command by which the journal expires a pending transfer.
#[must_use]
pub fn expiry_id(pending: CommandId) -> CommandId {
    let mut h = Sha256::new();
    h.update(b"miyun-expire-1");
    h.update(pending.0.to_le_bytes());
    let mut id = [0; 16];
    id.copy_from_slice(&h.finalize()[..16]);
    CommandId(u128::from_le_bytes(id))
}

impl Applier {
    /// An empty ledger.
    pub fn new(genesis: Genesis) -> Self {
        Self {
            ledger: genesis.ledger,
            rulebook: Hash::default(),
            state: State::new(genesis),
        }
    }

    /// Commands that expire what is due.
    pub fn expiries(&self, now: Time) -> Option<Admitted> {
        let due = self.state.due(now, COMMANDS_MAX);
        if due.is_empty() {
            return None;
        }
        let commands = due
            .into_iter()
            .map(|pending| Command {
                id: expiry_id(pending),
                signer: SYSTEM,
                window: Window::ALWAYS,
                op: Op::Expire { pending },
            })
            .collect();
        Some(Admitted::system(commands))
    }

    /// Applies what is due and then the envelopes, in order, at one instant, and seals the batch.
    pub fn apply(&mut self, now: Time, envelopes: &[Admitted]) -> Result<Batched, JournalError> {
        let now = now.max(self.state.now());
        let due = self.expiries(now);
        let first_record = self.state.records();
        let mut body = Vec::with_capacity(256 * 1024);
        let mut entries = Vec::with_capacity(64 + envelopes.len() * 80);
        let mut spans = Vec::new();
        let mut answers = Vec::with_capacity(envelopes.len());
        let mut keys = Vec::new();
        let mut count = 0u32;
        for (n, envelope) in due.iter().chain(envelopes).enumerate() {
            let is_system = due.is_some() && n == 0;
            let mut entry = EnvelopeEntry {
                signer: envelope.signer,
                signature: envelope.signature,
                commands: Vec::with_capacity(envelope.len()),
            };
            let mut results = Vec::with_capacity(envelope.len());
            let before = spans.len();
            for (n, command) in envelope.commands.iter().enumerate() {
                let bytes = envelope.span(n);
                let record = self.state.records();
                let result = self.state.apply_bytes(command, bytes, now);
                if self.state.records() > record {
                    let start = body.len() + 4;
                    body.extend_from_slice(&[0; 4]);
                    (bytes.len() as u32).put(&mut body);
                    body.extend_from_slice(bytes);
                    match &result {
                        Ok(receipt) => format::put_applied(&receipt.moved, &mut body),
                        Err(refusal) => format::put_refused(*refusal, &mut body),
                    }
                    let len = (body.len() - start) as u32;
                    body[start - 4..start].copy_from_slice(&len.to_le_bytes());
                    spans.push((start as u32, body.len() as u32));
                    entry.commands.push(None);
                    if let (Op::DefineSigner(def), Ok(_)) = (&command.op, &result) {
                        keys.push(def.clone());
                    }
                } else {
                    entry.commands.push(Some(envelope.hashes[n]));
                }
                results.push(result);
            }
            if spans.len() > before {
                entry.put(&mut entries);
                count += 1;
            }
            if !is_system {
                answers.push(results);
            }
        }
        if spans.is_empty() {
            return Ok(Batched {
                sealed: None,
                answers,
                keys,
            });
        }
        let seal = self.state.seal()?;
        // the body starts with the envelopes, which are known only now
        let shift = (4 + entries.len()) as u32;
        let mut whole = Vec::with_capacity(body.len() + entries.len() + 4);
        (entries.len() as u32).put(&mut whole);
        whole.extend_from_slice(&entries);
        whole.extend_from_slice(&body);
        for span in &mut spans {
            span.0 += shift;
            span.1 += shift;
        }
        let header = Header {
            batch: 0,
            first_record,
            records: spans.len() as u32,
            envelopes: count,
            body_len: whole.len() as u32,
            time: now,
            ledger: self.ledger,
            previous: Hash::default(),
            records_root: Hash::default(),
            envelopes_hash: Sha256::digest(&entries).into(),
            digest: seal.digest,
            rulebook: self.rulebook,
        };
        Ok(Batched {
            sealed: Some(Sealed {
                header,
                body: whole,
                spans,
            }),
            answers,
            keys,
        })
    }

    /// Applies the records of a batch again and compares answers and digest.
    pub fn replay(&mut self, header: &Header, records: &[&[u8]]) -> Result<(), String> {
        for (n, bytes) in records.iter().enumerate() {
            let number = header.first_record + n as u64;
            let (bytes, mut rest) = Record::split(bytes).map_err(|e| e.to_string())?;
            let command = Command::from_bytes(bytes).map_err(|e| e.to_string())?;
            let answer = Answer::get(&mut rest).map_err(|e| e.to_string())?;
            rest.end().map_err(|e| e.to_string())?;
            let result = self.state.apply_bytes(&command, bytes, header.time);
            let same = match (&result, &answer) {
                (Ok(receipt), Answer::Applied(moved)) => {
                    receipt.moved == *moved && receipt.record == number
                }
                (Err(a), Answer::Refused(b)) => a == b,
                _ => false,
            };
            if !same || self.state.records() != number + 1 {
                return Err(format!(
                    "record {number} says {answer:?}, replaying it gives {result:?}"
                ));
            }
        }
        match self.state.seal() {
            Ok(seal) if seal.digest == header.digest => Ok(()),
            Ok(_) => Err(format!(
                "replaying batch {} gives another state digest",
                header.batch
            )),
            Err(violation) => Err(violation.to_string()),
        }
    }
}
