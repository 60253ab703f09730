//! Every id that was ever spent, with what became of it: a dense list and an index of 256 small
//! hash tables, so that growing one of them never stops the ledger for long.

use std::hash::BuildHasher;

use foldhash::fast::RandomState;
use hashbrown::HashTable;

use crate::{CommandId, Refusal, TransferKind};

const SHARDS: usize = 256;

/// What became of an id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    /// A definition or a chain: nothing to cite.
    Done,
    /// Moved `amount` from `debit` to `credit`.
    Posted(TransferKind),
    /// Moved more than one thing, so it cannot be reversed by citing it.
    PostedMany(TransferKind),
    /// Reserved; open exactly while the pending list has it.
    Reserved(TransferKind),
    /// Refused.
    Refused(Refusal),
}

/// One spent id.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Row {
    id: [u64; 2],
    /// Fingerprint of the command's bytes.
    pub print: u64,
    /// The record that holds it.
    pub record: u64,
    /// Amount moved or reserved.
    pub amount: u64,
    /// Index of the debited account.
    pub debit: u32,
    /// Index of the credited account.
    pub credit: u32,
    fate: u8,
    kind: u8,
    refusal: u16,
}

impl Row {
    pub fn new(id: CommandId, print: u64, record: u64, fate: Fate) -> Self {
        let (fate, kind, refusal) = match fate {
            Fate::Done => (0, 0, 0),
            Fate::Posted(kind) => (1, kind as u8, 0),
            Fate::PostedMany(kind) => (2, kind as u8, 0),
            Fate::Reserved(kind) => (3, kind as u8, 0),
            Fate::Refused(refusal) => (4, 0, refusal.number()),
        };
        Self {
            id: [(id.0 >> 64) as u64, id.0 as u64],
            print,
            record,
            amount: 0,
            debit: u32::MAX,
            credit: u32::MAX,
            fate,
            kind,
            refusal,
        }
    }

    pub fn moving(mut self, debit: u32, credit: u32, amount: u64) -> Self {
        self.debit = debit;
        self.credit = credit;
        self.amount = amount;
        self
    }

    pub fn id(&self) -> CommandId {
        CommandId(u128::from(self.id[0]) << 64 | u128::from(self.id[1]))
    }

    pub fn fate(&self) -> Fate {
        Self::fate_of(self.fate, self.kind, self.refusal).unwrap_or(Fate::Done)
    }

    pub fn fate_of(fate: u8, kind: u8, refusal: u16) -> Option<Fate> {
        Some(match fate {
            0 => Fate::Done,
            1 => Fate::Posted(TransferKind::from_byte(kind)?),
            2 => Fate::PostedMany(TransferKind::from_byte(kind)?),
            3 => Fate::Reserved(TransferKind::from_byte(kind)?),
            4 => Fate::Refused(Refusal::from_number(refusal)?),
            _ => return None,
        })
    }

    pub fn fate_numbers(&self) -> (u8, u8, u16) {
        (self.fate, self.kind, self.refusal)
    }
}

/// All spent ids. The hash seed differs from run to run and is never observable: rows are only
/// listed in the order in which they came.
#[derive(Debug)]
pub(crate) struct Table {
    rows: Vec<Row>,
    index: Vec<HashTable<u32>>,
    hasher: RandomState,
}

impl Table {
    pub fn new() -> Self {
        Self {
            rows: Vec::new(),
            index: (0..SHARDS).map(|_| HashTable::new()).collect(),
            hasher: RandomState::default(),
        }
    }

    fn hash(&self, id: CommandId) -> u64 {
        self.hasher.hash_one(id.0)
    }

    fn shard(hash: u64) -> usize {
        // the table inside uses the top seven bits and the low ones
        (hash >> 40) as usize % SHARDS
    }

    pub fn get(&self, id: CommandId) -> Option<&Row> {
        let hash = self.hash(id);
        self.index[Self::shard(hash)]
            .find(hash, |&row| self.rows[row as usize].id() == id)
            .map(|&row| &self.rows[row as usize])
    }

    /// Appends a row whose id is not there yet.
    pub fn push(&mut self, row: Row) {
        let hash = self.hash(row.id());
        let number = self.rows.len() as u32;
        self.rows.push(row);
        let (rows, hasher) = (&self.rows, &self.hasher);
        self.index[Self::shard(hash)].insert_unique(hash, number, |&other| {
            hasher.hash_one(rows[other as usize].id().0)
        });
    }

    /// Takes the last row away again.
    pub fn pop(&mut self) {
        let Some(row) = self.rows.last() else { return };
        let id = row.id();
        let number = (self.rows.len() - 1) as u32;
        let hash = self.hash(id);
        if let Ok(entry) = self.index[Self::shard(hash)].find_entry(hash, |&row| row == number) {
            entry.remove();
        }
        self.rows.pop();
    }

    pub fn rows(&self) -> &[Row] {
        &self.rows
    }
}
