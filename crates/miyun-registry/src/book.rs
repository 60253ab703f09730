//! The journal as the registry's book: one batch a request, durable before it is answered, with
//! proofs.

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ed25519_dalek::SigningKey;
use miyun_core::JurisdictionId;
use miyun_journal::format::{Answer, Batch, Record};
use miyun_journal::log::Index;
use miyun_journal::proof::{Proof, SignedHead};
use miyun_journal::{DirStorage, Envelope, Journal, Recovery, Storage, read_log, read_until};
use miyun_ledger::{Command, Powers, Receipt, Refusal, SignerDef, State, Time, Window};

use crate::Error;
use crate::model::{Model, OPERATOR};
use crate::service::{Book, OPERATOR_SIGNER, Registry, Setup};

/// A journal behind a lock.
pub struct JournalBook<S> {
    journal: Mutex<Journal<Arc<S>>>,
    storage: Arc<S>,
    ledger: [u8; 32],
    key: SigningKey,
}

fn failed(e: &dyn std::fmt::Display) -> Error {
    Error::Journal {
        code: "journal".into(),
        text: e.to_string(),
    }
}

/// The first state of a registry's ledger: the operator holds every power.
#[must_use]
pub fn genesis(ledger: [u8; 32], operator: &SigningKey) -> miyun_ledger::Genesis {
    miyun_ledger::Genesis {
        ledger,
        root: SignerDef {
            id: OPERATOR_SIGNER,
            party: OPERATOR,
            key: operator.verifying_key().to_bytes(),
            powers: Powers::ALL,
            window: Window::ALWAYS,
        },
    }
}

impl<S: Storage> JournalBook<S> {
    /// A new journal in empty storage.
    ///
    /// # Errors
    /// [`Error::Journal`] if there is one already or storage fails.
    pub fn create(storage: S, ledger: [u8; 32], operator: &SigningKey) -> Result<Self, Error> {
        let storage = Arc::new(storage);
        let journal = Journal::create(Arc::clone(&storage), genesis(ledger, operator))
            .map_err(|e| failed(&e))?;
        Ok(Self {
            journal: Mutex::new(journal),
            storage,
            ledger,
            key: operator.clone(),
        })
    }

    /// The journal in storage, and the model that its records fold to.
    ///
    /// # Errors
    /// [`Error::Journal`] if it cannot be read, [`Error::Record`] if a record is no registry's.
    pub fn open(storage: S, operator: &SigningKey) -> Result<(Self, Model, Recovery), Error> {
        let storage = Arc::new(storage);
        let (journal, recovery) = Journal::open(Arc::clone(&storage)).map_err(|e| failed(&e))?;
        let ledger = journal.door().ledger();
        let model = fold(journal.storage(), &ledger)?;
        Ok((
            Self {
                journal: Mutex::new(journal),
                storage,
                ledger,
                key: operator.clone(),
            },
            model,
            recovery,
        ))
    }

    fn lock(&self) -> MutexGuard<'_, Journal<Arc<S>>> {
        self.journal.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Folds the records of a batch into a model.
fn take(model: &mut Model, ledger: &[u8; 32], batch: &Batch<'_>) -> Result<(), Error> {
    for (number, bytes) in (batch.header.first_record..).zip(&batch.body.records) {
        let record = Record::from_bytes(bytes).map_err(|e| Error::Record {
            record: number,
            reason: e.to_string(),
        })?;
        if let Answer::Applied(moved) = record.answer {
            let receipt = Receipt {
                id: record.command.id,
                record: number,
                replayed: false,
                moved,
            };
            model.take(ledger, number, batch.header.time, &record.command, &receipt)?;
        }
    }
    Ok(())
}

/// The model that the records in storage fold to.
///
/// # Errors
/// As [`JournalBook::open`].
pub fn fold<S: Storage>(storage: &S, ledger: &[u8; 32]) -> Result<Model, Error> {
    let mut model = Model::default();
    let mut done = Ok(());
    read_log(storage, |batch| {
        if done.is_ok() {
            done = take(&mut model, ledger, batch);
        }
        Ok(())
    })
    .map_err(|e| failed(&e))?;
    done.map(|()| model)
}

/// The book as it was at an instant; it takes no requests.
struct PastBook<S> {
    storage: Arc<S>,
    state: State,
    index: Index,
    ledger: [u8; 32],
    key: SigningKey,
}

fn past<S: Storage + 'static>(
    storage: &Arc<S>,
    ledger: [u8; 32],
    key: &SigningKey,
    until: Time,
) -> Result<(Box<dyn Book>, Model), Error> {
    let mut model = Model::default();
    let mut done = Ok(());
    let (state, index) = read_until(storage.as_ref(), until, |batch| {
        if done.is_ok() {
            done = take(&mut model, &ledger, batch);
        }
        Ok(())
    })
    .map_err(|e| failed(&e))?;
    done?;
    let book = PastBook {
        storage: Arc::clone(storage),
        state,
        index,
        ledger,
        key: key.clone(),
    };
    Ok((Box::new(book), model))
}

fn prove<S: Storage>(
    storage: &S,
    index: &Index,
    record: u64,
    ledger: [u8; 32],
    key: &SigningKey,
) -> Result<Proof, Error> {
    miyun_journal::proof::prove(storage, index, record, ledger, key).map_err(|_| Error::Unknown {
        kind: "record",
        id: record.to_string(),
    })
}

impl<S: Storage + 'static> Book for PastBook<S> {
    fn ledger(&self) -> [u8; 32] {
        self.ledger
    }

    fn call(&self, _: Time, _: Vec<Command>) -> Result<Vec<Result<Receipt, Refusal>>, Error> {
        Err(Error::Journal {
            code: "past".into(),
            text: "the past takes no requests".into(),
        })
    }

    fn look(&self, f: &mut dyn FnMut(&State)) -> Result<(), Error> {
        f(&self.state);
        Ok(())
    }

    fn head(&self) -> Result<SignedHead, Error> {
        Ok(SignedHead::sign(self.ledger, &self.index, &self.key))
    }

    fn proof(&self, record: u64) -> Result<Proof, Error> {
        prove(
            self.storage.as_ref(),
            &self.index,
            record,
            self.ledger,
            &self.key,
        )
    }

    fn past(&self, until: Time) -> Result<(Box<dyn Book>, Model), Error> {
        past(&self.storage, self.ledger, &self.key, until)
    }
}

impl<S: Storage + 'static> Book for JournalBook<S> {
    fn ledger(&self) -> [u8; 32] {
        self.ledger
    }

    fn call(
        &self,
        now: Time,
        commands: Vec<Command>,
    ) -> Result<Vec<Result<Receipt, Refusal>>, Error> {
        let mut journal = self.lock();
        if commands.is_empty() {
            journal.commit(now, &[]).map_err(|e| failed(&e))?;
            return Ok(Vec::new());
        }
        let envelope = Envelope::sign(self.ledger, OPERATOR_SIGNER, commands, &self.key);
        let admitted = journal.door().admit(envelope).map_err(|e| Error::Journal {
            code: e.code().into(),
            text: e.to_string(),
        })?;
        let mut answers = journal
            .commit(now, std::slice::from_ref(&admitted))
            .map_err(|e| failed(&e))?;
        Ok(answers.pop().unwrap_or_default())
    }

    fn look(&self, f: &mut dyn FnMut(&State)) -> Result<(), Error> {
        f(self.lock().state());
        Ok(())
    }

    fn head(&self) -> Result<SignedHead, Error> {
        let journal = self.lock();
        let index = journal.index().read();
        Ok(SignedHead::sign(self.ledger, &index, &self.key))
    }

    fn proof(&self, record: u64) -> Result<Proof, Error> {
        let journal = self.lock();
        let index = journal.index().read().clone();
        prove(
            journal.storage().as_ref(),
            &index,
            record,
            self.ledger,
            &self.key,
        )
    }

    fn past(&self, until: Time) -> Result<(Box<dyn Book>, Model), Error> {
        past(&self.storage, self.ledger, &self.key, until)
    }
}

/// A new registry in a folder.
///
/// # Errors
/// [`Error::Journal`] or [`Error::Storage`].
pub fn create(
    dir: &Path,
    ledger: [u8; 32],
    setup: Setup,
    market: &JurisdictionId,
    authority: (&str, miyun_core::Text),
    simulated: bool,
) -> Result<Registry, Error> {
    let storage = DirStorage::new(dir).map_err(|e| Error::Storage {
        what: dir.display().to_string(),
        reason: e.to_string(),
    })?;
    let book = JournalBook::create(storage, ledger, &setup.operator)?;
    Registry::found(Box::new(book), setup, market, authority, simulated)
}

/// The registry in a folder, and what recovery found.
///
/// # Errors
/// [`Error::Journal`], [`Error::Record`] or [`Error::Storage`].
pub fn open(dir: &Path, setup: Setup) -> Result<(Registry, Recovery), Error> {
    let storage = DirStorage::new(dir).map_err(|e| Error::Storage {
        what: dir.display().to_string(),
        reason: e.to_string(),
    })?;
    let (book, model, recovery) = JournalBook::open(storage, &setup.operator)?;
    Ok((Registry::over(Box::new(book), setup, model), recovery))
}
