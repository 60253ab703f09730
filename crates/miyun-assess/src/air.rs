//! Air: from a city in the lake to figures that say why.

use std::sync::Arc;

use miyun_air::annual::{date_of, day_range};
use miyun_air::city::city_days;
use miyun_air::trend::{Month, monthly};
use miyun_air::{
    AnnualValue, DayCounts, DaySeries, Hours, Incomplete, Index, MISSING, StationDays,
    station_days, valid_days,
};
use miyun_core::observation::IntervalLabel;
use miyun_core::subject::SubjectKind;
use miyun_core::unit::{GasState, MASS_CONCENTRATION, VOLUME_FRACTION, convert};
use miyun_core::{Assessment, Date, Decimal, Period, Subject, SubjectId, Text, Unit};
use miyun_lake::{Dense, Lake, Request};
use miyun_rulebook::{Indicator, Rulebook};
use serde::Serialize;

use crate::{AssessError, EditionChoice, NamedEdition, air_edition, trace};

/// Indicators of the air index.
pub const INDICATORS: [&str; 6] = ["SO2", "NO2", "CO", "O3", "PM10", "PM2.5"];
/// A century of hours is the most that a mistaken date may make us hold.
pub(crate) const DAYS_MAX: usize = 36_600;
/// Class of place where a subject states none: residential and mixed areas (GB 3095, class 2).
const DEFAULT_CLASS: &str = "2";

/// What to assess.
#[derive(Debug, Clone)]
pub struct AirRequest {
    /// The city; `None` for the only one in the lake.
    pub city: Option<SubjectId>,
    /// Days, both ends included.
    pub period: Period,
    /// Edition.
    pub choice: EditionChoice,
    /// Reads labels this way whatever the series declare.
    pub interval: Option<IntervalLabel>,
    /// What to do with days that miss an indicator.
    pub incomplete: Incomplete,
    /// Only what was recorded by then.
    pub as_known_on: Option<String>,
}

/// One place with its whole record, in canonical units.
#[derive(Debug, Clone)]
pub struct Station {
    /// The station.
    pub subject: Subject,
    /// Its hours.
    pub hours: Hours,
    /// What the hours rest on.
    pub evidence: Vec<Dense>,
}

/// The record of a city: every station's hours over the same days.
#[derive(Debug, Clone)]
pub struct Record {
    /// The city.
    pub city: Subject,
    /// Its stations, control stations included.
    pub stations: Vec<Station>,
    /// First day.
    pub first_day: Date,
    /// Days.
    pub days: usize,
    /// How labels were read, in words.
    pub declared: Vec<String>,
}

/// One place under one edition.
#[derive(Debug, Clone, Serialize)]
pub struct PlaceResult {
    /// The place.
    pub subject: Subject,
    /// True if the city mean leaves it out.
    pub control: bool,
    /// Valid daily values by slot over the whole record.
    #[serde(skip)]
    pub series: Vec<DaySeries>,
    /// Daily cells of a station; `None` for the city.
    #[serde(skip)]
    pub cells: Option<StationDays>,
    /// Daily indices over the whole record.
    #[serde(skip)]
    pub indices: Vec<Index>,
    /// Annual items over the period.
    pub items: Vec<AnnualValue>,
    /// Level counts over the period.
    pub counts: DayCounts,
    /// Composite index over the period.
    pub composite: Option<Decimal>,
}

/// A city assessed over a period under one edition.
#[derive(Debug, Clone)]
pub struct AirEvaluation {
    /// The request.
    pub request: AirRequest,
    /// The edition applied.
    pub edition: NamedEdition,
    /// First day of every series.
    pub first_day: Date,
    /// The city.
    pub city: PlaceResult,
    /// Its stations.
    pub stations: Vec<PlaceResult>,
    /// One assessment per place and annual item, then per place the days of good air.
    pub assessments: Vec<Assessment>,
    /// How labels were read, simulated or not.
    pub declared: Vec<String>,
}

impl Record {
    /// Reads the record of a city from the lake, converted to canonical units.
    ///
    /// # Errors
    /// [`AssessError`] if there is no such city or it has no air data.
    pub fn read(
        lake: &Lake,
        book: &Rulebook,
        city: Option<&SubjectId>,
        interval: Option<IntervalLabel>,
        as_known_on: Option<&str>,
    ) -> Result<Self, AssessError> {
        let subjects = lake.subjects();
        let city = find_city(&subjects, city)?;
        let members: Vec<&Subject> = subjects
            .iter()
            .filter(|s| s.kind == SubjectKind::Station && s.part_of.as_ref() == Some(&city.id))
            .collect();
        let ids: Vec<SubjectId> = members.iter().map(|s| s.id.clone()).collect();
        let (first_day, days) = extent(lake, &ids).ok_or_else(|| no_data(&city))?;
        Self::read_days(
            lake,
            book,
            city,
            &members,
            (first_day, days),
            interval,
            as_known_on,
            2,
        )
    }

    /// Reads `days` (first, how many) of `members`, stations of `city`.
    #[allow(clippy::too_many_arguments)]
    pub(crate) fn read_days(
        lake: &Lake,
        book: &Rulebook,
        city: Subject,
        members: &[&Subject],
        (first_day, days): (Date, usize),
        interval: Option<IntervalLabel>,
        as_known_on: Option<&str>,
        threads: usize,
    ) -> Result<Self, AssessError> {
        let ids: Vec<SubjectId> = members.iter().map(|s| s.id.clone()).collect();
        let request = Request {
            subjects: &ids,
            indicators: &INDICATORS,
            first_day,
            days,
            interval,
            as_known_on,
        };
        let mut stations = Vec::new();
        for found in lake.hours_on(threads, &request)? {
            let Some(subject) = members.iter().find(|s| s.id == found.subject) else {
                continue;
            };
            let mut hours = Hours::empty(first_day, days);
            for dense in &found.series {
                merge(book, &mut hours, dense);
            }
            stations.push(Station {
                subject: (*subject).clone(),
                hours,
                evidence: found.series,
            });
        }
        let mut declared: Vec<String> = Vec::new();
        for d in stations.iter().flat_map(|s| &s.evidence) {
            let words = format!(
                "labels read as {}, UTC{:+}",
                d.interval.as_str(),
                f64::from(d.series.utc_offset_minutes) / 60.0
            );
            if !declared.contains(&words) {
                declared.push(words);
            }
        }
        declared.sort();
        if city.simulated {
            declared.push("SIMULATED: made by a simulator, measured nowhere".into());
        }
        Ok(Self {
            city,
            stations,
            first_day,
            days,
            declared,
        })
    }
}

pub(crate) fn no_data(city: &Subject) -> AssessError {
    AssessError::NoData(format!(
        "{} has no air data: import some with `miyun import`",
        city.id
    ))
}

/// The city asked for, or the only one.
fn find_city(subjects: &[Subject], wanted: Option<&SubjectId>) -> Result<Subject, AssessError> {
    let cities: Vec<&Subject> = subjects
        .iter()
        .filter(|s| s.kind == SubjectKind::City)
        .collect();
    let names = || {
        cities
            .iter()
            .map(|c| c.id.as_str())
            .collect::<Vec<_>>()
            .join(", ")
    };
    match (wanted, cities.as_slice()) {
        (Some(id), _) => cities
            .iter()
            .find(|c| c.id == *id)
            .map(|c| (*c).clone())
            .ok_or_else(|| {
                AssessError::NoData(format!("no city {id} in the lake; there is: {}", names()))
            }),
        (None, [one]) => Ok((*one).clone()),
        (None, []) => Err(AssessError::NoData(
            "the lake has no city yet: import data with `miyun import`".into(),
        )),
        (None, _) => Err(AssessError::NoData(format!(
            "the lake has several cities, choose one with --city: {}",
            names()
        ))),
    }
}

/// First local day and number of days of the air series of `ids`.
fn extent(lake: &Lake, ids: &[SubjectId]) -> Option<(Date, usize)> {
    let mut span: Option<(i64, i64)> = None;
    for c in lake.commits() {
        for s in c.parts.iter().flat_map(|p| &p.spans) {
            let series = &c.series[s.series];
            if ids.contains(&series.subject) && INDICATORS.contains(&series.indicator.as_str()) {
                let offset = i64::from(series.utc_offset_minutes) * 60;
                let shift = if series.interval == IntervalLabel::HourEnd {
                    3_600
                } else {
                    0
                };
                let (a, b) = (s.first_s + offset - shift, s.last_s + offset - shift);
                span = Some(span.map_or((a, b), |(x, y)| (x.min(a), y.max(b))));
            }
        }
    }
    let (a, b) = span?;
    let (a, b) = (a.div_euclid(86_400), b.div_euclid(86_400));
    let first = Date::constant(1970, 1, 1)
        .checked_add(jiff::Span::new().days(a))
        .ok()?;
    Some((first, usize::try_from(b - a + 1).ok()?.min(DAYS_MAX)))
}

/// Adds a series to the hours, in canonical units; where both have a value the later series wins.
fn merge(book: &Rulebook, hours: &mut Hours, dense: &Dense) {
    let v = book.vocabulary();
    let Some(indicator) = v.indicator(dense.series.indicator.as_str()) else {
        return;
    };
    let (Some(from), Some(to)) = (
        v.unit(dense.series.unit.as_str()),
        v.unit(indicator.unit.as_str()),
    ) else {
        return;
    };
    let values = in_canonical(book, indicator, (from, to), hours.first_day, &dense.values);
    match hours.series.iter_mut().find(|(i, _)| *i == indicator.id) {
        Some((_, old)) => {
            let old = Arc::make_mut(old);
            for (o, n) in old
                .iter_mut()
                .zip(values.iter())
                .filter(|(_, n)| **n != MISSING)
            {
                *o = *n;
            }
        }
        None => hours.series.push((indicator.id.clone(), values)),
    }
}

/// Whole days of values of one unit, in 10^-6 of the other, rounded half to even where one has
/// more decimals.
fn in_canonical(
    book: &Rulebook,
    indicator: &Indicator,
    (from, to): (&Unit, &Unit),
    first_day: Date,
    values: &Arc<Vec<i64>>,
) -> Arc<Vec<i64>> {
    if from.id == to.id {
        return Arc::clone(values);
    }
    let slow = |x: i64, state: Option<GasState>| {
        convert(Decimal::new(x, 6), from, to, indicator.molar_mass, state)
            .ok()
            .and_then(|v| {
                miyun_air::exact::steps_of(miyun_core::round(v, 6, miyun_core::Rounding::HalfEven))
            })
            .unwrap_or(MISSING)
    };
    let gas = [from, to].iter().any(|u| u.dimension == VOLUME_FRACTION)
        && [from, to].iter().any(|u| u.dimension == MASS_CONCENTRATION);
    let ratio = whole_ratio(from, to);
    let mut out = Vec::with_capacity(values.len());
    for (day, hours) in values.chunks(24).enumerate() {
        let state = if gas {
            book.gas_state(indicator.id.as_str(), date_of(first_day, day))
        } else {
            None
        };
        out.extend(hours.iter().map(|&x| match ratio {
            _ if x == MISSING => x,
            // The common case, ug/m3 to mg/m3 and back, without decimals.
            Some((up, down)) => match x.checked_mul(up) {
                Some(scaled) if scaled % down == 0 => scaled / down,
                _ => slow(x, state),
            },
            None => slow(x, state),
        }));
    }
    Arc::new(out)
}

/// The factor between two units of one dimension as a fraction of integers.
fn whole_ratio(from: &Unit, to: &Unit) -> Option<(i64, i64)> {
    if from.dimension != to.dimension || from.offset != to.offset {
        return None;
    }
    let (f, t) = (from.factor.normalize(), to.factor.normalize());
    if f.scale() != 0 || t.scale() != 0 {
        return None;
    }
    let (up, down) = (
        i64::try_from(f.mantissa()).ok()?,
        i64::try_from(t.mantissa()).ok()?,
    );
    (down > 0).then_some((up, down))
}

/// Assesses a city's record over the period of the request.
///
/// # Errors
/// [`AssessError`] if the period is open or no edition holds.
pub fn evaluate(
    book: &Rulebook,
    record: &Record,
    request: &AirRequest,
) -> Result<AirEvaluation, AssessError> {
    let until = request
        .period
        .until
        .filter(|_| request.period.from.is_some())
        .ok_or(AssessError::Period(request.period))?;
    let class = record.city.zone_class.as_deref().unwrap_or(DEFAULT_CLASS);
    let edition = air_edition(
        book,
        &request.choice,
        &record.city.jurisdiction,
        class,
        until,
    )?;
    let e = &edition.edition;
    let mut stations: Vec<PlaceResult> = record
        .stations
        .iter()
        .map(|s| {
            let cells = station_days(&s.hours, e);
            place(
                &edition,
                request,
                record.first_day,
                s.subject.clone(),
                valid_days(&cells),
                Some(cells),
            )
        })
        .collect();
    let members: Vec<&[DaySeries]> = stations
        .iter()
        .filter(|s| !s.control)
        .map(|s| s.series.as_slice())
        .collect();
    if members.is_empty() {
        return Err(AssessError::NoData(format!(
            "{} has no station that takes part in its mean",
            record.city.id
        )));
    }
    let series = city_days(&members, e.city_share_percent.as_ref().map(|s| s.value));
    let city = place(
        &edition,
        request,
        record.first_day,
        record.city.clone(),
        series,
        None,
    );
    stations.sort_by(|a, b| a.subject.id.cmp(&b.subject.id));
    let mut out = AirEvaluation {
        request: request.clone(),
        edition,
        first_day: record.first_day,
        city,
        stations,
        assessments: Vec::new(),
        declared: record.declared.clone(),
    };
    out.assessments = trace::annual(&out, record);
    Ok(out)
}

/// Assesses a record under each request, on two threads.
///
/// # Errors
/// The first [`AssessError`] in the order of the requests.
pub fn evaluate_all(
    book: &Rulebook,
    record: &Record,
    requests: &[AirRequest],
) -> Result<Vec<AirEvaluation>, AssessError> {
    crate::on_two_threads(requests, |r| evaluate(book, record, r))
        .into_iter()
        .collect()
}

fn place(
    edition: &NamedEdition,
    request: &AirRequest,
    first_day: Date,
    subject: Subject,
    series: Vec<DaySeries>,
    cells: Option<StationDays>,
) -> PlaceResult {
    let e = &edition.edition;
    let rounded = e.rounded_days(&series);
    let indices = e.day_indices(&rounded, request.incomplete);
    let items = e.annual_values(first_day, &series, &rounded, &request.period);
    let counts = e.day_counts(&indices[day_range(first_day, indices.len(), &request.period)]);
    PlaceResult {
        control: subject.control,
        composite: e.composite(&items),
        subject,
        series,
        cells,
        indices,
        items,
        counts,
    }
}

impl AirEvaluation {
    /// The city, then its stations.
    pub fn places(&self) -> impl Iterator<Item = &PlaceResult> {
        std::iter::once(&self.city).chain(&self.stations)
    }

    /// Monthly means of an annual item of a place, over the whole record; none if there is no such
    /// item. Their trends: [`miyun_air::trend::trends`].
    #[must_use]
    pub fn months(&self, place: &PlaceResult, item: usize) -> Vec<Month> {
        let Some(a) = self.edition.edition.annual.get(item) else {
            return Vec::new();
        };
        (place.series.get(a.slot)).map_or_else(Vec::new, |days| monthly(self.first_day, days, a))
    }

    /// Days of the period, as indices into the series.
    #[must_use]
    pub fn range(&self) -> std::ops::Range<usize> {
        day_range(
            self.first_day,
            self.city.indices.len(),
            &self.request.period,
        )
    }

    /// The assessment of an annual item of a place.
    #[must_use]
    pub fn assessment(&self, subject: &SubjectId, item: usize) -> Option<&Assessment> {
        let a = &self.edition.edition.annual.get(item)?.item;
        self.assessments.iter().find(|x| {
            x.subject == *subject && x.indicator == a.indicator && x.statistic == a.statistic
        })
    }

    /// True if anything in it was made by a simulator.
    #[must_use]
    pub fn simulated(&self) -> bool {
        self.places().any(|p| p.subject.simulated)
    }
}

/// Names of the twelve PRSA stations and of other data without a station table: a subject per
/// station name, part of the city.
#[must_use]
pub fn plain_station(city: &Subject, id: &SubjectId, name: &str) -> Subject {
    Subject {
        id: id.clone(),
        kind: SubjectKind::Station,
        name: Text::new(name, name),
        jurisdiction: city.jurisdiction.clone(),
        part_of: Some(city.id.clone()),
        district: None,
        lon_deg: None,
        lat_deg: None,
        zone_class: city.zone_class.clone(),
        control: false,
        simulated: city.simulated,
    }
}
