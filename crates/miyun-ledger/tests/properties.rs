//! Properties over random lists of commands.

mod common;

use common::*;
use miyun_ledger::*;
use proptest::prelude::*;

#[derive(Debug, Clone)]
enum Ask {
    Move(u8, u64, u64, u64, Option<u64>),
    Reserve(u64, u64, u64, i64),
    Post(usize, Option<u64>),
    Void(usize),
    Expire(usize),
    Reverse(usize, Option<u64>),
    Time(i64),
    Freeze(u64, bool),
    Adjust(u64, u64, bool),
}

fn ask() -> impl Strategy<Value = Ask> {
    let account = 1u64..9;
    let amount = prop_oneof![8 => 1u64..400, 1 => Just(0), 1 => Just(u64::MAX)];
    prop_oneof![
        8 => (0u8..18, account.clone(), account.clone(), amount.clone(), proptest::option::of(0u64..1_200))
            .prop_map(|(k, d, c, a, r)| Ask::Move(k, d, c, a, r)),
        4 => (account.clone(), account.clone(), amount.clone(), 1i64..50).prop_map(|(d, c, a, e)| Ask::Reserve(d, c, a, e)),
        3 => (any::<usize>(), proptest::option::of(amount.clone())).prop_map(|(p, a)| Ask::Post(p, a)),
        2 => any::<usize>().prop_map(Ask::Void),
        1 => any::<usize>().prop_map(Ask::Expire),
        2 => (any::<usize>(), proptest::option::of(amount)).prop_map(|(o, a)| Ask::Reverse(o, a)),
        1 => (0i64..40).prop_map(Ask::Time),
        1 => (account, any::<bool>()).prop_map(|(a, f)| Ask::Freeze(a, f)),
        1 => (1u64..1_100, 1u64..90, any::<bool>()).prop_map(|(s, l, a)| Ask::Adjust(s, l, a)),
    ]
}

/// Runs the list; every step is sealed, so the eight invariants hold after each.
fn play(class: ClassId, asks: &[Ask]) -> (Bench, Vec<Command>) {
    let mut b = Bench::simple(class);
    let mut sent = Vec::new();
    for ask in asks {
        let earlier = |n: usize, b: &Bench| match sent.len() {
            0 => CommandId(1),
            len => {
                let command: &Command = &sent[n % len];
                let _ = b;
                command.id
            }
        };
        let op = match *ask {
            Ask::Move(kind, d, c, a, r) => {
                let mut x = t(TransferKind::ALL[kind as usize], d, c, a);
                x.range = r.map(|start| range(start, start.saturating_add(a).saturating_sub(1)));
                Op::Transfer(x)
            }
            Ask::Reserve(d, c, a, e) => Op::Reserve(Reserve {
                expires: Time(b.now.0 + e),
                resolver: AUTHORITY,
                discrepancy: (class == WASTE).then_some(AccountId(7)),
                ..reserve(t(TransferKind::Transfer, d, c, a))
            }),
            Ask::Post(n, amount) => Op::Post {
                pending: earlier(n, &b),
                amount,
            },
            Ask::Void(n) => Op::Void {
                pending: earlier(n, &b),
            },
            Ask::Expire(n) => Op::Expire {
                pending: earlier(n, &b),
            },
            Ask::Reverse(n, amount) => Op::Reverse {
                original: earlier(n, &b),
                amount,
                range: None,
                rule: RULE,
                memo: "".into(),
            },
            Ask::Time(ms) => {
                b.now = Time(b.now.0 + ms);
                continue;
            }
            Ask::Freeze(a, frozen) => Op::SetFrozen {
                account: AccountId(a),
                frozen,
            },
            Ask::Adjust(start, len, applied) => Op::SetAdjustment {
                series: SeriesId(1),
                range: range(start, start + len),
                to: if applied {
                    Adjustment::Applied
                } else {
                    Adjustment::Authorised
                },
                rule: RULE,
            },
        };
        let command = b.command(ROOT, op);
        let before = b.state.digest();
        if b.send(&command).is_err() {
            assert_eq!(
                b.state.digest(),
                before,
                "{command:?} was refused and changed something"
            );
        }
        sent.push(command);
    }
    (b, sent)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn sums_are_constant_and_terminal_accounts_only_grow(asks in proptest::collection::vec(ask(), 1..60), class in 1u16..4) {
        let (b, sent) = play(ClassId(class), &asks);
        let asset = b.state.asset(AssetId(1)).unwrap();
        prop_assert_eq!(asset.debits, asset.credits);
        prop_assert_eq!(asset.totals.values().sum::<i128>(), 0);
        let balances: i128 = b.state.accounts().map(|a| a.counters.balance()).sum();
        prop_assert_eq!(balances, 0);
        // every command again, in any order, changes nothing
        let mut state = b.state;
        let (digest, records) = (state.digest(), state.records());
        for command in sent.iter().rev() {
            match (state.apply(command, b.now), state.outcome(command.id)) {
                (Ok(receipt), Some(Outcome::Applied(record))) => {
                    prop_assert!(receipt.replayed && receipt.record == record);
                }
                (Err(refusal), Some(Outcome::Refused(_, first))) => prop_assert_eq!(refusal, first),
                (Err(refusal), None) => prop_assert!(!refusal.spends_id()),
                (answer, fate) => prop_assert!(false, "{:?} {:?}", answer, fate),
            }
        }
        state.seal().unwrap();
        prop_assert_eq!((state.digest(), state.records()), (digest, records));
    }

    #[test]
    fn the_same_commands_give_the_same_digest_and_a_snapshot_goes_on_alike(asks in proptest::collection::vec(ask(), 2..60), class in 1u16..4) {
        let class = ClassId(class);
        let (whole, _) = play(class, &asks);
        let (again, _) = play(class, &asks);
        prop_assert_eq!(whole.state.digest(), again.state.digest());
        let (mut half, _) = play(class, &asks[..asks.len() / 2]);
        half.state = State::from_snapshot(&half.state.to_snapshot()).unwrap();
        for id in [1, 2] {
            let op = transfer(TransferKind::Transfer, 2, 3, id);
            let command = half.command(ROOT, op);
            let _ = half.send(&command);
        }
        prop_assert_eq!(
            State::from_snapshot(&half.state.to_snapshot()).unwrap().digest(),
            half.state.digest()
        );
    }

    #[test]
    fn reversing_everything_that_can_be_reversed_restores_every_balance(amounts in proptest::collection::vec(1u64..100, 1..12)) {
        let mut b = Bench::simple(CREDIT);
        let before: Vec<_> = (1..9).map(|a| b.balance(a)).collect();
        let mut moves = Vec::new();
        for (n, amount) in amounts.iter().enumerate() {
            let (from, to) = if n % 2 == 0 { (2, 3) } else { (3, 6) };
            if let Ok(receipt) = b.root(transfer(TransferKind::Transfer, from, to, *amount)) {
                moves.push(receipt.id);
            }
        }
        for original in moves.into_iter().rev() {
            b.root(Op::Reverse { original, amount: None, range: None, rule: RULE, memo: "".into() }).unwrap();
        }
        let after: Vec<_> = (1..9).map(|a| b.balance(a)).collect();
        prop_assert_eq!(before, after);
    }
}
