//! One instrument file.

use std::ops::Range;

use miyun_core::decimal::Rounding;
use miyun_core::rule::{
    Adoption, Body, Checked, Citation, Condition, InstrumentKind, LegalBasis, PlaceClass,
    RoundingRule, Stage, Table,
};
use miyun_core::{Instrument, Period};
use toml_edit::{Item, TableLike};

use crate::page::{Page, join};
use crate::table::{self, Scope};
use crate::vocabulary::Vocabulary;

const KINDS: [(&str, InstrumentKind); 9] = [
    ("law", InstrumentKind::Law),
    ("quality-standard", InstrumentKind::QualityStandard),
    ("discharge-standard", InstrumentKind::DischargeStandard),
    ("method", InstrumentKind::Method),
    ("factor", InstrumentKind::Factor),
    ("plan", InstrumentKind::Plan),
    ("permit", InstrumentKind::Permit),
    ("warning-plan", InstrumentKind::WarningPlan),
    ("guideline", InstrumentKind::Guideline),
];

/// Reads an instrument; what is wrong goes to the page's problems.
pub(crate) fn read(
    page: &mut Page<'_>,
    doc: &toml_edit::Table,
    vocabulary: &Vocabulary,
) -> Option<Instrument> {
    page.known_keys(
        doc,
        "",
        &[
            "instrument",
            "citation",
            "stage",
            "class",
            "table",
            "adopted",
            "legal_basis",
            "condition",
            "rounding",
        ],
    );
    let head_item = doc.get("instrument")?;
    let Some(head) = head_item.as_table_like() else {
        page.problem(
            "wrong-type",
            head_item.span(),
            "instrument",
            "instrument must be a table",
            "write [instrument]",
        );
        return None;
    };
    let span = head_item.span();
    page.known_keys(
        head,
        "instrument",
        &[
            "id",
            "title",
            "kind",
            "medium",
            "jurisdiction",
            "issuer",
            "issued",
            "in_force",
            "supersedes",
            "amends",
            "verified",
            "note",
        ],
    );
    let id = page
        .need_text(head, "instrument", "id", span.clone())
        .and_then(|t| page.id(&t, head.get("id").and_then(Item::span), "instrument.id"));
    let title = page.need_both(head, "instrument", "title", span.clone());
    let kind = kind(page, head, span.clone());
    let medium = page.need_text(head, "instrument", "medium", span.clone());
    let jurisdiction = page
        .need_text(head, "instrument", "jurisdiction", span.clone())
        .and_then(|t| {
            page.id(
                &t,
                head.get("jurisdiction").and_then(Item::span),
                "instrument.jurisdiction",
            )
        });
    let in_force = page
        .need(head, "instrument", "in_force", span)
        .and_then(|i| period(page, i, "instrument.in_force"));
    let verified = page.opt_bool(head, "instrument", "verified", true);
    let citations = citations(page, doc);
    let stages = stages(page, doc);
    let classes = classes(page, doc);
    let citation_ids: Vec<String> = citations.iter().map(|c| c.id.clone()).collect();
    let stage_ids: Vec<String> = stages.iter().map(|s| s.id.clone()).collect();
    let class_ids: Vec<String> = classes.iter().map(|c| c.id.clone()).collect();
    let scope = Scope {
        vocabulary,
        citations: &citation_ids,
        stages: &stage_ids,
        classes: &class_ids,
        verified,
    };
    let tables = tables(page, doc, &scope);
    let supersedes = ids(page, head, "supersedes");
    let amends = ids(page, head, "amends").into_iter().next();
    Some(Instrument {
        issuer: page
            .texts(head, "instrument", "issuer")
            .into_iter()
            .map(|(t, _)| t)
            .collect(),
        issued: page.opt_date(head, "instrument", "issued"),
        note: head
            .get("note")
            .and_then(|i| page.both(i, "instrument.note")),
        adopted: adopted(page, doc, &citation_ids),
        legal_basis: legal_basis(page, doc),
        id: id?,
        title: title?,
        kind: kind?,
        medium: medium?,
        jurisdiction: jurisdiction?,
        in_force: in_force?,
        supersedes,
        amends,
        citations,
        stages,
        classes,
        tables,
    })
}

fn kind(
    page: &mut Page<'_>,
    head: &dyn TableLike,
    span: Option<Range<usize>>,
) -> Option<InstrumentKind> {
    let text = page.need_text(head, "instrument", "kind", span)?;
    let found = KINDS.iter().find(|(n, _)| *n == text).map(|(_, k)| *k);
    if found.is_none() {
        let names: Vec<&str> = KINDS.iter().map(|(n, _)| *n).collect();
        page.problem(
            "unknown-kind",
            head.get("kind").and_then(Item::span),
            "instrument.kind",
            format!("unknown instrument kind {text:?}"),
            format!("use one of: {}", names.join(", ")),
        );
    }
    found
}

fn ids(page: &mut Page<'_>, head: &dyn TableLike, key: &str) -> Vec<miyun_core::InstrumentId> {
    let path = join("instrument", key);
    page.texts(head, "instrument", key)
        .into_iter()
        .filter_map(|(t, s)| page.id(&t, s, &path))
        .collect()
}

/// `{ from = ..., until = ... }`.
fn period(page: &mut Page<'_>, item: &Item, path: &str) -> Option<Period> {
    let Some(table) = item.as_table_like() else {
        page.problem(
            "wrong-type",
            item.span(),
            path,
            "expected { from = ..., until = ... }",
            "write { from = 2026-03-01 }",
        );
        return None;
    };
    page.known_keys(table, path, &["from", "until"]);
    let p = Period {
        from: page.opt_date(table, path, "from"),
        until: page.opt_date(table, path, "until"),
    };
    if matches!((p.from, p.until), (Some(f), Some(u)) if f > u) {
        page.problem(
            "period-reversed",
            item.span(),
            path,
            format!("the period ends before it begins: {p}"),
            "exchange the dates",
        );
        return None;
    }
    Some(p)
}

/// The tables of a `[[key]]` list.
fn list<'d>(
    page: &mut Page<'_>,
    doc: &'d toml_edit::Table,
    key: &str,
) -> Vec<&'d toml_edit::Table> {
    match doc.get(key) {
        None => Vec::new(),
        Some(Item::ArrayOfTables(a)) => a.iter().collect(),
        Some(other) => {
            page.problem(
                "wrong-type",
                other.span(),
                key,
                format!("{key} must be a list of tables"),
                format!("write [[{key}]]"),
            );
            Vec::new()
        }
    }
}

fn citations(page: &mut Page<'_>, doc: &toml_edit::Table) -> Vec<Citation> {
    let mut out: Vec<Citation> = Vec::new();
    let rows = list(page, doc, "citation");
    if rows.is_empty() {
        page.problem(
            "missing-citation",
            doc.get("instrument").and_then(Item::span),
            "citation",
            "the instrument has no citation",
            "add [[citation]] with id, title and checked = { on, how }",
        );
    }
    for t in rows {
        let span = t.span();
        page.known_keys(t, "citation", &["id", "title", "url", "sha256", "checked"]);
        let id = page.need_text(t, "citation", "id", span.clone());
        let title = page.need_text(t, "citation", "title", span.clone());
        let checked = page
            .need(t, "citation", "checked", span.clone())
            .and_then(|i| checked(page, i));
        let (url, sha256) = (
            page.opt_text(t, "citation", "url"),
            page.opt_text(t, "citation", "sha256"),
        );
        if let (Some(id), Some(title), Some(checked)) = (id, title, checked) {
            if out.iter().any(|c| c.id == id) {
                page.problem(
                    "duplicate-id",
                    span,
                    "citation.id",
                    format!("citation {id:?} is defined twice"),
                    "give each its own id",
                );
            } else {
                out.push(Citation {
                    id,
                    title,
                    url,
                    sha256,
                    checked,
                });
            }
        }
    }
    out
}

fn checked(page: &mut Page<'_>, item: &Item) -> Option<Checked> {
    let Some(table) = item.as_table_like() else {
        page.problem(
            "wrong-type",
            item.span(),
            "citation.checked",
            "expected { on = ..., how = \"...\" }",
            "say when and how it was compared",
        );
        return None;
    };
    page.known_keys(table, "citation.checked", &["on", "how", "by"]);
    let on = page
        .need(table, "citation.checked", "on", item.span())
        .and_then(|i| page.date(i, "citation.checked.on"));
    let how = page.need_text(table, "citation.checked", "how", item.span());
    Some(Checked { on: on?, how: how? })
}

fn stages(page: &mut Page<'_>, doc: &toml_edit::Table) -> Vec<Stage> {
    let Some(table) = doc.get("stage").and_then(Item::as_table_like) else {
        return Vec::new();
    };
    let mut out: Vec<Stage> = Vec::new();
    for (id, item) in table.iter() {
        if let Some(p) = period(page, item, &join("stage", id)) {
            if let Some(last) = out.last() {
                let next = last.period.until.and_then(|u| u.tomorrow().ok());
                if next != p.from || next.is_none() {
                    page.problem("stage-gap", item.span(), &join("stage", id), format!("stage {id} does not begin on the day after {}", last.id), "stages follow each other without gap or overlap; only the last may be open");
                }
            }
            out.push(Stage {
                id: id.to_owned(),
                period: p,
            });
        }
    }
    out
}

fn classes(page: &mut Page<'_>, doc: &toml_edit::Table) -> Vec<PlaceClass> {
    let Some(table) = doc.get("class").and_then(Item::as_table_like) else {
        return Vec::new();
    };
    let mut out = Vec::new();
    for (id, item) in table.iter() {
        let path = join("class", id);
        let Some(t) = item.as_table_like() else {
            page.problem(
                "wrong-type",
                item.span(),
                &path,
                "expected { zone = ..., zh = ..., en = ... }",
                "give zone and both names",
            );
            continue;
        };
        page.known_keys(t, &path, &["zone", "zh", "en"]);
        let zone = page.opt_text(t, &path, "zone");
        let zh = page.need_text(t, &path, "zh", item.span());
        let en = page.need_text(t, &path, "en", item.span());
        if let (Some(zh), Some(en)) = (zh, en) {
            out.push(PlaceClass {
                id: id.to_owned(),
                zone,
                name: miyun_core::Text { zh, en },
            });
        }
    }
    out
}

fn adopted(page: &mut Page<'_>, doc: &toml_edit::Table, citations: &[String]) -> Vec<Adoption> {
    let mut out = Vec::new();
    for t in list(page, doc, "adopted") {
        page.known_keys(t, "adopted", &["jurisdiction", "from", "citation"]);
        let jurisdiction = page
            .need_text(t, "adopted", "jurisdiction", t.span())
            .and_then(|j| page.id(&j, t.span(), "adopted.jurisdiction"));
        let from = page
            .need(t, "adopted", "from", t.span())
            .and_then(|i| page.date(i, "adopted.from"));
        let citation = page.need_text(t, "adopted", "citation", t.span());
        if let Some(c) = citation.as_ref().filter(|c| !citations.contains(c)) {
            page.problem(
                "unresolved-citation",
                t.get("citation").and_then(Item::span),
                "adopted",
                format!("no citation {c:?} in this file"),
                format!("known citations: {}", citations.join(", ")),
            );
        }
        if let (Some(jurisdiction), Some(from), Some(citation)) = (jurisdiction, from, citation) {
            out.push(Adoption {
                jurisdiction,
                from,
                citation,
            });
        }
    }
    out
}

fn legal_basis(page: &mut Page<'_>, doc: &toml_edit::Table) -> Vec<LegalBasis> {
    let mut out = Vec::new();
    for t in list(page, doc, "legal_basis") {
        page.known_keys(
            t,
            "legal_basis",
            &["law", "clause", "from", "until", "verified", "note"],
        );
        if let Some(law) = page.need_both(t, "legal_basis", "law", t.span()) {
            out.push(LegalBasis {
                law,
                clause: page.opt_text(t, "legal_basis", "clause"),
                from: page.opt_date(t, "legal_basis", "from"),
                until: page.opt_date(t, "legal_basis", "until"),
                verified: page.opt_bool(t, "legal_basis", "verified", false),
                note: page.opt_text(t, "legal_basis", "note"),
            });
        }
    }
    out
}

fn tables(page: &mut Page<'_>, doc: &toml_edit::Table, scope: &Scope<'_>) -> Vec<Table> {
    let mut out: Vec<Table> = Vec::new();
    for t in list(page, doc, "table") {
        if let Some(table) = table::read(page, t, t.span(), "table", scope) {
            if out.iter().any(|o| o.id == table.id) {
                page.problem(
                    "duplicate-id",
                    t.get("id").and_then(Item::span).or(t.span()),
                    "table.id",
                    format!("table {:?} is defined twice", table.id),
                    "give each table its own id",
                );
            } else {
                out.push(table);
            }
        }
    }
    out.extend(short_condition(page, doc, scope));
    out.extend(short_rounding(page, doc, scope));
    out
}

fn short_table(id: &str, clause: String, scope: &Scope<'_>, line: u64, body: Body) -> Table {
    Table {
        id: id.into(),
        clause,
        citations: scope.citations.first().cloned().into_iter().collect(),
        verified: scope.verified,
        note: String::new(),
        where_adopted: false,
        line,
        body,
    }
}

/// The short form `[condition]` with `reference` and `ambient` groups.
fn short_condition(
    page: &mut Page<'_>,
    doc: &toml_edit::Table,
    scope: &Scope<'_>,
) -> Option<Table> {
    let item = doc.get("condition")?;
    let table = item.as_table_like()?;
    page.known_keys(table, "condition", &["reference", "ambient", "clause"]);
    let mut rows = Vec::new();
    for (key, group) in table.iter().filter(|(k, _)| *k != "clause") {
        let path = join("condition", key);
        let Some(group) = group.as_table_like() else {
            continue;
        };
        page.known_keys(
            group,
            &path,
            &["indicators", "temperature_K", "pressure_hPa"],
        );
        let mut number = |k: &str| {
            let text = page.opt_text(group, &path, k);
            (!text.is_empty())
                .then(|| page.decimal(&text, group.get(k).and_then(Item::span), &path))
                .flatten()
        };
        let (temperature_k, pressure_hpa) = (number("temperature_K"), number("pressure_hPa"));
        for (name, span) in page.texts(group, &path, "indicators") {
            if let Some(indicator) = scope.vocabulary.indicator(&name) {
                rows.push(Condition {
                    indicator: indicator.id.clone(),
                    period: Period::default(),
                    temperature_k,
                    pressure_hpa,
                });
            } else {
                scope.vocabulary.report_unknown(
                    page,
                    "unknown-indicator",
                    &name,
                    span,
                    &path,
                    "indicator",
                    &scope.vocabulary.indicator_ids(),
                );
            }
        }
    }
    let clause = page.opt_text(table, "condition", "clause");
    let line = item.span().map_or(0, |s| page.place(s.start).0);
    let clause = if clause.is_empty() {
        "reference state".to_owned()
    } else {
        clause
    };
    Some(short_table(
        "condition",
        clause,
        scope,
        line,
        Body::Condition(rows),
    ))
}

/// The short form `[rounding]` with `input` and `output`.
fn short_rounding(page: &mut Page<'_>, doc: &toml_edit::Table, scope: &Scope<'_>) -> Option<Table> {
    let item = doc.get("rounding")?;
    let table = item.as_table_like()?;
    page.known_keys(table, "rounding", &["input", "output"]);
    let mut rows = Vec::new();
    let mut clauses = Vec::new();
    for (step, group) in table.iter() {
        let path = join("rounding", step);
        let Some(group) = group.as_table_like() else {
            continue;
        };
        page.known_keys(group, &path, &["clause", "rule", "decimals", "except"]);
        clauses.extend(page.need_text(group, &path, "clause", item.span()));
        let word = page.need_text(group, &path, "rule", item.span())?;
        let rule = match word.parse::<Rounding>() {
            Ok(r) => r,
            Err(e) => {
                page.problem(
                    "unknown-word",
                    group.get("rule").and_then(Item::span),
                    &path,
                    e,
                    "",
                );
                continue;
            }
        };
        let decimals = |i: Option<&Item>| {
            i.and_then(Item::as_integer)
                .and_then(|d| u32::try_from(d).ok())
        };
        let default = decimals(group.get("decimals")).unwrap_or(0);
        let except = group.get("except").and_then(Item::as_table_like);
        let named = |id: &str| except.and_then(|t| decimals(t.get(id))).unwrap_or(default);
        let targets: Vec<String> = if step == "output" {
            vec!["IAQI".into()]
        } else {
            scope
                .vocabulary
                .indicators
                .iter()
                .filter(|i| i.medium == "air")
                .map(|i| i.id.to_string())
                .collect()
        };
        rows.extend(targets.into_iter().map(|of| RoundingRule {
            decimals: named(&of),
            of,
            step: step.to_owned(),
            rule,
            verified: true,
        }));
    }
    let line = item.span().map_or(0, |s| page.place(s.start).0);
    Some(short_table(
        "rounding",
        clauses.join("; "),
        scope,
        line,
        Body::Rounding(rows),
    ))
}
