//! Brings a plan its figures: assessments over the period so far, limits, finishes like past years.

use std::sync::Arc;

use miyun_air::annual::day_range;
use miyun_assess::air::{AirEvaluation, Record};
use miyun_core::rule::InstrumentKind;
use miyun_core::{Date, Decimal, Period, SubjectId};
use miyun_plan::{Figure, Figures, Indicator};
use miyun_rulebook::Query;

use crate::site::{Known, Site};

/// Figures of a site, as known at a moment.
pub struct LakeFigures<'a> {
    site: &'a Site,
    known: Known,
}

impl<'a> LakeFigures<'a> {
    /// Figures of `site` as known at `known`.
    #[must_use]
    pub fn new(site: &'a Site, known: Known) -> Self {
        Self { site, known }
    }

    fn record(&self, subject: &SubjectId) -> Option<Arc<Record>> {
        self.site.record(subject, &self.known).ok()
    }
}

impl Figures for LakeFigures<'_> {
    fn figure(&self, i: &Indicator, period: &Period, on: Date) -> Option<Figure> {
        if crate::devices::figures::knows(i) {
            return crate::devices::figures::figure(
                &self.site.lake(),
                self.site.book,
                i,
                period,
                on,
                self.known.as_deref(),
            );
        }
        let (from, due) = (period.from?, period.until?);
        let last = Site::last_day(&*self.record(&i.subject)?);
        let until = on.min(due).min(last);
        if until < from {
            return None;
        }
        let ev = self
            .site
            .evaluation(
                &i.subject,
                Period::days(from, until),
                "in-force",
                &self.known,
            )
            .ok()?;
        let assessment = ev
            .assessments
            .iter()
            .find(|a| {
                a.subject == i.subject && a.indicator == i.indicator && a.statistic == i.statistic
            })?
            .clone();
        let forecast = if until < due {
            forecast(&ev, i, until, due)
        } else {
            None
        };
        Some(Figure {
            assessment,
            data_until: until,
            forecast,
        })
    }

    fn limit(&self, i: &Indicator, on: Date) -> Option<(Decimal, String)> {
        let jurisdiction = self
            .record(&i.subject)
            .map(|r| (r.city.jurisdiction.clone(), r.city.zone_class.clone()));
        let (jurisdiction, class) = jurisdiction.or_else(|| Some(("CN/11".parse().ok()?, None)))?;
        // A percentile is held against the limit of the day (HJ 663).
        let statistics = [
            i.statistic.as_str(),
            if i.indicator == "O3" {
                "daily-max-8h"
            } else {
                "daily-mean"
            },
        ];
        statistics.iter().find_map(|s| {
            let q = Query {
                indicator: i.indicator.clone(),
                statistic: s.parse().ok()?,
                jurisdiction: jurisdiction.clone(),
                class: Some(class.clone().unwrap_or_else(|| "2".into())),
                on,
                kind: InstrumentKind::QualityStandard,
            };
            let r = self.site.book.resolve(&q).ok()?;
            Some((r.decides.limit.value, r.decides.rule.to_string()))
        })
    }
}

/// The end of the year if its rest is like that of a past year (annual means only).
fn forecast(ev: &AirEvaluation, i: &Indicator, until: Date, due: Date) -> Option<(f64, f64, f64)> {
    let e = &ev.edition.edition;
    let item = e.annual.iter().find(|a| {
        a.item.indicator == i.indicator
            && a.item.statistic == i.statistic
            && a.item.percentile.is_none()
    })?;
    let city = &ev.city.series[item.slot];
    let past: Vec<_> = (ev.first_day.year()..due.year())
        .filter_map(Period::year)
        .filter(|p| p.from.is_some_and(|f| f >= ev.first_day))
        .map(|p| city[day_range(ev.first_day, city.len(), &p)].to_vec())
        .collect();
    let b = miyun_air::budget::budget(
        ev.first_day,
        city,
        &[],
        &past,
        due.year(),
        until,
        Decimal::ZERO,
    )?;
    b.fan
        .map(|f| (f.quantiles[0], f.quantiles[2], f.quantiles[4]))
}
