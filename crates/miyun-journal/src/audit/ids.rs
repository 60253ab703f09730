//! Every id that the log spent, with what it moved: rows in the order of the log, and an index of
//! four bytes each.

use std::hash::BuildHasher;

use foldhash::fast::RandomState;
use hashbrown::HashTable;
use miyun_ledger::{AccountId, CommandId, TransferKind};

/// A transfer that posted as one.
#[derive(Debug, Clone, Copy)]
pub(super) struct Moved {
    pub kind: TransferKind,
    pub debit: AccountId,
    pub credit: AccountId,
    pub amount: u64,
}

#[derive(Debug, Clone, Copy)]
struct Row {
    id: [u64; 2],
    debit: u64,
    credit: u64,
    amount: u64,
    kind: Option<TransferKind>,
}

#[derive(Debug, Default)]
pub(super) struct Ids {
    rows: Vec<Row>,
    index: HashTable<u32>,
    hasher: RandomState,
}

fn halves(id: CommandId) -> [u64; 2] {
    [(id.0 >> 64) as u64, id.0 as u64]
}

impl Ids {
    fn find(&self, id: CommandId) -> Option<usize> {
        let halves = halves(id);
        let hash = self.hasher.hash_one(halves);
        self.index
            .find(hash, |&n| self.rows[n as usize].id == halves)
            .map(|&n| n as usize)
    }

    /// Spends an id; false if it was spent before.
    pub fn spend(&mut self, id: CommandId) -> bool {
        let halves = halves(id);
        let hash = self.hasher.hash_one(halves);
        let (rows, hasher) = (&self.rows, &self.hasher);
        let entry = self.index.entry(
            hash,
            |&n| rows[n as usize].id == halves,
            |&n| hasher.hash_one(rows[n as usize].id),
        );
        match entry {
            hashbrown::hash_table::Entry::Occupied(_) => false,
            hashbrown::hash_table::Entry::Vacant(slot) => {
                slot.insert(rows.len() as u32);
                self.rows.push(Row {
                    id: halves,
                    debit: 0,
                    credit: 0,
                    amount: 0,
                    kind: None,
                });
                true
            }
        }
    }

    /// Remembers what an id moved.
    pub fn moved(&mut self, id: CommandId, moved: Moved) {
        // nearly always the id that was spent last
        let n = match self.rows.last() {
            Some(row) if row.id == halves(id) => Some(self.rows.len() - 1),
            _ => self.find(id),
        };
        if let Some(n) = n {
            let row = &mut self.rows[n];
            (row.debit, row.credit) = (moved.debit.0, moved.credit.0);
            (row.amount, row.kind) = (moved.amount, Some(moved.kind));
        }
    }

    /// What an id moved.
    pub fn get(&self, id: CommandId) -> Option<Moved> {
        let row = &self.rows[self.find(id)?];
        Some(Moved {
            kind: row.kind?,
            debit: AccountId(row.debit),
            credit: AccountId(row.credit),
            amount: row.amount,
        })
    }
}
