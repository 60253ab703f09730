//! One `[[table]]` of an instrument: its head, and its rows by rule kind.

mod breakpoints;
mod cell;
mod limit;
mod method;
mod warning;

use miyun_core::rule::{Body, Table};
use toml_edit::{Item, TableLike};

use crate::grid::Grid;
use crate::page::{Page, join};
use crate::vocabulary::Vocabulary;

const KINDS: [&str; 10] = [
    "limit",
    "breakpoints",
    "bands",
    "validity",
    "level",
    "item",
    "rounding",
    "parameter",
    "trigger",
    "condition",
];

/// What tables of one instrument may refer to.
pub(crate) struct Scope<'a> {
    pub vocabulary: &'a Vocabulary,
    pub citations: &'a [String],
    pub stages: &'a [String],
    pub classes: &'a [String],
    /// Default of `verified` for every table.
    pub verified: bool,
}

pub(crate) fn read(
    page: &mut Page<'_>,
    item: &dyn TableLike,
    span: Option<std::ops::Range<usize>>,
    path: &str,
    scope: &Scope<'_>,
) -> Option<Table> {
    page.known_keys(
        item,
        path,
        &[
            "id",
            "clause",
            "kind",
            "citation",
            "verified",
            "note",
            "applies",
            "breach",
            "columns",
            "rows",
            "output",
            "cap",
            "alias",
            "no-index-above",
            "above",
        ],
    );
    let id = page.need_text(item, path, "id", span.clone());
    let path = &id
        .as_ref()
        .map_or(path.to_owned(), |i| format!("table {i}"));
    let clause = page.need_text(item, path, "clause", span.clone());
    if clause.as_deref().is_some_and(|c| c.trim().is_empty()) {
        page.problem(
            "missing-clause",
            item.get("clause").and_then(Item::span),
            path,
            "the clause is empty",
            "name the clause, table and page of the instrument",
        );
    }
    let mut citations = Vec::new();
    for (key, key_span) in page.texts(item, path, "citation") {
        if scope.citations.contains(&key) {
            citations.push(key);
        } else {
            page.problem(
                "unresolved-citation",
                key_span,
                path,
                format!("no citation {key:?} in this file"),
                format!("known citations: {}", scope.citations.join(", ")),
            );
        }
    }
    // A file with one citation need not repeat it table after table.
    if citations.is_empty() && item.get("citation").is_none() {
        match scope.citations {
            [only] => citations.push(only.clone()),
            [] => {}
            _ => page.problem(
                "missing-citation",
                span.clone(),
                path,
                "the file has several citations and this table names none",
                format!(
                    "add citation = \"...\", one of: {}",
                    scope.citations.join(", ")
                ),
            ),
        }
    }
    let kind_item = page.need(item, path, "kind", span.clone());
    let kind = kind_item.and_then(|k| page.text(k, &join(path, "kind")))?;
    let verified = page.opt_bool(item, path, "verified", scope.verified);
    let applies = page.opt_text(item, path, "applies");
    if !["", "where-adopted"].contains(&applies.as_str()) {
        page.problem(
            "unknown-word",
            item.get("applies").and_then(Item::span),
            path,
            format!("unknown applies {applies:?}"),
            "use where-adopted, or leave it out",
        );
    }
    let rows = page.need(item, path, "rows", span.clone())?;
    let grid = Grid::read(page, rows, path)?;
    let mut reader = Reader {
        page,
        grid: &grid,
        path,
        scope,
    };
    let body = match kind.as_str() {
        "limit" => reader.limits(item).map(Body::Limit),
        "breakpoints" => reader.breakpoints(item).map(Body::Breakpoints),
        "bands" => reader.bands().map(Body::Bands),
        "validity" => reader.validity().map(Body::Validity),
        "level" => reader.levels().map(Body::Level),
        "item" => reader.items().map(Body::Item),
        "rounding" => reader.roundings().map(Body::Rounding),
        "parameter" => reader.parameters().map(Body::Parameter),
        "trigger" => reader.triggers().map(Body::Trigger),
        "condition" => reader.conditions().map(Body::Condition),
        other => {
            let s = kind_item.and_then(Item::span);
            reader.page.problem(
                "unknown-kind",
                s,
                path,
                format!("unknown rule kind {other:?}"),
                format!("use one of: {}", KINDS.join(", ")),
            );
            None
        }
    };
    let line = span.map_or(0, |s| page.place(s.start).0);
    Some(Table {
        id: id?,
        clause: clause?,
        citations,
        verified,
        note: page.opt_text(item, path, "note"),
        where_adopted: applies == "where-adopted",
        line,
        body: body?,
    })
}

struct Reader<'r, 'p, 'a> {
    page: &'r mut Page<'p>,
    grid: &'r Grid,
    path: &'r str,
    scope: &'r Scope<'a>,
}
