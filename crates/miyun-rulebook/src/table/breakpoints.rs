//! Rows of kinds `breakpoints` and `bands`: the scales of an index.

use miyun_core::Decimal;
use miyun_core::rule::{Above, Band, BreakpointColumn, Breakpoints};
use toml_edit::{Item, TableLike};

use super::Reader;
use crate::grid::Cell;

impl Reader<'_, '_, '_> {
    pub(super) fn breakpoints(&mut self, item: &dyn TableLike) -> Option<Breakpoints> {
        let output = self.page.need_text(
            item,
            self.path,
            "output",
            item.get("rows").and_then(Item::span),
        )?;
        let grid = self.grid;
        let unit_row = grid.rows.iter().find(|r| r[0].text == "unit");
        let Some(unit_row) = unit_row else {
            let span = grid.header.first().map(|h| h.span.clone());
            self.page.problem(
                "missing-key",
                span,
                self.path,
                "a breakpoint table needs a row that starts with unit",
                "add it below the header",
            );
            return None;
        };
        let data: Vec<&Vec<Cell>> = grid.rows.iter().filter(|r| r[0].text != "unit").collect();
        let index: Vec<Decimal> = data.iter().filter_map(|r| self.decimal(&r[0])).collect();
        self.rising(&index, data.iter().map(|r| &r[0]), "the index");
        let last = match self.page.opt_text(item, self.path, "above").as_str() {
            "" | "last" => Above::Last,
            "extrapolate" => Above::Extrapolate,
            "none" => Above::None,
            other => {
                let reason = format!("unknown above {other:?}");
                self.page.problem(
                    "unknown-word",
                    item.get("above").and_then(Item::span),
                    self.path,
                    reason,
                    "use last, extrapolate or none",
                );
                Above::Last
            }
        };
        let mut columns = Vec::new();
        for (i, h) in grid.header.iter().enumerate().skip(1) {
            let Some((ind, stat)) = h.text.split_once('/') else {
                self.page.problem(
                    "bad-column",
                    Some(h.span.clone()),
                    self.path,
                    format!("column {:?} is not indicator/statistic", h.text),
                    "write it as PM2.5/daily-mean",
                );
                continue;
            };
            let indicator = self.indicator(ind, h);
            let statistic = self.statistic(stat, h);
            let unit = self.unit(&unit_row[i], indicator.as_ref());
            let filled: Vec<&Cell> = data
                .iter()
                .map(|r| &r[i])
                .filter(|c| c.text != "-")
                .collect();
            let points: Vec<Decimal> = filled.iter().filter_map(|c| self.decimal(c)).collect();
            self.rising(&points, filled.iter().copied(), &h.text);
            let (Some(indicator), Some(statistic), Some(unit)) = (indicator, statistic, unit)
            else {
                continue;
            };
            let full = points.len() == index.len();
            columns.push((
                h.text.clone(),
                BreakpointColumn {
                    indicator,
                    statistic,
                    unit,
                    points,
                    above: if full { last } else { Above::None },
                },
            ));
        }
        self.caps(item, &mut columns);
        self.aliases(item, &mut columns);
        Some(Breakpoints {
            output,
            index,
            columns: columns.into_iter().map(|(_, c)| c).collect(),
        })
    }

    fn rising<'c>(
        &mut self,
        values: &[Decimal],
        cells: impl Iterator<Item = &'c Cell>,
        what: &str,
    ) {
        for (pair, cell) in values.windows(2).zip(cells.skip(1)) {
            if pair[1] <= pair[0] {
                let reason = format!("{what} does not rise: {} after {}", pair[1], pair[0]);
                self.page.problem(
                    "non-monotone",
                    Some(cell.span.clone()),
                    self.path,
                    reason,
                    "compare the cell with the printed table",
                );
            }
        }
    }

    /// `cap = [{ column, above, IAQI }]`: what holds above the last point of a column.
    fn caps(&mut self, item: &dyn TableLike, columns: &mut [(String, BreakpointColumn)]) {
        let Some(caps) = item.get("cap").and_then(Item::as_array) else {
            return;
        };
        for cap in caps.iter() {
            let fields = cap.as_inline_table();
            let get = |k: &str| {
                fields
                    .and_then(|t| t.get(k))
                    .and_then(toml_edit::Value::as_str)
            };
            let (Some(name), Some(above), Some(value)) = (get("column"), get("above"), get("IAQI"))
            else {
                self.page.problem(
                    "wrong-type",
                    cap.span(),
                    self.path,
                    "a cap needs column, above and IAQI as texts",
                    "write { column = \"O3/8h-mean\", above = \"800\", IAQI = \"300\" }",
                );
                continue;
            };
            let (above, value) = (
                self.page.decimal(above, cap.span(), self.path),
                self.page.decimal(value, cap.span(), self.path),
            );
            match columns.iter_mut().find(|(n, _)| n == name) {
                Some((_, c)) if c.points.last().copied() == above => {
                    c.above = value.map_or(Above::Last, Above::Fixed)
                }
                Some((_, c)) => {
                    let last = c.points.last().map(ToString::to_string).unwrap_or_default();
                    self.page.problem(
                        "bad-cap",
                        cap.span(),
                        self.path,
                        format!("the cap of {name} starts above its last point {last}"),
                        "a cap must start at the last printed point",
                    );
                }
                None => self.page.problem(
                    "bad-column",
                    cap.span(),
                    self.path,
                    format!("no column {name:?}"),
                    "name a column of this table",
                ),
            }
        }
    }

    /// `alias = [{ from, to }]`: a column that takes another column's points.
    fn aliases(&mut self, item: &dyn TableLike, columns: &mut Vec<(String, BreakpointColumn)>) {
        let Some(aliases) = item.get("alias").and_then(Item::as_array) else {
            return;
        };
        for alias in aliases.iter() {
            let get = |k: &str| {
                alias
                    .as_inline_table()
                    .and_then(|t| t.get(k))
                    .and_then(toml_edit::Value::as_str)
            };
            let names = get("from").zip(get("to")).and_then(|(f, t)| {
                Some((
                    f,
                    f.split_once('/')?,
                    columns.iter().find(|(n, _)| n == t)?.1.clone(),
                ))
            });
            let Some((from, (ind, stat), column)) = names else {
                self.page.problem(
                    "bad-column",
                    alias.span(),
                    self.path,
                    "an alias needs from = \"indicator/statistic\" and to = a column of this table",
                    "write { from = \"PM10/hourly-mean\", to = \"PM10/daily-mean\" }",
                );
                continue;
            };
            let cell = Cell {
                text: from.to_owned(),
                span: alias.span().unwrap_or(0..0),
            };
            let from = from.to_owned();
            if let (Some(indicator), Some(statistic)) =
                (self.indicator(ind, &cell), self.statistic(stat, &cell))
            {
                columns.push((
                    from,
                    BreakpointColumn {
                        indicator,
                        statistic,
                        ..column
                    },
                ));
            }
        }
    }

    pub(super) fn bands(&mut self) -> Option<Vec<Band>> {
        let c = self.grid.columns(
            self.page,
            self.path,
            [
                "indicator",
                "statistic",
                "unit",
                "category",
                "low",
                "high",
                "index-low",
                "index-high",
            ],
            &[],
        )?;
        let mut out = Vec::new();
        for row in &self.grid.rows {
            let at = |k: usize| c[k].map(|i| &row[i]);
            let (Some(ci), Some(cs), Some(cu), Some(cl), Some(il)) =
                (at(0), at(1), at(2), at(4), at(6))
            else {
                continue;
            };
            let indicator = self.indicator(&ci.text, ci);
            let parts = (
                self.statistic(&cs.text, cs),
                self.unit(cu, indicator.as_ref()),
                self.decimal(cl),
                self.decimal(il),
            );
            let (high, index_high) = (self.opt_decimal(at(5)), self.opt_decimal(at(7)));
            if let (Some(indicator), (Some(statistic), Some(unit), Some(low), Some(index_low))) =
                (indicator, parts)
            {
                if high.is_some_and(|h| h <= low) || index_high.is_some_and(|h| h <= index_low) {
                    self.page.problem(
                        "non-monotone",
                        Some(cl.span.clone()),
                        self.path,
                        "a band ends before it begins",
                        "compare the row with the printed table",
                    );
                }
                out.push(Band {
                    indicator,
                    statistic,
                    unit,
                    category: at(3).map_or(String::new(), |c| c.text.clone()),
                    low,
                    high,
                    index_low,
                    index_high,
                });
            }
        }
        Some(out)
    }
}
