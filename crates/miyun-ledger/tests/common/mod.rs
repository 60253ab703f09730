//! A small ledger with classes of each kind of good, and helpers that write commands short.
#![allow(dead_code)]

use miyun_ledger::*;

pub const ROOT: SignerId = SignerId(1);
pub const ALICE: SignerId = SignerId(10);
pub const ALICE2: SignerId = SignerId(11);
pub const BOB: SignerId = SignerId(20);
pub const AUTHORITY: PartyId = PartyId(1);
pub const A: PartyId = PartyId(100);
pub const B: PartyId = PartyId(200);
pub const RULE: RuleId = RuleId(1);
pub const OLD_RULE: RuleId = RuleId(2);
pub const ISSUE_ONLY: RuleId = RuleId(3);
pub const ALLOWANCE: ClassId = ClassId(1);
pub const CREDIT: ClassId = ClassId(2);
pub const WASTE: ClassId = ClassId(3);
pub const SOURCE: ClassId = ClassId(4);
pub const NOW: Time = Time(1_000_000);

pub struct Bench {
    pub state: State,
    pub now: Time,
    next: u128,
}

pub fn signer(id: SignerId, party: PartyId, powers: Powers) -> SignerDef {
    SignerDef {
        id,
        party,
        key: [id.0 as u8; 32],
        powers,
        window: Window::ALWAYS,
    }
}

pub fn any_move(kind: TransferKind) -> Move {
    Move {
        kind,
        from: KindSet::ANY,
        to: KindSet::ANY,
    }
}

pub fn class(id: ClassId, unit: &str) -> ClassDef {
    ClassDef {
        id,
        name: "class".into(),
        unit: unit.into(),
        serial: false,
        single: false,
        permits: false,
        pending: PendingRule::Money,
        moves: TransferKind::ALL.iter().map(|&k| any_move(k)).collect(),
    }
}

impl Bench {
    pub fn new() -> Self {
        let root = signer(ROOT, AUTHORITY, Powers::ALL);
        let mut bench = Self {
            state: State::new(Genesis {
                ledger: [7; 32],
                root,
            }),
            now: NOW,
            next: 1,
        };
        for s in [
            signer(ALICE, A, Powers::HOLDER),
            signer(ALICE2, A, Powers::HOLDER),
            signer(BOB, B, Powers::HOLDER),
        ] {
            bench.root(Op::DefineSigner(s)).unwrap();
        }
        bench.root(Op::DefineClass(class(ALLOWANCE, "t"))).unwrap();
        bench
            .root(Op::DefineClass(ClassDef {
                serial: true,
                ..class(CREDIT, "t")
            }))
            .unwrap();
        bench
            .root(Op::DefineClass(ClassDef {
                pending: PendingRule::Goods,
                ..class(WASTE, "g")
            }))
            .unwrap();
        bench
            .root(Op::DefineClass(ClassDef {
                single: true,
                permits: true,
                ..class(SOURCE, "piece")
            }))
            .unwrap();
        for (id, kinds, window) in [
            (RULE, TransferKinds::ANY, Window::ALWAYS),
            (
                OLD_RULE,
                TransferKinds::ANY,
                Window {
                    from: Time(0),
                    until: Time(500),
                },
            ),
            (
                ISSUE_ONLY,
                TransferKinds::of(&[TransferKind::Issue]),
                Window::ALWAYS,
            ),
        ] {
            bench
                .root(Op::DefineRule(RuleDef {
                    id,
                    name: format!("TEST/rule#{id}").into(),
                    kinds,
                    window,
                    yields: None,
                }))
                .unwrap();
        }
        bench
    }

    pub fn id(&mut self) -> CommandId {
        self.next += 1;
        CommandId(self.next)
    }

    pub fn command(&mut self, signer: SignerId, op: Op) -> Command {
        Command {
            id: self.id(),
            signer,
            window: Window::ALWAYS,
            op,
        }
    }

    pub fn run(&mut self, signer: SignerId, op: Op) -> Result<Receipt, Refusal> {
        let command = self.command(signer, op);
        self.send(&command)
    }

    pub fn root(&mut self, op: Op) -> Result<Receipt, Refusal> {
        self.run(ROOT, op)
    }

    /// Applies and seals, so that every step of every test passes the invariants.
    pub fn send(&mut self, command: &Command) -> Result<Receipt, Refusal> {
        let result = self.state.apply(command, self.now);
        self.state.seal().unwrap();
        result
    }

    pub fn asset(&mut self, id: u32, class: ClassId, series: Option<u32>, cap: u64) -> AssetId {
        if let Some(series) = series
            && self.state.series(SeriesId(series)).is_none()
        {
            self.root(Op::DefineSeries(SeriesDef {
                id: SeriesId(series),
                prefix: format!("CA{series:04}").into(),
            }))
            .unwrap();
        }
        self.root(Op::DefineAsset(AssetDef {
            id: AssetId(id),
            class,
            name: format!("asset {id}").into(),
            vintage: 2023,
            series: series.map(SeriesId),
            issue_cap: cap,
            usable_until: Time::MAX,
        }))
        .unwrap();
        AssetId(id)
    }

    pub fn open(
        &mut self,
        id: u64,
        holder: PartyId,
        asset: AssetId,
        kind: AccountKind,
    ) -> AccountId {
        self.open_under(id, holder, asset, kind, &[]).unwrap()
    }

    pub fn open_under(
        &mut self,
        id: u64,
        holder: PartyId,
        asset: AssetId,
        kind: AccountKind,
        limits: &[u32],
    ) -> Result<AccountId, Refusal> {
        self.root(Op::OpenAccount(AccountDef {
            id: AccountId(id),
            holder,
            asset,
            kind,
            limits: limits.iter().map(|&l| LimitId(l)).collect(),
        }))?;
        Ok(AccountId(id))
    }

    /// Contra 1, A's holding 2, B's holding 3, A's surrendered 4, A's retired 5, buffer 6,
    /// and 1,000 issued to A.
    pub fn simple(class: ClassId) -> Self {
        let mut bench = Self::new();
        let series = (class == CREDIT).then_some(1);
        let asset = bench.asset(1, class, series, 10_000);
        for (id, holder, kind) in [
            (1, AUTHORITY, AccountKind::Contra),
            (2, A, AccountKind::Holding),
            (3, B, AccountKind::Holding),
            (4, A, AccountKind::Surrendered),
            (5, A, AccountKind::Retired),
            (6, AUTHORITY, AccountKind::Buffer),
            (7, AUTHORITY, AccountKind::Discrepancy),
            (8, AUTHORITY, AccountKind::Exported),
        ] {
            bench.open(id, holder, asset, kind);
        }
        bench
            .root(transfer(TransferKind::Issue, 1, 2, 1_000))
            .unwrap();
        bench
    }

    pub fn counters(&self, id: u64) -> Counters {
        self.state.account(AccountId(id)).unwrap().counters
    }

    pub fn balance(&self, id: u64) -> i128 {
        self.counters(id).balance()
    }

    pub fn ranges(&self, id: u64) -> Vec<(u64, u64)> {
        self.state
            .blocks_of(AccountId(id))
            .map(|b| (b.range.start, b.range.end))
            .collect()
    }
}

pub fn t(kind: TransferKind, debit: u64, credit: u64, amount: u64) -> Transfer {
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

pub fn transfer(kind: TransferKind, debit: u64, credit: u64, amount: u64) -> Op {
    Op::Transfer(t(kind, debit, credit, amount))
}

pub fn reserve(t: Transfer) -> Reserve {
    Reserve {
        transfer: t,
        opens: Time::MIN,
        expires: Time::MAX,
        resolver: B,
        four_eyes: false,
        discrepancy: None,
    }
}

pub fn range(start: u64, end: u64) -> Range {
    Range { start, end }
}
