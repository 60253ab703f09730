//! Reading plan files; problems name file, line, column and the fix.

use miyun_core::{Decimal, Period, Problem, Text};
use miyun_rulebook::Vocabulary;
use miyun_rulebook::page::{Page, join, nearest};
use toml_edit::{Item, Table};

use crate::{Chapter, Direction, Indicator, Measure, Plan, Target, When};

/// Plan files in the program: name and text.
pub const EMBEDDED: [(&str, &str); 2] = [
    (
        "plans/beijing-2024.toml",
        include_str!("../../../plans/beijing-2024.toml"),
    ),
    (
        "plans/linxi-sim.toml",
        include_str!("../../../plans/linxi-sim.toml"),
    ),
];

/// The plans in the program. Tests keep them free of problems.
#[must_use]
pub fn embedded(vocabulary: &Vocabulary) -> Vec<Plan> {
    EMBEDDED
        .iter()
        .filter_map(|(n, t)| read(n, t, vocabulary).0)
        .collect()
}

/// The plan of a file and everything wrong with it. Measures and indicators with problems are left
/// out.
#[must_use]
pub fn read(name: &str, text: &str, vocabulary: &Vocabulary) -> (Option<Plan>, Vec<Problem>) {
    let mut page = Page::new(name, text);
    let plan = match toml_edit::Document::parse(text) {
        Err(e) => {
            page.problem(
                "toml-syntax",
                e.span(),
                "",
                e.message().to_owned(),
                "mend the syntax; see https://toml.io",
            );
            None
        }
        Ok(doc) => plan(&mut page, doc.as_table(), vocabulary),
    };
    (plan, page.problems)
}

fn plan(page: &mut Page<'_>, doc: &Table, vocabulary: &Vocabulary) -> Option<Plan> {
    page.known_keys(doc, "", &["plan", "citation", "chapter", "measure"]);
    let head_item = page.need(doc, "", "plan", Some(0..0))?;
    let head = head_item.as_table_like()?;
    let span = head_item.span();
    page.known_keys(
        head,
        "plan",
        &["id", "title", "jurisdiction", "period", "note", "simulated"],
    );
    let id = page.need_text(head, "plan", "id", span.clone());
    let title = page.need_both(head, "plan", "title", span.clone());
    let jurisdiction = page
        .need_text(head, "plan", "jurisdiction", span.clone())
        .and_then(|j| {
            page.id(
                &j,
                head.get("jurisdiction").and_then(Item::span),
                "plan.jurisdiction",
            )
        });
    let period = page
        .need(head, "plan", "period", span)
        .and_then(|i| period(page, i));
    let note = head.get("note").and_then(|i| page.both(i, "plan.note"));
    let simulated = page.opt_bool(head, "plan", "simulated", false);
    let citations = citations(page, doc);
    let chapters = chapters(page, doc);
    let id = id?;
    let mut measures: Vec<Measure> = Vec::new();
    let context = Context {
        vocabulary,
        plan: &id,
        citations: citations.iter().map(|c| c.0.as_str()).collect(),
        chapters: chapters.iter().map(|c| c.id.as_str()).collect(),
        period: period.unwrap_or_default(),
    };
    for t in list(doc, "measure") {
        if let Some(m) = measure(page, t, &context) {
            if measures.iter().any(|o| o.row == m.row) {
                page.problem(
                    "duplicate-id",
                    t.get("id").and_then(Item::span),
                    "measure.id",
                    format!("measure {} is there twice", m.row),
                    "give each row its own id",
                );
            } else {
                measures.push(m);
            }
        }
    }
    if measures.is_empty() {
        page.problem(
            "empty-plan",
            Some(0..0),
            "measure",
            "the plan has no measure",
            "add [[measure]]",
        );
    }
    Some(Plan {
        title: title?,
        jurisdiction: jurisdiction?,
        period: period?,
        note,
        simulated,
        citations,
        chapters,
        measures,
        id,
    })
}

struct Context<'a> {
    vocabulary: &'a Vocabulary,
    plan: &'a str,
    citations: Vec<&'a str>,
    chapters: Vec<&'a str>,
    period: Period,
}

fn list<'d>(doc: &'d Table, key: &str) -> Vec<&'d Table> {
    doc.get(key)
        .and_then(Item::as_array_of_tables)
        .map(|a| a.iter().collect())
        .unwrap_or_default()
}

fn period(page: &mut Page<'_>, item: &Item) -> Option<Period> {
    let t = item.as_table_like()?;
    page.known_keys(t, "period", &["from", "until"]);
    let from = page
        .need(t, "period", "from", item.span())
        .and_then(|i| page.date(i, "period.from"))?;
    let until = page
        .need(t, "period", "until", item.span())
        .and_then(|i| page.date(i, "period.until"))?;
    if from > until {
        page.problem(
            "period-reversed",
            item.span(),
            "period",
            format!("the period ends on {until}, before it begins on {from}"),
            "exchange the dates",
        );
        return None;
    }
    Some(Period::days(from, until))
}

fn citations(page: &mut Page<'_>, doc: &Table) -> Vec<(String, Text, String)> {
    let mut out: Vec<(String, Text, String)> = Vec::new();
    for t in list(doc, "citation") {
        page.known_keys(t, "citation", &["id", "title", "url", "checked"]);
        let id = page.need_text(t, "citation", "id", t.span());
        let title = page.need_both(t, "citation", "title", t.span());
        let how = page
            .need(t, "citation", "checked", t.span())
            .and_then(Item::as_table_like)
            .and_then(|c| page.need_text(c, "citation.checked", "how", t.span()));
        if let (Some(id), Some(title)) = (id, title) {
            out.push((id, title, how.unwrap_or_default()));
        }
    }
    out
}

fn chapters(page: &mut Page<'_>, doc: &Table) -> Vec<Chapter> {
    let mut out: Vec<Chapter> = Vec::new();
    for t in list(doc, "chapter") {
        page.known_keys(t, "chapter", &["id", "title"]);
        let id = page.need_text(t, "chapter", "id", t.span());
        let title = page.need_both(t, "chapter", "title", t.span());
        if let (Some(id), Some(title)) = (id, title) {
            if out.iter().any(|c| c.id == id) {
                page.problem(
                    "duplicate-id",
                    t.span(),
                    "chapter.id",
                    format!("chapter {id} is there twice"),
                    "give each its own id",
                );
            } else {
                out.push(Chapter { id, title });
            }
        }
    }
    out
}

fn measure(page: &mut Page<'_>, t: &Table, c: &Context<'_>) -> Option<Measure> {
    page.known_keys(
        t,
        "measure",
        &[
            "id",
            "chapter",
            "title",
            "text",
            "lead",
            "needs",
            "indicator",
        ],
    );
    let row = page.need_text(t, "measure", "id", t.span())?;
    let path = format!("measure {row}");
    let chapter = page.need_text(t, &path, "chapter", t.span());
    if let Some(ch) = chapter
        .as_ref()
        .filter(|ch| !c.chapters.contains(&ch.as_str()))
    {
        page.problem(
            "unknown-chapter",
            t.get("chapter").and_then(Item::span),
            &path,
            format!("no chapter {ch:?}"),
            format!("known chapters: {}", c.chapters.join(", ")),
        );
    }
    let title = page.need_both(t, &path, "title", t.span());
    let text = page.need_both(t, &path, "text", t.span());
    let (lead, lead_verified) = lead(page, t, &path)?;
    let needs = t
        .get("needs")
        .and_then(|i| page.both(i, &join(&path, "needs")));
    let mut indicators: Vec<Indicator> = Vec::new();
    for it in list(t, "indicator") {
        if let Some(i) = indicator(page, it, &path, c) {
            let same = |o: &Indicator| {
                (&o.subject, &o.indicator, &o.statistic, o.when, o.target)
                    == (&i.subject, &i.indicator, &i.statistic, i.when, i.target)
            };
            if indicators.iter().any(same) {
                page.problem(
                    "duplicate-row",
                    it.span(),
                    &path,
                    format!("{} {} is bound twice", i.indicator, i.statistic),
                    "keep one",
                );
            } else {
                indicators.push(i);
            }
        }
    }
    if indicators.is_empty() && needs.is_none() {
        page.problem(
            "unbound",
            t.span(),
            &path,
            "the measure has no indicator and does not say what evidence it needs",
            "add [[measure.indicator]] or needs = { zh, en }",
        );
    }
    let id = page.id(
        &format!("{}/{row}", c.plan),
        t.get("id").and_then(Item::span),
        &path,
    )?;
    Some(Measure {
        id,
        row,
        chapter: chapter?,
        title: title?,
        text: text?,
        lead,
        lead_verified,
        needs,
        indicators,
    })
}

fn lead(page: &mut Page<'_>, t: &Table, path: &str) -> Option<(Text, bool)> {
    let item = page.need(t, path, "lead", t.span())?;
    let table = item.as_table_like()?;
    let path = join(path, "lead");
    page.known_keys(table, &path, &["zh", "en", "verified"]);
    let zh = page.need_text(table, &path, "zh", item.span())?;
    let en = page.need_text(table, &path, "en", item.span())?;
    Some((
        Text { zh, en },
        page.opt_bool(table, &path, "verified", false),
    ))
}

fn indicator(page: &mut Page<'_>, t: &Table, path: &str, c: &Context<'_>) -> Option<Indicator> {
    let path = &join(path, "indicator");
    page.known_keys(
        t,
        path,
        &[
            "subject",
            "indicator",
            "statistic",
            "target",
            "unit",
            "direction",
            "from",
            "due",
            "every",
            "citation",
            "verified",
        ],
    );
    let subject = page
        .need_text(t, path, "subject", t.span())
        .and_then(|s| page.id(&s, t.get("subject").and_then(Item::span), path));
    let v = c.vocabulary;
    let indicator =
        known(page, t, path, "indicator", &v.indicator_ids()).and_then(|s| s.parse().ok());
    let statistics: Vec<&str> = v.statistics.iter().map(|s| s.id.as_str()).collect();
    let statistic = known(page, t, path, "statistic", &statistics).and_then(|s| s.parse().ok());
    let units: Vec<&str> = v.units.iter().map(|u| u.unit.id.as_str()).collect();
    let unit = known(page, t, path, "unit", &units).and_then(|s| s.parse().ok());
    let target = target(page, t, path);
    let direction = match known(page, t, path, "direction", &["at-most", "at-least"])?.as_str() {
        "at-most" => Direction::AtMost,
        _ => Direction::AtLeast,
    };
    let when = when(page, t, path, c);
    let citation = page.need_text(t, path, "citation", t.span())?;
    if !c.citations.contains(&citation.as_str()) {
        page.problem(
            "unresolved-citation",
            t.get("citation").and_then(Item::span),
            path,
            format!("no citation {citation:?} in this file"),
            format!("known citations: {}", c.citations.join(", ")),
        );
    }
    let verified = page.opt_bool(t, path, "verified", false);
    Some(Indicator {
        subject: subject?,
        indicator: indicator?,
        statistic: statistic?,
        unit: unit?,
        target: target?,
        direction,
        when: when?,
        citation,
        verified,
    })
}

/// A text that must be one of the known words.
fn known(page: &mut Page<'_>, t: &Table, path: &str, key: &str, words: &[&str]) -> Option<String> {
    let text = page.need_text(t, path, key, t.span())?;
    if words.contains(&text.as_str()) {
        return Some(text);
    }
    let hint = nearest(&text, words).map_or_else(
        || format!("known: {}", words.join(", ")),
        |n| format!("did you mean {n:?}?"),
    );
    page.problem(
        &format!("unknown-{key}"),
        t.get(key).and_then(Item::span),
        path,
        format!("unknown {key} {text:?}"),
        hint,
    );
    None
}

fn target(page: &mut Page<'_>, t: &Table, path: &str) -> Option<Target> {
    let text = page.need_text(t, path, "target", t.span())?;
    if text == "limit" {
        return Some(Target::Limit);
    }
    let value: Option<Decimal> = page.decimal(&text, t.get("target").and_then(Item::span), path);
    value.map(Target::Value)
}

fn when(page: &mut Page<'_>, t: &Table, path: &str, c: &Context<'_>) -> Option<When> {
    if t.contains_key("every") {
        return known(page, t, path, "every", &["year"]).map(|_| When::EveryYear);
    }
    let from = page
        .need(t, path, "from", t.span())
        .and_then(|i| page.date(i, &join(path, "from")))?;
    let due = page
        .need(t, path, "due", t.span())
        .and_then(|i| page.date(i, &join(path, "due")))?;
    if from > due {
        page.problem(
            "period-reversed",
            t.get("due").and_then(Item::span),
            path,
            format!("due on {due}, before it begins on {from}"),
            "exchange the dates",
        );
        return None;
    }
    if !c.period.contains(due) {
        page.problem(
            "due-outside",
            t.get("due").and_then(Item::span),
            path,
            format!("due on {due}, outside the plan's period {}", c.period),
            "mend the date or the plan's period",
        );
    }
    Some(When::Once(Period::days(from, due)))
}
