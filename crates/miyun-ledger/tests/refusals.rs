//! Every way of asking for what cannot be, with its stable code, and nothing changed by it.

mod common;

use common::*;
use miyun_ledger::*;

fn is_refused(bench: &mut Bench, command: &Command, code: &str) {
    let (digest, accounts) = (
        bench.state.digest(),
        bench.state.accounts().cloned().collect::<Vec<_>>(),
    );
    let records = bench.state.records();
    let refusal = bench.send(command).expect_err(code);
    assert_eq!(refusal.code(), code);
    assert_eq!(bench.state.digest(), digest, "{code} changed the state");
    assert_eq!(
        bench.state.accounts().cloned().collect::<Vec<_>>(),
        accounts
    );
    let spent = u64::from(refusal.spends_id());
    assert_eq!(bench.state.records(), records + spent, "{code}");
    if refusal.spends_id() {
        // a late copy of what was refused is refused again, whatever has changed since
        assert_eq!(bench.send(command), Err(refusal));
        assert_eq!(bench.state.records(), records + spent);
    }
}

fn refused(bench: &mut Bench, signer: SignerId, op: Op, code: &str) {
    let command = bench.command(signer, op);
    is_refused(bench, &command, code);
}

#[test]
fn amounts() {
    let mut bench = Bench::simple(ALLOWANCE);
    let b = &mut bench;
    refused(
        b,
        ALICE,
        transfer(TransferKind::Transfer, 2, 3, 0),
        "zero_amount",
    );
    refused(
        b,
        ALICE,
        transfer(TransferKind::Transfer, 2, 3, 1_001),
        "insufficient",
    );
    refused(
        b,
        ALICE,
        transfer(TransferKind::Transfer, 2, 3, u64::MAX),
        "insufficient",
    );
    refused(
        b,
        ROOT,
        transfer(TransferKind::Issue, 1, 2, 9_001),
        "issue_cap",
    );
    refused(
        b,
        ROOT,
        transfer(TransferKind::Issue, 1, 2, u64::MAX),
        "amount_overflow",
    );
    assert_eq!(parse_amount("-5"), Err(Refusal::NegativeAmount));
    assert_eq!(parse_amount("0"), Err(Refusal::ZeroAmount));
    assert_eq!(
        parse_amount("18446744073709551616"),
        Err(Refusal::AmountOverflow)
    );
    assert_eq!(parse_amount("1.5"), Err(Refusal::Malformed));
    assert_eq!(parse_amount(""), Err(Refusal::Malformed));
    assert_eq!(parse_amount("18446744073709551615"), Ok(u64::MAX));
}

#[test]
fn unknown_things() {
    let mut bench = Bench::simple(ALLOWANCE);
    let b = &mut bench;
    let with = |f: &dyn Fn(&mut Transfer)| {
        let mut x = t(TransferKind::Transfer, 2, 3, 1);
        f(&mut x);
        Op::Transfer(x)
    };
    refused(
        b,
        ALICE,
        with(&|t| t.debit = AccountId(99)),
        "unknown_account",
    );
    refused(
        b,
        ALICE,
        with(&|t| t.credit = AccountId(99)),
        "unknown_account",
    );
    refused(b, ALICE, with(&|t| t.rule = RuleId(99)), "unknown_rule");
    refused(b, ALICE, with(&|t| t.rule = OLD_RULE), "rule_not_in_force");
    refused(b, ALICE, with(&|t| t.rule = ISSUE_ONLY), "rule_wrong_kind");
    refused(b, ALICE, with(&|t| t.credit = AccountId(2)), "same_account");
    refused(
        b,
        ALICE,
        with(&|t| t.range = Some(range(1, 1))),
        "serial_required",
    );
    refused(
        b,
        ALICE,
        with(&|t| t.memo = "x".repeat(1_001).into()),
        "text_too_long",
    );
    let pending = CommandId(9_999);
    refused(
        b,
        BOB,
        Op::Post {
            pending,
            amount: None,
        },
        "unknown_pending",
    );
    refused(b, BOB, Op::Void { pending }, "unknown_pending");
    let reverse = |original| Op::Reverse {
        original,
        amount: None,
        range: None,
        rule: RULE,
        memo: "".into(),
    };
    refused(b, ALICE, reverse(pending), "unknown_transfer");
    let asset = AccountDef {
        id: AccountId(50),
        holder: A,
        asset: AssetId(77),
        kind: AccountKind::Holding,
        limits: vec![],
    };
    refused(b, ROOT, Op::OpenAccount(asset.clone()), "unknown_asset");
    let taken = AccountDef {
        id: AccountId(2),
        asset: AssetId(1),
        ..asset.clone()
    };
    refused(b, ROOT, Op::OpenAccount(taken), "already_exists");
    let limited = AccountDef {
        asset: AssetId(1),
        limits: vec![LimitId(9)],
        ..asset
    };
    refused(b, ROOT, Op::OpenAccount(limited), "unknown_limit");
    refused(
        b,
        ROOT,
        Op::SetIssueCap {
            asset: AssetId(1),
            cap: 999,
        },
        "issue_cap",
    );
    let series = SeriesId(9);
    let split = Op::SplitBlock {
        series,
        block: range(1, 2),
        parts: vec![range(1, 2)],
    };
    refused(b, ALICE, split, "unknown_series");
    refused(b, ALICE, Op::Chain(vec![]), "empty");
}

#[test]
fn windows_ids_and_signers() {
    let mut bench = Bench::simple(ALLOWANCE);
    let b = &mut bench;
    let op = || transfer(TransferKind::Transfer, 2, 3, 1);
    let window = |from: i64, until: i64| Window {
        from: Time(from),
        until: Time(until),
    };
    let early = Command {
        window: window(NOW.0 + 1, NOW.0 + 9),
        ..b.command(ALICE, op())
    };
    is_refused(b, &early, "window_not_open");
    let late = Command {
        window: window(0, NOW.0),
        ..b.command(ALICE, op())
    };
    is_refused(b, &late, "window_closed");
    let nought = Command {
        id: CommandId(0),
        ..b.command(ALICE, op())
    };
    is_refused(b, &nought, "zero_id");
    refused(b, SignerId(77), op(), "signer_unknown");
    refused(b, SignerId(0), op(), "signer_unknown");
    refused(b, BOB, op(), "signer_not_allowed");
    refused(
        b,
        ALICE,
        transfer(TransferKind::Issue, 1, 2, 1),
        "signer_not_allowed",
    );
    refused(
        b,
        ALICE,
        Op::SetFrozen {
            account: AccountId(3),
            frozen: true,
        },
        "signer_not_allowed",
    );
    let own = Op::DefineSigner(signer(SignerId(5), A, Powers::ALL));
    refused(b, ALICE, own, "signer_not_allowed");
    b.root(Op::CloseSigner {
        signer: ALICE2,
        until: b.now,
    })
    .unwrap();
    refused(b, ALICE2, op(), "signer_inactive");
    // a repetition answers again; other content under the same id does not
    let first = b.command(ALICE, op());
    let receipt = b.send(&first).unwrap();
    let again = b.send(&first).unwrap();
    assert!(again.replayed && !receipt.replayed && again.record == receipt.record);
    assert_eq!(b.balance(3), 1);
    let other = Command {
        op: transfer(TransferKind::Transfer, 2, 3, 2),
        ..first.clone()
    };
    is_refused(b, &other, "id_reused");
    // time does not run backwards
    b.now = Time(NOW.0 - 1);
    refused(b, ALICE, op(), "clock_backwards");
}

#[test]
fn frozen_closed_terminal_expired() {
    let mut bench = Bench::simple(ALLOWANCE);
    let b = &mut bench;
    let op = || transfer(TransferKind::Transfer, 2, 3, 1);
    b.root(Op::SetFrozen {
        account: AccountId(3),
        frozen: true,
    })
    .unwrap();
    refused(b, ALICE, op(), "account_frozen");
    b.root(Op::SetFrozen {
        account: AccountId(3),
        frozen: false,
    })
    .unwrap();
    b.run(ALICE, op()).unwrap();
    refused(
        b,
        ROOT,
        Op::CloseAccount {
            account: AccountId(3),
        },
        "account_not_empty",
    );
    b.run(BOB, transfer(TransferKind::Transfer, 3, 2, 1))
        .unwrap();
    b.root(Op::CloseAccount {
        account: AccountId(3),
    })
    .unwrap();
    refused(b, ALICE, op(), "account_closed");
    refused(
        b,
        ROOT,
        Op::SetFrozen {
            account: AccountId(3),
            frozen: false,
        },
        "account_closed",
    );
    let retired = b
        .run(ALICE, transfer(TransferKind::Retire, 2, 5, 10))
        .unwrap();
    refused(
        b,
        ALICE,
        transfer(TransferKind::Transfer, 5, 2, 10),
        "terminal_account",
    );
    let undo = Op::Reverse {
        original: retired.id,
        amount: None,
        range: None,
        rule: RULE,
        memo: "".into(),
    };
    refused(b, ROOT, undo, "not_reversible");
    let asset = b.asset(2, ALLOWANCE, None, 100);
    b.open(20, B, asset, AccountKind::Holding);
    refused(
        b,
        ALICE,
        transfer(TransferKind::Transfer, 2, 20, 1),
        "asset_mismatch",
    );
    // bought allowances die at the year's deadline
    b.root(Op::DefineAsset(AssetDef {
        id: AssetId(3),
        class: ALLOWANCE,
        name: "auctioned".into(),
        vintage: 2024,
        series: None,
        issue_cap: 10,
        usable_until: Time(NOW.0 + 10),
    }))
    .unwrap();
    b.open(30, AUTHORITY, AssetId(3), AccountKind::Contra);
    b.open(31, A, AssetId(3), AccountKind::Holding);
    b.open(32, A, AssetId(3), AccountKind::Surrendered);
    b.open(33, AUTHORITY, AssetId(3), AccountKind::Cancelled);
    b.root(transfer(TransferKind::Issue, 30, 31, 10)).unwrap();
    b.now = Time(NOW.0 + 10);
    refused(
        b,
        ALICE,
        transfer(TransferKind::Surrender, 31, 32, 1),
        "asset_expired",
    );
    b.root(transfer(TransferKind::Expire, 31, 33, 10)).unwrap();
    assert_eq!(b.balance(33), 10);
}

#[test]
fn a_class_knows_only_its_moves() {
    let mut bench = Bench::new();
    let b = &mut bench;
    let (holding, retired) = (AccountKind::Holding, AccountKind::Retired);
    b.root(Op::DefineClass(ClassDef {
        moves: vec![
            Move {
                kind: TransferKind::Issue,
                from: KindSet::of(&[AccountKind::Contra]),
                to: KindSet::of(&[holding]),
            },
            Move {
                kind: TransferKind::Retire,
                from: KindSet::of(&[holding]),
                to: KindSet::of(&[retired]),
            },
        ],
        ..class(ClassId(9), "t")
    }))
    .unwrap();
    let asset = b.asset(1, ClassId(9), None, 100);
    b.open(1, AUTHORITY, asset, AccountKind::Contra);
    b.open(2, A, asset, holding);
    b.open(3, B, asset, holding);
    b.open(5, A, asset, retired);
    b.root(transfer(TransferKind::Issue, 1, 2, 100)).unwrap();
    refused(
        b,
        ALICE,
        transfer(TransferKind::Transfer, 2, 3, 1),
        "move_not_allowed",
    );
    refused(
        b,
        ALICE,
        transfer(TransferKind::Retire, 2, 3, 1),
        "move_not_allowed",
    );
    refused(
        b,
        ROOT,
        transfer(TransferKind::Issue, 1, 5, 1),
        "move_not_allowed",
    );
    b.run(ALICE, transfer(TransferKind::Retire, 2, 5, 1))
        .unwrap();
}

#[test]
fn two_phase_is_resolved_once_by_the_right_one_in_time() {
    let mut bench = Bench::simple(ALLOWANCE);
    let b = &mut bench;
    let r = Reserve {
        opens: Time(NOW.0 + 5),
        expires: Time(NOW.0 + 10),
        four_eyes: true,
        resolver: A,
        ..reserve(t(TransferKind::Transfer, 2, 3, 900))
    };
    let ended = Reserve {
        expires: NOW,
        opens: Time::MIN,
        ..r.clone()
    };
    refused(b, ALICE, Op::Reserve(ended), "pending_expired");
    let pending = b.run(ALICE, Op::Reserve(r.clone())).unwrap().id;
    let post = |amount| Op::Post { pending, amount };
    refused(
        b,
        ALICE,
        transfer(TransferKind::Transfer, 2, 3, 101),
        "insufficient",
    );
    refused(b, BOB, post(None), "signer_not_allowed");
    refused(b, ALICE, post(None), "four_eyes");
    refused(b, ALICE2, post(None), "pending_too_early");
    refused(b, SignerId(0), Op::Expire { pending }, "pending_not_due");
    b.now = Time(NOW.0 + 5);
    refused(b, ALICE2, post(Some(901)), "pending_over");
    refused(b, ALICE2, post(Some(0)), "zero_amount");
    b.run(ALICE2, post(Some(600))).unwrap();
    assert_eq!((b.balance(2), b.balance(3)), (400, 600));
    assert_eq!(b.counters(2).debits_pending, 0);
    refused(b, ALICE2, post(None), "pending_resolved");
    refused(b, ALICE, Op::Void { pending }, "pending_resolved");
    let reserved = Reserve {
        transfer: t(TransferKind::Transfer, 2, 3, 400),
        ..r
    };
    let pending = b.run(ALICE, Op::Reserve(reserved)).unwrap().id;
    b.now = Time(NOW.0 + 10);
    assert_eq!(b.state.due(b.now, 10), [pending]);
    refused(
        b,
        ALICE2,
        Op::Post {
            pending,
            amount: None,
        },
        "pending_expired",
    );
    b.run(SignerId(0), Op::Expire { pending }).unwrap();
    assert_eq!(b.counters(2).available(), 400);
    assert!(b.state.due(b.now, 10).is_empty());
}

#[test]
fn limits_hold_for_the_group_also_for_what_is_reserved() {
    let mut bench = Bench::new();
    let b = &mut bench;
    let asset = b.asset(1, ALLOWANCE, None, 10_000);
    let limit = LimitDef {
        id: LimitId(1),
        name: "group".into(),
        measure: Measure::Balance,
        unit: "t".into(),
        cap: 100,
        window: Window::ALWAYS,
    };
    b.root(Op::DefineLimit(limit.clone())).unwrap();
    let wrong = LimitDef {
        id: LimitId(2),
        unit: "g".into(),
        ..limit
    };
    b.root(Op::DefineLimit(wrong)).unwrap();
    b.open(1, AUTHORITY, asset, AccountKind::Contra);
    b.open(2, A, asset, AccountKind::Holding);
    b.open_under(3, B, asset, AccountKind::Holding, &[1])
        .unwrap();
    b.open_under(4, B, asset, AccountKind::Holding, &[1])
        .unwrap();
    b.open(5, B, asset, AccountKind::Compliance);
    let unit = b.open_under(6, B, asset, AccountKind::Holding, &[2]);
    assert_eq!(unit, Err(Refusal::LimitUnit));
    b.root(transfer(TransferKind::Issue, 1, 2, 1_000)).unwrap();
    b.run(ALICE, transfer(TransferKind::Transfer, 2, 3, 60))
        .unwrap();
    refused(
        b,
        ALICE,
        transfer(TransferKind::Transfer, 2, 4, 41),
        "limit_exceeded",
    );
    let pending = b
        .run(
            ALICE,
            Op::Reserve(reserve(t(TransferKind::Transfer, 2, 4, 40))),
        )
        .unwrap()
        .id;
    refused(
        b,
        ALICE,
        transfer(TransferKind::Transfer, 2, 3, 1),
        "limit_exceeded",
    );
    b.run(BOB, transfer(TransferKind::Transfer, 3, 4, 30))
        .unwrap();
    b.run(ALICE, transfer(TransferKind::Transfer, 2, 5, 500))
        .unwrap();
    b.run(
        BOB,
        Op::Post {
            pending,
            amount: Some(10),
        },
    )
    .unwrap();
    assert_eq!(b.state.limit(LimitId(1)).unwrap().used, 70);
    let ended = Window {
        from: Time(0),
        until: NOW,
    };
    b.root(Op::SetLimit {
        limit: LimitId(1),
        cap: 100,
        window: ended,
    })
    .unwrap();
    refused(
        b,
        ALICE,
        transfer(TransferKind::Transfer, 2, 3, 1),
        "limit_closed",
    );
    b.root(Op::SetLimit {
        limit: LimitId(1),
        cap: 5,
        window: Window::ALWAYS,
    })
    .unwrap();
    b.run(BOB, transfer(TransferKind::Transfer, 3, 2, 1))
        .unwrap();
    refused(
        b,
        ALICE,
        transfer(TransferKind::Transfer, 2, 3, 1),
        "limit_exceeded",
    );
}

#[test]
fn serial_numbers() {
    let mut bench = Bench::simple(CREDIT);
    let b = &mut bench;
    let with = |start, end, amount| {
        let mut x = t(TransferKind::Transfer, 2, 3, amount);
        x.range = Some(range(start, end));
        Op::Transfer(x)
    };
    refused(b, ALICE, with(1, 10, 11), "serial_length");
    refused(b, ALICE, with(10, 1, 10), "serial_length");
    refused(b, ALICE, with(0, 9, 10), "serial_length");
    refused(b, ALICE, with(995, 1_004, 10), "block_not_owned");
    let mut r = reserve(t(TransferKind::Transfer, 2, 3, 100));
    r.transfer.range = Some(range(101, 200));
    let pending = b.run(ALICE, Op::Reserve(r)).unwrap().id;
    refused(b, ALICE, with(150, 150, 1), "block_locked");
    refused(b, ALICE, with(100, 101, 2), "block_not_owned");
    // post in part gives the tail of what was reserved, the rest comes free
    b.run(
        BOB,
        Op::Post {
            pending,
            amount: Some(30),
        },
    )
    .unwrap();
    assert_eq!(b.ranges(3), [(171, 200)]);
    b.run(ALICE, with(101, 170, 70)).unwrap();
    let split = |parts: &[(u64, u64)]| Op::SplitBlock {
        series: SeriesId(1),
        block: range(1, 100),
        parts: parts.iter().map(|&(s, e)| range(s, e)).collect(),
    };
    refused(b, ALICE, split(&[]), "not_a_partition");
    refused(b, ALICE, split(&[(1, 50), (52, 100)]), "not_a_partition");
    refused(b, ALICE, split(&[(1, 60), (50, 100)]), "not_a_partition");
    refused(b, ALICE, split(&[(1, 99)]), "not_a_partition");
    refused(b, BOB, split(&[(1, 50), (51, 100)]), "signer_not_allowed");
    b.run(ALICE, split(&[(1, 50), (51, 100)])).unwrap();
    assert_eq!(b.ranges(2)[..2], [(1, 50), (51, 100)]);
}

#[test]
fn export_wants_the_adjustment_applied() {
    let mut bench = Bench::simple(CREDIT);
    let b = &mut bench;
    let export = |start, end| {
        let mut x = t(TransferKind::Export, 2, 8, end - start + 1);
        x.range = Some(range(start, end));
        Op::Transfer(x)
    };
    let adjust = |start, end, to| Op::SetAdjustment {
        series: SeriesId(1),
        range: range(start, end),
        to,
        rule: RULE,
    };
    refused(b, ALICE, export(1, 10), "adjustment_missing");
    refused(
        b,
        ALICE,
        adjust(1, 10, Adjustment::Authorised),
        "signer_not_allowed",
    );
    refused(
        b,
        ROOT,
        adjust(1, 10, Adjustment::Applied),
        "adjustment_order",
    );
    refused(
        b,
        ROOT,
        adjust(1, 1_001, Adjustment::Authorised),
        "block_not_owned",
    );
    b.root(adjust(1, 10, Adjustment::Authorised)).unwrap();
    refused(b, ALICE, export(1, 10), "adjustment_missing");
    refused(
        b,
        ROOT,
        adjust(1, 11, Adjustment::Applied),
        "adjustment_order",
    );
    b.root(adjust(1, 10, Adjustment::Applied)).unwrap();
    refused(b, ALICE, export(1, 11), "block_not_owned");
    b.run(ALICE, export(1, 10)).unwrap();
    assert_eq!(b.ranges(8), [(1, 10)]);
}
