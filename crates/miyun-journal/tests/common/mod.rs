//! A disk that tears writes, fails syncs and crashes at any byte, and a small ledger to drive.
#![allow(dead_code)]

use std::collections::BTreeMap;
use std::io;
use std::sync::Mutex;

use ed25519_dalek::SigningKey;
use miyun_journal::{Envelope, Storage};
use miyun_ledger::*;

/// SplitMix64: small, and the same everywhere.
#[derive(Clone)]
pub struct Rng(pub u64);

impl Rng {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, n: u64) -> u64 {
        self.next() % n.max(1)
    }

    pub fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }
}

#[derive(Default, Clone)]
struct SimFile {
    durable: Vec<u8>,
    pending: Vec<u8>,
}

#[derive(Default)]
struct SimDisk {
    files: BTreeMap<String, SimFile>,
    /// Bytes until the power fails; nothing works after it.
    fuse: Option<u64>,
    fail_sync: bool,
    dead: bool,
    rng: Option<Rng>,
}

/// The disk.
#[derive(Default)]
pub struct SimStorage(Mutex<SimDisk>);

impl SimStorage {
    pub fn new(seed: u64) -> Self {
        let storage = Self::default();
        storage.0.lock().unwrap().rng = Some(Rng(seed));
        storage
    }

    /// The power will fail after so many more bytes.
    pub fn fuse(&self, bytes: u64) {
        self.0.lock().unwrap().fuse = Some(bytes);
    }

    pub fn fail_next_sync(&self) {
        self.0.lock().unwrap().fail_sync = true;
    }

    /// The power comes back: of what was not synced some part is there, and some of that is wrong.
    pub fn crash(&self) {
        let mut disk = self.0.lock().unwrap();
        let mut rng = disk.rng.clone().unwrap();
        for file in disk.files.values_mut() {
            let keep = rng.below(file.pending.len() as u64 + 1) as usize;
            let mut kept = file.pending[..keep].to_vec();
            if keep > 0 && rng.chance(40) {
                // a sector that was not written shows noughts or noise
                let at = rng.below(keep as u64) as usize;
                let noise = rng.chance(50);
                for byte in &mut kept[at..] {
                    *byte = if noise { rng.next() as u8 } else { 0 };
                }
            }
            file.durable.extend_from_slice(&kept);
            file.pending.clear();
        }
        disk.rng = Some(rng);
        (disk.fuse, disk.fail_sync, disk.dead) = (None, false, false);
    }

    fn burn(disk: &mut SimDisk, want: usize) -> usize {
        match &mut disk.fuse {
            Some(left) if *left < want as u64 => {
                let can = *left as usize;
                disk.dead = true;
                can
            }
            Some(left) => {
                *left -= want as u64;
                want
            }
            None => want,
        }
    }

    fn alive(disk: &SimDisk) -> io::Result<()> {
        if disk.dead {
            return Err(io::Error::other("the power has failed"));
        }
        Ok(())
    }

    /// Flips a bit in what is durable.
    pub fn rot(&self, name: &str, at: usize) {
        let mut disk = self.0.lock().unwrap();
        disk.files.get_mut(name).unwrap().durable[at] ^= 1;
    }

    pub fn len(&self, name: &str) -> usize {
        self.0.lock().unwrap().files[name].durable.len()
    }

    pub fn cut(&self, name: &str, len: usize) {
        let mut disk = self.0.lock().unwrap();
        disk.files.get_mut(name).unwrap().durable.truncate(len);
    }
}

impl Storage for SimStorage {
    fn list(&self) -> io::Result<Vec<String>> {
        let disk = self.0.lock().unwrap();
        Self::alive(&disk)?;
        Ok(disk.files.keys().cloned().collect())
    }
    fn read(&self, name: &str) -> io::Result<Vec<u8>> {
        let disk = self.0.lock().unwrap();
        Self::alive(&disk)?;
        let file = disk.files.get(name).ok_or(io::ErrorKind::NotFound)?;
        Ok([&file.durable[..], &file.pending].concat())
    }
    fn read_at(&self, name: &str, at: u64, len: usize) -> io::Result<Vec<u8>> {
        let all = self.read(name)?;
        all.get(at as usize..at as usize + len)
            .map(<[u8]>::to_vec)
            .ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
    }
    fn append(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let mut disk = self.0.lock().unwrap();
        Self::alive(&disk)?;
        let can = Self::burn(&mut disk, bytes.len());
        let file = disk.files.entry(name.to_owned()).or_default();
        file.pending.extend_from_slice(&bytes[..can]);
        Self::alive(&disk)
    }
    fn sync(&self, name: &str) -> io::Result<()> {
        let mut disk = self.0.lock().unwrap();
        Self::alive(&disk)?;
        if std::mem::take(&mut disk.fail_sync) {
            // what was to be synced stays visible until the crash, and may never reach the disk
            return Err(io::Error::other("the sync has failed"));
        }
        if let Some(file) = disk.files.get_mut(name) {
            let pending = std::mem::take(&mut file.pending);
            file.durable.extend_from_slice(&pending);
        }
        Ok(())
    }
    fn replace(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let mut disk = self.0.lock().unwrap();
        Self::alive(&disk)?;
        let can = Self::burn(&mut disk, bytes.len());
        if can == bytes.len() {
            let file = disk.files.entry(name.to_owned()).or_default();
            file.durable = bytes.to_vec();
            file.pending.clear();
        }
        Self::alive(&disk)
    }
    fn remove(&self, name: &str) -> io::Result<()> {
        let mut disk = self.0.lock().unwrap();
        Self::alive(&disk)?;
        disk.files.remove(name);
        Ok(())
    }
}

pub const LEDGER: [u8; 32] = [9; 32];
pub const ROOT: SignerId = SignerId(1);
pub const RULE: RuleId = RuleId(1);

pub fn key(signer: SignerId) -> SigningKey {
    SigningKey::from_bytes(&[signer.0 as u8; 32])
}

pub fn signer(id: u32, party: u64, powers: Powers) -> SignerDef {
    SignerDef {
        id: SignerId(id),
        party: PartyId(party),
        key: key(SignerId(id)).verifying_key().to_bytes(),
        powers,
        window: Window::ALWAYS,
    }
}

pub fn genesis() -> Genesis {
    Genesis {
        ledger: LEDGER,
        root: signer(1, 1, Powers::ALL),
    }
}

pub fn command(id: u128, signer: SignerId, op: Op) -> Command {
    Command {
        id: CommandId(id),
        signer,
        window: Window::ALWAYS,
        op,
    }
}

pub fn sign(commands: Vec<Command>) -> Envelope {
    let signer = commands[0].signer;
    Envelope::sign(LEDGER, signer, commands, &key(signer))
}

pub fn transfer(kind: TransferKind, debit: u64, credit: u64, amount: u64) -> Transfer {
    Transfer {
        kind,
        debit: AccountId(debit),
        credit: AccountId(credit),
        amount,
        range: None,
        rule: RULE,
        case: 0,
        memo: "".into(),
    }
}

pub const PARTIES: u64 = 4;

/// Account of a party: asset 1 allowance, 2 credits, 3 waste, 4 credits of the next vintage.
pub fn holding(party: u64, asset: u64) -> u64 {
    party * 100 + asset * 10
}
pub fn retired(party: u64, asset: u64) -> u64 {
    holding(party, asset) + 1
}
pub fn consumed(party: u64, asset: u64) -> u64 {
    holding(party, asset) + 2
}
pub fn contra(asset: u64) -> u64 {
    asset
}
pub fn gap(asset: u64) -> u64 {
    10 + asset
}

/// Definitions and first issues, ids from 1 on.
pub fn set_up() -> Vec<Command> {
    let mut ops = Vec::new();
    for party in 1..=PARTIES {
        for n in 0..2 {
            let id = (party * 10 + n) as u32;
            ops.push(Op::DefineSigner(signer(id, 100 + party, Powers::HOLDER)));
        }
    }
    let any = |kind: &TransferKind| Move {
        kind: *kind,
        from: KindSet::ANY,
        to: KindSet::ANY,
    };
    for (id, serial, pending) in [
        (1, false, PendingRule::Money),
        (2, true, PendingRule::Money),
        (3, false, PendingRule::Goods),
    ] {
        ops.push(Op::DefineClass(ClassDef {
            id: ClassId(id),
            name: "class".into(),
            unit: "t".into(),
            serial,
            single: false,
            permits: false,
            pending,
            moves: TransferKind::ALL.iter().map(any).collect(),
        }));
    }
    ops.push(Op::DefineSeries(SeriesDef {
        id: SeriesId(1),
        prefix: "CA0001".into(),
    }));
    ops.push(Op::DefineRule(RuleDef {
        id: RULE,
        name: "TEST#1".into(),
        kinds: TransferKinds::ANY,
        window: Window::ALWAYS,
        yields: None,
    }));
    for party in 1..=PARTIES {
        ops.push(Op::DefineLimit(LimitDef {
            id: LimitId(party as u32),
            name: "group".into(),
            measure: Measure::Balance,
            unit: "t".into(),
            cap: 5_000,
            window: Window::ALWAYS,
        }));
    }
    for (asset, class) in [(1, 1), (2, 2), (3, 3), (4, 2)] {
        ops.push(Op::DefineAsset(AssetDef {
            id: AssetId(asset),
            class: ClassId(class),
            name: "asset".into(),
            vintage: 2024,
            series: (class == 2).then_some(SeriesId(1)),
            issue_cap: 20_000,
            usable_until: Time::MAX,
        }));
        let mut open = |id, holder, kind, limits: Vec<LimitId>| {
            ops.push(Op::OpenAccount(AccountDef {
                id: AccountId(id),
                holder: PartyId(holder),
                asset: AssetId(asset),
                kind,
                limits,
            }));
        };
        let asset = u64::from(asset);
        open(contra(asset), 1, AccountKind::Contra, vec![]);
        open(gap(asset), 1, AccountKind::Discrepancy, vec![]);
        for party in 1..=PARTIES {
            let limits = vec![LimitId(party as u32)];
            open(
                holding(party, asset),
                100 + party,
                AccountKind::Holding,
                limits,
            );
            open(
                retired(party, asset),
                100 + party,
                AccountKind::Retired,
                vec![],
            );
            open(
                consumed(party, asset),
                100 + party,
                AccountKind::Consumed,
                vec![],
            );
        }
    }
    for asset in 1..=4 {
        for party in 1..=PARTIES {
            ops.push(Op::Transfer(transfer(
                TransferKind::Issue,
                contra(asset),
                holding(party, asset),
                1_000,
            )));
        }
    }
    ops.into_iter()
        .enumerate()
        .map(|(n, op)| command(n as u128 + 1, ROOT, op))
        .collect()
}
