//! The door for documents that come another way than HJ 212, under the same promise.

use std::collections::HashMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::mpsc;

use crate::log::{Kind, RECORD_MAX, put_record};
use crate::merkle::sha256;
use crate::shard::Common;
use crate::writer::{Ack, Bell, Class, Inbox, SharedClock, Written};

/// Takes documents from other doors (MQTT, HTTP) into the same log under the same promise.
pub struct Door {
    inbox: Arc<Inbox>,
    bell: Arc<Bell>,
    clock: Arc<SharedClock>,
    limit: usize,
    waiting: Arc<Mutex<HashMap<u32, std::sync::mpsc::SyncSender<()>>>>,
    next: std::sync::atomic::AtomicU32,
}

/// Why a document was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DoorError {
    /// It is too long.
    #[error("a document has at most {RECORD_MAX} bytes")]
    TooLong,
    /// The disk is slower than what comes in; send it again later.
    #[error("too much is waiting for the disk; send it again later")]
    Busy,
    /// The disk did not take it in time; it may or may not be stored: send it again.
    #[error("the disk did not take it in time; send it again, it is stored once")]
    Late,
}

impl Door {
    pub(super) fn new(
        common: &Arc<Common>,
        inboxes: &mut Vec<Arc<Inbox>>,
        back: &mut Vec<mpsc::UnboundedSender<Written>>,
    ) -> Arc<Self> {
        let inbox = Arc::new(Inbox::default());
        let (to, mut from) = mpsc::unbounded_channel::<Written>();
        inboxes.push(Arc::clone(&inbox));
        back.push(to);
        let waiting: Arc<Mutex<HashMap<u32, std::sync::mpsc::SyncSender<()>>>> = Arc::default();
        let (w, i) = (Arc::clone(&waiting), Arc::clone(&inbox));
        // Ends with the writer, whose sender is the only one.
        let told = std::thread::Builder::new()
            .name("miyun-door".into())
            .spawn(move || {
                while let Some(Written { chunk }) = from.blocking_recv() {
                    let mut waiting = w.lock().unwrap_or_else(PoisonError::into_inner);
                    for a in &chunk.acks {
                        if let Some(s) = waiting.remove(&a.conn) {
                            let _ = s.try_send(());
                        }
                    }
                    drop(waiting);
                    i.recycle(chunk);
                }
            });
        if let Err(e) = told {
            tracing::error!("no thread for other doors: {e}");
        }
        Arc::new(Self {
            inbox,
            bell: Arc::clone(&common.bell),
            clock: Arc::clone(&common.clock),
            limit: common.limits.waiting_bytes,
            waiting,
            next: std::sync::atomic::AtomicU32::new(0),
        })
    }

    /// Stores a document of a device and returns once it is on disk. Blocks.
    ///
    /// # Errors
    /// [`DoorError`]; only [`DoorError::Late`] leaves it open whether it is stored.
    pub fn put(&self, device: u64, document: &[u8], wait: Duration) -> Result<(), DoorError> {
        if document.len() > RECORD_MAX {
            return Err(DoorError::TooLong);
        }
        if self.inbox.waiting(Class::New) > self.limit {
            return Err(DoorError::Busy);
        }
        let (tx, rx) = std::sync::mpsc::sync_channel(1);
        let ticket = self.next.fetch_add(1, Ordering::Relaxed);
        self.waiting
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(ticket, tx);
        {
            let mut q = self.inbox.lock();
            let chunk = q.open(Class::New);
            let before = chunk.body.len();
            let (hash, now) = (sha256(document), self.clock.now_ms());
            put_record(
                &mut chunk.body,
                Kind::Document,
                0,
                device,
                now,
                &hash,
                document,
            );
            chunk.acks.push(Ack {
                conn: ticket,
                generation: 0,
                answer: 0,
            });
            let added = chunk.body.len() - before;
            self.inbox.added(Class::New, added);
        }
        self.bell.ring();
        let done = rx.recv_timeout(wait);
        self.waiting
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&ticket);
        done.map_err(|_| DoorError::Late)
    }
}
