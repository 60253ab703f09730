//! Verification of a whole log: form, hashes, roots, chain, signatures, the eight invariants in the
//! auditor's own model, and, if asked, a second run of the state machine.

use std::sync::mpsc::sync_channel;

use miyun_ledger::State;
use serde::Serialize;

use crate::applier::Applier;
use crate::audit::{Auditor, Finding};
use crate::error::JournalError;
use crate::format::{EnvelopeEntry, OwnedBatch};
use crate::journal::read_genesis;
use crate::log::{Torn, walk};
use crate::merkle::{self, Hash};
use crate::proof::SignedHead;
use crate::storage::Storage;

/// What to verify besides the form and the invariants.
#[derive(Debug, Clone)]
pub struct VerifyOptions {
    /// Check every envelope's signature.
    pub signatures: bool,
    /// Run the state machine again and compare every answer and every digest.
    pub replay: bool,
    /// A head that is known from elsewhere: the log must contain it, signed by this key.
    pub head: Option<(SignedHead, [u8; 32])>,
}

impl Default for VerifyOptions {
    fn default() -> Self {
        Self {
            signatures: true,
            replay: false,
            head: None,
        }
    }
}

/// What verification found.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// Batches read.
    pub batches: u64,
    /// Records read.
    pub records: u64,
    /// Root of the tree over the batch headers.
    pub root: String,
    /// State digest after the last batch.
    pub digest: String,
    /// What is wrong; empty if nothing is.
    pub findings: Vec<Finding>,
    /// What lies behind the last valid batch and was not read.
    pub torn: Option<String>,
}

impl Report {
    /// True if nothing is wrong.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        self.findings.is_empty()
    }
}

type Read = (OwnedBatch, Option<Vec<EnvelopeEntry>>);

/// Verifies the whole log in `storage`. Reads on one thread and audits on another.
///
/// # Errors
/// [`JournalError::Corrupt`] where the bytes themselves are not as written, and failures to read.
/// What the auditor finds is in the report.
pub fn verify<S: Storage>(storage: &S, options: &VerifyOptions) -> Result<Report, JournalError> {
    let (genesis, genesis_hash) = read_genesis(storage)?;
    let mut auditor = Auditor::new(&genesis);
    let (tx, rx) = sync_channel::<Read>(8);
    let mut replayer = options.replay.then(|| Applier::new(genesis.clone()));
    let (walked, mut auditor) = std::thread::scope(|scope| {
        let auditing = scope.spawn(move || {
            for (batch, envelopes) in rx {
                auditor.batch(&batch.header, envelopes.as_deref(), &batch.records());
            }
            auditor
        });
        let walked = walk(storage, &genesis.ledger, &genesis_hash, None, |batch| {
            if let Some(replayer) = &mut replayer {
                replayer
                    .replay(&batch.header, &batch.body.records)
                    .map_err(|reason| JournalError::Corrupt {
                        segment: format!("batch {}", batch.header.batch),
                        at: 0,
                        reason,
                    })?;
            }
            let envelopes = if options.signatures {
                Some(batch.body.entries(batch.header.envelopes)?)
            } else {
                None
            };
            let _ = tx.send((OwnedBatch::of(batch), envelopes));
            Ok(())
        });
        drop(tx);
        let auditor = auditing.join().map_err(|_| JournalError::Stopped);
        walked.and_then(|w| auditor.map(|a| (w, a)))
    })?;
    let index = &walked.index;
    let batches = index.tree.leaves().len() as u64;
    if batches > 0 {
        auditor.finish(&index.digest);
    }
    let mut findings = auditor.findings().to_vec();
    if let Some((head, key)) = &options.head {
        check_head(
            head,
            key,
            index.tree.leaves(),
            &genesis.ledger,
            &mut findings,
        );
    }
    Ok(Report {
        batches,
        records: index.records,
        root: hex::encode(index.tree.root()),
        digest: hex::encode(if batches > 0 {
            index.digest
        } else {
            State::new(genesis).digest()
        }),
        findings,
        torn: walked.torn.as_ref().map(describe),
    })
}

fn describe(torn: &Torn) -> String {
    format!(
        "{} bytes at byte {} of {} are no valid batch ({})",
        torn.bytes, torn.at, torn.segment, torn.reason
    )
}

fn check_head(
    head: &SignedHead,
    key: &[u8; 32],
    leaves: &[Hash],
    ledger: &[u8; 32],
    findings: &mut Vec<Finding>,
) {
    let count = usize::try_from(head.batches).unwrap_or(usize::MAX);
    let contained = leaves
        .get(..count)
        .is_some_and(|beginning| merkle::root(beginning) == head.root);
    let text = if !head.is_signed_by(key) {
        "the known head is not signed by this operator"
    } else if head.ledger != *ledger {
        "the known head belongs to another ledger"
    } else if !contained {
        "the log does not contain the known head: it was cut or rewritten"
    } else {
        return;
    };
    findings.push(Finding {
        batch: head.batches,
        record: None,
        invariant: 8,
        text: text.to_owned(),
    });
}
