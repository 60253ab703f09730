//! Observations of a datastream over time: what the lake holds, and what has come since.

use std::collections::{BTreeMap, HashMap};

use axum::http::StatusCode;
use miyun_core::observation::Flag;
use miyun_gateway::reading::Span;
use miyun_gateway::registry::Device;
use miyun_gateway::state::DeviceState;
use miyun_lake::{Lake, LakeError, Window};
use miyun_rulebook::Rulebook;

use super::{Key, TOP_MAX};
use crate::devices::api::Problem;
use crate::devices::judge::unit_of;
use crate::devices::stored;

/// Most observations passed over.
const SKIP_MAX: usize = 100_000;
/// Most rows of the lake looked at for one page.
const ROWS_MAX: u64 = 1_000_000;

/// What is asked of the observations.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Asked {
    pub from_s: i64,
    pub until_s: i64,
    pub newest_first: bool,
    pub top: usize,
    pub skip: usize,
    pub count: bool,
}

fn bad(text: String) -> Problem {
    Problem(StatusCode::BAD_REQUEST, "query", text)
}

fn not_offered(text: String) -> Problem {
    Problem(StatusCode::NOT_IMPLEMENTED, "query", text)
}

impl Asked {
    /// Reads `$filter`, `$orderby`, `$top`, `$skip` and `$count`.
    pub fn read(q: &HashMap<String, String>) -> Result<Self, Problem> {
        let mut asked = Self {
            from_s: i64::MIN / 2,
            until_s: i64::MAX / 2,
            newest_first: true,
            top: 100,
            skip: 0,
            count: false,
        };
        let number = |name: &str, text: &str| {
            text.parse::<usize>()
                .map_err(|_| bad(format!("{name}={text}: write a whole number")))
        };
        for (name, text) in q {
            match name.as_str() {
                "$top" => asked.top = number(name, text)?.min(TOP_MAX),
                "$skip" => asked.skip = number(name, text)?,
                "$count" => asked.count = text == "true",
                "$orderby" => {
                    let words: Vec<&str> = text.split_whitespace().collect();
                    asked.newest_first = match words[..] {
                        ["phenomenonTime"] | ["phenomenonTime", "asc"] => false,
                        ["phenomenonTime", "desc"] => true,
                        _ => {
                            return Err(not_offered(format!(
                                "$orderby={text} is not offered; use phenomenonTime asc or phenomenonTime desc"
                            )));
                        }
                    };
                }
                "$filter" => asked.filter(text)?,
                other => {
                    return Err(not_offered(format!(
                        "{other} is not offered here; use $filter, $orderby, $top, $skip, $count"
                    )));
                }
            }
        }
        if asked.skip > SKIP_MAX {
            return Err(bad(format!(
                "$skip={}: at most {SKIP_MAX}; narrow $filter instead",
                asked.skip
            )));
        }
        Ok(asked)
    }

    /// `phenomenonTime ge 2026-03-01T00:00:00Z and phenomenonTime lt 2026-03-02T00:00:00Z`.
    fn filter(&mut self, text: &str) -> Result<(), Problem> {
        let words: Vec<&str> = text.split_whitespace().collect();
        for term in words.split(|w| *w == "and") {
            let ["phenomenonTime", op, at] = term[..] else {
                return Err(not_offered(format!(
                    "$filter={text} is not offered; write phenomenonTime ge 2026-03-01T00:00:00Z, with ge, gt, le, lt or eq, joined by and"
                )));
            };
            let instant: jiff::Timestamp = at.trim_matches('\'').parse().map_err(|_| {
                bad(format!("$filter: {at:?}: write 2026-03-01T08:00:00+08:00 (as %2B in an address) or 2026-03-01T00:00:00Z"))
            })?;
            let s = instant.as_second();
            let (from, until) = match op {
                "ge" => (s, self.until_s),
                "gt" => (s + 1, self.until_s),
                "lt" => (self.from_s, s),
                "le" => (self.from_s, s + 1),
                "eq" => (s, s + 1),
                _ => {
                    return Err(not_offered(format!(
                        "$filter: {op:?}: use ge, gt, le, lt or eq"
                    )));
                }
            };
            self.from_s = self.from_s.max(from);
            self.until_s = self.until_s.min(until);
        }
        Ok(())
    }
}

/// One observation, in the datastream's unit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Observation {
    pub label_s: i64,
    pub micro: i64,
    pub flag: Flag,
    /// When it was recorded in the lake; none yet for what came last.
    pub recorded_at: Option<String>,
    pub reviewed: bool,
}

/// The observations asked for, and of how many in all if that was asked.
pub(super) fn page(
    lake: &Lake,
    book: &Rulebook,
    device: &Device,
    state: Option<&DeviceState>,
    key: &Key,
    asked: &Asked,
) -> Result<(Vec<Observation>, bool, Option<usize>), Problem> {
    let (code, attribute, span) = key;
    let own = stored::own_name(code, attribute, *span);
    let known = stored::registered(book, device, code, attribute, *span);
    let indicators: Vec<&str> = known
        .map(|k| k.id.as_str())
        .into_iter()
        .chain([own.as_str()])
        .collect();
    let subjects = stored::subjects(device);
    let found = lake
        .observed(&Window {
            subjects: &subjects,
            indicators: &indicators,
            from_s: asked.from_s,
            until_s: asked.until_s,
            newest_first: asked.newest_first,
            enough: match asked.count {
                true => usize::MAX,
                // One more says that there is a next page.
                false => asked.skip + asked.top + 1,
            },
            rows_max: ROWS_MAX,
        })
        .map_err(|e| match e {
            LakeError::TooMuch { .. } => bad(format!("{e} in $filter")),
            other => super::super::api::broken(other),
        })?;
    let unit = unit_of(book, device, code, i64::MAX).map(|u| u.0);
    let unit = unit.as_deref().unwrap_or("1");
    let complete = asked.count || found.len() <= asked.skip + asked.top;
    let edge = found.last().map(|o| o.label_s);
    let mut all: BTreeMap<i64, Observation> = found
        .into_iter()
        .filter_map(|o| {
            let micro = stored::convert(book, o.value, o.unit.as_str(), unit)?;
            let observation = Observation {
                label_s: o.label_s,
                micro,
                flag: o.flag,
                recorded_at: Some(o.recorded_at),
                reviewed: o.reviewed,
            };
            Some((o.label_s, observation))
        })
        .collect();
    // What came since the lake was last written; beyond a cut end it belongs to a later page.
    let beyond = |t: i64| {
        !complete && edge.is_some_and(|edge| t != edge && (t < edge) == asked.newest_first)
    };
    for (label_s, micro, flag) in state.map(|s| live(s, key)).unwrap_or_default() {
        if (asked.from_s..asked.until_s).contains(&label_s) && !beyond(label_s) {
            all.entry(label_s).or_insert(Observation {
                label_s,
                micro,
                flag: stored::flag(book, flag),
                recorded_at: None,
                reviewed: false,
            });
        }
    }
    let count = asked.count.then_some(all.len());
    let more = all.len() > asked.skip + asked.top;
    let ordered: Box<dyn Iterator<Item = Observation>> = match asked.newest_first {
        true => Box::new(all.into_values().rev()),
        false => Box::new(all.into_values()),
    };
    Ok((
        ordered.skip(asked.skip).take(asked.top).collect(),
        more,
        count,
    ))
}

/// What the live state holds of a datastream.
pub(super) fn live(s: &DeviceState, key: &Key) -> Vec<(i64, i64, char)> {
    let (code, attribute, span) = key;
    if *span == Span::Hour
        && let Some(hours) = s.hours.get(&(code.clone(), attribute.clone()))
    {
        return hours.iter().map(|(t, h)| (*t, h.micro, h.flag)).collect();
    }
    let last = s.values.get(key);
    last.map(|v| (v.label_s, v.micro, v.flag))
        .into_iter()
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(pairs: &[(&str, &str)]) -> Result<Asked, String> {
        let own = |(a, b): &(&str, &str)| ((*a).to_owned(), (*b).to_owned());
        Asked::read(&pairs.iter().map(own).collect()).map_err(|p| p.2)
    }

    #[test]
    fn a_filter_is_a_time_and_nothing_is_ignored() {
        let a = asked(&[
            ("$filter", "phenomenonTime ge 2026-03-01T08:00:00+08:00 and phenomenonTime lt 2026-03-02T00:00:00Z"),
            ("$orderby", "phenomenonTime asc"),
            ("$top", "5000"),
        ])
        .unwrap();
        assert_eq!((a.from_s, a.until_s), (1_772_323_200, 1_772_409_600));
        assert_eq!((a.newest_first, a.top), (false, TOP_MAX));
        for (name, text, word) in [
            ("$filter", "result gt 5", "not offered"),
            ("$filter", "phenomenonTime ge yesterday", "write 2026"),
            (
                "$filter",
                "phenomenonTime ge 2026-03-01T00:00:00Z or phenomenonTime lt 2026-03-02T00:00:00Z",
                "not offered",
            ),
            ("$orderby", "result", "phenomenonTime asc"),
            ("$expand", "Thing", "not offered"),
            ("$skip", "1000000", "narrow"),
        ] {
            let e = asked(&[(name, text)]).unwrap_err();
            assert!(e.contains(word), "{e}");
        }
    }
}
