//! What refuses, and with which code.
#![allow(missing_docs)]

use std::collections::{BTreeMap, BTreeSet};

use miyun_carbon::adjust::{self, Adjustment};
use miyun_carbon::calendar::Calendar;
use miyun_carbon::compliance::{self, Code, Entry, EntryKind};
use miyun_carbon::holding::{self, Holding};
use miyun_carbon::project::Project;
use miyun_carbon::{Error, Law, Ruled};
use miyun_core::{JurisdictionId, Period};
use miyun_rulebook::Rulebook;
use proptest::prelude::*;

fn sim(on: &str) -> Law<'static> {
    Law::new(
        Rulebook::embedded().instruments(),
        JurisdictionId::new("CN/sim").unwrap(),
        on.parse().unwrap(),
    )
}

fn period(text: &str) -> Period {
    text.parse().unwrap()
}

fn registered(reversible: bool) -> Project {
    let started = "2023-01-01".parse().unwrap();
    let (mut p, rule) = Project::propose(
        &sim("2025-01-01"),
        "LX-0001",
        "afforestation",
        started,
        false,
        reversible,
    )
    .unwrap();
    assert_eq!(rule.instrument, "CN/sim/registry-rules");
    p.validate("validator").unwrap();
    p.register().unwrap();
    p
}

#[test]
fn a_project_cannot_be_paid_twice_for_one_day() {
    let mut p = registered(false);
    p.monitor(period("2023-01-01..2023-12-31")).unwrap();
    let e = p.monitor(period("2023-12-31..2024-06-30")).unwrap_err();
    assert_eq!(e.code(), "monitoring_overlap");
    assert_eq!(p.monitoring.len(), 1, "a refusal changes nothing");
    p.monitor(period("2024-01-01..2024-06-30")).unwrap();
}

/// Guardian #2833: 100 requested, 110 minted after a retry; #2019: N services mint N times.
#[test]
fn a_retry_never_mints() {
    let law = sim("2025-01-01");
    let mut p = registered(true);
    let n = p.monitor(period("2023-01-01..2023-12-31")).unwrap();
    assert_eq!(p.issue(&law, n, 100).unwrap_err().code(), "field");
    assert_eq!(p.verify(n, "validator", 100).unwrap_err().code(), "field");
    p.verify(n, "verifier", 100).unwrap();
    let i = p.issue(&law, n, 100).unwrap();
    assert_eq!((i.owner, i.buffer), (90, 10));
    assert!(i.buffer_rule.is_some());
    for _ in 0..5 {
        assert_eq!(
            p.issue(&law, n, 100).unwrap_err().code(),
            "more_than_verified"
        );
        assert_eq!(
            p.issue(&law, n, 10).unwrap_err().code(),
            "more_than_verified"
        );
        assert_eq!(
            p.issue(&law, n, u64::MAX).unwrap_err().code(),
            "more_than_verified"
        );
    }
    assert_eq!(p.monitoring[n].issued, 100);
}

#[test]
fn a_project_starts_late_enough_under_an_open_methodology() {
    let propose = |methodology: &str, started: &str| {
        Project::propose(
            &sim("2025-01-01"),
            "X",
            methodology,
            started.parse().unwrap(),
            false,
            false,
        )
    };
    assert_eq!(
        propose("afforestation", "2012-11-07").unwrap_err().code(),
        "field"
    );
    assert_eq!(
        propose("cold-fusion", "2023-01-01").unwrap_err().code(),
        "no_rule"
    );
    let early = Project::propose(
        &Law::new(
            Rulebook::embedded().instruments(),
            JurisdictionId::new("CN/sim").unwrap(),
            "2023-01-01".parse().unwrap(),
        ),
        "X",
        "afforestation",
        "2022-01-01".parse().unwrap(),
        false,
        false,
    );
    assert_eq!(early.unwrap_err().code(), "field");
}

#[test]
fn nothing_leaves_before_it_is_authorised_and_adjusted() {
    let law = sim("2025-01-01");
    let a = Adjustment::None;
    assert_eq!(adjust::export(&law, a).unwrap_err().code(), "export_gate");
    assert_eq!(a.apply().unwrap_err().code(), "adjustment_state");
    let a = a.authorise().unwrap();
    assert_eq!(adjust::export(&law, a).unwrap_err().code(), "export_gate");
    assert_eq!(a.authorise().unwrap_err().code(), "adjustment_state");
    let a = a.apply().unwrap();
    assert_eq!(a.revoke().unwrap_err().code(), "adjustment_state");
    assert_eq!(adjust::export(&law, a).unwrap().clause, "8.5");
}

#[test]
fn related_parties_share_one_limit() {
    let limit =
        holding::of_holder(&sim("2025-01-01"), holding::HolderClass::Institution, 99).unwrap();
    assert_eq!(limit.value, 1_000_000);
    let h = |held, exempt| Holding { held, exempt };
    let mut group = BTreeMap::from([("a".into(), h(600_000, 0)), ("b".into(), h(400_000, 0))]);
    assert_eq!(holding::admit("g", &group, &limit), Ok(1_000_000));
    group.insert("b".into(), h(400_001, 0));
    let e = holding::admit("g", &group, &limit).unwrap_err();
    assert_eq!(
        e,
        Error::HoldingLimit {
            group: "g".into(),
            held: 1_000_001,
            limit: 1_000_000
        }
    );
    group.insert("b".into(), h(400_001, 1));
    assert!(holding::admit("g", &group, &limit).is_ok());
    group.insert("c".into(), h(u64::MAX, 0));
    assert_eq!(
        holding::admit("g", &group, &limit).unwrap_err().code(),
        "overflow"
    );
}

#[test]
fn the_deadline_state_stays_when_the_debt_is_paid_late() {
    let law = sim("2025-12-01");
    let t = |text: &str| text.parse().unwrap();
    let entry = |at: &str, what| Entry {
        at: t(at),
        year: 2024,
        what,
    };
    let entries = [
        entry("2025-04-20T10:00", EntryKind::Verified(1000)),
        entry("2025-10-31T17:00", EntryKind::Surrendered(600)),
        entry("2025-11-05T10:00", EntryKind::Surrendered(400)),
    ];
    let before = compliance::state(&law, 2024, 2024, &entries[..1], t("2025-10-01T00:00")).unwrap();
    assert_eq!(
        (before.at_deadline, before.now, before.missing),
        (None, Code::B, 1000)
    );
    let after = compliance::state(&law, 2024, 2024, &entries, t("2025-12-01T00:00")).unwrap();
    assert_eq!(after.at_deadline, Some(Code::B));
    assert_eq!(after.now, Code::A);
    assert_eq!((after.surrendered_at_deadline, after.missing), (600, 0));
    assert_eq!(after.deadline.rule.clause, "6.2");
    let silent = compliance::state(&law, 2024, 2024, &[], t("2025-12-01T00:00")).unwrap();
    assert_eq!(silent.at_deadline, Some(Code::C));
    assert_eq!(
        compliance::state(&law, 2019, 2019, &[], t("2025-12-01T00:00"))
            .unwrap_err()
            .code(),
        "no_rule"
    );
}

#[test]
fn holidays_and_extra_workdays_count() {
    let holiday = BTreeSet::from(["2026-02-17".parse().unwrap()]);
    let workday = BTreeSet::from(["2026-02-15".parse().unwrap()]);
    let Ruled { value: c, .. } = Calendar::of(&sim("2026-02-01"), holiday, workday).unwrap();
    // Saturday; the Sunday is worked for once, the Tuesday is a holiday.
    let at = "2026-02-14T12:00".parse().unwrap();
    assert_eq!(c.next_open(at), Some("2026-02-15T10:00".parse().unwrap()));
    assert_eq!(
        c.after_days(at, 2),
        Some("2026-02-18T10:00".parse().unwrap())
    );
    assert_eq!(c.after_days(at, u64::MAX), None);
}

proptest! {
    #[test]
    fn delays_end_in_open_hours_and_grow(minutes in 0i64..200_000, days in 0u64..30) {
        let c = Calendar::of(&sim("2026-02-01"), BTreeSet::new(), BTreeSet::new()).unwrap().value;
        let start: jiff::civil::DateTime = "2026-01-01T00:00".parse().unwrap();
        let at = start.checked_add(jiff::Span::new().minutes(minutes)).unwrap();
        let end = c.after_days(at, days).unwrap();
        prop_assert!(end >= at && c.open_on(end.date()));
        prop_assert!(end.time() >= c.opens && end.time() < c.closes);
        prop_assert!(c.after_days(at, days + 1).unwrap() > end);
        // Half a delay and then the other half is the whole delay.
        let half = c.after_open(at, days * c.day_seconds() / 2).unwrap();
        let whole = c.after_open(half, days * c.day_seconds() - days * c.day_seconds() / 2).unwrap();
        prop_assert_eq!(whole, end);
    }

    #[test]
    fn usable_offsets_always_pass_the_gate(base in 0u64..10_000_000, local in 0u64..1_000_000, outside in 0u64..1_000_000) {
        let caps = miyun_carbon::offset::caps(&sim("2025-01-01"), base).unwrap();
        let none = miyun_carbon::offset::Usable { local: 0, outside: 0 };
        let use_ = caps.usable(local, outside);
        prop_assert!(caps.admit(none, use_).is_ok());
        prop_assert!(use_.local <= local && use_.outside <= outside);
    }
}
