//! Rows of kinds `validity`, `level`, `item`, `rounding` and `parameter`: how data are judged.

use miyun_core::Decimal;
use miyun_core::decimal::Rounding;
use miyun_core::rule::{Item as AnnualItem, Level, Parameter, RoundingRule, Validity};
use miyun_core::text::Text;

use super::Reader;
use crate::grid::Cell;

impl Reader<'_, '_, '_> {
    pub(super) fn validity(&mut self) -> Option<Vec<Validity>> {
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

    pub(super) fn levels(&mut self) -> Option<Vec<Level>> {
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

    pub(super) fn items(&mut self) -> Option<Vec<AnnualItem>> {
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

    pub(super) fn roundings(&mut self) -> Option<Vec<RoundingRule>> {
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

    pub(super) fn parameters(&mut self) -> Option<Vec<Parameter>> {
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
}
