//! The auditor: a second, simpler model of the ledger, written apart from the state machine. It
//! believes no answer: it takes each applied command, books it in its own tables, and checks the
//! eight invariants after every batch.
//!
//! It shares with the state machine only the binary form of commands and the list of what the state
//! digest covers, because both are published formats.

mod book;
mod check;
mod ids;
mod runs;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use foldhash::fast::RandomState;
use miyun_ledger::codec::{Reader, Wire};
use miyun_ledger::{
    Account, AccountId, Adjustment, AssetDef, AssetId, ClassDef, ClassId, Command, CommandId,
    Genesis, LimitDef, LimitId, Op, Pending, RuleDef, RuleId, SYSTEM, SeriesDef, SeriesId,
    SignerDef, SignerId, Time,
};
use serde::Serialize;

use crate::format::{Answer, EnvelopeEntry, Header, Record};
use crate::merkle::Hash;

type Map<K, V> = HashMap<K, V, RandomState>;

/// Most findings that are kept.
pub const FINDINGS_MAX: usize = 100;

/// Something that is not as it must be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The batch.
    pub batch: u64,
    /// The record, where one is to blame.
    pub record: Option<u64>,
    /// The invariant, 1 to 8 as in `docs/ledger.md`; 0 for signatures and form.
    pub invariant: u8,
    /// What is wrong.
    pub text: String,
}

/// A run of serial numbers as the auditor knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Run {
    end: u64,
    account: AccountId,
    asset: AssetId,
    locked: Option<CommandId>,
    adjustment: Adjustment,
}

#[derive(Debug)]
struct Numbers {
    def: SeriesDef,
    issued: u64,
    runs: BTreeMap<u64, Run>,
}

/// The auditor's tables.
#[derive(Debug)]
pub struct Auditor {
    ledger: [u8; 32],
    now: Time,
    records: u64,
    accounts: Map<AccountId, Account>,
    classes: Map<ClassId, ClassDef>,
    assets: Map<AssetId, AssetDef>,
    series: BTreeMap<SeriesId, Numbers>,
    rules: Map<RuleId, RuleDef>,
    limits: BTreeMap<LimitId, LimitDef>,
    members: BTreeMap<LimitId, Vec<AccountId>>,
    limit_used: BTreeMap<LimitId, i128>,
    signers: BTreeMap<SignerId, SignerDef>,
    pendings: Map<CommandId, Pending>,
    locks: Map<CommandId, Vec<miyun_ledger::Range>>,
    resolved: HashSet<CommandId, RandomState>,
    ids: ids::Ids,
    reversed: BTreeMap<CommandId, u64>,
    // of the batch
    touched: HashSet<AccountId, RandomState>,
    limits_changed: BTreeSet<LimitId>,
    runs_touched: BTreeSet<SeriesId>,
    batch: u64,
    record: Option<u64>,
    since_digest: u64,
    findings: Vec<Finding>,
}

impl Auditor {
    /// An auditor before the first batch.
    #[must_use]
    pub fn new(genesis: &Genesis) -> Self {
        let mut signers = BTreeMap::new();
        signers.insert(genesis.root.id, genesis.root.clone());
        Self {
            ledger: genesis.ledger,
            now: Time::MIN,
            records: 0,
            accounts: Map::default(),
            classes: Map::default(),
            assets: Map::default(),
            series: BTreeMap::new(),
            rules: Map::default(),
            limits: BTreeMap::new(),
            members: BTreeMap::new(),
            limit_used: BTreeMap::new(),
            signers,
            pendings: Map::default(),
            locks: Map::default(),
            resolved: HashSet::default(),
            ids: ids::Ids::default(),
            reversed: BTreeMap::new(),
            touched: HashSet::default(),
            limits_changed: BTreeSet::new(),
            runs_touched: BTreeSet::new(),
            batch: 0,
            record: None,
            since_digest: 0,
            findings: Vec::new(),
        }
    }

    /// What was found.
    #[must_use]
    pub fn findings(&self) -> &[Finding] {
        &self.findings
    }

    /// Records seen.
    #[must_use]
    pub fn records(&self) -> u64 {
        self.records
    }

    /// The account as the auditor has it.
    #[must_use]
    pub fn account(&self, id: AccountId) -> Option<&Account> {
        self.accounts.get(&id)
    }

    /// Open pending transfers.
    #[must_use]
    pub fn pending_count(&self) -> usize {
        self.pendings.len()
    }

    fn find(&mut self, invariant: u8, text: impl Into<String>) {
        if self.findings.len() < FINDINGS_MAX {
            self.findings.push(Finding {
                batch: self.batch,
                record: self.record,
                invariant,
                text: text.into(),
            });
        }
    }

    fn expect(&mut self, invariant: u8, holds: bool, text: impl FnOnce() -> String) {
        if !holds {
            self.find(invariant, text());
        }
    }

    /// Books a batch and checks it.
    pub fn batch<B: AsRef<[u8]>>(
        &mut self,
        header: &Header,
        envelopes: Option<&[EnvelopeEntry]>,
        records: &[B],
    ) {
        self.batch = header.batch;
        self.record = None;
        self.expect(8, header.time >= self.now, || "time ran backwards".into());
        self.expect(8, header.first_record == self.records, || {
            "record numbers do not follow".into()
        });
        self.now = header.time;
        if let Some(envelopes) = envelopes {
            self.signatures(envelopes, records);
        }
        for bytes in records {
            self.record = Some(self.records);
            self.one_record(bytes.as_ref());
            self.records += 1;
        }
        self.record = None;
        self.end_of_batch();
        self.since_digest += records.len() as u64;
        // the digest costs a hash an entry, so it is due when as many records have passed
        if self.since_digest >= self.entries() {
            self.check_digest(&header.digest);
        }
    }

    fn one_record(&mut self, bytes: &[u8]) {
        let read = Record::split(bytes).and_then(|(command, mut rest)| {
            let command = Command::from_bytes(command)?;
            let answer = Answer::get(&mut rest)?;
            rest.end()?;
            Ok((command, answer))
        });
        match read {
            Ok((command, answer)) => self.one(&command, &answer),
            Err(error) => self.find(0, format!("the record cannot be read: {error}")),
        }
    }

    fn one(&mut self, command: &Command, answer: &Answer) {
        let fresh = self.ids.spend(command.id);
        self.expect(5, fresh, || format!("id {} was spent before", command.id));
        self.expect(7, command.window.contains(self.now), || {
            "the command was applied outside its window".into()
        });
        if command.signer == SYSTEM {
            let expires = matches!(command.op, Op::Expire { .. });
            self.expect(0, expires, || "the journal did more than expire".into());
        } else {
            let active = self
                .signers
                .get(&command.signer)
                .is_some_and(|s| s.window.contains(self.now));
            self.expect(0, active, || {
                format!("signer {} is not active", command.signer)
            });
        }
        if let Answer::Applied(moved) = answer {
            self.book(command, moved);
        }
    }

    fn signatures<B: AsRef<[u8]>>(&mut self, envelopes: &[EnvelopeEntry], records: &[B]) {
        use sha2::{Digest as _, Sha256};
        let mut next = records.iter();
        for envelope in envelopes {
            let mut hashes: Vec<Hash> = Vec::with_capacity(envelope.commands.len());
            for known in &envelope.commands {
                if let Some(hash) = known {
                    hashes.push(*hash);
                    continue;
                }
                let Some(record) = next.next() else {
                    self.find(0, "an envelope claims more records than the batch has");
                    return;
                };
                let Ok((command, _)) = Record::split(record.as_ref()) else {
                    self.find(0, "a record cannot be read");
                    return;
                };
                let signer = Reader::new(command.get(17..).unwrap_or_default());
                let signer = SignerId::get(&mut { signer });
                self.expect(0, signer == Ok(envelope.signer), || {
                    "a record names another signer than its envelope".into()
                });
                hashes.push(Sha256::digest(command).into());
            }
            let signed = match (&envelope.signature, self.signers.get(&envelope.signer)) {
                (None, _) => envelope.signer == SYSTEM,
                (Some(signature), Some(signer)) => {
                    let message = crate::envelope_message(&self.ledger, envelope.signer, &hashes);
                    ed25519_dalek::VerifyingKey::from_bytes(&signer.key).is_ok_and(|key| {
                        key.verify_strict(
                            &message,
                            &ed25519_dalek::Signature::from_bytes(signature),
                        )
                        .is_ok()
                    })
                }
                (Some(_), None) => false,
            };
            self.expect(0, signed, || {
                format!(
                    "an envelope of signer {} is not signed by its key",
                    envelope.signer
                )
            });
        }
        self.expect(0, next.next().is_none(), || {
            "a record lies in no envelope".into()
        });
    }
}
