//! What the readers hear that is not data: answers of devices to commands, and candidates whose
//! check failed. Bounded; nothing here may slow the readers down.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use miyun_hj212::finding::Reason;
use miyun_hj212::{CrcDialect, Frame};
use serde::Serialize;

/// An answer, or a frame that may belong to one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heard {
    /// Device.
    pub device: u64,
    /// Command code.
    pub cn: u16,
    /// Request number.
    pub qn: String,
    /// Region.
    pub region: String,
    /// When.
    pub at_ms: i64,
}

/// Candidates of one device that were no frames.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Failures {
    /// By reason.
    pub reasons: Vec<(Reason, u64)>,
    /// By the dialect that the check would have fitted.
    pub dialects: Vec<(CrcDialect, u64)>,
}

/// Collects what the readers hear.
#[derive(Debug, Default)]
pub struct Hearing {
    /// A command waits for an answer.
    listening: AtomicBool,
    heard: Mutex<VecDeque<Heard>>,
    failures: Mutex<HashMap<u64, Failures>>,
}

/// Answers kept for a command engine that is slow.
const HEARD_MAX: usize = 4_096;
/// Devices whose failures are counted.
const FAILING_MAX: usize = 20_000;

impl Hearing {
    /// Begins or ends keeping answers.
    pub fn listen(&self, yes: bool) {
        self.listening.store(yes, Ordering::Release);
    }

    pub(crate) fn heard(&self, device: u64, cn: u16, f: &Frame<'_>, at_ms: i64) {
        if !self.listening.load(Ordering::Acquire) {
            return;
        }
        let mut heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        if heard.len() >= HEARD_MAX {
            heard.pop_front();
        }
        heard.push_back(Heard {
            device,
            cn,
            qn: f.qn().unwrap_or("").to_owned(),
            region: f.region().to_owned(),
            at_ms,
        });
    }

    /// Takes what was heard.
    #[must_use]
    pub fn take(&self) -> Vec<Heard> {
        self.heard
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .drain(..)
            .collect()
    }

    pub(crate) fn rejected(&self, device: u64, reason: Reason, dialect: Option<CrcDialect>) {
        let mut all = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= FAILING_MAX && !all.contains_key(&device) {
            return;
        }
        let f = all.entry(device).or_default();
        count(&mut f.reasons, reason);
        if let Some(d) = dialect {
            count(&mut f.dialects, d);
        }
    }

    /// Failures by device.
    #[must_use]
    pub fn failures(&self) -> HashMap<u64, Failures> {
        self.failures
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

fn count<T: PartialEq>(list: &mut Vec<(T, u64)>, key: T) {
    match list.iter_mut().find(|(k, _)| *k == key) {
        Some((_, n)) => *n += 1,
        None => list.push((key, 1)),
    }
}
