//! The registry at work.
#![allow(missing_docs)]

mod common;

use common::{LEDGER, World, key, setup, transfer};
use miyun_carbon::compliance::Code;
use miyun_carbon::retire::{Reason, Retirement};
use miyun_journal::MemStorage;
use miyun_journal::proof::Proof;
use miyun_registry::book::JournalBook;
use miyun_registry::fold::Filing;
use miyun_registry::model::TransferState;
use miyun_registry::request::{Amount, Envelope};
use miyun_registry::service::Registry;
use miyun_registry::{Ask, Error, certificate, export};

fn retire(asset: &str, amount: u64) -> Ask {
    Ask::Retire {
        asset: asset.into(),
        amount: Amount::from(amount),
        serials: None,
        retirement: Retirement {
            beneficiary: "临汐马拉松组委会（模拟）Linxi Marathon".into(),
            reason: Reason::Event,
            jurisdiction: "CN/sim".into(),
            note: "2025".into(),
        },
    }
}

#[test]
fn a_transfer_waits_for_a_second_person_and_four_business_days() {
    let w = World::small();
    let proposed = w.ask("a:one", transfer("b", 30_000)).unwrap();
    assert_eq!(proposed.transfer, Some(TransferState::Proposed));
    let approve = || Ask::Approve {
        transfer: proposed.id.clone(),
    };
    assert_eq!(w.ask("a:one", approve()).unwrap_err().code(), "same_person");
    assert_eq!(w.ask("b:one", approve()).unwrap_err().code(), "role");
    let approved = w.ask("a:two", approve()).unwrap();
    // Thursday 11:30 in UTC+8; the next Wednesday 11:30.
    assert_eq!(approved.effective.as_deref(), Some("2025-03-12T03:30:00Z"));
    assert!(
        approved
            .rule
            .starts_with("CN/sim/registry-rules#transfer 2.1"),
        "{}",
        approved.rule
    );
    assert_eq!(
        w.ask("a:two", approve()).unwrap_err().code(),
        "transfer_state"
    );
    let settle = || Ask::Settle {
        transfer: proposed.id.clone(),
    };
    assert_eq!(
        w.ask("b:one", settle()).unwrap_err().code(),
        "pending_too_early"
    );
    assert_eq!(
        (w.held("a", "LXA-2024"), w.held("b", "LXA-2024")),
        (100_000, 50_000)
    );
    w.go("2025-03-12T03:29:59Z");
    assert_eq!(w.registry.tick().unwrap(), 0);
    w.go("2025-03-12T03:30:00Z");
    assert_eq!(w.registry.tick().unwrap(), 1);
    assert_eq!(
        (w.held("a", "LXA-2024"), w.held("b", "LXA-2024")),
        (70_000, 80_000)
    );
    assert_eq!(w.registry.model().net_sold("a", "LXA-2024"), 30_000);
    assert!(w.registry.balance("LXA-2024").unwrap().balanced);
}

#[test]
fn a_proposal_that_nobody_approves_gives_everything_back() {
    let w = World::small();
    let p = w.ask("a:one", transfer("b", 100_000)).unwrap();
    assert_eq!(
        w.ask("a:one", transfer("b", 1)).unwrap_err().code(),
        "insufficient"
    );
    w.go("2025-03-08T03:30:00Z");
    let e = w
        .ask(
            "a:two",
            Ask::Approve {
                transfer: p.id.clone(),
            },
        )
        .unwrap_err();
    assert!(e.to_string().contains("lapsed"), "{e}");
    assert_eq!(
        w.ask("a:one", transfer("b", 1)).unwrap().transfer,
        Some(TransferState::Proposed)
    );
}

#[test]
fn trusted_parties_wait_once() {
    let w = World::small();
    w.ask("a:one", Ask::Trust { party: "b".into() }).unwrap();
    w.go("2025-03-12T03:30:00Z");
    let p = w.ask("a:one", transfer("b", 10)).unwrap();
    let done = w.ask("a:two", Ask::Approve { transfer: p.id }).unwrap();
    assert_eq!(done.transfer, Some(TransferState::Settled));
    assert!(done.rule.contains("2.4"), "{}", done.rule);
    assert_eq!(w.held("b", "LXA-2024"), 50_010);
}

#[test]
fn sent_twice_is_done_once() {
    let w = World::small();
    let e = w.signed("a:one", retire("LXA-2024", 10));
    let first = w.registry.submit_envelope(&e).unwrap();
    let trace = w.trace();
    let second = w.registry.submit_envelope(&e).unwrap();
    assert!(second.replayed && !first.replayed);
    assert_eq!((second.record, second.rule), (first.record, first.rule));
    assert_eq!(w.trace(), trace);
    // The same id for something else.
    let mut request = e.open().unwrap();
    request.ask = retire("LXA-2024", 11);
    let other = Envelope::sign(&LEDGER, "a:one", &request, &key("a:one")).unwrap();
    assert_eq!(
        w.registry.submit_envelope(&other).unwrap_err().code(),
        "id_reused"
    );
    assert_eq!(w.trace(), trace);
}

#[test]
fn refusals_have_codes_and_change_nothing() {
    let w = World::small();
    let amount = |text: &str| Ask::Transfer {
        asset: "LXA-2024".into(),
        to: "b".into(),
        amount: Amount(text.into()),
        serials: None,
    };
    w.bureau(Ask::Freeze {
        party: "d".into(),
        frozen: true,
        reason: "court".into(),
    });
    let trace = w.trace();
    let check = |got: Result<_, Error>, code: &str| {
        assert_eq!(got.unwrap_err().code(), code);
        assert_eq!(w.trace(), trace, "{code} changed something");
    };
    check(w.ask("a:one", amount("0")), "zero_amount");
    check(w.ask("a:one", amount("-5")), "negative_amount");
    check(
        w.ask("a:one", amount("18446744073709551616")),
        "amount_overflow",
    );
    check(w.ask("a:one", amount("1e3")), "malformed");
    check(
        w.ask("a:one", amount("18446744073709551615")),
        "insufficient",
    );
    check(w.ask("a:one", transfer("nobody", 1)), "unknown");
    check(w.ask("a:one", transfer("a", 1)), "same_account");
    check(w.ask("a:one", transfer("d", 1)), "frozen");
    check(w.ask("d:one", transfer("a", 1)), "frozen");
    check(w.ask("a:three", transfer("b", 1)), "unknown");
    check(
        w.ask(
            "ver:one",
            Ask::Allocate {
                asset: "LXA-2024".into(),
                to: "a".into(),
                amount: Amount::from(1),
            },
        ),
        "role",
    );
    // Somebody else's key, a changed text, another ledger.
    let good = w.signed("a:one", transfer("b", 1));
    let request = good.open().unwrap();
    let forged = Envelope::sign(&LEDGER, "a:one", &request, &key("b:one")).unwrap();
    check(w.registry.submit_envelope(&forged), "wrong_signer");
    let mut changed = good.clone();
    changed.request = changed
        .request
        .replace("\"amount\":\"1\"", "\"amount\":\"9\"");
    assert_ne!(changed.request, good.request);
    check(w.registry.submit_envelope(&changed), "wrong_signer");
    let elsewhere = Envelope::sign(&[8; 32], "a:one", &request, &key("a:one")).unwrap();
    check(w.registry.submit_envelope(&elsewhere), "wrong_signer");
    // Outside its window, either side; a window without end.
    let mut late = w.request(transfer("b", 1));
    late.until = late.from.clone();
    check(
        w.registry
            .submit_envelope(&Envelope::sign(&LEDGER, "a:one", &late, &key("a:one")).unwrap()),
        "out_of_window",
    );
    let mut early = w.request(transfer("b", 1));
    early.from = "2025-03-07T00:00:00Z".into();
    early.until = "2025-03-08T00:00:00Z".into();
    check(
        w.registry
            .submit_envelope(&Envelope::sign(&LEDGER, "a:one", &early, &key("a:one")).unwrap()),
        "out_of_window",
    );
    let mut long = w.request(transfer("b", 1));
    long.until = "2026-03-06T00:00:00Z".into();
    check(
        w.registry
            .submit_envelope(&Envelope::sign(&LEDGER, "a:one", &long, &key("a:one")).unwrap()),
        "window_too_long",
    );
    check(w.registry.submit(b"{"), "malformed");
    check(w.registry.submit(&vec![b' '; 1 << 20]), "malformed");
    // Removed representatives no longer sign.
    w.bureau(Ask::RemoveRepresentative {
        party: "a".into(),
        representative: "one".into(),
    });
    assert_eq!(
        w.ask("a:one", transfer("b", 1)).unwrap_err().code(),
        "unknown"
    );
}

#[test]
fn one_block_is_spent_once_by_thirty_two_threads() {
    let w = World::small();
    w.credits("LX-0001", false, false);
    let envelopes: Vec<Envelope> = (0..32)
        .map(|n| {
            let by = if n % 2 == 0 { "dev:one" } else { "dev:two" };
            w.signed(
                by,
                Ask::Retire {
                    asset: "LX-0001-P0".into(),
                    amount: Amount::from(1_000),
                    serials: Some([1, 1_000]),
                    retirement: Retirement {
                        beneficiary: format!("client {n}"),
                        reason: Reason::Neutrality,
                        jurisdiction: "CN/sim".into(),
                        note: String::new(),
                    },
                },
            )
        })
        .collect();
    let won: Vec<bool> = std::thread::scope(|s| {
        let threads: Vec<_> = envelopes
            .iter()
            .map(|e| {
                let r = &w.registry;
                s.spawn(move || {
                    let (a, b) = (r.submit_envelope(e), r.submit_envelope(e));
                    assert_eq!(a.is_ok(), b.is_ok());
                    a.is_ok()
                })
            })
            .collect();
        threads.into_iter().map(|t| t.join().unwrap()).collect()
    });
    assert_eq!(won.iter().filter(|w| **w).count(), 1);
    assert_eq!(w.registry.model().retirements().count(), 1);
    let b = w.registry.balance("LX-0001-P0").unwrap();
    assert!(b.balanced && b.serials == Some(true), "{b:?}");
}

#[test]
fn credits_from_project_to_certificate() {
    let w = World::small();
    w.credits("LX-0001", false, true);
    assert_eq!(w.held("dev", "LX-0001-P0"), 900);
    let again = w.ask(
        "bureau:operator",
        Ask::IssueCredits {
            project: "LX-0001".into(),
            period: 0,
            tonnes: Amount::from(10),
        },
    );
    assert_eq!(again.unwrap_err().code(), "more_than_verified");
    let overlap = w.ask(
        "dev:one",
        Ask::Monitor {
            project: "LX-0001".into(),
            from: "2023-12-31".parse().unwrap(),
            until: "2024-01-31".parse().unwrap(),
        },
    );
    assert_eq!(overlap.unwrap_err().code(), "monitoring_overlap");
    let lost = |t| Ask::ReverseProject {
        asset: "LX-0001-P0".into(),
        tonnes: Amount::from(t),
        reason: "fire".into(),
    };
    assert_eq!(
        w.ask("bureau:operator", lost(101)).unwrap_err().code(),
        "insufficient"
    );
    w.bureau(lost(40));
    let export = || Ask::Export {
        asset: "LX-0001-P0".into(),
        amount: Amount::from(100),
        serials: Some([1, 100]),
        registry: "elsewhere".into(),
    };
    assert_eq!(
        w.ask("dev:one", export()).unwrap_err().code(),
        "export_gate"
    );
    let adjust = |to: &str| Ask::Adjust {
        asset: "LX-0001-P0".into(),
        first: 1,
        last: 100,
        to: to.into(),
    };
    assert_eq!(
        w.ask("bureau:operator", adjust("applied"))
            .unwrap_err()
            .code(),
        "adjustment_state"
    );
    w.bureau(adjust("authorised"));
    assert_eq!(
        w.ask("dev:one", export()).unwrap_err().code(),
        "export_gate"
    );
    w.bureau(adjust("applied"));
    w.ask("dev:one", export()).unwrap();
    let done = w
        .ask(
            "dev:one",
            Ask::Retire {
                asset: "LX-0001-P0".into(),
                amount: Amount::from(300),
                serials: Some([101, 400]),
                retirement: Retirement {
                    beneficiary: "临汐马拉松".into(),
                    reason: Reason::Event,
                    jurisdiction: "CN/sim".into(),
                    note: String::new(),
                },
            },
        )
        .unwrap();
    assert_eq!(done.serials, [[101, 400]]);
    let b = w.registry.balance("LX-0001-P0").unwrap();
    assert!(b.balanced && b.serials == Some(true), "{b:?}");
    let part = |k: &str| b.parts.iter().find(|(n, _)| n == k).map(|(_, t)| *t);
    assert_eq!(
        (
            b.issued,
            part("retired"),
            part("exported"),
            part("buffer"),
            part("cancelled"),
            part("holding")
        ),
        (1_000, Some(300), Some(100), Some(60), Some(40), Some(500))
    );
    // The proof holds the signed request, and a stranger needs the operator's key only.
    let proof = w.registry.proof(done.record).unwrap();
    let proof = Proof::from_json(&proof.to_json().to_string()).unwrap();
    let proved = proof.check(&w.registry.operator_key()).unwrap();
    assert_eq!(proved.number, done.record);
    let (filing, _) = Filing::of(done.record, &proved.record.command)
        .unwrap()
        .unwrap();
    filing
        .envelope
        .check(&LEDGER, &key("dev:one").verifying_key().to_bytes())
        .unwrap();
    assert!(filing.envelope.request.contains("临汐马拉松"));
    assert!(
        proof
            .check(&key("stranger").verifying_key().to_bytes())
            .is_err()
    );
    let model = w.registry.model();
    let pdf = certificate::pdf(
        &model,
        model.retirement(&done.id).unwrap(),
        &proof,
        "https://registry.example",
    )
    .unwrap();
    assert!(
        pdf.starts_with(b"%PDF-") && pdf.len() > 5_000,
        "{}",
        pdf.len()
    );
    let steps: Vec<&str> = model
        .project("LX-0001")
        .unwrap()
        .history
        .iter()
        .map(|s| s.what.as_str())
        .collect();
    assert_eq!(
        steps,
        [
            "propose", "validate", "register", "monitor", "verify", "issue", "reversal", "adjust",
            "adjust", "export", "retire"
        ]
    );
    drop(model);
    let cad = export::cad_trust(&w.registry).unwrap();
    let units = cad["unit"].as_array().unwrap();
    let sum: u64 = units.iter().map(|u| u["unitCount"].as_u64().unwrap()).sum();
    assert_eq!(sum, 1_000, "blocks partition what was issued");
    assert!(units.iter().any(
        |u| u["unitStatus"] == "Exported" && u["correspondingAdjustmentStatus"] == "Completed"
    ));
    assert_eq!(cad["simulated"], true);
}

#[test]
fn a_compliance_year_with_offsets_short_and_late_surrender() {
    let w = World::small();
    w.credits("LX-0001", false, false);
    w.credits("LX-0002", true, false);
    for (project, to) in [("LX-0001", "a"), ("LX-0002", "a")] {
        let p = w
            .ask(
                "dev:one",
                Ask::Transfer {
                    asset: format!("{project}-P0"),
                    to: to.into(),
                    amount: Amount::from(1_000),
                    serials: None,
                },
            )
            .unwrap();
        w.ask("dev:two", Ask::Approve { transfer: p.id }).unwrap();
    }
    let report = |p: &str, t: u64| Ask::ReportEmissions {
        party: p.into(),
        year: 2024,
        tonnes: Amount::from(t),
    };
    w.ask("ver:one", report("a", 9_000)).unwrap();
    w.ask("ver:one", report("b", 60_000)).unwrap();
    assert_eq!(w.ask("b:one", report("b", 1)).unwrap_err().code(), "role");
    w.go("2025-04-01T03:00:00Z");
    assert_eq!(w.registry.tick().unwrap(), 2);
    let offset = |asset: &str, t: u64| Ask::UseOffset {
        asset: asset.into(),
        amount: Amount::from(t),
        year: 2024,
    };
    let surrender = |t: u64| Ask::Surrender {
        asset: "LXA-2024".into(),
        amount: Amount::from(t),
        year: 2024,
    };
    w.ask("a:one", offset("LX-0001-P0", 500)).unwrap();
    w.ask("a:one", offset("LX-0002-P0", 1_000)).unwrap();
    w.ask("a:one", surrender(7_500)).unwrap();
    w.ask("b:one", surrender(50_000)).unwrap();
    w.go("2025-11-03T03:00:00Z");
    let rows = w.registry.compliance(2024, w.registry.now()).unwrap();
    let of = |p: &str| rows.iter().find(|r| r.party == p).unwrap();
    assert_eq!(of("a").state.at_deadline, Some(Code::A));
    assert_eq!(
        (of("b").state.at_deadline, of("b").state.missing),
        (Some(Code::B), 10_000)
    );
    w.allocate("b", 10_000);
    w.ask("b:one", surrender(10_000)).unwrap();
    let rows = w.registry.compliance(2024, w.registry.now()).unwrap();
    let b = rows.iter().find(|r| r.party == "b").unwrap();
    assert_eq!(
        (b.state.at_deadline, b.state.now),
        (Some(Code::B), Code::A),
        "the deadline state stays"
    );
}

#[test]
fn offset_caps_and_holding_limits_hold() {
    let w = World::small();
    w.credits("LX-0002", true, false);
    let p = w
        .ask(
            "dev:one",
            Ask::Transfer {
                asset: "LX-0002-P0".into(),
                to: "b".into(),
                amount: Amount::from(1_000),
                serials: None,
            },
        )
        .unwrap();
    w.ask("dev:two", Ask::Approve { transfer: p.id }).unwrap();
    w.go("2025-04-01T03:00:00Z");
    w.registry.tick().unwrap();
    // b was allocated 50,000 t: 2,500 t in all, 1,250 t from outside; it is a small unit here.
    w.party("e", miyun_registry::request::Role::Compliance, None);
    w.allocate("e", 10_000);
    let p = w
        .ask(
            "b:one",
            Ask::Transfer {
                asset: "LX-0002-P0".into(),
                to: "e".into(),
                amount: Amount::from(1_000),
                serials: None,
            },
        )
        .unwrap();
    w.ask("b:two", Ask::Approve { transfer: p.id }).unwrap();
    w.go("2025-04-20T03:00:00Z");
    w.registry.tick().unwrap();
    let offset = |t: u64| Ask::UseOffset {
        asset: "LX-0002-P0".into(),
        amount: Amount::from(t),
        year: 2024,
    };
    assert_eq!(
        w.ask("e:one", offset(251)).unwrap_err().code(),
        "offset_cap"
    );
    w.ask("e:one", offset(250)).unwrap();
    assert_eq!(w.ask("e:one", offset(1)).unwrap_err().code(), "offset_cap");
    // Group cd may hold 1,000,000 t, however it spreads them.
    w.allocate("a", 1_500_000);
    let give = |to: &str, t: u64| w.ask("a:one", transfer(to, t));
    give("c", 600_000).unwrap();
    assert_eq!(give("d", 400_001).unwrap_err().code(), "holding_limit");
    give("d", 400_000).unwrap();
    assert_eq!(give("c", 1).unwrap_err().code(), "holding_limit");
}

#[test]
fn carry_over_follows_the_rule_and_conserves() {
    let w = World::small();
    w.bureau(Ask::IssueAllowances {
        programme: "LXA".into(),
        vintage: 2025,
        amount: Amount::from(1_000),
    });
    let carry = || Ask::CarryOver {
        asset: "LXA-2024".into(),
        into: "LXA-2025".into(),
    };
    w.ask("b:one", carry()).unwrap();
    assert_eq!(
        (w.held("b", "LXA-2024"), w.held("b", "LXA-2025")),
        (40_000, 10_000)
    );
    assert_eq!(
        w.ask("b:one", carry()).unwrap_err().code(),
        "limit_exceeded",
        "not twice"
    );
    for asset in ["LXA-2024", "LXA-2025"] {
        assert!(w.registry.balance(asset).unwrap().balanced, "{asset}");
    }
    assert_eq!(w.registry.balance("LXA-2025").unwrap().issued, 11_000);
}

#[test]
fn a_correction_moves_back_and_deletes_nothing() {
    let w = World::small();
    let p = w.ask("a:one", transfer("b", 30_000)).unwrap();
    w.ask(
        "a:two",
        Ask::Approve {
            transfer: p.id.clone(),
        },
    )
    .unwrap();
    w.go("2025-03-13T03:30:00Z");
    w.registry.tick().unwrap();
    let correct = || Ask::Correct {
        request: p.id.clone(),
        reason: "wrong party".into(),
    };
    assert_eq!(w.ask("a:one", correct()).unwrap_err().code(), "role");
    w.bureau(correct());
    assert_eq!(
        (w.held("a", "LXA-2024"), w.held("b", "LXA-2024")),
        (100_000, 50_000)
    );
    assert!(w.ask("bureau:operator", correct()).is_err(), "not twice");
    let model = w.registry.model();
    assert_eq!(
        model.lines().iter().filter(|l| l.what == "reverse").count(),
        1
    );
    assert_eq!(
        model
            .lines()
            .iter()
            .filter(|l| l.what == "transfer")
            .count(),
        1
    );
}

#[test]
fn state_is_the_fold_of_the_journal() {
    let storage = MemStorage::new();
    let w = World::on(storage.clone());
    w.party("a", miyun_registry::request::Role::Compliance, None);
    w.party("b", miyun_registry::request::Role::Compliance, None);
    w.bureau(Ask::IssueAllowances {
        programme: "LXA".into(),
        vintage: 2024,
        amount: Amount::from(100),
    });
    w.allocate("a", 100);
    let p = w.ask("a:one", transfer("b", 30)).unwrap();
    w.ask(
        "a:two",
        Ask::Approve {
            transfer: p.id.clone(),
        },
    )
    .unwrap();
    let before = (w.trace(), format!("{:?}", *w.registry.model()));
    let clock = std::sync::Arc::clone(&w.clock);
    drop(w);
    let setup = setup(&clock);
    let (book, model, recovery) = JournalBook::open(storage, &setup.operator).unwrap();
    assert!(recovery.cut.is_none());
    let again = Registry::over(Box::new(book), setup, model);
    let digest = again.look(|s| format!("{:?}", s.digest())).unwrap();
    assert_eq!(
        (
            (again.model().records(), digest),
            format!("{:?}", *again.model())
        ),
        before
    );
    clock.store(
        common::millis("2025-03-12T03:30:00Z"),
        std::sync::atomic::Ordering::SeqCst,
    );
    assert_eq!(
        again.tick().unwrap(),
        1,
        "what was due after the restart is done"
    );
}
