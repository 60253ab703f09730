//! The worked examples of `rulebook/carbon/carbon.examples.md`.
#![allow(missing_docs)]

use std::collections::BTreeSet;

use miyun_carbon::{Law, LawError, calendar, carry, holding, offset, penalty};
use miyun_core::JurisdictionId;
use miyun_rulebook::{EMBEDDED, Rulebook};

/// Rows of the blocks fenced with `fence`: cells by column name.
fn rows(fence: &str) -> Vec<Vec<(String, String)>> {
    let (_, text) = EMBEDDED
        .iter()
        .find(|(name, _)| name.ends_with("carbon/carbon.examples.md"))
        .unwrap();
    let mut out = Vec::new();
    let open = format!("```{fence}");
    let mut header: Option<Vec<String>> = None;
    let mut inside = false;
    for line in text.lines() {
        if line == open {
            inside = true;
            header = None;
        } else if line.starts_with("```") {
            inside = false;
        } else if inside {
            let cells: Vec<String> = line.split('|').map(|c| c.trim().to_owned()).collect();
            match &header {
                None => header = Some(cells),
                Some(h) => out.push(h.iter().cloned().zip(cells).collect()),
            }
        }
    }
    assert!(!out.is_empty(), "no {fence} examples");
    out
}

fn get<'r>(row: &'r [(String, String)], column: &str) -> &'r str {
    &row.iter().find(|(c, _)| c == column).unwrap().1
}

fn law(row: &[(String, String)]) -> Law<'static> {
    Law::new(
        Rulebook::embedded().instruments(),
        JurisdictionId::new(get(row, "jurisdiction")).unwrap(),
        get(row, "date").parse().unwrap(),
    )
}

fn no_rule<T: std::fmt::Debug>(r: Result<T, miyun_carbon::Error>) {
    let e = r.unwrap_err();
    assert!(
        matches!(e, miyun_carbon::Error::Law(LawError::None { .. })),
        "{e}"
    );
    assert_eq!(e.code(), "no_rule");
}

#[test]
fn offsets() {
    for row in rows("offset") {
        let caps = offset::caps(&law(&row), get(&row, "base").parse().unwrap());
        if get(&row, "instrument") == "-" {
            no_rule(caps);
            continue;
        }
        let caps = caps.unwrap();
        let used = caps.usable(
            get(&row, "local").parse().unwrap(),
            get(&row, "outside").parse().unwrap(),
        );
        assert_eq!(used.local.to_string(), get(&row, "usable_local"), "{row:?}");
        assert_eq!(
            used.outside.to_string(),
            get(&row, "usable_outside"),
            "{row:?}"
        );
        assert_eq!(caps.rule.instrument, *get(&row, "instrument"));
        assert!(!caps.rule.verified, "nobody has read these clauses");
        caps.admit(
            offset::Usable {
                local: 0,
                outside: 0,
            },
            used,
        )
        .unwrap();
        let one_more = offset::Usable {
            local: caps.total + 1,
            outside: 0,
        };
        assert_eq!(
            caps.admit(
                offset::Usable {
                    local: 0,
                    outside: 0
                },
                one_more
            )
            .unwrap_err()
            .code(),
            "offset_cap"
        );
    }
}

#[test]
fn carrying_over() {
    for row in rows("carry") {
        let r = carry::carry_over(
            &law(&row),
            get(&row, "sector"),
            2023,
            get(&row, "net_sold").parse().unwrap(),
            get(&row, "holding").parse().unwrap(),
        );
        if get(&row, "carried") == "no rule" {
            no_rule(r);
            continue;
        }
        let r = r.unwrap();
        assert_eq!(r.carried.to_string(), get(&row, "carried"), "{row:?}");
        assert_eq!(r.lapses.to_string(), get(&row, "lapses"), "{row:?}");
    }
}

#[test]
fn delays() {
    for row in rows("delay") {
        let approved: jiff::civil::DateTime = get(&row, "approved").parse().unwrap();
        let law = Law::new(
            Rulebook::embedded().instruments(),
            JurisdictionId::new("EU").unwrap(),
            approved.date(),
        );
        let none = BTreeSet::new();
        let d = calendar::delay(&law, &none, &none, approved).unwrap();
        assert_eq!(d.value.effective, get(&row, "effective").parse().unwrap());
        assert_eq!(d.rule.instrument, *get(&row, "instrument"));
    }
}

#[test]
fn fines() {
    for row in rows("penalty") {
        let fine = penalty::shortfall(
            &law(&row),
            get(&row, "missing").parse().unwrap(),
            get(&row, "price").parse().unwrap(),
        );
        if get(&row, "fine_min") == "no rule" {
            no_rule(fine);
            continue;
        }
        let fine = fine.unwrap();
        assert_eq!(fine.min_cny.to_string(), get(&row, "fine_min"), "{row:?}");
        assert_eq!(fine.max_cny.to_string(), get(&row, "fine_max"), "{row:?}");
    }
}

#[test]
fn holdings() {
    for row in rows("holding") {
        let base = get(&row, "base").parse().unwrap();
        let limit = match get(&row, "holder") {
            "-" => holding::of_budget(&law(&row), base),
            _ => holding::of_holder(&law(&row), holding::HolderClass::Compliance, base),
        };
        if get(&row, "instrument") == "-" {
            no_rule(limit);
            continue;
        }
        let limit = limit.unwrap();
        assert_eq!(limit.value.to_string(), get(&row, "limit"), "{row:?}");
        assert_eq!(limit.rule.instrument, *get(&row, "instrument"));
    }
}
