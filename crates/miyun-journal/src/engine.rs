//! The engine: a channel in front of two threads. The first applies a batch while the second
//! hashes, writes and syncs the one before; answers leave only after the sync.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use ed25519_dalek::SigningKey;
use miyun_ledger::{State, Time};

use crate::applier::{Applier, Batched};
use crate::envelope::{Admitted, COMMANDS_MAX, DoorKeeper, Envelope};
use crate::error::{Door, JournalError};
use crate::format::Record;
use crate::journal::{Applied, Journal, write_snapshot};
use crate::log::{Log, SharedIndex};
use crate::merkle::Hash;
use crate::proof::{self, Consistency, Proof, SignedHead};
use crate::storage::Storage;

/// Commands that may wait in front of the engine; beyond it the door answers [`Door::Overloaded`].
pub const QUEUE_MAX: usize = 32 * COMMANDS_MAX;
/// Messages that may wait in front of the engine.
const MESSAGES_MAX: usize = 16_384;

type Reply = Box<dyn FnOnce(Result<Vec<Applied>, Door>) + Send>;
type After = Box<dyn FnOnce(bool) + Send>;
type Look = Box<dyn FnOnce(&State) -> After + Send>;

enum Job {
    Commit(Admitted, Reply),
    Read(Look),
    Rulebook(Hash),
    Snapshot(SyncSender<Result<(), String>>),
    Stop,
}

enum Disk {
    Batch(Box<Batched>, Vec<Reply>),
    After(After),
    Sync(SyncSender<bool>),
}

/// How an engine runs.
pub struct Options {
    /// The clock, read once a batch.
    pub clock: Box<dyn Fn() -> Time + Send>,
    /// How often what has run out is looked for when nothing else happens.
    pub tick: Duration,
}

impl std::fmt::Debug for Options {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Options").field("tick", &self.tick).finish()
    }
}

/// A running journal. Dropping it stops it in good order.
#[derive(Debug)]
pub struct Engine<S: Storage + 'static> {
    handle: Handle<S>,
    apply: Option<JoinHandle<()>>,
    disk: Option<JoinHandle<()>>,
}

/// A way to the engine, for as many threads as wanted.
#[derive(Debug)]
pub struct Handle<S> {
    jobs: SyncSender<Job>,
    door: DoorKeeper,
    index: SharedIndex,
    storage: Arc<S>,
    waiting: Arc<AtomicUsize>,
    stopped: Arc<Mutex<Option<String>>>,
}

impl<S> Clone for Handle<S> {
    fn clone(&self) -> Self {
        Self {
            jobs: self.jobs.clone(),
            door: self.door.clone(),
            index: self.index.clone(),
            storage: Arc::clone(&self.storage),
            waiting: Arc::clone(&self.waiting),
            stopped: Arc::clone(&self.stopped),
        }
    }
}

impl<S: Storage + 'static> Engine<S> {
    /// Starts the engine on a journal.
    ///
    /// # Errors
    /// [`JournalError::Storage`] if the system gives no thread.
    pub fn start(journal: Journal<Arc<S>>, options: Options) -> Result<Self, JournalError> {
        let Journal {
            applier, log, door, ..
        } = journal;
        let (jobs, inbox) = sync_channel(MESSAGES_MAX);
        let (to_disk, disk_inbox) = sync_channel(2);
        let handle = Handle {
            jobs,
            door: door.clone(),
            index: log.index().clone(),
            storage: Arc::clone(log.storage()),
            waiting: Arc::default(),
            stopped: Arc::default(),
        };
        let failed = |error| JournalError::Storage {
            what: "start a thread",
            name: String::new(),
            error,
        };
        let stopped = Arc::clone(&handle.stopped);
        let disk = std::thread::Builder::new()
            .name("ledger-disk".to_owned())
            .spawn(move || run_disk(log, &door, &disk_inbox, &stopped))
            .map_err(failed)?;
        let worker = Worker {
            applier,
            options,
            waiting: Arc::clone(&handle.waiting),
            stopped: Arc::clone(&handle.stopped),
            index: handle.index.clone(),
            storage: Arc::clone(&handle.storage),
            disk: to_disk,
        };
        let apply = std::thread::Builder::new()
            .name("ledger-apply".to_owned())
            .spawn(move || worker.run(&inbox))
            .map_err(failed)?;
        Ok(Self {
            handle,
            apply: Some(apply),
            disk: Some(disk),
        })
    }

    /// A handle.
    #[must_use]
    pub fn handle(&self) -> Handle<S> {
        self.handle.clone()
    }

    fn join(&mut self) {
        let _ = self.handle.jobs.send(Job::Stop);
        for thread in [self.apply.take(), self.disk.take()].into_iter().flatten() {
            let _ = thread.join();
        }
    }

    /// Finishes what waits, and stops.
    ///
    /// # Errors
    /// [`JournalError::Stopped`] if it had stopped by itself after a failure.
    pub fn stop(mut self) -> Result<(), JournalError> {
        self.join();
        match self.handle.failure() {
            None => Ok(()),
            Some(_) => Err(JournalError::Stopped),
        }
    }
}

impl<S: Storage + 'static> Drop for Engine<S> {
    fn drop(&mut self) {
        self.join();
    }
}

impl<S: Storage + 'static> Handle<S> {
    /// The ledger's id, which every envelope names.
    #[must_use]
    pub fn ledger(&self) -> [u8; 32] {
        self.door.ledger()
    }

    /// The durable batches.
    #[must_use]
    pub fn index(&self) -> &SharedIndex {
        &self.index
    }

    /// The storage, for proofs and exports.
    #[must_use]
    pub fn storage(&self) -> &Arc<S> {
        &self.storage
    }

    /// The head over everything durable, signed.
    #[must_use]
    pub fn head(&self, key: &SigningKey) -> SignedHead {
        SignedHead::sign(self.ledger(), &self.index.read(), key)
    }

    /// The proof that a record is in the log, under a head over everything durable.
    ///
    /// # Errors
    /// [`JournalError::NoSuch`], [`JournalError::Storage`], [`JournalError::Corrupt`].
    pub fn proof(&self, record: u64, key: &SigningKey) -> Result<Proof, JournalError> {
        let index = self.index.read().clone();
        proof::prove(&*self.storage, &index, record, self.ledger(), key)
    }

    /// The record with this number.
    ///
    /// # Errors
    /// [`JournalError::NoSuch`], [`JournalError::Storage`], [`JournalError::Corrupt`].
    pub fn record(&self, number: u64) -> Result<Record, JournalError> {
        let place = proof::place_of(&self.index.read(), number)?;
        proof::record_at(&*self.storage, place, number)
    }

    /// The proof that the log continues an older head.
    ///
    /// # Errors
    /// [`JournalError::Behind`] if it does not.
    pub fn consistency(
        &self,
        old: &SignedHead,
        key: &SigningKey,
    ) -> Result<Consistency, JournalError> {
        Consistency::prove(&self.index.read(), old, key)
    }

    /// Why the engine stopped by itself, if it did.
    #[must_use]
    pub fn failure(&self) -> Option<String> {
        self.stopped
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn gone(&self) -> Door {
        Door::Stopped(self.failure().unwrap_or_else(|| "closed".to_owned()))
    }

    /// Checks an envelope's signature on the caller's thread.
    ///
    /// # Errors
    /// [`Door`].
    pub fn admit(&self, envelope: Envelope) -> Result<Admitted, Door> {
        self.door.admit(envelope)
    }

    /// Hands an envelope in; `reply` is called on the engine's thread once it is durable.
    ///
    /// # Errors
    /// [`Door`] at once, without calling `reply`, if the envelope is not let in.
    pub fn submit(
        &self,
        envelope: Envelope,
        reply: impl FnOnce(Result<Vec<Applied>, Door>) + Send + 'static,
    ) -> Result<(), Door> {
        let admitted = self.door.admit(envelope)?;
        self.submit_admitted(admitted, reply)
    }

    /// Like [`Handle::submit`], for an envelope that passed the door already.
    ///
    /// # Errors
    /// [`Door::Overloaded`] or [`Door::Stopped`].
    pub fn submit_admitted(
        &self,
        admitted: Admitted,
        reply: impl FnOnce(Result<Vec<Applied>, Door>) + Send + 'static,
    ) -> Result<(), Door> {
        let len = admitted.len();
        if self.waiting.fetch_add(len, Ordering::AcqRel) > QUEUE_MAX {
            self.waiting.fetch_sub(len, Ordering::AcqRel);
            return Err(Door::Overloaded);
        }
        match self.jobs.try_send(Job::Commit(admitted, Box::new(reply))) {
            Ok(()) => Ok(()),
            Err(error) => {
                self.waiting.fetch_sub(len, Ordering::AcqRel);
                Err(match error {
                    std::sync::mpsc::TrySendError::Full(_) => Door::Overloaded,
                    std::sync::mpsc::TrySendError::Disconnected(_) => self.gone(),
                })
            }
        }
    }

    /// Hands an envelope in and waits until it is durable.
    ///
    /// # Errors
    /// [`Door`].
    pub fn call(&self, envelope: Envelope) -> Result<Vec<Applied>, Door> {
        let (tx, rx) = sync_channel(1);
        self.submit(envelope, move |result| {
            let _ = tx.send(result);
        })?;
        rx.recv().unwrap_or_else(|_| Err(self.gone()))
    }

    /// What `look` reads from the state. It comes back only once everything it can have seen is
    /// durable.
    ///
    /// # Errors
    /// [`Door::Stopped`].
    pub fn read<T: Send + 'static>(
        &self,
        look: impl FnOnce(&State) -> T + Send + 'static,
    ) -> Result<T, Door> {
        let (tx, rx) = sync_channel(1);
        let look: Look = Box::new(move |state| {
            let value = look(state);
            Box::new(move |durable| {
                if durable {
                    let _ = tx.send(value);
                }
            })
        });
        self.jobs.send(Job::Read(look)).map_err(|_| self.gone())?;
        rx.recv().map_err(|_| self.gone())
    }

    /// Sets the version of the rulebook that later batches name.
    ///
    /// # Errors
    /// [`Door::Stopped`].
    pub fn set_rulebook(&self, rulebook: Hash) -> Result<(), Door> {
        self.jobs
            .send(Job::Rulebook(rulebook))
            .map_err(|_| self.gone())
    }

    /// Writes a snapshot. The engine waits while it is written.
    ///
    /// # Errors
    /// [`Door::Stopped`].
    pub fn snapshot(&self) -> Result<(), Door> {
        let (tx, rx) = sync_channel(1);
        self.jobs.send(Job::Snapshot(tx)).map_err(|_| self.gone())?;
        match rx.recv() {
            Ok(result) => result.map_err(Door::Stopped),
            Err(_) => Err(self.gone()),
        }
    }
}

struct Worker<S> {
    applier: Applier,
    options: Options,
    waiting: Arc<AtomicUsize>,
    stopped: Arc<Mutex<Option<String>>>,
    index: SharedIndex,
    storage: Arc<S>,
    disk: SyncSender<Disk>,
}

impl<S: Storage> Worker<S> {
    fn run(mut self, inbox: &Receiver<Job>) {
        let mut held = None;
        loop {
            let first = match held.take() {
                Some(job) => job,
                None => match inbox.recv_timeout(self.options.tick) {
                    Ok(job) => job,
                    Err(RecvTimeoutError::Disconnected) => return,
                    Err(RecvTimeoutError::Timeout) => {
                        let now = (self.options.clock)();
                        if !self.applier.state.due(now, 1).is_empty()
                            && !self.batch(Vec::new(), Vec::new())
                        {
                            return;
                        }
                        continue;
                    }
                },
            };
            let goes_on = match first {
                Job::Commit(admitted, reply) => {
                    let (mut envelopes, mut replies) = (vec![admitted], vec![reply]);
                    let mut len = envelopes[0].len();
                    while len < COMMANDS_MAX {
                        match inbox.try_recv() {
                            Ok(Job::Commit(admitted, reply))
                                if len + admitted.len() <= COMMANDS_MAX =>
                            {
                                len += admitted.len();
                                envelopes.push(admitted);
                                replies.push(reply);
                            }
                            Ok(other) => {
                                held = Some(other);
                                break;
                            }
                            Err(_) => break,
                        }
                    }
                    self.waiting.fetch_sub(len, Ordering::AcqRel);
                    self.batch(envelopes, replies)
                }
                Job::Read(look) => {
                    let after = look(&self.applier.state);
                    self.disk.send(Disk::After(after)).is_ok()
                }
                Job::Rulebook(rulebook) => {
                    self.applier.rulebook = rulebook;
                    true
                }
                Job::Snapshot(tx) => {
                    let _ = tx.send(self.snapshot());
                    true
                }
                Job::Stop => return,
            };
            if !goes_on {
                return;
            }
        }
    }

    fn batch(&mut self, envelopes: Vec<Admitted>, replies: Vec<Reply>) -> bool {
        let now = (self.options.clock)();
        match self.applier.apply(now, &envelopes) {
            Ok(batched) => self
                .disk
                .send(Disk::Batch(Box::new(batched), replies))
                .is_ok(),
            Err(error) => {
                let text = error.to_string();
                note(&self.stopped, &text);
                for reply in replies {
                    reply(Err(Door::Stopped(text.clone())));
                }
                false
            }
        }
    }

    /// Waits until everything applied is durable, then writes the state.
    fn snapshot(&self) -> Result<(), String> {
        let (tx, rx) = sync_channel(1);
        let sent = self.disk.send(Disk::Sync(tx)).is_ok();
        if !sent || rx.recv() != Ok(true) {
            return Err("the disk has failed".to_owned());
        }
        write_snapshot(&self.storage, &self.index, &self.applier.state).map_err(|e| e.to_string())
    }
}

fn note(stopped: &Mutex<Option<String>>, text: &str) {
    stopped
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .get_or_insert_with(|| text.to_owned());
}

fn run_disk<S: Storage>(
    mut log: Log<Arc<S>>,
    door: &DoorKeeper,
    inbox: &Receiver<Disk>,
    stopped: &Mutex<Option<String>>,
) {
    let mut failed: Option<String> = None;
    for message in inbox {
        match message {
            Disk::After(after) => after(failed.is_none()),
            Disk::Sync(tx) => {
                let _ = tx.send(failed.is_none());
            }
            Disk::Batch(batched, replies) => {
                if failed.is_none()
                    && let Some(sealed) = batched.sealed
                    && let Err(error) = log.append(sealed)
                {
                    let text = error.to_string();
                    note(stopped, &text);
                    failed = Some(text);
                }
                if let Some(text) = &failed {
                    for reply in replies {
                        reply(Err(Door::Stopped(text.clone())));
                    }
                    continue;
                }
                for key in &batched.keys {
                    door.add(key.id, &key.key);
                }
                for (reply, answers) in replies.into_iter().zip(batched.answers) {
                    reply(Ok(answers));
                }
            }
        }
    }
}
