//! Brings a plan its figures: assessments over the period so far, limits, finishes like past years.

use std::collections::HashMap;
use std::sync::Mutex;

use miyun_air::Incomplete;
use miyun_air::annual::{date_of, day_range};
use miyun_assess::EditionChoice;
use miyun_assess::air::{AirEvaluation, AirRequest, Record, evaluate};
use miyun_core::rule::InstrumentKind;
use miyun_core::{Date, Decimal, Period, SubjectId};
use miyun_lake::Lake;
use miyun_plan::{Figure, Figures, Indicator};
use miyun_rulebook::{Query, Rulebook};

/// Figures of a lake.
pub struct LakeFigures<'a> {
    lake: &'a Lake,
    book: &'a Rulebook,
    records: Mutex<HashMap<SubjectId, Option<Record>>>,
    evaluations: Mutex<HashMap<(SubjectId, Period), Option<AirEvaluation>>>,
}

impl<'a> LakeFigures<'a> {
    /// Figures of `lake` under `book`.
    #[must_use]
    pub fn new(lake: &'a Lake, book: &'a Rulebook) -> Self {
        Self {
            lake,
            book,
            records: Mutex::default(),
            evaluations: Mutex::default(),
        }
    }

    fn with_record<T>(
        &self,
        subject: &SubjectId,
        f: impl FnOnce(&Record) -> Option<T>,
    ) -> Option<T> {
        let mut records = self
            .records
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        let record = records
            .entry(subject.clone())
            .or_insert_with(|| Record::read(self.lake, self.book, Some(subject), None, None).ok());
        record.as_ref().and_then(f)
    }

    fn evaluation(&self, subject: &SubjectId, period: Period) -> Option<AirEvaluation> {
        let key = (subject.clone(), period);
        if let Some(known) = self
            .evaluations
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .get(&key)
        {
            return known.clone();
        }
        let request = AirRequest {
            city: Some(subject.clone()),
            period,
            choice: EditionChoice::InForce,
            interval: None,
            incomplete: Incomplete::AsEdition,
            as_known_on: None,
        };
        let made = self.with_record(subject, |r| evaluate(self.book, r, &request).ok());
        self.evaluations
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .insert(key, made.clone());
        made
    }
}

impl Figures for LakeFigures<'_> {
    fn figure(&self, i: &Indicator, period: &Period, on: Date) -> Option<Figure> {
        if crate::devices::figures::knows(i) {
            return crate::devices::figures::figure(self.lake, self.book, i, period, on);
        }
        let (from, due) = (period.from?, period.until?);
        let last = self.with_record(&i.subject, |r| {
            Some(date_of(r.first_day, r.days.saturating_sub(1)))
        })?;
        let until = on.min(due).min(last);
        if until < from {
            return None;
        }
        let ev = self.evaluation(&i.subject, Period::days(from, until))?;
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
        let jurisdiction = self.with_record(&i.subject, |r| {
            Some((r.city.jurisdiction.clone(), r.city.zone_class.clone()))
        });
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
            let r = self.book.resolve(&q).ok()?;
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
