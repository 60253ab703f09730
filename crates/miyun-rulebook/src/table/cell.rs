//! Cells: numbers, words of the vocabulary, dates.

use miyun_core::{Date, Decimal, IndicatorId, StatisticId, UnitId};

use super::Reader;
use crate::grid::Cell;

impl Reader<'_, '_, '_> {
    pub(super) fn decimal(&mut self, cell: &Cell) -> Option<Decimal> {
        self.page
            .decimal(&cell.text, Some(cell.span.clone()), self.path)
    }

    /// A number that may be absent: `-` or an empty cell.
    pub(super) fn opt_decimal(&mut self, cell: Option<&Cell>) -> Option<Decimal> {
        let cell = cell.filter(|c| !c.text.is_empty() && c.text != "-")?;
        self.decimal(cell)
    }

    pub(super) fn indicator(&mut self, text: &str, cell: &Cell) -> Option<IndicatorId> {
        let known = self.scope.vocabulary;
        if known.indicator(text).is_none() {
            known.report_unknown(
                self.page,
                "unknown-indicator",
                text,
                Some(cell.span.clone()),
                self.path,
                "indicator",
                &known.indicator_ids(),
            );
            return None;
        }
        self.page.id(text, Some(cell.span.clone()), self.path)
    }

    pub(super) fn statistic(&mut self, text: &str, cell: &Cell) -> Option<StatisticId> {
        let known = self.scope.vocabulary;
        if !known.statistics.iter().any(|s| s.id == text) {
            let ids: Vec<&str> = known.statistics.iter().map(|s| s.id.as_str()).collect();
            known.report_unknown(
                self.page,
                "unknown-statistic",
                text,
                Some(cell.span.clone()),
                self.path,
                "statistic",
                &ids,
            );
            return None;
        }
        self.page.id(text, Some(cell.span.clone()), self.path)
    }

    /// A unit that measures what the indicator's canonical unit measures.
    pub(super) fn unit(&mut self, cell: &Cell, indicator: Option<&IndicatorId>) -> Option<UnitId> {
        let known = self.scope.vocabulary;
        let Some(unit) = known.unit(&cell.text) else {
            let ids: Vec<&str> = known.units.iter().map(|u| u.unit.id.as_str()).collect();
            known.report_unknown(
                self.page,
                "unknown-unit",
                &cell.text,
                Some(cell.span.clone()),
                self.path,
                "unit",
                &ids,
            );
            return None;
        };
        if let Some(canonical) = indicator
            .and_then(|i| known.indicator(i.as_str()))
            .and_then(|i| known.unit(i.unit.as_str()))
        {
            let convertible = |a: &str, b: &str| {
                a == b
                    || [a, b].iter().all(|d| {
                        [
                            miyun_core::unit::MASS_CONCENTRATION,
                            miyun_core::unit::VOLUME_FRACTION,
                        ]
                        .contains(d)
                    })
            };
            if !convertible(&canonical.dimension, &unit.dimension) {
                let reason = format!(
                    "{} is a {}, but {} is a {}",
                    cell.text,
                    unit.dimension,
                    indicator.map_or("", |i| i.as_str()),
                    canonical.dimension
                );
                self.page.problem(
                    "dimension-mismatch",
                    Some(cell.span.clone()),
                    self.path,
                    reason,
                    format!("use a unit like {}", canonical.id),
                );
                return None;
            }
        }
        Some(unit.id.clone())
    }

    pub(super) fn verified(&mut self, row: &[Cell]) -> bool {
        match self.grid.column("verified").map(|i| &row[i]) {
            None => true,
            Some(c) if c.text.is_empty() || c.text == "yes" => true,
            Some(c) if c.text == "no" => false,
            Some(c) => {
                let span = Some(c.span.clone());
                self.page.problem(
                    "unknown-word",
                    span,
                    self.path,
                    format!("verified is {:?}", c.text),
                    "write yes or no",
                );
                false
            }
        }
    }

    pub(super) fn opt_date(&mut self, cell: Option<&Cell>) -> Option<Date> {
        let cell = cell.filter(|c| !c.text.is_empty() && c.text != "-")?;
        let date = cell.text.parse().ok();
        if date.is_none() {
            self.page.problem(
                "bad-date",
                Some(cell.span.clone()),
                self.path,
                format!("{:?} is not a date", cell.text),
                "write it as 2018-09-01",
            );
        }
        date
    }
}
