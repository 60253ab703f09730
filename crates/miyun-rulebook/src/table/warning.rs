//! Rows of kinds `trigger` and `condition`: when a warning is raised.

use miyun_core::Period;
use miyun_core::rule::{Condition, Trigger};

use super::Reader;

impl Reader<'_, '_, '_> {
    pub(super) fn triggers(&mut self) -> Option<Vec<Trigger>> {
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

    pub(super) fn conditions(&mut self) -> Option<Vec<Condition>> {
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
}
