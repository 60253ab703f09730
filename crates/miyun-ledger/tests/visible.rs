//! Cases that others computed or published: `data/carbon/expected-visible`, where it is at hand.

mod common;

use std::path::PathBuf;

use common::*;
use miyun_ledger::*;
use serde_json::Value;

fn cases(file: &str) -> Option<Vec<Value>> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../../../shared/data/carbon/expected-visible")
        .join(file);
    let Ok(text) = std::fs::read_to_string(&path) else {
        eprintln!("skipped: {} is not at hand", path.display());
        return None;
    };
    let value: Value = serde_json::from_str(&text).unwrap();
    Some(value["cases"].as_array().unwrap().clone())
}

/// `PREFIX-start-end-vintage`.
fn block(text: &str) -> (String, u64, u64, u16) {
    let mut parts = text.rsplitn(4, '-');
    let vintage = parts.next().unwrap().parse().unwrap();
    let end = parts.next().unwrap().parse().unwrap();
    let start = parts.next().unwrap().parse().unwrap();
    (parts.next().unwrap().to_owned(), start, end, vintage)
}

fn project(bench: &mut Bench, prefix: &str, vintage: u16, asset: u32) {
    if bench.state.series(SeriesId(1)).is_none() {
        bench
            .root(Op::DefineSeries(SeriesDef {
                id: SeriesId(1),
                prefix: prefix.into(),
            }))
            .unwrap();
    }
    bench
        .root(Op::DefineAsset(AssetDef {
            id: AssetId(asset),
            class: CREDIT,
            name: "credit".into(),
            vintage,
            series: Some(SeriesId(1)),
            issue_cap: u64::MAX,
            usable_until: Time::MAX,
        }))
        .unwrap();
    let base = u64::from(asset) * 100;
    bench.open(base + 1, AUTHORITY, AssetId(asset), AccountKind::Contra);
    bench.open(base + 2, A, AssetId(asset), AccountKind::Holding);
    bench.open(base + 3, B, AssetId(asset), AccountKind::Holding);
}

/// Issues so that A holds exactly `whole`; what lies before it goes to B.
fn hold(bench: &mut Bench, whole: Range) {
    if whole.start > 1 {
        bench
            .root(transfer(TransferKind::Issue, 101, 103, whole.start - 1))
            .unwrap();
    }
    bench
        .root(transfer(
            TransferKind::Issue,
            101,
            102,
            whole.len().unwrap(),
        ))
        .unwrap();
}

fn serial(bench: &Bench, range: Range, asset: u32) -> String {
    let prefix = &bench.state.series(SeriesId(1)).unwrap().def.prefix;
    let vintage = bench.state.asset(AssetId(asset)).unwrap().def.vintage;
    format!("{prefix}-{}-{}-{vintage}", range.start, range.end)
}

#[test]
fn serial_blocks() {
    let Some(cases) = cases("serial_blocks.json") else {
        return;
    };
    let mut seen = 0;
    for case in cases {
        let id = case["id"].as_str().unwrap().to_owned();
        let number = |key: &str| case[key].as_u64().unwrap();
        let pair = |v: &Value| range(v[0].as_u64().unwrap(), v[1].as_u64().unwrap());
        let mut bench = Bench::new();
        match case["op"].as_str().unwrap() {
            "issue" => {
                let prefix = case["project"].as_str().unwrap();
                let vintage = case["vintage"].as_str().unwrap().parse().unwrap();
                if number("already_issued") > 0 {
                    project(&mut bench, prefix, vintage - 1, 1);
                    let earlier = number("already_issued");
                    bench
                        .root(transfer(TransferKind::Issue, 101, 102, earlier))
                        .unwrap();
                }
                project(&mut bench, prefix, vintage, 2);
                let receipt = bench
                    .root(transfer(TransferKind::Issue, 201, 202, number("amount")))
                    .unwrap();
                assert_eq!(
                    serial(&bench, receipt.moved[0].range, 2),
                    case["expected"],
                    "{id}"
                );
            }
            "split_transfer" => {
                let (prefix, start, end, vintage) = block(case["block"].as_str().unwrap());
                project(&mut bench, &prefix, vintage, 1);
                hold(&mut bench, range(start, end));
                let receipt = bench
                    .run(
                        ALICE,
                        transfer(TransferKind::Transfer, 102, 103, number("amount")),
                    )
                    .unwrap();
                assert_eq!(
                    serial(&bench, receipt.moved[0].range, 1),
                    case["expected_give"],
                    "{id}"
                );
                let (start, end) = bench.ranges(102)[0];
                assert_eq!(
                    serial(&bench, range(start, end), 1),
                    case["expected_keep"],
                    "{id}"
                );
            }
            "length" => {
                let parts: Vec<_> = case["serial"].as_str().unwrap().split('-').collect();
                let range = range(parts[1].parse().unwrap(), parts[2].parse().unwrap());
                assert_eq!(range.len(), Some(number("expected")), "{id}");
            }
            "reject_split" => {
                let whole = pair(&case["block"]);
                project(&mut bench, "ALE", 2023, 1);
                hold(&mut bench, whole);
                let split = Op::SplitBlock {
                    series: SeriesId(1),
                    block: whole,
                    parts: case["parts"].as_array().unwrap().iter().map(pair).collect(),
                };
                let before = bench.state.digest();
                assert_eq!(bench.run(ALICE, split), Err(Refusal::NotAPartition), "{id}");
                assert_eq!(bench.state.digest(), before, "{id}");
            }
            "contains" => {
                let (issued, retired) = (pair(&case["issued"]), pair(&case["retired"]));
                assert_eq!(
                    issued.contains(retired),
                    case["expected"].as_bool().unwrap(),
                    "{id}"
                );
                project(&mut bench, "C", 2023, 1);
                hold(&mut bench, issued);
                bench.open(104, A, AssetId(1), AccountKind::Retired);
                let mut part = t(TransferKind::Retire, 102, 104, retired.len().unwrap());
                part.range = Some(retired);
                bench.run(ALICE, Op::Transfer(part)).unwrap();
                assert_eq!(bench.ranges(104), [(retired.start, retired.end)], "{id}");
            }
            other => panic!("{id}: unknown case {other}"),
        }
        seen += 1;
    }
    assert!(seen >= 6);
}

#[test]
fn two_phase() {
    let Some(cases) = cases("two_phase.json") else {
        return;
    };
    assert!(!cases.is_empty());
    for case in cases {
        let id = case["id"].as_str().unwrap();
        let mut bench = Bench::simple(ALLOWANCE);
        let start = ["dp", "d", "cp", "c"].map(|key| case["start"][key].as_u64().unwrap());
        assert_eq!(
            (start[0], start[1]),
            (start[2], start[3]),
            "{id}: both sides start alike"
        );
        if start[0] > 0 {
            let r = reserve(t(TransferKind::Transfer, 2, 3, start[0]));
            bench.run(ALICE, Op::Reserve(r)).unwrap();
        }
        if start[1] > 0 {
            bench
                .run(ALICE, transfer(TransferKind::Transfer, 2, 3, start[1]))
                .unwrap();
        }
        let mut pending = CommandId(0);
        for step in case["steps"].as_array().unwrap() {
            match step[0].as_str().unwrap() {
                "pending" => {
                    let amount = step[1].as_u64().unwrap();
                    let mut r = reserve(t(TransferKind::Transfer, 2, 3, amount));
                    r.expires = Time(bench.now.0 + 1_000);
                    pending = bench.run(ALICE, Op::Reserve(r)).unwrap().id;
                }
                "post" => {
                    let amount = step[1].as_u64();
                    assert!(amount.is_some() || step[1] == "all", "{id}");
                    bench.run(BOB, Op::Post { pending, amount }).unwrap();
                }
                "void" => {
                    bench.run(BOB, Op::Void { pending }).unwrap();
                }
                "expire" | "timeout" => {
                    bench.now = Time(bench.now.0 + 1_000);
                    bench.run(SignerId(0), Op::Expire { pending }).unwrap();
                }
                other => panic!("{id}: unknown step {other}"),
            }
        }
        let (d, c) = (bench.counters(2), bench.counters(3));
        let found = [
            d.debits_pending,
            d.debits_posted,
            c.credits_pending,
            c.credits_posted,
        ];
        let expected = ["dp", "d", "cp", "c"].map(|key| case["expected"][key].as_u64().unwrap());
        assert_eq!(found, expected, "{id}");
    }
}
