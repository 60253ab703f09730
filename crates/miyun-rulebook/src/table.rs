//! One `[[table]]` of an instrument: its head, and its rows by rule kind.

use miyun_core::decimal::Rounding;
use miyun_core::rule::{
    Above, Band, Body, Breach, BreakpointColumn, Breakpoints, Condition, Item as AnnualItem, Level,
    Limit, Parameter, RoundingRule, Table, Trigger, Validity,
};
use miyun_core::text::Text;
use miyun_core::{Date, Decimal, IndicatorId, Period, StatisticId, UnitId};
use toml_edit::{Item, TableLike};

use crate::grid::{Cell, Grid};
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

impl Reader<'_, '_, '_> {
    fn decimal(&mut self, cell: &Cell) -> Option<Decimal> {
        self.page
            .decimal(&cell.text, Some(cell.span.clone()), self.path)
    }

    /// A number that may be absent: `-` or an empty cell.
    fn opt_decimal(&mut self, cell: Option<&Cell>) -> Option<Decimal> {
        let cell = cell.filter(|c| !c.text.is_empty() && c.text != "-")?;
        self.decimal(cell)
    }

    fn indicator(&mut self, text: &str, cell: &Cell) -> Option<IndicatorId> {
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

    fn statistic(&mut self, text: &str, cell: &Cell) -> Option<StatisticId> {
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
    fn unit(&mut self, cell: &Cell, indicator: Option<&IndicatorId>) -> Option<UnitId> {
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

    fn verified(&mut self, row: &[Cell]) -> bool {
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

    fn limits(&mut self, item: &dyn TableLike) -> Option<Vec<Limit>> {
        let breach = match self.page.opt_text(item, self.path, "breach").as_str() {
            "" | "above" => Breach::Above,
            "at-or-above" => Breach::AtOrAbove,
            "below" => Breach::Below,
            other => {
                let reason = format!("unknown breach {other:?}");
                self.page.problem(
                    "unknown-word",
                    item.get("breach").and_then(Item::span),
                    self.path,
                    reason,
                    "use above, at-or-above or below",
                );
                return None;
            }
        };
        let layout = self.page.opt_text(item, self.path, "columns");
        let fixed = ["indicator", "statistic", "unit", "note", "verified"];
        let mut columns = Vec::new();
        for (i, h) in self
            .grid
            .header
            .iter()
            .enumerate()
            .filter(|(_, h)| !fixed.contains(&h.text.as_str()))
        {
            columns.push((i, self.limit_column(&layout, h, item)));
        }
        let [ci, cs, cu] = ["indicator", "statistic", "unit"].map(|n| self.grid.column(n));
        let (Some(ci), Some(cs), Some(cu)) = (ci, cs, cu) else {
            let span = self.grid.header.first().map(|h| h.span.clone());
            self.page.problem(
                "bad-column",
                span,
                self.path,
                "a limit table needs the columns indicator, statistic, unit",
                "add them before the value columns",
            );
            return None;
        };
        let mut out: Vec<Limit> = Vec::new();
        for row in &self.grid.rows {
            let verified = self.verified(row);
            let indicator = self.indicator(&row[ci].text, &row[ci]);
            let statistic = self.statistic(&row[cs].text, &row[cs]);
            let unit = self.unit(&row[cu], indicator.as_ref());
            for (i, column) in &columns {
                let cell = &row[*i];
                if cell.text == "-" || cell.text.is_empty() {
                    continue;
                }
                // A trailing `?` marks one cell that nobody read in the instrument.
                let (text, read) = cell
                    .text
                    .strip_suffix('?')
                    .map_or((cell.text.as_str(), true), |t| (t.trim(), false));
                let value = self.page.decimal(text, Some(cell.span.clone()), self.path);
                let (
                    Some(indicator),
                    Some(statistic),
                    Some(unit),
                    Some(value),
                    Some((stage, class)),
                ) = (&indicator, &statistic, &unit, value, column)
                else {
                    continue;
                };
                let limit = Limit {
                    indicator: indicator.clone(),
                    statistic: statistic.clone(),
                    unit: unit.clone(),
                    stage: stage.clone(),
                    class: class.clone(),
                    breach,
                    value,
                    verified: verified && read,
                };
                if out.iter().any(|l| {
                    (&l.indicator, &l.statistic, &l.stage, &l.class)
                        == (
                            &limit.indicator,
                            &limit.statistic,
                            &limit.stage,
                            &limit.class,
                        )
                }) {
                    let reason = format!("{} {} appears twice", limit.indicator, limit.statistic);
                    self.page.problem(
                        "duplicate-row",
                        Some(row[ci].span.clone()),
                        self.path,
                        reason,
                        "keep one row",
                    );
                    break;
                }
                out.push(limit);
            }
        }
        Some(out)
    }

    /// Stage and class that a value column stands for.
    fn limit_column(
        &mut self,
        layout: &str,
        h: &Cell,
        item: &dyn TableLike,
    ) -> Option<(Option<String>, Option<String>)> {
        let column = match layout {
            "stage/class" => h
                .text
                .split_once('/')
                .map(|(s, c)| (Some(s.to_owned()), Some(c.to_owned()))),
            "class" => Some((None, Some(h.text.clone()))),
            "stage" => Some((Some(h.text.clone()), None)),
            "" => (h.text == "value").then_some((None, None)),
            other => {
                self.page.problem(
                    "unknown-word",
                    item.get("columns").and_then(Item::span),
                    self.path,
                    format!("unknown column layout {other:?}"),
                    "use stage/class, class or stage, or one column named value",
                );
                return None;
            }
        };
        let Some((stage, class)) = column else {
            self.page.problem(
                "bad-column",
                Some(h.span.clone()),
                self.path,
                format!("column {:?} does not fit columns = {layout:?}", h.text),
                "name value columns as the layout says, for example final/2",
            );
            return None;
        };
        let mut ok = true;
        if let Some(s) = stage.as_ref().filter(|s| !self.scope.stages.contains(s)) {
            self.page.problem(
                "unknown-stage",
                Some(h.span.clone()),
                self.path,
                format!("no stage {s:?} in this file"),
                format!("known stages: {}", self.scope.stages.join(", ")),
            );
            ok = false;
        }
        if let Some(c) = class.as_ref().filter(|c| !self.scope.classes.contains(c)) {
            self.page.problem(
                "unknown-class",
                Some(h.span.clone()),
                self.path,
                format!("no class {c:?} in this file"),
                format!("known classes: {}", self.scope.classes.join(", ")),
            );
            ok = false;
        }
        ok.then_some((stage, class))
    }

    fn breakpoints(&mut self, item: &dyn TableLike) -> Option<Breakpoints> {
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

    fn bands(&mut self) -> Option<Vec<Band>> {
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

    fn validity(&mut self) -> Option<Vec<Validity>> {
        let c = self.grid.columns(
            self.page,
            self.path,
            ["indicators", "statistic", "of", "at-least", "per", "unless"],
            &["unless"],
        )?;
        let mut out: Vec<Validity> = Vec::new();
        for row in &self.grid.rows {
            let verified = self.verified(row);
            let at = |k: usize| c[k].map(|i| &row[i]);
            let (Some(ci), Some(cs), Some(co), Some(cn), Some(cp)) =
                (at(0), at(1), at(2), at(3), at(4))
            else {
                continue;
            };
            let parts = (
                self.statistic(&cs.text, cs),
                self.statistic(&co.text, co),
                self.decimal(cn),
            );
            let unless = at(5)
                .map(|c| c.text.clone())
                .filter(|t| !t.is_empty() && t != "-");
            for name in ci.text.split_whitespace() {
                let Some(indicator) = self.indicator(name, ci) else {
                    continue;
                };
                if let (Some(statistic), Some(of), Some(at_least)) = (&parts.0, &parts.1, parts.2) {
                    let row = Validity {
                        indicator,
                        statistic: statistic.clone(),
                        of: of.clone(),
                        at_least,
                        per: cp.text.clone(),
                        unless: unless.clone(),
                        verified,
                    };
                    if out.iter().any(|v| {
                        (&v.indicator, &v.statistic, &v.per)
                            == (&row.indicator, &row.statistic, &row.per)
                    }) {
                        let reason = format!(
                            "{} {} per {} appears twice",
                            row.indicator, row.statistic, row.per
                        );
                        self.page.problem(
                            "duplicate-row",
                            Some(ci.span.clone()),
                            self.path,
                            reason,
                            "keep one row",
                        );
                    } else {
                        out.push(row);
                    }
                }
            }
        }
        Some(out)
    }

    fn levels(&mut self) -> Option<Vec<Level>> {
        let c = self.grid.columns(
            self.page,
            self.path,
            [
                "level",
                "low",
                "high",
                "zh",
                "en",
                "colour",
                "effect-zh",
                "effect-en",
                "advice-zh",
                "advice-en",
            ],
            &["colour", "effect-zh", "effect-en", "advice-zh", "advice-en"],
        )?;
        let mut out: Vec<Level> = Vec::new();
        for row in &self.grid.rows {
            let text = |k: usize| c[k].map_or(String::new(), |i| row[i].text.clone());
            let at = |k: usize| c[k].map(|i| &row[i]);
            let (Some(cl), Some(clow)) = (at(0), at(1)) else {
                continue;
            };
            let (level, low, high) = (
                self.decimal(cl),
                self.decimal(clow),
                self.opt_decimal(at(2)),
            );
            let (Some(level), Some(low)) =
                (level.and_then(|l| u32::try_from(l.mantissa()).ok()), low)
            else {
                continue;
            };
            if out.last().is_some_and(|l| l.low >= low) {
                self.page.problem(
                    "non-monotone",
                    Some(clow.span.clone()),
                    self.path,
                    format!("level {level} does not start above the one before"),
                    "levels go from the lowest up",
                );
            }
            out.push(Level {
                level,
                low,
                high,
                name: Text::new(text(3), text(4)),
                colour: text(5),
                effect: Text::new(text(6), text(7)),
                advice: Text::new(text(8), text(9)),
            });
        }
        Some(out)
    }

    fn items(&mut self) -> Option<Vec<AnnualItem>> {
        let c = self.grid.columns(
            self.page,
            self.path,
            [
                "indicator",
                "statistic",
                "of",
                "percentile",
                "limit",
                "weight",
            ],
            &["percentile", "weight"],
        )?;
        let mut out = Vec::new();
        for row in &self.grid.rows {
            let verified = self.verified(row);
            let at = |k: usize| c[k].map(|i| &row[i]);
            let (Some(ci), Some(cs), Some(co), Some(cl)) = (at(0), at(1), at(2), at(4)) else {
                continue;
            };
            let parts = (
                self.indicator(&ci.text, ci),
                self.statistic(&cs.text, cs),
                self.statistic(&co.text, co),
                self.statistic(&cl.text, cl),
            );
            let (percentile, weight) = (self.opt_decimal(at(3)), self.opt_decimal(at(5)));
            if let (Some(indicator), Some(statistic), Some(of), Some(limit)) = parts {
                out.push(AnnualItem {
                    indicator,
                    statistic,
                    of,
                    percentile,
                    limit,
                    weight,
                    verified,
                });
            }
        }
        Some(out)
    }

    fn roundings(&mut self) -> Option<Vec<RoundingRule>> {
        let c = self.grid.columns(
            self.page,
            self.path,
            ["of", "step", "decimals", "rule"],
            &[],
        )?;
        let mut out = Vec::new();
        for row in &self.grid.rows {
            let verified = self.verified(row);
            let at = |k: usize| c[k].map(|i| &row[i]);
            let (Some(co), Some(cs), Some(cd), Some(cr)) = (at(0), at(1), at(2), at(3)) else {
                continue;
            };
            let decimals = self
                .decimal(cd)
                .filter(|d| d.scale() == 0 && *d <= Decimal::TEN)
                .and_then(|d| u32::try_from(d.mantissa()).ok());
            let rule = match cr.text.parse::<Rounding>() {
                Ok(r) => Some(r),
                Err(e) => {
                    self.page
                        .problem("unknown-word", Some(cr.span.clone()), self.path, e, "");
                    None
                }
            };
            for of in co.text.split_whitespace() {
                if let (Some(decimals), Some(rule)) = (decimals, rule) {
                    out.push(RoundingRule {
                        of: of.to_owned(),
                        step: cs.text.clone(),
                        decimals,
                        rule,
                        verified,
                    });
                }
            }
        }
        Some(out)
    }

    fn parameters(&mut self) -> Option<Vec<Parameter>> {
        let c = self.grid.columns(
            self.page,
            self.path,
            ["name", "indicator", "value", "unit", "clause"],
            &["indicator", "unit", "clause"],
        )?;
        let mut out: Vec<Parameter> = Vec::new();
        for row in &self.grid.rows {
            let verified = self.verified(row);
            let at = |k: usize| {
                c[k].map(|i| &row[i])
                    .filter(|c| !c.text.is_empty() && c.text != "-")
            };
            let (Some(cn), Some(cv)) = (at(0), at(2)) else {
                self.page.problem(
                    "missing-key",
                    row.first().map(|c| c.span.clone()),
                    self.path,
                    "a parameter needs a name and a value",
                    "fill both cells",
                );
                continue;
            };
            let indicator = match at(1) {
                Some(ci) => match self.indicator(&ci.text, ci) {
                    Some(i) => Some(i),
                    None => continue,
                },
                None => None,
            };
            let text = |c: Option<&Cell>| c.map_or(String::new(), |c| c.text.clone());
            if out
                .iter()
                .any(|p| p.name == cn.text && p.indicator == indicator)
            {
                self.page.problem(
                    "duplicate-row",
                    Some(cn.span.clone()),
                    self.path,
                    format!("parameter {} appears twice", cn.text),
                    "keep one row",
                );
                continue;
            }
            out.push(Parameter {
                name: cn.text.clone(),
                indicator,
                value: cv.text.clone(),
                unit: text(at(3)),
                clause: text(at(4)),
                verified,
            });
        }
        Some(out)
    }

    fn triggers(&mut self) -> Option<Vec<Trigger>> {
        let c = self.grid.columns(
            self.page,
            self.path,
            [
                "level",
                "metric",
                "statistic",
                "above",
                "days",
                "with-above",
                "with-days",
            ],
            &["with-above", "with-days"],
        )?;
        let mut out = Vec::new();
        for row in &self.grid.rows {
            let verified = self.verified(row);
            let at = |k: usize| c[k].map(|i| &row[i]);
            let text = |k: usize| c[k].map_or(String::new(), |i| row[i].text.clone());
            let (Some(ca), Some(cd)) = (at(3), at(4)) else {
                continue;
            };
            let (above, days) = (self.decimal(ca), self.decimal(cd));
            let (with_above, with_days) = (self.opt_decimal(at(5)), self.opt_decimal(at(6)));
            if with_above.is_some() != with_days.is_some() {
                self.page.problem(
                    "missing-key",
                    Some(ca.span.clone()),
                    self.path,
                    "with-above and with-days go together",
                    "fill both or neither",
                );
            }
            if let (Some(above), Some(days)) = (above, days) {
                out.push(Trigger {
                    level: text(0),
                    metric: text(1),
                    statistic: text(2),
                    above,
                    days,
                    with_above,
                    with_days,
                    verified,
                });
            }
        }
        Some(out)
    }

    fn conditions(&mut self) -> Option<Vec<Condition>> {
        let c = self.grid.columns(
            self.page,
            self.path,
            [
                "indicators",
                "from",
                "until",
                "temperature_K",
                "pressure_hPa",
            ],
            &[],
        )?;
        let mut out = Vec::new();
        for row in &self.grid.rows {
            let at = |k: usize| c[k].map(|i| &row[i]);
            let Some(ci) = at(0) else { continue };
            let (from, until) = (self.opt_date(at(1)), self.opt_date(at(2)));
            let (temperature_k, pressure_hpa) = (self.opt_decimal(at(3)), self.opt_decimal(at(4)));
            for name in ci.text.split_whitespace() {
                if let Some(indicator) = self.indicator(name, ci) {
                    out.push(Condition {
                        indicator,
                        period: Period { from, until },
                        temperature_k,
                        pressure_hpa,
                    });
                }
            }
        }
        Some(out)
    }

    fn opt_date(&mut self, cell: Option<&Cell>) -> Option<Date> {
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
