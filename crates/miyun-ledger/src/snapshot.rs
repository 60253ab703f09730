//! The whole state as bytes, and back. What is read is not trusted: indices are checked, sums are
//! recomputed, and the digest must come out as written.

use crate::codec::{DecodeError, Reader, Wire};
use crate::digest::{Sum, entry_hash};
use crate::moves::measured;
use crate::state::Limit;
use crate::state::{AccountRow, BlockRow, Genesis, Pending, State};
use crate::table::{Row, Table};
use crate::{
    Account, AccountFlags, AssetDef, ClassDef, CommandId, LimitDef, Measure, Op, RuleDef,
    SeriesDef, SignerDef, Time,
};

/// First bytes of a snapshot; the last one is the version.
const MAGIC: [u8; 8] = *b"MIYUNSN\x01";

/// Why bytes are no snapshot.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SnapshotError {
    /// A field cannot be read.
    #[error("the snapshot cannot be read: {0}")]
    Decode(#[from] DecodeError),
    /// It starts with something else.
    #[error("this is no snapshot of a version that this program reads")]
    Magic,
    /// Parts of it contradict each other.
    #[error("the snapshot contradicts itself: {0}")]
    Inconsistent(&'static str),
}

impl Wire for Genesis {
    fn put(&self, out: &mut Vec<u8>) {
        self.ledger.put(out);
        self.root.put(out);
    }
    fn get(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            ledger: Wire::get(r)?,
            root: Wire::get(r)?,
        })
    }
}

fn put_all<'a, T: Wire + 'a>(len: usize, items: impl Iterator<Item = &'a T>, out: &mut Vec<u8>) {
    (len as u64).put(out);
    for item in items {
        item.put(out);
    }
}

fn get_all<T: Wire>(r: &mut Reader<'_>) -> Result<Vec<T>, DecodeError> {
    let len = u64::get(r)?;
    let mut all = Vec::with_capacity(usize::try_from(len).unwrap_or(0).min(r.left() / 16));
    for _ in 0..len {
        all.push(T::get(r)?);
    }
    Ok(all)
}

impl Wire for Row {
    fn put(&self, out: &mut Vec<u8>) {
        let (fate, kind, refusal) = self.fate_numbers();
        self.id().put(out);
        self.print.put(out);
        self.record.put(out);
        self.amount.put(out);
        self.debit.put(out);
        self.credit.put(out);
        out.push(fate);
        out.push(kind);
        out.extend_from_slice(&refusal.to_le_bytes());
    }
    fn get(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let id = CommandId::get(r)?;
        let (print, record, amount) = (u64::get(r)?, u64::get(r)?, u64::get(r)?);
        let (debit, credit) = (u32::get(r)?, u32::get(r)?);
        let (fate, kind, refusal) = (u8::get(r)?, u8::get(r)?, u16::get(r)?);
        match Self::fate_of(fate, kind, refusal) {
            Some(fate) => Ok(Self::new(id, print, record, fate).moving(debit, credit, amount)),
            None => Err(DecodeError::Tag {
                what: "fate",
                value: u64::from(fate),
                at: r.offset(),
            }),
        }
    }
}

struct BlockEntry(u32, u64, BlockRow);

impl Wire for BlockEntry {
    fn put(&self, out: &mut Vec<u8>) {
        self.0.put(out);
        self.1.put(out);
        self.2.end.put(out);
        self.2.account_ix.put(out);
        self.2.locked.put(out);
        self.2.adjustment.put(out);
    }
    fn get(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self(
            Wire::get(r)?,
            Wire::get(r)?,
            BlockRow {
                end: Wire::get(r)?,
                account_ix: Wire::get(r)?,
                locked: Wire::get(r)?,
                adjustment: Wire::get(r)?,
                asset_ix: 0,
            },
        ))
    }
}

impl State {
    /// The state as bytes. Call it right after [`State::seal`].
    #[must_use]
    pub fn to_snapshot(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(1 << 16);
        out.extend_from_slice(&MAGIC);
        self.genesis.put(&mut out);
        self.now.put(&mut out);
        self.records.put(&mut out);
        self.batch.put(&mut out);
        self.digest().put(&mut out);
        put_all(
            self.classes.len(),
            self.classes.iter().map(|c| &c.def),
            &mut out,
        );
        put_all(
            self.series.len(),
            self.series.iter().map(|s| &s.def),
            &mut out,
        );
        for series in &self.series {
            series.issued.put(&mut out);
        }
        put_all(
            self.assets.len(),
            self.assets.iter().map(|a| &a.def),
            &mut out,
        );
        let mut rules: Vec<_> = self.rules.values().collect();
        rules.sort_by_key(|r| r.id);
        put_all(rules.len(), rules.into_iter(), &mut out);
        put_all(
            self.limits.len(),
            self.limits.iter().map(|l| &l.def),
            &mut out,
        );
        let signers = self.signers();
        put_all(signers.len(), signers.into_iter(), &mut out);
        put_all(
            self.accounts.len(),
            self.accounts.iter().map(|a| &a.account),
            &mut out,
        );
        let blocks: Vec<_> = self
            .series
            .iter()
            .enumerate()
            .flat_map(|(sx, s)| {
                s.blocks
                    .iter()
                    .map(move |(&start, &row)| BlockEntry(sx as u32, start, row))
            })
            .collect();
        put_all(blocks.len(), blocks.iter(), &mut out);
        let pendings = self.pendings();
        put_all(pendings.len(), pendings.into_iter(), &mut out);
        let reversed: Vec<_> = self.reversed.iter().map(|(&id, &n)| (id, n)).collect();
        put_all(reversed.len(), reversed.iter(), &mut out);
        put_all(self.table.rows().len(), self.table.rows().iter(), &mut out);
        out
    }

    /// The state in `bytes`.
    ///
    /// # Errors
    /// [`SnapshotError`] if they cannot be read, contradict themselves, or do not have the digest
    /// they claim.
    pub fn from_snapshot(bytes: &[u8]) -> Result<Self, SnapshotError> {
        let bad = SnapshotError::Inconsistent;
        let mut r = Reader::new(bytes);
        if r.take(MAGIC.len())? != MAGIC {
            return Err(SnapshotError::Magic);
        }
        let genesis = Genesis::get(&mut r)?;
        let (now, records, batch) = (Time::get(&mut r)?, u64::get(&mut r)?, u64::get(&mut r)?);
        let digest = <[u8; 32]>::get(&mut r)?;
        let root = genesis.root.id;
        let mut state = Self::new(genesis);
        // definitions go the way of commands, under a signer who may do all
        state.sum = Sum::default();
        state.signers.clear();
        let setter = crate::SYSTEM;
        state.signers.insert(
            setter,
            SignerDef {
                id: setter,
                party: crate::PartyId(0),
                key: [0; 32],
                powers: crate::Powers::ALL,
                window: crate::Window::ALWAYS,
            },
        );
        let define = |state: &mut Self, op: Op| {
            state
                .set_up(setter, &op)
                .map_err(|_| bad("a definition does not fit"))
        };
        for def in get_all::<ClassDef>(&mut r)? {
            define(&mut state, Op::DefineClass(def))?;
        }
        for def in get_all::<SeriesDef>(&mut r)? {
            define(&mut state, Op::DefineSeries(def))?;
        }
        for sx in 0..state.series.len() {
            let issued = u64::get(&mut r)?;
            let id = state.series[sx].def.id;
            state.entry(Some(&(id, 0u64)), Some(&(id, issued)), b'N');
            state.series[sx].issued = issued;
        }
        for def in get_all::<AssetDef>(&mut r)? {
            define(&mut state, Op::DefineAsset(def))?;
        }
        for def in get_all::<RuleDef>(&mut r)? {
            if def.window.until < def.window.from {
                return Err(bad("a rule ends before it begins"));
            }
            state.entry(None::<&RuleDef>, Some(&def), b'U');
            state.rules.insert(def.id, def);
        }
        for def in get_all::<LimitDef>(&mut r)? {
            define(&mut state, Op::DefineLimit(def))?;
        }
        for def in get_all::<SignerDef>(&mut r)? {
            define(&mut state, Op::DefineSigner(def))?;
        }
        state.signers.remove(&setter);
        if !state.signers.contains_key(&root) {
            return Err(bad("the first signer is missing"));
        }
        for account in get_all::<Account>(&mut r)? {
            state.restore_account(account)?;
        }
        for entry in get_all::<BlockEntry>(&mut r)? {
            state.restore_block(entry)?;
        }
        for pending in get_all::<Pending>(&mut r)? {
            state.entry(None::<&Pending>, Some(&pending), b'P');
            if pending.overdue {
                state.overdue.insert(pending.id);
            } else if pending.expires != Time::MAX {
                state.due.insert((pending.expires, pending.id));
            }
            state.pendings.insert(pending.id, pending);
        }
        for (id, amount) in get_all::<(CommandId, u64)>(&mut r)? {
            state.entry(None::<&(CommandId, u64)>, Some(&(id, amount)), b'R');
            state.reversed.insert(id, amount);
        }
        state.table = Table::new();
        let accounts = state.accounts.len() as u64;
        for row in get_all::<Row>(&mut r)? {
            let known = |ix: u32| ix == u32::MAX || u64::from(ix) < accounts;
            if state.table.get(row.id()).is_some() || !known(row.debit) || !known(row.credit) {
                return Err(bad("a spent id is listed twice or names no account"));
            }
            state.table.push(row);
        }
        r.end()?;
        state.now = now;
        state.records = records;
        state.batch = batch;
        state.dirty_blocks.clear();
        state.undo.clear();
        if state.digest() != digest {
            return Err(bad("the digest is another than it says"));
        }
        Ok(state)
    }

    fn restore_account(&mut self, account: Account) -> Result<(), SnapshotError> {
        let bad = SnapshotError::Inconsistent;
        let counters = account.counters;
        let asset_ix = *self
            .asset_ix
            .get(&account.asset)
            .ok_or(bad("an account holds no known asset"))?;
        let kind_flags = AccountFlags::of_kind(account.kind);
        let overdrawn = kind_flags.has(AccountFlags::NO_OVERDRAFT) && counters.available() < 0;
        if !account.flags.has(kind_flags.0) || overdrawn {
            return Err(bad("an account's flags or counters do not fit its kind"));
        }
        let ix = self.accounts.len() as u32;
        if self.account_ix.insert(account.id, ix).is_some() {
            return Err(bad("an account is listed twice"));
        }
        let asset = &mut self.assets[asset_ix as usize];
        if account.kind == crate::AccountKind::Contra {
            asset.contra = Some(ix);
        }
        asset.balance[account.kind as usize] += counters.balance();
        asset.debits += u128::from(counters.debits_posted);
        asset.credits += u128::from(counters.credits_posted);
        asset.debits_pending += i128::from(counters.debits_pending);
        asset.credits_pending += i128::from(counters.credits_pending);
        let total = asset.balance[account.kind as usize];
        asset.totals.insert(account.kind, total);
        asset.totals.retain(|_, total| *total != 0);
        for id in &account.limits {
            let lx = *self
                .limit_ix
                .get(id)
                .ok_or(bad("an account joins no known limit"))?;
            let Limit { def, used } = &mut self.limits[lx as usize];
            let measure: Measure = def.measure;
            *used += measured(measure, &counters);
        }
        let mut bytes = Vec::with_capacity(128);
        account.put(&mut bytes);
        let hash = entry_hash(b'A', &bytes);
        self.sum.add(&hash);
        self.accounts.push(AccountRow {
            account,
            asset_ix,
            hash: Some(hash),
            touched: 0,
            serial_held: 0,
            serial_locked: 0,
        });
        Ok(())
    }

    fn restore_block(&mut self, entry: BlockEntry) -> Result<(), SnapshotError> {
        let bad = SnapshotError::Inconsistent("a block does not fit its series or account");
        let BlockEntry(sx, start, mut row) = entry;
        let (Some(series), Some(account)) = (
            self.series.get(sx as usize),
            self.accounts.get(row.account_ix as usize),
        ) else {
            return Err(bad);
        };
        let last = series.blocks.last_key_value().map_or(0, |(_, r)| r.end);
        let next = last.checked_add(1);
        let fits = self.assets[account.asset_ix as usize].series_ix == Some(sx);
        if !fits || next != Some(start) || row.end < start || row.end > series.issued {
            return Err(bad);
        }
        row.asset_ix = account.asset_ix;
        self.swap_block(sx, start, Some(row));
        Ok(())
    }
}
