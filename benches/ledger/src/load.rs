//! The work: a registry of accounts and streams of signed envelopes, the same for every run.

use ed25519_dalek::SigningKey;
use miyun_journal::Envelope;
use miyun_ledger::{
    AccountDef, AccountId, AccountKind, AssetDef, AssetId, ClassDef, ClassId, Command, CommandId,
    Genesis, KindSet, Move, Op, PartyId, PendingRule, Powers, Reserve, RuleDef, RuleId, SeriesDef,
    SeriesId, SignerDef, SignerId, Time, Transfer, TransferKind, TransferKinds, Window,
};

/// The ledger's id.
pub const LEDGER: [u8; 32] = [0xb6; 32];
/// The signer of everything.
pub const ROOT: SignerId = SignerId(1);
const RULE: RuleId = RuleId(1);

/// SplitMix64.
#[derive(Debug, Clone)]
pub struct Rng(pub u64);

impl Rng {
    /// The next number.
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `n`.
    pub fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }
}

/// The key.
pub fn key() -> SigningKey {
    SigningKey::from_bytes(&[7; 32])
}

/// The genesis.
pub fn genesis() -> Genesis {
    Genesis {
        ledger: LEDGER,
        root: SignerDef {
            id: ROOT,
            party: PartyId(1),
            key: key().verifying_key().to_bytes(),
            powers: Powers::ALL,
            window: Window::ALWAYS,
        },
    }
}

fn command(id: u128, op: Op) -> Command {
    Command {
        id: CommandId(id),
        signer: ROOT,
        window: Window::ALWAYS,
        op,
    }
}

/// Signs.
pub fn sign(commands: Vec<Command>) -> Envelope {
    Envelope::sign(LEDGER, ROOT, commands, &key())
}

fn asset_ops(asset: u32, class: u16, serial: bool) -> Vec<Op> {
    let any = |&kind: &TransferKind| Move {
        kind,
        from: KindSet::ANY,
        to: KindSet::ANY,
    };
    let mut ops = vec![Op::DefineClass(ClassDef {
        id: ClassId(class),
        name: "class".into(),
        unit: "t".into(),
        serial,
        single: false,
        permits: false,
        pending: PendingRule::Money,
        moves: TransferKind::ALL.iter().map(any).collect(),
    })];
    if serial {
        ops.push(Op::DefineSeries(SeriesDef {
            id: SeriesId(1),
            prefix: "BENCH".into(),
        }));
    }
    ops.push(Op::DefineAsset(AssetDef {
        id: AssetId(asset),
        class: ClassId(class),
        name: "asset".into(),
        vintage: 2025,
        series: serial.then_some(SeriesId(1)),
        issue_cap: u64::MAX / 4,
        usable_until: Time::MAX,
    }));
    ops
}

/// First account of an asset: its contra; accounts follow from 1 on.
fn base(asset: u32) -> u64 {
    u64::from(asset) << 32
}

/// Definitions, accounts, and an issue to each account.
pub fn set_up(accounts: u64) -> Vec<Vec<Command>> {
    let mut ops = vec![Op::DefineRule(RuleDef {
        id: RULE,
        name: "BENCH#1".into(),
        kinds: TransferKinds::ANY,
        window: Window::ALWAYS,
        yields: None,
    })];
    for (asset, serial) in [(1, false), (2, true)] {
        ops.extend(asset_ops(asset, asset as u16, serial));
        let n = if serial {
            accounts.min(1_000)
        } else {
            accounts
        };
        for account in 0..=n {
            ops.push(Op::OpenAccount(AccountDef {
                id: AccountId(base(asset) + account),
                holder: PartyId(1),
                asset: AssetId(asset),
                kind: if account == 0 {
                    AccountKind::Contra
                } else {
                    AccountKind::Holding
                },
                limits: Vec::new(),
            }));
        }
        for account in 1..=n {
            let amount = if serial { 1_000_000 } else { 1 << 40 };
            ops.push(transfer(TransferKind::Issue, asset, 0, account, amount));
        }
    }
    let commands: Vec<_> = ops
        .into_iter()
        .enumerate()
        .map(|(n, op)| command(n as u128 + 1, op))
        .collect();
    commands.chunks(8_192).map(<[_]>::to_vec).collect()
}

fn plain(kind: TransferKind, asset: u32, debit: u64, credit: u64, amount: u64) -> Transfer {
    Transfer {
        kind,
        debit: AccountId(base(asset) + debit),
        credit: AccountId(base(asset) + credit),
        amount,
        range: None,
        rule: RULE,
        case: 7,
        memo: "".into(),
    }
}

fn transfer(kind: TransferKind, asset: u32, debit: u64, credit: u64, amount: u64) -> Op {
    Op::Transfer(plain(kind, asset, debit, credit, amount))
}

/// What a stream of commands is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mix {
    /// W1: transfers between uniformly drawn accounts.
    Uniform,
    /// W2: as W1, but half of all debits hit ten accounts.
    Hot,
    /// W3: half reserve and post, of these a fifth is voided.
    TwoPhase,
    /// W4: transfers of serial units, which split blocks.
    Serial,
}

/// A stream of commands with ids that never repeat.
#[derive(Debug)]
pub struct Stream {
    rng: Rng,
    mix: Mix,
    accounts: u64,
    pending: Vec<CommandId>,
}

impl Stream {
    /// A stream from a seed.
    pub fn new(seed: u64, mix: Mix, accounts: u64) -> Self {
        Self {
            rng: Rng(seed),
            mix,
            accounts: if mix == Mix::Serial {
                accounts.min(1_000)
            } else {
                accounts
            },
            pending: Vec::new(),
        }
    }

    /// The id and the two accounts of the next transfer.
    pub fn draw(&mut self) -> (u128, u64, u64, u64) {
        let id = u128::from(self.rng.next()) << 64 | u128::from(self.rng.next()) | 1 << 100;
        let mut debit = 1 + self.rng.below(self.accounts);
        if self.mix == Mix::Hot && self.rng.below(2) == 0 {
            debit = 1 + self.rng.below(10);
        }
        let mut credit = 1 + self.rng.below(self.accounts);
        if credit == debit {
            credit = 1 + credit % self.accounts;
        }
        (id, debit, credit, 1 + self.rng.below(100))
    }

    fn next_op(&mut self, debit: u64, credit: u64, amount: u64, id: u128) -> Op {
        let kind = TransferKind::Transfer;
        match self.mix {
            Mix::Serial => transfer(kind, 2, debit, credit, amount),
            Mix::TwoPhase if self.rng.below(2) == 0 || self.pending.len() > 1_000_000 => {
                match self.pending.pop() {
                    Some(pending) if self.rng.below(5) == 0 => Op::Void { pending },
                    Some(pending) => Op::Post {
                        pending,
                        amount: None,
                    },
                    None => transfer(kind, 1, debit, credit, amount),
                }
            }
            Mix::TwoPhase => {
                self.pending.push(CommandId(id));
                Op::Reserve(Reserve {
                    transfer: plain(kind, 1, debit, credit, amount),
                    opens: Time::MIN,
                    expires: Time::MAX,
                    resolver: PartyId(1),
                    four_eyes: false,
                    discrepancy: None,
                })
            }
            Mix::Uniform | Mix::Hot => transfer(kind, 1, debit, credit, amount),
        }
    }

    /// The next commands.
    pub fn take(&mut self, n: usize) -> Vec<Command> {
        (0..n)
            .map(|_| {
                let (id, debit, credit, amount) = self.draw();
                let op = self.next_op(debit, credit, amount, id);
                command(id, op)
            })
            .collect()
    }
}
