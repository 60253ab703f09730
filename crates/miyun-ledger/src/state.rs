//! The state of the ledger, and what can be read from it.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::Hasher;

use foldhash::HashMap;
use serde::{Deserialize, Serialize};
use siphasher::sip::SipHasher13;

use crate::codec::Wire;
use crate::digest::{Hash, Sum, entry_hash};
use crate::table::{Fate, Row, Table};
use crate::{
    Account, AccountId, AccountKind, Adjustment, AssetDef, AssetId, ClassDef, ClassId, Command,
    CommandId, Counters, KindSet, LimitDef, LimitId, Moved, Op, PartyId, Range, Receipt, Refusal,
    RuleDef, RuleId, SeriesDef, SeriesId, SignerDef, SignerId, Time, TransferKind,
};

/// The signer of commands that the journal makes itself: it may only expire what is due.
pub const SYSTEM: SignerId = SignerId(0);

/// Number of account kinds, plus one because they count from 1.
pub(crate) const KINDS: usize = AccountKind::ALL.len() + 1;

/// What a ledger starts from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Genesis {
    /// 32 bytes that no other ledger has; signatures cover them.
    pub ledger: [u8; 32],
    /// The first signer, usually with all powers.
    pub root: SignerDef,
}

/// An asset as the ledger holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asset {
    /// Its definition.
    pub def: AssetDef,
    /// Posted balances by kind of account, as of the last seal; contra is negative. All of them
    /// together are nought.
    pub totals: BTreeMap<AccountKind, i128>,
    /// Everything ever debited, as of the last seal.
    pub debits: u128,
    /// Everything ever credited, as of the last seal.
    pub credits: u128,
    pub(crate) class_ix: u32,
    pub(crate) series_ix: Option<u32>,
    pub(crate) contra: Option<u32>,
    pub(crate) debits_pending: i128,
    pub(crate) credits_pending: i128,
    pub(crate) balance: [i128; KINDS],
}

impl Asset {
    /// Units in existence, as of the last seal: what contra owes.
    #[must_use]
    pub fn issued(&self) -> i128 {
        -self.balance[AccountKind::Contra as usize]
    }
}

/// A serial series as the ledger holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Series {
    /// Its definition.
    pub def: SeriesDef,
    /// The highest number given out.
    pub issued: u64,
    pub(crate) blocks: BTreeMap<u64, BlockRow>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BlockRow {
    pub end: u64,
    pub asset_ix: u32,
    pub account_ix: u32,
    pub locked: Option<CommandId>,
    pub adjustment: Adjustment,
}

/// A run of units that one account holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Block {
    /// The series.
    pub series: SeriesId,
    /// The numbers.
    pub range: Range,
    /// The asset, and with it the vintage.
    pub asset: AssetId,
    /// Who holds them.
    pub account: AccountId,
    /// The pending transfer that reserves them.
    pub locked: Option<CommandId>,
    /// Their corresponding adjustment.
    pub adjustment: Adjustment,
}

/// A limit as the ledger holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limit {
    /// Its definition, with the cap and window of today.
    pub def: LimitDef,
    /// How much of it is used.
    pub used: i128,
}

/// A pending transfer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pending {
    /// Its id.
    pub id: CommandId,
    /// Why.
    pub kind: TransferKind,
    /// From.
    pub debit: AccountId,
    /// To.
    pub credit: AccountId,
    /// How much is reserved.
    pub amount: u64,
    /// From when it may be posted.
    pub opens: Time,
    /// When it runs out.
    pub expires: Time,
    /// Whose signers may post it.
    pub resolver: PartyId,
    /// True if another signer than the first must post it.
    pub four_eyes: bool,
    /// Who reserved.
    pub signer: SignerId,
    /// Where a measured difference goes.
    pub discrepancy: Option<AccountId>,
    /// The rulebook row that permitted it.
    pub rule: RuleId,
    /// The case it belongs to.
    pub case: u64,
    /// True if goods are overdue: the clock has run out and nothing was moved.
    pub overdue: bool,
}

/// A transfer that posted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Posted {
    /// Its id.
    pub id: CommandId,
    /// Why.
    pub kind: TransferKind,
    /// From.
    pub debit: AccountId,
    /// To.
    pub credit: AccountId,
    /// How much.
    pub amount: u64,
    /// How much of it was reversed since.
    pub reversed: u64,
    /// Its record.
    pub record: u64,
}

/// What became of an id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It was applied in this record.
    Applied(u64),
    /// It was refused in this record.
    Refused(u64, Refusal),
}

#[derive(Debug)]
pub(crate) struct AccountRow {
    pub account: Account,
    pub asset_ix: u32,
    /// Entry hash as of the last seal.
    pub hash: Option<Hash>,
    /// Batch in which it was last touched.
    pub touched: u64,
    /// Serial units held and locked, kept by the interval map and compared with the counters.
    pub serial_held: u64,
    pub serial_locked: u64,
}

#[derive(Debug)]
pub(crate) struct ClassRow {
    pub def: ClassDef,
    pub moves: Vec<Vec<(KindSet, KindSet)>>,
}

#[derive(Debug)]
pub(crate) enum Undo {
    Counters(u32, Counters),
    Limit(u32, i128),
    Row,
    PendingAdded(CommandId),
    PendingWas(Pending),
    Block(u32, u64, Option<BlockRow>),
    Issued(u32, u64),
    Reversed(CommandId, Option<u64>),
}

/// The ledger.
#[derive(Debug)]
pub struct State {
    pub(crate) genesis: Genesis,
    pub(crate) now: Time,
    pub(crate) records: u64,
    pub(crate) batch: u64,
    pub(crate) sum: Sum,
    pub(crate) table: Table,
    pub(crate) accounts: Vec<AccountRow>,
    pub(crate) account_ix: HashMap<AccountId, u32>,
    pub(crate) assets: Vec<Asset>,
    pub(crate) asset_ix: HashMap<AssetId, u32>,
    pub(crate) classes: Vec<ClassRow>,
    pub(crate) class_ix: HashMap<ClassId, u32>,
    pub(crate) series: Vec<Series>,
    pub(crate) series_ix: HashMap<SeriesId, u32>,
    pub(crate) rules: HashMap<RuleId, RuleDef>,
    pub(crate) limits: Vec<Limit>,
    pub(crate) limit_ix: HashMap<LimitId, u32>,
    pub(crate) signers: HashMap<SignerId, SignerDef>,
    pub(crate) pendings: HashMap<CommandId, Pending>,
    pub(crate) due: BTreeSet<(Time, CommandId)>,
    pub(crate) overdue: BTreeSet<CommandId>,
    pub(crate) held: BTreeSet<(u32, u64)>,
    pub(crate) reversed: BTreeMap<CommandId, u64>,
    // of the batch
    pub(crate) dirty: Vec<(u32, Counters)>,
    pub(crate) dirty_blocks: Vec<(u32, u64)>,
    pub(crate) limits_before: BTreeMap<u32, i128>,
    pub(crate) limits_set: BTreeSet<u32>,
    // of the command
    pub(crate) undo: Vec<Undo>,
    pub(crate) growth: Vec<(u32, i128)>,
    pub(crate) moved: Vec<Moved>,
    pub(crate) unlocked: Vec<(u64, u64)>,
    pub(crate) scratch: Vec<u8>,
}

/// Fingerprint by which a repetition is told from another command under the same id.
#[must_use]
pub(crate) fn fingerprint(bytes: &[u8]) -> u64 {
    let mut h = SipHasher13::new_with_keys(0x6d69_7975_6e6c_6564, 0x6765_7266_696e_6765);
    h.write(bytes);
    h.finish()
}

impl State {
    /// An empty ledger that knows its first signer.
    #[must_use]
    pub fn new(genesis: Genesis) -> Self {
        let mut state = Self {
            now: Time::MIN,
            records: 0,
            batch: 1,
            sum: Sum::default(),
            table: Table::new(),
            accounts: Vec::new(),
            account_ix: HashMap::default(),
            assets: Vec::new(),
            asset_ix: HashMap::default(),
            classes: Vec::new(),
            class_ix: HashMap::default(),
            series: Vec::new(),
            series_ix: HashMap::default(),
            rules: HashMap::default(),
            limits: Vec::new(),
            limit_ix: HashMap::default(),
            signers: HashMap::default(),
            pendings: HashMap::default(),
            due: BTreeSet::new(),
            overdue: BTreeSet::new(),
            held: BTreeSet::new(),
            reversed: BTreeMap::new(),
            dirty: Vec::new(),
            dirty_blocks: Vec::new(),
            limits_before: BTreeMap::new(),
            limits_set: BTreeSet::new(),
            undo: Vec::new(),
            growth: Vec::new(),
            moved: Vec::new(),
            unlocked: Vec::new(),
            scratch: Vec::new(),
            genesis,
        };
        let root = state.genesis.root.clone();
        state.entry(None::<&SignerDef>, Some(&root), b'K');
        state.signers.insert(root.id, root);
        state
    }

    /// Applies a command at `now`.
    ///
    /// A command with an id that was spent by the same bytes returns the first answer again
    /// (`replayed`). Commands refused before they are known to come from an active signer within
    /// their window ([`Refusal::spends_id`]) leave no trace; any other refusal spends the id, so
    /// that a late copy of a refused command can never succeed.
    ///
    /// # Errors
    /// [`Refusal`]; no balance, block, pending transfer or definition has changed.
    pub fn apply(&mut self, command: &Command, now: Time) -> Result<Receipt, Refusal> {
        // what is out of bounds has no binary form, so it is refused before it gets a fingerprint
        command.check_bounds()?;
        let mut bytes = std::mem::take(&mut self.scratch);
        bytes.clear();
        command.put(&mut bytes);
        let result = self.apply_bytes(command, &bytes, now);
        self.scratch = bytes;
        result
    }

    /// Like [`State::apply`] for a caller that holds the command's binary form already.
    ///
    /// # Errors
    /// [`Refusal`], as for [`State::apply`].
    pub fn apply_bytes(
        &mut self,
        command: &Command,
        bytes: &[u8],
        now: Time,
    ) -> Result<Receipt, Refusal> {
        let print = fingerprint(bytes);
        if let Some(answer) = self.answer(command.id, print)? {
            return answer;
        }
        match self.admit(command, now) {
            Ok(()) => {}
            Err(refusal) => return Err(refusal),
        }
        self.now = now;
        let before = self.sum;
        self.undo.clear();
        self.growth.clear();
        self.moved.clear();
        let result = self
            .run(command, print)
            .and_then(|fate| self.check_growth().map(|()| fate));
        let record = self.records;
        match result {
            Ok(row) => {
                self.table.push(row);
                self.records += 1;
                Ok(Receipt {
                    id: command.id,
                    record,
                    replayed: false,
                    moved: std::mem::take(&mut self.moved),
                })
            }
            Err(refusal) => {
                self.roll_back();
                self.sum = before;
                if refusal.spends_id() {
                    self.table
                        .push(Row::new(command.id, print, record, Fate::Refused(refusal)));
                    self.records += 1;
                }
                Err(refusal)
            }
        }
    }

    fn answer(
        &self,
        id: CommandId,
        print: u64,
    ) -> Result<Option<Result<Receipt, Refusal>>, Refusal> {
        if id.0 == 0 {
            return Err(Refusal::ZeroId);
        }
        let Some(row) = self.table.get(id) else {
            return Ok(None);
        };
        if row.print != print {
            return Err(Refusal::IdReused);
        }
        Ok(Some(match row.fate() {
            Fate::Refused(refusal) => Err(refusal),
            _ => Ok(Receipt {
                id,
                record: row.record,
                replayed: true,
                moved: Vec::new(),
            }),
        }))
    }

    fn admit(&self, command: &Command, now: Time) -> Result<(), Refusal> {
        if now < self.now {
            return Err(Refusal::ClockBackwards);
        }
        if !command.window.contains(now) {
            return Err(if now < command.window.from {
                Refusal::WindowNotOpen
            } else {
                Refusal::WindowClosed
            });
        }
        if command.signer == SYSTEM {
            return match command.op {
                Op::Expire { .. } => Ok(()),
                _ => Err(Refusal::SignerUnknown),
            };
        }
        let signer = self
            .signers
            .get(&command.signer)
            .ok_or(Refusal::SignerUnknown)?;
        if !signer.window.contains(now) {
            return Err(Refusal::SignerInactive);
        }
        Ok(())
    }

    /// Runs a command; on success its row is still to be pushed.
    fn run(&mut self, command: &Command, print: u64) -> Result<Row, Refusal> {
        if let Op::Chain(steps) = &command.op {
            for step in steps {
                if step.id.0 == 0 {
                    return Err(Refusal::ZeroId);
                }
                if step.id == command.id || self.table.get(step.id).is_some() {
                    return Err(Refusal::IdReused);
                }
                let row = self.run_op(step.id, command.signer, &step.op, print)?;
                self.table.push(row);
                self.undo.push(Undo::Row);
            }
            return Ok(Row::new(command.id, print, self.records, Fate::Done));
        }
        self.run_op(command.id, command.signer, &command.op, print)
    }

    fn run_op(
        &mut self,
        id: CommandId,
        signer: SignerId,
        op: &Op,
        print: u64,
    ) -> Result<Row, Refusal> {
        let record = self.records;
        let row = |fate| Row::new(id, print, record, fate);
        match op {
            Op::Transfer(t) => {
                let (di, ci) = self.transfer(id, signer, t)?;
                Ok(row(Fate::Posted(t.kind)).moving(di, ci, t.amount))
            }
            Op::Reserve(r) => {
                let (di, ci) = self.reserve(id, signer, r)?;
                Ok(row(Fate::Reserved(r.transfer.kind)).moving(di, ci, r.transfer.amount))
            }
            Op::Post { pending, amount } => {
                let (kind, di, ci, amount, many) = self.post(id, signer, *pending, *amount)?;
                let fate = if many {
                    Fate::PostedMany(kind)
                } else {
                    Fate::Posted(kind)
                };
                Ok(row(fate).moving(di, ci, amount))
            }
            Op::Void { pending } => {
                self.void(signer, *pending)?;
                Ok(row(Fate::Done))
            }
            Op::Expire { pending } => {
                self.expire(*pending)?;
                Ok(row(Fate::Done))
            }
            Op::Reverse {
                original,
                amount,
                range,
                rule,
                ..
            } => {
                let part = (*amount, *range);
                let (di, ci, amount) = self.reverse(id, signer, *original, part, *rule)?;
                Ok(row(Fate::Posted(TransferKind::Reverse)).moving(di, ci, amount))
            }
            Op::Transform(t) => {
                let (di, ci) = self.transform(id, signer, t)?;
                Ok(row(Fate::PostedMany(t.kind)).moving(di, ci, t.amount_in))
            }
            Op::Chain(_) => Err(Refusal::Malformed),
            _ => {
                self.set_up(signer, op)?;
                Ok(row(Fate::Done))
            }
        }
    }

    fn roll_back(&mut self) {
        while let Some(undo) = self.undo.pop() {
            match undo {
                Undo::Counters(ix, counters) => {
                    self.accounts[ix as usize].account.counters = counters;
                }
                Undo::Limit(ix, used) => self.limits[ix as usize].used = used,
                Undo::Row => self.table.pop(),
                Undo::PendingAdded(id) => {
                    if let Some(pending) = self.pendings.remove(&id) {
                        self.due.remove(&(pending.expires, id));
                        self.overdue.remove(&id);
                    }
                }
                Undo::PendingWas(pending) => {
                    self.due.remove(&(pending.expires, pending.id));
                    self.overdue.remove(&pending.id);
                    if pending.overdue {
                        self.overdue.insert(pending.id);
                    } else if pending.expires != Time::MAX {
                        self.due.insert((pending.expires, pending.id));
                    }
                    self.pendings.insert(pending.id, pending);
                }
                Undo::Block(series, start, block) => {
                    self.swap_block(series, start, block);
                }
                Undo::Issued(series, issued) => self.series[series as usize].issued = issued,
                Undo::Reversed(id, amount) => match amount {
                    Some(amount) => {
                        self.reversed.insert(id, amount);
                    }
                    None => {
                        self.reversed.remove(&id);
                    }
                },
            }
        }
        self.moved.clear();
    }

    /// Exchanges an entry of the digest.
    pub(crate) fn entry<A: Wire, B: Wire>(
        &mut self,
        before: Option<&A>,
        after: Option<&B>,
        letter: u8,
    ) {
        let mut bytes = Vec::with_capacity(128);
        if let Some(before) = before {
            before.put(&mut bytes);
            self.sum.sub(&entry_hash(letter, &bytes));
        }
        if let Some(after) = after {
            bytes.clear();
            after.put(&mut bytes);
            self.sum.add(&entry_hash(letter, &bytes));
        }
    }
}

impl Refusal {
    /// True if the refusal is recorded and spends the command's id.
    #[must_use]
    pub fn spends_id(self) -> bool {
        !matches!(
            self,
            Self::Malformed
                | Self::Empty
                | Self::TextTooLong
                | Self::TooMany
                | Self::ZeroId
                | Self::IdReused
                | Self::WindowNotOpen
                | Self::WindowClosed
                | Self::ClockBackwards
                | Self::SignerUnknown
                | Self::SignerInactive
                | Self::BadSignature
        )
    }
}
