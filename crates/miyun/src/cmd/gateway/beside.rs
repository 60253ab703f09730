//! What is kept beside hour values to judge them by: on how many valid minutes each rests, and
//! whether start-up or shut-down was marked. Counted from the live state, so that an hour has the
//! same verdict on every page; what is older than the state is counted from the lake.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;
use miyun_core::SubjectId;
use miyun_gateway::reading::Span;
use miyun_gateway::registry::{Device, Property};
use miyun_gateway::server::Follow;
use miyun_gateway::state::{DeviceState, HOURS};
use miyun_lake::{Lake, Window};
use miyun_rulebook::Rulebook;
use miyun_web::devices::judge;
use miyun_web::devices::stored::{self, MARKED, minutes_name};

/// Hours whose judging may have changed.
#[derive(Debug, Default)]
pub struct Touched {
    /// By device and factor: system code and beginnings of hours.
    means: BTreeMap<(u64, String), (String, BTreeSet<i64>)>,
    /// By outlet and hour: label and value of the last mark, for hours older than the state.
    marks: BTreeMap<(SubjectId, i64), (i64, bool)>,
}

/// A value to be stored: subject, name, unit, label, value.
pub type Counted = (SubjectId, String, &'static str, i64, i64);

fn hour_of(label_s: i64) -> i64 {
    label_s - label_s.rem_euclid(3_600)
}

impl Touched {
    /// A mean of minutes or of an hour came.
    pub fn mean(&mut self, device: &Device, system: &str, code: &str, label_s: i64) {
        if device.last(&Property::Indicator(code.to_owned())).is_none() {
            return;
        }
        let (st, hours) = self
            .means
            .entry((device.number, code.to_owned()))
            .or_default();
        if !system.is_empty() {
            system.clone_into(st);
        }
        hours.insert(hour_of(label_s));
    }

    /// Condition marks came.
    pub fn marks(&mut self, subject: SubjectId, label_s: i64, marks: &[(String, String)]) {
        let said: Vec<(i64, String)> = marks.iter().map(|(_, m)| (label_s, m.clone())).collect();
        let Some(last) = said.iter().max().cloned() else {
            return;
        };
        let hour = hour_of(label_s);
        let held = self
            .marks
            .entry((subject, hour))
            .or_insert((i64::MIN, false));
        if held.0 <= label_s {
            *held = (label_s, judge::marked(&[last], hour));
        }
    }

    /// Every hour of the live state: what is registered of the devices has changed.
    pub fn all(&mut self, follow: &Follow) {
        follow.state.with(|all| {
            for (number, state) in all {
                let Some(device) = follow.registry.device(*number) else {
                    continue;
                };
                for ((code, _), hours) in &state.hours {
                    for label_s in hours.keys() {
                        self.mean(&device, &state.st, code, *label_s);
                    }
                }
            }
        });
    }

    /// What is to be stored for them. `lake` holds the readings that touched them.
    pub fn count(self, lake: &Lake, follow: &Follow, book: &Rulebook) -> Result<Vec<Counted>> {
        let now_s = follow.clock.now_ms().div_euclid(1_000);
        let remembered = hour_of(now_s) - (HOURS as i64 - 1) * 3_600;
        let mut out = Vec::new();
        for ((number, code), (system, hours)) in self.means {
            let Some(device) = follow.registry.device(number) else {
                continue;
            };
            let state = follow.state.device(number).unwrap_or_default();
            let system = match system.as_str() {
                "" => state.st.as_str(),
                some => some,
            };
            let indicator = device.last(&Property::Indicator(code.clone()));
            let Some(indicator) = indicator.filter(|_| {
                let rule = book.vocabulary().hj212.mean(system, "hour");
                device.accepted(i64::MAX) && rule.is_some()
            }) else {
                continue;
            };
            let old: Vec<i64> = hours.range(..remembered).copied().collect();
            let old = reports_in_lake(lake, &device, &code, indicator, &old)?;
            let new = hours
                .range(remembered..)
                .filter(|hour| has_mean(&state, &code, indicator, **hour))
                .map(|hour| {
                    let usable = |f| judge::usable(book, f);
                    (*hour, state.minute_reports(&code, *hour, usable))
                });
            for (hour, reports) in old.into_iter().chain(new) {
                let at_ms = hour * 1_000;
                let (Some(subject), Some(m)) = (
                    stored::subject(&device, at_ms),
                    judge::minutes(book, &device, system, hour, reports),
                ) else {
                    continue;
                };
                let name = minutes_name(indicator, system);
                out.push((subject, name, "min", hour, i64::from(m.valid) * 1_000_000));
            }
        }
        let devices = follow.registry.devices();
        for ((subject, hour), (_, mut marked)) in self.marks {
            if hour >= remembered {
                let here = |d: &&std::sync::Arc<Device>| {
                    d.last(&Property::Subject) == Some(subject.as_str())
                };
                let of = devices.iter().filter(here);
                let states = of.filter_map(|d| follow.state.device(d.number));
                marked = judge::marked(&judge::marks_of(states), hour);
            }
            let value = i64::from(marked) * 1_000_000;
            out.push((subject, MARKED.to_owned(), "1", hour, value));
        }
        Ok(out)
    }
}

/// True if the state holds the mean of the hour that limits speak of.
fn has_mean(state: &DeviceState, code: &str, indicator: &str, hour: i64) -> bool {
    let key = (code.to_owned(), stored::mean(indicator).to_owned());
    let hours = state.hours.get(&key);
    hours.is_some_and(|h| h.range(hour..hour + 3_600).next().is_some())
}

/// Usable minute reports of hours that have a mean, as the lake holds them.
fn reports_in_lake(
    lake: &Lake,
    device: &Device,
    code: &str,
    indicator: &str,
    hours: &[i64],
) -> Result<Vec<(i64, u32)>> {
    let (Some(first), Some(last)) = (hours.first(), hours.last()) else {
        return Ok(Vec::new());
    };
    let subjects = stored::subjects(device);
    let read = |names: &[&str]| {
        lake.observed(&Window {
            subjects: &subjects,
            indicators: names,
            from_s: *first,
            until_s: last + 3_600,
            newest_first: false,
            enough: usize::MAX,
            rows_max: u64::MAX,
        })
    };
    let own = |attribute| stored::own_name(code, attribute, Span::Minute);
    let names = [own("Avg"), own("ZsAvg")];
    let mut minutes: BTreeMap<i64, BTreeSet<i64>> = BTreeMap::new();
    for o in read(&names.each_ref().map(String::as_str))? {
        if o.flag.usable() {
            let of = minutes.entry(hour_of(o.label_s)).or_default();
            of.insert(o.label_s.div_euclid(60));
        }
    }
    let means: BTreeSet<i64> = read(&[indicator])?
        .iter()
        .map(|o| hour_of(o.label_s))
        .collect();
    let reports = |hour: &i64| minutes.get(hour).map_or(0, |m| m.len() as u32);
    Ok(hours
        .iter()
        .filter(|hour| means.contains(hour))
        .map(|hour| (*hour, reports(hour)))
        .collect())
}
