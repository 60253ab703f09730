//! The words that rules may use: indicators, units, statistics, editions.

use std::ops::Range;

use miyun_core::text::Text;
use miyun_core::{Date, Decimal, IndicatorId, StatisticId, Unit, UnitId};
use serde::Serialize;
use toml_edit::{Item, Table};

use crate::grid::{Cell, Grid};
use crate::hj212::{self, Hj212};
use crate::page::{Page, nearest};

/// Everything a rule may name.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Vocabulary {
    /// What is measured.
    pub indicators: Vec<Indicator>,
    /// In what.
    pub units: Vec<NamedUnit>,
    /// Over what it is taken.
    pub statistics: Vec<Statistic>,
    /// The codes of HJ 212.
    pub hj212: Hj212,
}

/// One indicator.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Indicator {
    /// Its id.
    pub id: IndicatorId,
    /// Its name.
    pub name: Text,
    /// Medium it belongs to.
    pub medium: String,
    /// Unit in which instruments state it.
    pub unit: UnitId,
    /// Molar mass in g/mol for gases, for volume fractions.
    pub molar_mass: Option<Decimal>,
    /// CAS number, if any.
    pub cas: String,
}

/// A unit with its name.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct NamedUnit {
    /// The unit.
    pub unit: Unit,
    /// Its name.
    pub name: Text,
}

/// One statistic.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Statistic {
    /// Its id.
    pub id: StatisticId,
    /// Its name.
    pub name: Text,
}

/// A named choice of editions: the law as in force on a date.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct EditionName {
    /// What users type, for example `2026`.
    pub id: String,
    /// Its title.
    pub title: Text,
    /// Medium.
    pub medium: String,
    /// The day whose law it means.
    pub as_of: Date,
}

impl Vocabulary {
    /// The indicator with this id.
    #[must_use]
    pub fn indicator(&self, id: &str) -> Option<&Indicator> {
        self.indicators.iter().find(|i| i.id == id)
    }

    /// The unit with this symbol.
    #[must_use]
    pub fn unit(&self, id: &str) -> Option<&Unit> {
        self.units.iter().map(|u| &u.unit).find(|u| u.id == id)
    }

    /// The statistic with this id.
    #[must_use]
    pub fn statistic(&self, id: &str) -> Option<&Statistic> {
        self.statistics.iter().find(|s| s.id == id)
    }

    /// Ids of all indicators.
    #[must_use]
    pub fn indicator_ids(&self) -> Vec<&str> {
        self.indicators.iter().map(|i| i.id.as_str()).collect()
    }

    #[allow(clippy::too_many_arguments)]
    pub(crate) fn report_unknown(
        &self,
        page: &mut Page<'_>,
        code: &str,
        text: &str,
        span: Option<Range<usize>>,
        path: &str,
        what: &str,
        known: &[&str],
    ) {
        let hint = nearest(text, known).map_or_else(
            || "add it to rulebook/vocabulary".to_owned(),
            |n| format!("did you mean {n:?}? otherwise add it to rulebook/vocabulary"),
        );
        page.problem(code, span, path, format!("unknown {what} {text:?}"), hint);
    }
}

/// Reads a vocabulary file: `[vocabulary] kind = ...` and one block of rows.
pub(crate) fn read(page: &mut Page<'_>, doc: &Table, into: &mut Vocabulary) {
    page.known_keys(doc, "", &["vocabulary"]);
    let Some(head) = doc.get("vocabulary").and_then(Item::as_table_like) else {
        return;
    };
    page.known_keys(head, "vocabulary", &["kind", "note", "rows"]);
    let span = doc.get("vocabulary").and_then(Item::span);
    let Some(kind) = page.need_text(head, "vocabulary", "kind", span.clone()) else {
        return;
    };
    let Some(rows) = page.need(head, "vocabulary", "rows", span) else {
        return;
    };
    let Some(grid) = Grid::read(page, rows, "vocabulary.rows") else {
        return;
    };
    match kind.as_str() {
        "indicators" => indicators(page, &grid, into),
        "units" => units(page, &grid, into),
        "statistics" => statistics(page, &grid, into),
        kind if hj212::read(page, kind, &grid, &mut into.hj212) => {}
        other => {
            page.problem(
                "unknown-kind",
                head.get("kind").and_then(Item::span),
                "vocabulary.kind",
                format!("unknown vocabulary {other:?}"),
                "use indicators, units, statistics or one of the hj212 kinds",
            );
        }
    }
}

fn repeated(page: &mut Page<'_>, known: bool, cell: &Cell) -> bool {
    if known {
        page.problem(
            "duplicate-id",
            Some(cell.span.clone()),
            "vocabulary",
            format!("{:?} is defined twice", cell.text),
            "keep one row",
        );
    }
    known
}

fn indicators(page: &mut Page<'_>, grid: &Grid, into: &mut Vocabulary) {
    let Some(c) = grid.columns(
        page,
        "vocabulary",
        ["id", "zh", "en", "medium", "unit", "molar-mass", "cas"],
        &["molar-mass", "cas"],
    ) else {
        return;
    };
    for row in &grid.rows {
        let text = |k: usize| c[k].map_or(String::new(), |i| row[i].text.clone());
        let cell = |k: usize| c[k].map(|i| row[i].clone());
        let (Some(id_cell), Some(unit_cell)) = (cell(0), cell(4)) else {
            continue;
        };
        if repeated(page, into.indicator(&id_cell.text).is_some(), &id_cell) {
            continue;
        }
        let id = page.id(&id_cell.text, Some(id_cell.span), "vocabulary.id");
        let unit = page.id(&unit_cell.text, Some(unit_cell.span), "vocabulary.unit");
        let molar_mass = cell(5)
            .filter(|m| !m.text.is_empty() && m.text != "-")
            .and_then(|m| page.decimal(&m.text, Some(m.span), "vocabulary.molar-mass"));
        if let (Some(id), Some(unit)) = (id, unit) {
            into.indicators.push(Indicator {
                id,
                name: Text::new(text(1), text(2)),
                medium: text(3),
                unit,
                molar_mass,
                cas: text(6),
            });
        }
    }
}

fn units(page: &mut Page<'_>, grid: &Grid, into: &mut Vocabulary) {
    let Some(c) = grid.columns(
        page,
        "vocabulary",
        ["id", "dimension", "factor", "offset", "zh", "en"],
        &["offset"],
    ) else {
        return;
    };
    for row in &grid.rows {
        let text = |k: usize| c[k].map_or(String::new(), |i| row[i].text.clone());
        let cell = |k: usize| c[k].map(|i| row[i].clone());
        let (Some(id_cell), Some(factor_cell)) = (cell(0), cell(2)) else {
            continue;
        };
        if repeated(page, into.unit(&id_cell.text).is_some(), &id_cell) {
            continue;
        }
        let id = page.id(&id_cell.text, Some(id_cell.span), "vocabulary.id");
        let factor = page
            .decimal(
                &factor_cell.text,
                Some(factor_cell.span.clone()),
                "vocabulary.factor",
            )
            .filter(|f| !f.is_zero());
        let offset = cell(3)
            .filter(|o| !o.text.is_empty() && o.text != "-")
            .and_then(|o| page.decimal(&o.text, Some(o.span), "vocabulary.offset"));
        if let (Some(id), Some(factor)) = (id, factor) {
            let unit = Unit {
                id,
                dimension: text(1),
                factor,
                offset: offset.unwrap_or(Decimal::ZERO),
            };
            into.units.push(NamedUnit {
                unit,
                name: Text::new(text(4), text(5)),
            });
        }
    }
}

fn statistics(page: &mut Page<'_>, grid: &Grid, into: &mut Vocabulary) {
    let Some(c) = grid.columns(page, "vocabulary", ["id", "zh", "en"], &[]) else {
        return;
    };
    for row in &grid.rows {
        let text = |k: usize| c[k].map_or(String::new(), |i| row[i].text.clone());
        let Some(cell) = c[0].map(|i| row[i].clone()) else {
            continue;
        };
        if repeated(page, into.statistic(&cell.text).is_some(), &cell) {
            continue;
        }
        if let Some(id) = page.id(&cell.text, Some(cell.span), "vocabulary.id") {
            into.statistics.push(Statistic {
                id,
                name: Text::new(text(1), text(2)),
            });
        }
    }
}

/// Reads an edition file: a list of `[[edition]]`.
pub(crate) fn read_editions(page: &mut Page<'_>, doc: &Table, into: &mut Vec<EditionName>) {
    page.known_keys(doc, "", &["edition"]);
    let Some(list) = doc.get("edition").and_then(Item::as_array_of_tables) else {
        return;
    };
    for t in list.iter() {
        page.known_keys(t, "edition", &["id", "title", "medium", "as_of"]);
        let span = t.span();
        let id = page.need_text(t, "edition", "id", span.clone());
        let title = page.need_both(t, "edition", "title", span.clone());
        let medium = page.need_text(t, "edition", "medium", span.clone());
        let as_of = page
            .need(t, "edition", "as_of", span.clone())
            .and_then(|i| page.date(i, "edition.as_of"));
        if let (Some(id), Some(title), Some(medium), Some(as_of)) = (id, title, medium, as_of) {
            if into.iter().any(|e| e.id == id && e.medium == medium) {
                page.problem(
                    "duplicate-id",
                    span,
                    "edition.id",
                    format!("edition {id:?} is defined twice"),
                    "keep one",
                );
            } else {
                into.push(EditionName {
                    id,
                    title,
                    medium,
                    as_of,
                });
            }
        }
    }
}
