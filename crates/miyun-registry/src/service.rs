//! The registry at work: the single writer. A request is checked, planned, filed and moved in one
//! record, folded, and answered; the same request again gets the first answer.

mod commands;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard};

use ed25519_dalek::SigningKey;
use miyun_carbon::Law;
use miyun_core::{Instrument, JurisdictionId};
use miyun_journal::proof::{Proof, SignedHead};
use miyun_ledger::{Command, Receipt, Refusal, SignerId, State, Time};
use serde::Serialize;

use crate::Error;
use crate::fold::{Filing, digest};
use crate::model::{Model, TransferState};
use crate::policy::{self, Context, Holidays, Out, Plan, step_id};
use crate::request::{Ask, Envelope, Request, WINDOW_HOURS_MAX};
use crate::time::{self, Zone};
use commands::{classes, commands};

/// What keeps the ledger: the journal on some storage (see [`crate::book`]).
pub trait Book: Send + Sync {
    /// The ledger's id.
    fn ledger(&self) -> [u8; 32];
    /// Applies commands at `now`, after what has run out by then, and returns when they are
    /// durable. Without commands only what has run out is given back.
    ///
    /// # Errors
    /// [`Error::Journal`] if the journal refuses the batch as a whole.
    fn call(
        &self,
        now: Time,
        commands: Vec<Command>,
    ) -> Result<Vec<Result<Receipt, Refusal>>, Error>;
    /// Shows the durable state.
    ///
    /// # Errors
    /// [`Error::Journal`] if the journal has stopped.
    fn look(&self, f: &mut dyn FnMut(&State)) -> Result<(), Error>;
    /// The head over everything durable, signed by the operator.
    ///
    /// # Errors
    /// [`Error::Journal`] if the journal has stopped.
    fn head(&self) -> Result<SignedHead, Error>;
    /// The proof that a record is in the journal.
    ///
    /// # Errors
    /// [`Error::Unknown`] if there is no such record.
    fn proof(&self, record: u64) -> Result<Proof, Error>;
    /// The book as it was at an instant, and the model that its records then folded to. It is read
    /// only.
    ///
    /// # Errors
    /// [`Error::Journal`] if the journal cannot be read, [`Error::Record`] if a record is no
    /// registry's.
    fn past(&self, until: Time) -> Result<(Box<dyn Book>, Model), Error>;
}

/// What a request brought about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Answer {
    /// The request.
    pub id: String,
    /// Its record in the journal, for the proof.
    pub record: u64,
    /// True if it had been done before: nothing happened now.
    pub replayed: bool,
    /// The rule that permitted it, empty where none is needed.
    pub rule: String,
    /// For a transfer, its state.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub transfer: Option<TransferState>,
    /// For a transfer, from when it may be posted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub effective: Option<String>,
    /// Serials that moved.
    pub serials: Vec<[u64; 2]>,
}

/// Someone who wants to know of every record, in order: a read model.
pub type Observer = Box<dyn FnMut(u64, Time, &Filing, &Model) + Send>;
/// Tells the time.
pub type Clock = Arc<dyn Fn() -> Time + Send + Sync>;

/// How a registry is run.
pub struct Setup {
    /// The law.
    pub instruments: &'static [Instrument],
    /// Official closed and open days.
    pub holidays: Holidays,
    /// The operator's key: signs ledger commands and what is due.
    pub operator: SigningKey,
    /// The clock.
    pub clock: Clock,
}

/// A registry.
pub struct Registry {
    book: Box<dyn Book>,
    setup: Setup,
    model: RwLock<Model>,
    /// One writer at a time.
    writer: Mutex<Vec<Observer>>,
}

/// The signer of every ledger command: the operator. Who asked stands in the filing.
pub const OPERATOR_SIGNER: SignerId = SignerId(1);
/// The representative name under which the operator itself signs requests.
pub const OPERATOR_NAME: &str = "operator";

impl Registry {
    /// A new registry on an empty book. The first record founds it.
    ///
    /// # Errors
    /// As [`Registry::submit`].
    pub fn found(
        book: Box<dyn Book>,
        setup: Setup,
        market: &JurisdictionId,
        authority: (&str, miyun_core::Text),
        simulated: bool,
    ) -> Result<Self, Error> {
        let ledger = book.ledger();
        let registry = Self::over(book, setup, Model::default());
        let now = (registry.setup.clock)();
        let by = format!("{}:{OPERATOR_NAME}", authority.0);
        let request = Request {
            id: format!(
                "{:032x}",
                step_id(u128::from_be_bytes(ledger_half(&ledger)), 0).0
            ),
            from: time::text(Time(0)),
            until: time::text(Time(now.0.saturating_add(3_600_000))),
            ask: Ask::Found {
                market: market.to_string(),
                authority: authority.0.into(),
                name: authority.1,
                representative: OPERATOR_NAME.into(),
                key: hex::encode(registry.setup.operator.verifying_key().to_bytes()),
                simulated,
            },
        };
        let envelope = Envelope::sign(&ledger, &by, &request, &registry.setup.operator)?;
        let law = Law::new(
            registry.setup.instruments,
            market.clone(),
            jiff::civil::Date::default(),
        );
        let plan = Plan {
            definitions: classes(),
            moves: Vec::new(),
            out: Out {
                civil: Zone::of(&law).unwrap_or(Zone::of_utc()).civil(now),
                ..Out::default()
            },
        };
        let mut writer = registry.writer();
        registry.carry_out(&mut writer, now, request.number()?, &envelope, plan)?;
        drop(writer);
        Ok(registry)
    }

    /// A registry over a book whose records were folded into `model`.
    #[must_use]
    pub fn over(book: Box<dyn Book>, setup: Setup, model: Model) -> Self {
        Self {
            book,
            setup,
            model: RwLock::new(model),
            writer: Mutex::default(),
        }
    }

    /// The registry as it was known at an instant: its own state, heads and proofs, its clock
    /// standing still. It takes no requests. Costs a replay of the journal.
    ///
    /// # Errors
    /// [`Error::Unknown`] if it had not been founded yet, [`Error::Journal`] or [`Error::Record`] if
    /// the journal cannot be read.
    pub fn as_known(&self, until: Time) -> Result<Self, Error> {
        let (book, model) = self.book.past(until)?;
        if model.records() == 0 {
            return Err(Error::Unknown {
                kind: "state",
                id: format!("{}: the registry was founded later", time::text(until)),
            });
        }
        let setup = Setup {
            instruments: self.setup.instruments,
            holidays: self.setup.holidays.clone(),
            operator: self.setup.operator.clone(),
            clock: Arc::new(move || until),
        };
        Ok(Self::over(book, setup, model))
    }

    /// Adds an observer, which hears of every record from now on.
    pub fn observe(&self, observer: Observer) {
        self.writer().push(observer);
    }

    fn writer(&self) -> MutexGuard<'_, Vec<Observer>> {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The model after the last durable record. Do not hold it while submitting.
    pub fn model(&self) -> RwLockReadGuard<'_, Model> {
        self.model.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// The ledger's id, which every signature names.
    #[must_use]
    pub fn ledger(&self) -> [u8; 32] {
        self.book.ledger()
    }

    /// The law.
    #[must_use]
    pub fn instruments(&self) -> &'static [Instrument] {
        self.setup.instruments
    }

    /// The operator's public key.
    #[must_use]
    pub fn operator_key(&self) -> [u8; 32] {
        self.setup.operator.verifying_key().to_bytes()
    }

    /// Now, by the registry's clock.
    #[must_use]
    pub fn now(&self) -> Time {
        (self.setup.clock)()
    }

    /// The rules of the market on the day of `now`.
    ///
    /// # Errors
    /// [`Error::Record`] if the market is no jurisdiction, [`Error::Carbon`] for an unusable zone.
    pub fn law(&self, now: Time) -> Result<(Law<'static>, Zone), Error> {
        law_of(self.setup.instruments, &self.model(), now)
    }

    /// The signed head over everything durable.
    ///
    /// # Errors
    /// [`Error::Journal`] if the journal has stopped.
    pub fn head(&self) -> Result<SignedHead, Error> {
        self.book.head()
    }

    /// The proof that a record is in the journal.
    ///
    /// # Errors
    /// [`Error::Unknown`] if there is no such record.
    pub fn proof(&self, record: u64) -> Result<Proof, Error> {
        self.book.proof(record)
    }

    /// Shows the durable ledger state.
    ///
    /// # Errors
    /// [`Error::Journal`] if the journal has stopped.
    pub fn look<T>(&self, f: impl FnOnce(&State) -> T) -> Result<T, Error> {
        let mut f = Some(f);
        let mut out = None;
        self.book.look(&mut |s| {
            if let Some(f) = f.take() {
                out = Some(f(s));
            }
        })?;
        out.ok_or_else(|| Error::Journal {
            code: "stopped".into(),
            text: "the journal showed nothing".into(),
        })
    }

    /// Takes a signed request, as JSON bytes.
    ///
    /// # Errors
    /// A refusal (see [`Error::is_refusal`]), after which nothing has changed, or a failure of the
    /// journal.
    pub fn submit(&self, body: &[u8]) -> Result<Answer, Error> {
        if body.len() > 4 * crate::request::REQUEST_MAX {
            return Err(Error::Malformed("the body is too long".into()));
        }
        let envelope: Envelope =
            serde_json::from_slice(body).map_err(|e| Error::Malformed(e.to_string()))?;
        self.submit_envelope(&envelope)
    }

    /// Takes a signed request.
    ///
    /// # Errors
    /// As [`Registry::submit`].
    pub fn submit_envelope(&self, envelope: &Envelope) -> Result<Answer, Error> {
        let request = envelope.open()?;
        let id = request.number()?;
        let mut writer = self.writer();
        let now = self.now();
        self.settle_due(&mut writer, now)?;
        self.one(&mut writer, now, id, &request, envelope)
    }

    /// Posts what the passing of time has made due; returns how many transfers.
    ///
    /// # Errors
    /// As [`Registry::submit`].
    pub fn tick(&self) -> Result<usize, Error> {
        let mut writer = self.writer();
        let now = self.now();
        self.settle_due(&mut writer, now)
    }

    fn settle_due(&self, writer: &mut Vec<Observer>, now: Time) -> Result<usize, Error> {
        // Reservations that have run out give back what they hold before anything is planned.
        if self.look(|s| !s.due(now, 1).is_empty())? {
            self.book.call(now, Vec::new())?;
        }
        let due: Vec<String> = {
            let model = self.model();
            let frozen = |id: &String| model.parties.get(id).is_some_and(|p| p.frozen);
            model
                .transfers
                .values()
                .filter(|t| {
                    t.state == TransferState::Approved && t.effective.is_some_and(|e| e <= now)
                })
                .filter(|t| !frozen(&t.from) && !frozen(&t.to))
                .map(|t| t.id.clone())
                .collect()
        };
        let by = format!("{}:{OPERATOR_NAME}", self.model().authority);
        let mut n = 0;
        for transfer in due {
            let base = crate::request::number(&transfer)?;
            let request = Request {
                id: format!("{:032x}", step_id(base, u32::MAX).0),
                from: time::text(Time(0)),
                until: time::text(Time(now.0.saturating_add(1000))),
                ask: Ask::Settle { transfer },
            };
            let envelope = Envelope::sign(&self.ledger(), &by, &request, &self.setup.operator)?;
            let id = request.number()?;
            match self.one(writer, now, id, &request, &envelope) {
                Ok(_) => n += 1,
                // A transfer that cannot be posted stays approved; it must not stop the others.
                Err(e) if e.is_refusal() => {}
                Err(e) => return Err(e),
            }
        }
        Ok(n)
    }

    fn one(
        &self,
        writer: &mut Vec<Observer>,
        now: Time,
        id: u128,
        request: &Request,
        envelope: &Envelope,
    ) -> Result<Answer, Error> {
        let model = self.model();
        let (party, representative) = envelope.signer()?;
        let key = model.key(party, representative, now)?;
        envelope.check(&self.ledger(), &key)?;
        if let Some(done) = model.done.get(&id) {
            if done.digest != digest(envelope) {
                return Err(Error::IdReused(request.id.clone()));
            }
            return Ok(self.answer(&model, request, done.record, true));
        }
        window(request, now, party == model.authority)?;
        let (law, zone) = law_of(self.setup.instruments, &model, now)?;
        let party = model.party(party)?;
        let plan = self.look(|state| {
            policy::plan(
                &Context {
                    model: &model,
                    state,
                    instruments: self.setup.instruments,
                    law,
                    zone,
                    holidays: &self.setup.holidays,
                    now,
                    by: &envelope.by,
                    party,
                },
                &request.ask,
            )
        })??;
        drop(model);
        let record = self.carry_out(writer, now, id, envelope, plan)?;
        Ok(self.answer(&self.model(), request, record, false))
    }

    fn carry_out(
        &self,
        writer: &mut Vec<Observer>,
        now: Time,
        id: u128,
        envelope: &Envelope,
        plan: Plan,
    ) -> Result<u64, Error> {
        let commands = commands(id, envelope, plan)?;
        let results = self.book.call(now, commands.clone())?;
        let mut model = self.model.write().unwrap_or_else(PoisonError::into_inner);
        let mut filed = None;
        let mut refused = None;
        for (command, result) in commands.iter().zip(&results) {
            match result {
                Ok(receipt) => {
                    let filing =
                        model.take(&self.ledger(), receipt.record, now, command, receipt)?;
                    filed = filing.map(|f| (receipt.record, f)).or(filed);
                }
                Err(r) => refused = Some(*r),
            }
        }
        drop(model);
        match (filed, refused) {
            (Some((record, filing)), None) => {
                for o in writer.iter_mut() {
                    o(record, now, &filing, &self.model());
                }
                Ok(record)
            }
            (None, Some(r)) => Err(Error::Ledger(r)),
            // Policies ask for nothing that the ledger refuses; if one does, say so loudly.
            (Some((record, _)), Some(r)) => Err(Error::Record {
                record,
                reason: format!("filed, but a definition was refused: {r}"),
            }),
            (None, None) => Err(Error::Journal {
                code: "no_answer".into(),
                text: "the journal answered nothing".into(),
            }),
        }
    }

    fn answer(&self, model: &Model, request: &Request, record: u64, replayed: bool) -> Answer {
        let transfer = match &request.ask {
            Ask::Transfer { .. } => model.transfers.get(&request.id),
            Ask::Approve { transfer } | Ask::Withdraw { transfer } | Ask::Settle { transfer } => {
                model.transfers.get(transfer)
            }
            _ => None,
        };
        Answer {
            id: request.id.clone(),
            record,
            replayed,
            rule: request
                .number()
                .ok()
                .and_then(|n| model.done.get(&n))
                .map(|d| d.rule.clone())
                .unwrap_or_default(),
            transfer: transfer.map(|t| t.state_at(self.now())),
            effective: transfer.and_then(|t| t.effective).map(time::text),
            serials: model
                .lines
                .iter()
                .rev()
                .take_while(|l| l.record >= record)
                .filter(|l| l.record == record)
                .flat_map(|l| l.serials.clone())
                .collect(),
        }
    }
}

fn ledger_half(ledger: &[u8; 32]) -> [u8; 16] {
    let mut half = [0; 16];
    half.copy_from_slice(&ledger[..16]);
    half
}

fn law_of(
    instruments: &'static [Instrument],
    model: &Model,
    now: Time,
) -> Result<(Law<'static>, Zone), Error> {
    let market = JurisdictionId::new(&model.market).map_err(|e| Error::Record {
        record: 0,
        reason: format!("market {:?}: {e}", model.market),
    })?;
    // The zone is needed to know the day, and the day to know the rule of the zone: a zone that
    // changes with a rule is looked up on the day in UTC.
    let day = Zone::of_utc().civil(now).date();
    let zone = Zone::of(&Law::new(instruments, market.clone(), day))?;
    let law = Law::new(instruments, market, zone.civil(now).date());
    Ok((law, zone))
}

fn window(request: &Request, now: Time, authority: bool) -> Result<(), Error> {
    let (from, until) = (time::parse(&request.from)?, time::parse(&request.until)?);
    let hours = until.0.saturating_sub(from.0) / 3_600_000;
    if hours > WINDOW_HOURS_MAX && !authority {
        return Err(Error::WindowTooLong(WINDOW_HOURS_MAX));
    }
    if now < from || now >= until {
        return Err(Error::OutOfWindow {
            from: request.from.clone(),
            until: request.until.clone(),
            now: time::text(now),
        });
    }
    Ok(())
}
