//! Rows of kind `limit`.

use miyun_core::rule::{Breach, Limit};
use toml_edit::{Item, TableLike};

use super::Reader;
use crate::grid::Cell;

impl Reader<'_, '_, '_> {
    pub(super) fn limits(&mut self, item: &dyn TableLike) -> Option<Vec<Limit>> {
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
}
