//! Failures that were found in other registries, as tests.

mod common;

use common::*;
use miyun_ledger::*;

/// 100 were requested and 110 minted after a retry (hashgraph/guardian #2833); N services minted N
/// times (#2019).
#[test]
fn a_retry_never_mints() {
    let mut bench = Bench::new();
    let b = &mut bench;
    let asset = b.asset(1, CREDIT, Some(1), 100);
    b.open(1, AUTHORITY, asset, AccountKind::Contra);
    b.open(2, A, asset, AccountKind::Holding);
    let tens: Vec<_> = (0..10)
        .map(|_| b.command(ROOT, transfer(TransferKind::Issue, 1, 2, 10)))
        .collect();
    for command in &tens {
        b.send(command).unwrap();
    }
    // every request again, twice, in another order, from "another service"
    for command in tens.iter().rev().chain(&tens) {
        assert!(b.send(command).unwrap().replayed);
    }
    // and a service that draws a new id for what it believes has failed
    assert_eq!(
        b.root(transfer(TransferKind::Issue, 1, 2, 10)),
        Err(Refusal::IssueCap)
    );
    assert_eq!(b.balance(2), 100);
    assert_eq!(b.state.series(SeriesId(1)).unwrap().issued, 100);
    let held: u64 = b.ranges(2).iter().map(|(s, e)| e - s + 1).sum();
    assert_eq!(held, 100);
}

/// A certificate stated 10,000 while 1,560 existed (hashgraph/guardian #3311): retiring more than
/// exists is refused, and the receipt names exactly what moved.
#[test]
fn a_certificate_states_what_moved() {
    let mut bench = Bench::simple(CREDIT);
    let b = &mut bench;
    assert_eq!(
        b.run(ALICE, transfer(TransferKind::Retire, 2, 5, 10_000)),
        Err(Refusal::Insufficient)
    );
    let receipt = b
        .run(ALICE, transfer(TransferKind::Retire, 2, 5, 560))
        .unwrap();
    let moved: u64 = receipt.moved.iter().map(|m| m.range.len().unwrap()).sum();
    assert_eq!(moved, 560);
    assert_eq!(b.balance(5), 560);
}

/// A split of ten units gave parts of six and six (Chia-Network/cadt #475).
#[test]
fn ten_do_not_split_into_twelve() {
    let mut bench = Bench::new();
    let b = &mut bench;
    let asset = b.asset(1, CREDIT, Some(1), 10);
    b.open(1, AUTHORITY, asset, AccountKind::Contra);
    b.open(2, A, asset, AccountKind::Holding);
    b.open(3, B, asset, AccountKind::Holding);
    b.root(transfer(TransferKind::Issue, 1, 2, 10)).unwrap();
    for parts in [
        vec![range(1, 6), range(5, 10)],
        vec![range(0, 5), range(6, 10)],
        vec![range(1, 6), range(7, 12)],
    ] {
        let split = Op::SplitBlock {
            series: SeriesId(1),
            block: range(1, 10),
            parts,
        };
        assert_eq!(b.run(ALICE, split), Err(Refusal::NotAPartition));
    }
    let six = |start| {
        let mut x = t(TransferKind::Transfer, 2, 3, 6);
        x.range = Some(range(start, start + 5));
        x
    };
    b.run(ALICE, Op::Transfer(six(1))).unwrap();
    for start in [5, 6, 0] {
        assert!(b.run(ALICE, Op::Transfer(six(start))).is_err());
    }
    assert_eq!((b.balance(2), b.balance(3)), (4, 6));
}

/// Eight of eight concurrent transfers of one block of 1,000 were accepted (the shape of
/// undp/undp-national-carbon-registry). Here every order of requests has one winner.
#[test]
fn one_block_is_spent_once() {
    for winner in 0..8 {
        let mut bench = Bench::simple(CREDIT);
        let b = &mut bench;
        let spend: Vec<_> = (0..8)
            .map(|_| {
                let mut x = t(TransferKind::Transfer, 2, 3, 1_000);
                x.range = Some(range(1, 1_000));
                b.command(ALICE, Op::Transfer(x))
            })
            .collect();
        let mut won = Vec::new();
        for turn in 0..16 {
            let n = (winner + turn) % 8;
            if let Ok(receipt) = b.send(&spend[n])
                && !receipt.replayed
            {
                won.push(n);
            }
        }
        assert_eq!(won, [winner]);
        assert_eq!(b.balance(3), 1_000);
    }
}

/// A chain is all or nothing: delivery against payment.
#[test]
fn a_chain_that_fails_at_its_end_leaves_nothing() {
    let mut bench = Bench::simple(CREDIT);
    let b = &mut bench;
    let cash = b.asset(2, ALLOWANCE, None, 1_000);
    b.open(21, AUTHORITY, cash, AccountKind::Contra);
    b.open(22, A, cash, AccountKind::Holding);
    b.open(23, B, cash, AccountKind::Holding);
    b.root(transfer(TransferKind::Issue, 21, 23, 500)).unwrap();
    let mut steps = |price| {
        let (first, second) = (b.id(), b.id());
        let reserve = Reserve {
            resolver: A,
            ..reserve(t(TransferKind::Transfer, 23, 22, price))
        };
        Op::Chain(vec![
            Step {
                id: first,
                op: transfer(TransferKind::Trade, 2, 3, 300),
            },
            Step {
                id: second,
                op: Op::Reserve(reserve),
            },
            Step {
                id: CommandId(second.0 + 1_000_000),
                op: Op::Post {
                    pending: second,
                    amount: None,
                },
            },
        ])
    };
    let (dear, fair) = (steps(501), steps(500));
    let (digest, blocks) = (b.state.digest(), b.ranges(2));
    assert_eq!(b.root(dear.clone()), Err(Refusal::Insufficient));
    assert_eq!((b.state.digest(), b.ranges(2)), (digest, blocks));
    assert!(b.state.pendings().is_empty());
    b.root(fair.clone()).unwrap();
    assert_eq!((b.balance(3), b.balance(22), b.balance(23)), (300, 500, 0));
    // the steps' ids are spent
    assert_eq!(b.root(fair), Err(Refusal::IdReused));
    // and the failed chain's steps are not
    let Op::Chain(steps) = dear else {
        unreachable!()
    };
    assert!(b.state.outcome(steps[0].id).is_none());
}

/// A correction is a compensating transfer that cites the original, never a deletion.
#[test]
fn reversal_gives_back_at_most_what_was_moved() {
    let mut bench = Bench::simple(CREDIT);
    let b = &mut bench;
    let moved = b
        .run(ALICE, transfer(TransferKind::Transfer, 2, 3, 100))
        .unwrap();
    let reverse = |amount, range| Op::Reverse {
        original: moved.id,
        amount,
        range,
        rule: RULE,
        memo: "wrong party".into(),
    };
    assert_eq!(
        b.run(ALICE, reverse(None, None)),
        Err(Refusal::SignerNotAllowed)
    );
    assert_eq!(b.root(reverse(Some(101), None)), Err(Refusal::ReversalOver));
    let part = b.root(reverse(Some(40), Some(range(901, 940)))).unwrap();
    assert_eq!(b.state.transfer_of(moved.id).unwrap().reversed, 40);
    assert_eq!(b.root(reverse(Some(61), None)), Err(Refusal::ReversalOver));
    b.run(BOB, reverse(None, None)).unwrap();
    assert_eq!((b.balance(2), b.balance(3)), (1_000, 0));
    assert_eq!(b.root(reverse(None, None)), Err(Refusal::ReversalOver));
    let twice = Op::Reverse {
        original: part.id,
        amount: None,
        range: None,
        rule: RULE,
        memo: "".into(),
    };
    assert_eq!(b.root(twice), Err(Refusal::NotReversible));
}

/// A vintage is converted one to one under its rule, and nobody else's holding is touched.
#[test]
fn banking_is_one_to_one() {
    let mut bench = Bench::simple(ALLOWANCE);
    let b = &mut bench;
    let next = b.asset(2, ALLOWANCE, None, 400);
    b.open(21, AUTHORITY, next, AccountKind::Contra);
    b.open(22, A, next, AccountKind::Holding);
    b.open(23, B, next, AccountKind::Holding);
    b.open(9, A, AssetId(1), AccountKind::Consumed);
    let convert = |output, amount_in, amount_out| {
        Op::Transform(Transform {
            kind: TransferKind::Convert,
            input: AccountId(2),
            sink: AccountId(9),
            amount_in,
            source: AccountId(21),
            output: AccountId(output),
            amount_out,
            rule: RULE,
            case: 2025,
            memo: "".into(),
        })
    };
    assert_eq!(
        b.run(ALICE, convert(22, 100, 101)),
        Err(Refusal::YieldOutOfBounds)
    );
    assert_eq!(
        b.run(ALICE, convert(22, 100, 99)),
        Err(Refusal::YieldOutOfBounds)
    );
    assert_eq!(
        b.run(ALICE, convert(23, 100, 100)),
        Err(Refusal::SignerNotAllowed)
    );
    assert_eq!(
        b.run(BOB, convert(23, 100, 100)),
        Err(Refusal::SignerNotAllowed)
    );
    assert_eq!(b.run(ALICE, convert(22, 401, 401)), Err(Refusal::IssueCap));
    b.run(ALICE, convert(22, 400, 400)).unwrap();
    assert_eq!((b.balance(2), b.balance(9), b.balance(22)), (600, 400, 400));
}
