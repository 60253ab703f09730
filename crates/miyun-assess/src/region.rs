//! Every city of a lake, one after the other: a province or a country without holding it in memory.

use std::collections::{BTreeMap, HashSet};

use miyun_air::Hours;
use miyun_core::subject::SubjectKind;
use miyun_core::{Date, JurisdictionId, Subject, SubjectId};
use miyun_lake::Lake;
use miyun_rulebook::Rulebook;

use crate::AssessError;
use crate::air::{AirEvaluation, AirRequest, INDICATORS, Record, Station, evaluate, no_data};

/// What one city came to.
#[derive(Debug)]
pub struct CityOutcome<T> {
    /// The city.
    pub city: Subject,
    /// What `each` made of it, or why it could not be assessed.
    pub outcome: Result<T, AssessError>,
}

/// Assesses every city of the lake that lies in `within` (all if `None`) over the period of
/// `request`, whose own city is not used. `each` keeps of an assessed city what is wanted; the
/// rest is dropped before the next, so that memory does not grow with the country. On two threads;
/// outcomes are sorted by city, and a city without data aborts nothing.
///
/// A figure is the one that [`evaluate`] gives for the city alone. Only the days of the period are
/// read, so that trends rest on them alone.
///
/// # Errors
/// [`AssessError::Period`] if the period is open, [`AssessError::NoData`] if there is no city.
pub fn region<T: Send>(
    lake: &Lake,
    book: &Rulebook,
    request: &AirRequest,
    within: Option<&JurisdictionId>,
    each: impl Fn(&Record, &AirEvaluation) -> T + Sync,
) -> Result<Vec<CityOutcome<T>>, AssessError> {
    let days = days_of(request)?;
    let subjects = lake.subjects();
    let mut members: BTreeMap<&SubjectId, Vec<&Subject>> = BTreeMap::new();
    let measured = measured(lake, request);
    for s in subjects
        .iter()
        .filter(|s| s.kind == SubjectKind::Station && measured.contains(&s.id))
    {
        if let Some(city) = &s.part_of {
            members.entry(city).or_default().push(s);
        }
    }
    let cities: Vec<&Subject> = subjects
        .iter()
        .filter(|s| s.kind == SubjectKind::City)
        .filter(|s| within.is_none_or(|w| w.contains(&s.jurisdiction)))
        .collect();
    if cities.is_empty() {
        return Err(AssessError::NoData(match within {
            Some(w) => format!("the lake has no city in {w}"),
            None => "the lake has no city yet: import data with `miyun import`".into(),
        }));
    }
    let one = |city: &Subject| -> Result<T, AssessError> {
        let stations = members.get(&city.id).map_or(&[][..], Vec::as_slice);
        let record = read(lake, book, city, stations, days, request)?;
        Ok(each(&record, &evaluate(book, &record, request)?))
    };
    let done = crate::on_two_threads(&cities, |city| one(city));
    Ok(done
        .into_iter()
        .zip(cities)
        .map(|(outcome, city)| CityOutcome {
            city: city.clone(),
            outcome,
        })
        .collect())
}

/// Subjects with air data.
fn measured<'a>(lake: &'a Lake, request: &AirRequest) -> HashSet<&'a SubjectId> {
    let known = request.as_known_on.as_deref();
    lake.commits()
        .iter()
        .flat_map(|c| {
            let series = c.series.iter().enumerate();
            series.filter(move |(k, _)| known.is_none_or(|t| c.knew(*k, t)))
        })
        .map(|(_, s)| s)
        .filter(|s| INDICATORS.contains(&s.indicator.as_str()))
        .map(|s| &s.subject)
        .collect()
}

/// First day and number of days of the request.
fn days_of(request: &AirRequest) -> Result<(Date, usize), AssessError> {
    let open = || AssessError::Period(request.period);
    let (from, until) = request
        .period
        .from
        .zip(request.period.until)
        .ok_or_else(open)?;
    let days = usize::try_from((until - from).get_days()).map_err(|_| open())? + 1;
    if days > crate::air::DAYS_MAX {
        return Err(open());
    }
    Ok((from, days))
}

/// The record of a city over some days. A station that has data, but none in these days, takes
/// part without any, as it does in the whole record.
fn read(
    lake: &Lake,
    book: &Rulebook,
    city: &Subject,
    stations: &[&Subject],
    days: (Date, usize),
    request: &AirRequest,
) -> Result<Record, AssessError> {
    let mut record = Record::read_days(
        lake,
        book,
        city.clone(),
        stations,
        days,
        request.interval,
        request.as_known_on.as_deref(),
        1,
    )?;
    for s in stations {
        if !record.stations.iter().any(|r| r.subject.id == s.id) {
            record.stations.push(Station {
                subject: (*s).clone(),
                hours: Hours::empty(days.0, days.1),
                evidence: Vec::new(),
            });
        }
    }
    record
        .stations
        .sort_by(|a, b| a.subject.id.cmp(&b.subject.id));
    if record.stations.is_empty() {
        return Err(no_data(city));
    }
    Ok(record)
}
