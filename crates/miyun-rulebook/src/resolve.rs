//! Which rule holds, for this indicator, statistic, class of place, jurisdiction and date.

use miyun_core::rule::{Breach, InstrumentKind, Limit};
use miyun_core::{Date, IndicatorId, Instrument, JurisdictionId, RuleRef, StatisticId};
use serde::Serialize;

use crate::Rulebook;

/// A question to the rulebook.
#[derive(Debug, Clone)]
pub struct Query {
    /// What is measured.
    pub indicator: IndicatorId,
    /// Over what it is taken.
    pub statistic: StatisticId,
    /// Where: a place in law.
    pub jurisdiction: JurisdictionId,
    /// Class of the place, if it has one.
    pub class: Option<String>,
    /// When.
    pub on: Date,
    /// What sort of instrument.
    pub kind: InstrumentKind,
}

/// A limit that holds, and where it stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Candidate {
    /// The limit.
    pub limit: Limit,
    /// Where it stands.
    pub rule: RuleRef,
    /// Where it holds.
    pub jurisdiction: JurisdictionId,
}

/// The answer: the rule that decides, and the others that also hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Resolved {
    /// The strictest.
    pub decides: Candidate,
    /// Others in force here, of wider or narrower jurisdictions.
    pub also: Vec<Candidate>,
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ResolveError {
    /// No instrument in force limits this.
    #[error("no rule limits {indicator} {statistic}{class} in {jurisdiction} on {on}{hint}")]
    None {
        /// What is measured.
        indicator: IndicatorId,
        /// Over what.
        statistic: StatisticId,
        /// Class, as ` for class 2`, or empty.
        class: String,
        /// Where.
        jurisdiction: JurisdictionId,
        /// When.
        on: Date,
        /// What comes closest.
        hint: String,
    },
    /// Two rules of one jurisdiction hold at once.
    #[error("two rules of {jurisdiction} hold on {on}: {first}; {second}")]
    Two {
        /// Where.
        jurisdiction: JurisdictionId,
        /// When.
        on: Date,
        /// One of them.
        first: Box<RuleRef>,
        /// The other.
        second: Box<RuleRef>,
    },
    /// No instrument of the wanted kind is in force.
    #[error("no {kind} for {medium} is in force in {jurisdiction} on {on}")]
    NoInstrument {
        /// Kind wanted.
        kind: String,
        /// Medium.
        medium: String,
        /// Where.
        jurisdiction: JurisdictionId,
        /// When.
        on: Date,
    },
    /// No edition of this name.
    #[error("no edition {name:?} for {medium}; known: {known}")]
    NoEdition {
        /// Name asked for.
        name: String,
        /// Medium.
        medium: String,
        /// Names that exist.
        known: String,
    },
}

/// True if `i` holds at `place` on `on`.
#[must_use]
pub(crate) fn in_force(i: &Instrument, place: &JurisdictionId, on: Date) -> bool {
    i.jurisdiction.contains(place)
        && (i.in_force.contains(on)
            || (i.in_force.until.is_none_or(|u| on <= u)
                && i.adopted
                    .iter()
                    .any(|a| a.jurisdiction.contains(place) && a.from <= on)))
}

impl Rulebook {
    /// The limit that decides and the others that hold. Where several jurisdictions have one, the
    /// strictest decides and all are named.
    ///
    /// # Errors
    /// [`ResolveError::None`] if no limit holds, [`ResolveError::Two`] if one jurisdiction has two.
    pub fn resolve(&self, q: &Query) -> Result<Resolved, ResolveError> {
        let mut found: Vec<Candidate> = Vec::new();
        for i in self
            .instruments
            .iter()
            .filter(|i| i.kind == q.kind && in_force(i, &q.jurisdiction, q.on))
        {
            // Where a place applied an instrument early, its first stage holds before its date.
            let stage = i.stage_on(q.on).or(i.stages.first()).map(|s| s.id.as_str());
            for (t, l) in i.limits() {
                let fits = l.indicator == q.indicator
                    && l.statistic == q.statistic
                    && (l.class.is_none() || l.class == q.class)
                    && (l.stage.is_none() || l.stage.as_deref() == stage);
                if !fits || t.where_adopted {
                    continue;
                }
                let new = Candidate {
                    limit: l.clone(),
                    rule: i.rule_ref(t, l.verified),
                    jurisdiction: i.jurisdiction.clone(),
                };
                if let Some(old) = found.iter().find(|c| c.jurisdiction == new.jurisdiction) {
                    return Err(ResolveError::Two {
                        jurisdiction: new.jurisdiction,
                        on: q.on,
                        first: Box::new(old.rule.clone()),
                        second: Box::new(new.rule),
                    });
                }
                found.push(new);
            }
        }
        found.sort_by(|a, b| {
            let order = a.limit.value.cmp(&b.limit.value);
            if a.limit.breach == Breach::Below {
                order.reverse()
            } else {
                order
            }
        });
        let mut found = found.into_iter();
        match found.next() {
            Some(decides) => Ok(Resolved {
                decides,
                also: found.collect(),
            }),
            None => Err(ResolveError::None {
                indicator: q.indicator.clone(),
                statistic: q.statistic.clone(),
                class: q
                    .class
                    .as_ref()
                    .map_or(String::new(), |c| format!(" for class {c}")),
                jurisdiction: q.jurisdiction.clone(),
                on: q.on,
                hint: self.hint(q),
            }),
        }
    }

    /// What would have answered under another date or class.
    fn hint(&self, q: &Query) -> String {
        let rows = self
            .instruments
            .iter()
            .filter(|i| i.kind == q.kind && i.jurisdiction.contains(&q.jurisdiction))
            .flat_map(|i| i.limits().map(move |(t, l)| (i, t, l)));
        let mut near: Vec<String> = rows
            .filter(|(_, _, l)| l.indicator == q.indicator && l.statistic == q.statistic)
            .map(|(i, t, l)| {
                let class = l
                    .class
                    .as_ref()
                    .map_or(String::new(), |c| format!(", class {c}"));
                let adopted = if t.where_adopted {
                    ", only where adopted"
                } else {
                    ""
                };
                format!("{} ({}{class}{adopted})", i.id, i.in_force)
            })
            .collect();
        near.dedup();
        if near.is_empty() {
            String::new()
        } else {
            format!("; there is {}", near.join(", "))
        }
    }

    /// The one instrument of `kind` for `medium` in force at `place` on `on`; amendments do not count.
    ///
    /// # Errors
    /// [`ResolveError::NoInstrument`] if there is none; the most local wins if there are several.
    pub fn in_force(
        &self,
        kind: InstrumentKind,
        medium: &str,
        role: &str,
        place: &JurisdictionId,
        on: Date,
    ) -> Result<&Instrument, ResolveError> {
        self.instruments
            .iter()
            .filter(|i| {
                i.kind == kind
                    && i.medium == medium
                    && i.amends.is_none()
                    && in_force(i, place, on)
                    && has_role(i, role)
            })
            .max_by_key(|i| i.jurisdiction.as_str().len())
            .ok_or_else(|| ResolveError::NoInstrument {
                kind: format!("{kind:?} ({role})"),
                medium: medium.into(),
                jurisdiction: place.clone(),
                on,
            })
    }

    /// The edition called `name`.
    ///
    /// # Errors
    /// [`ResolveError::NoEdition`] with the names that exist.
    pub fn edition(&self, medium: &str, name: &str) -> Result<&crate::EditionName, ResolveError> {
        self.editions
            .iter()
            .find(|e| e.medium == medium && e.id == name)
            .ok_or_else(|| ResolveError::NoEdition {
                name: name.into(),
                medium: medium.into(),
                known: self
                    .editions
                    .iter()
                    .filter(|e| e.medium == medium)
                    .map(|e| e.id.as_str())
                    .collect::<Vec<_>>()
                    .join(", "),
            })
    }
}

/// What part a method plays: an `index` has breakpoints, an `evaluation` has items without them,
/// a `ranking` weighs items.
fn has_role(i: &Instrument, role: &str) -> bool {
    let breakpoints = i.breakpoints().next().is_some();
    let weighs = i.items().any(|(_, r)| r.weight.is_some());
    match role {
        "index" => breakpoints,
        "evaluation" => !breakpoints && !weighs && i.items().next().is_some(),
        "ranking" => weighs,
        _ => true,
    }
}
