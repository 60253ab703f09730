//! The rules of one market on one day, looked up by name in the instruments of the rulebook.
//!
//! A market is a jurisdiction and inherits nothing: the Beijing pilot is not the national market,
//! so a missing Beijing rule is missing, not national.

use jiff::civil::{Date, DateTime};
use miyun_core::{Decimal, Instrument, JurisdictionId, RuleRef};
use serde::Serialize;

/// A value and the rule that says it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Ruled<T> {
    /// The value.
    pub value: T,
    /// Where it stands.
    pub rule: RuleRef,
}

/// Why a rule could not be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LawError {
    /// No instrument in force says it.
    #[error("no rule {name} in {market} on {on}{hint}")]
    None {
        /// The parameter.
        name: String,
        /// The market.
        market: JurisdictionId,
        /// The day.
        on: Date,
        /// Which instruments of the market say it on other days.
        hint: String,
    },
    /// Two instruments in force say it.
    #[error("two rules {name} in {market} on {on}: {first}; {second}")]
    Two {
        /// The parameter.
        name: String,
        /// The market.
        market: JurisdictionId,
        /// The day.
        on: Date,
        /// One of them.
        first: Box<RuleRef>,
        /// The other.
        second: Box<RuleRef>,
    },
    /// The cell does not hold what the computation needs.
    #[error("rule {name} of {rule} is {found:?}, expected {expected}")]
    Unusable {
        /// The parameter.
        name: String,
        /// Where it stands.
        rule: Box<RuleRef>,
        /// The cell.
        found: String,
        /// What it should hold.
        expected: &'static str,
    },
}

impl LawError {
    /// The stable code of the refusal.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::None { .. } => "no_rule",
            Self::Two { .. } => "two_rules",
            Self::Unusable { .. } => "unusable_rule",
        }
    }
}

/// The instruments of one market on one day.
#[derive(Debug, Clone)]
pub struct Law<'a> {
    instruments: &'a [Instrument],
    market: JurisdictionId,
    on: Date,
}

impl<'a> Law<'a> {
    /// The law of `market` on `on`.
    #[must_use]
    pub fn new(instruments: &'a [Instrument], market: JurisdictionId, on: Date) -> Self {
        Self {
            instruments,
            market,
            on,
        }
    }

    /// The market.
    #[must_use]
    pub fn market(&self) -> &JurisdictionId {
        &self.market
    }

    /// The day.
    #[must_use]
    pub fn on(&self) -> Date {
        self.on
    }

    /// The same market on another day.
    #[must_use]
    pub fn at(&self, on: Date) -> Self {
        Self { on, ..self.clone() }
    }

    fn said(&self, name: &str) -> impl Iterator<Item = (&'a Instrument, &'a str, RuleRef)> {
        self.instruments
            .iter()
            .filter(|i| i.medium == "carbon" && i.jurisdiction == self.market)
            .flat_map(move |i| {
                i.parameters()
                    .filter(move |(_, p)| p.name == name)
                    .map(move |(t, p)| {
                        let mut rule = i.rule_ref(t, p.verified);
                        if !p.clause.is_empty() {
                            rule.clause.clone_from(&p.clause);
                        }
                        (i, p.value.as_str(), rule)
                    })
            })
    }

    /// The cell of parameter `name`.
    ///
    /// # Errors
    /// [`LawError::None`] or [`LawError::Two`] unless exactly one instrument in force says it.
    pub fn text(&self, name: &str) -> Result<Ruled<&'a str>, LawError> {
        let mut found = self
            .said(name)
            .filter(|(i, ..)| i.in_force.contains(self.on));
        let Some((_, value, rule)) = found.next() else {
            let mut near: Vec<String> = self
                .said(name)
                .map(|(i, ..)| format!("{} ({})", i.id, i.in_force))
                .collect();
            near.dedup();
            let hint = if near.is_empty() {
                String::new()
            } else {
                format!("; there is {}", near.join(", "))
            };
            return Err(LawError::None {
                name: name.into(),
                market: self.market.clone(),
                on: self.on,
                hint,
            });
        };
        if let Some((_, _, second)) = found.next() {
            return Err(LawError::Two {
                name: name.into(),
                market: self.market.clone(),
                on: self.on,
                first: Box::new(rule),
                second: Box::new(second),
            });
        }
        Ok(Ruled { value, rule })
    }

    fn parsed<T>(
        &self,
        name: &str,
        expected: &'static str,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Result<Ruled<T>, LawError> {
        let Ruled { value, rule } = self.text(name)?;
        match parse(value) {
            Some(value) => Ok(Ruled { value, rule }),
            None => Err(LawError::Unusable {
                name: name.into(),
                rule: Box::new(rule),
                found: value.into(),
                expected,
            }),
        }
    }

    /// The cell as a number that is not negative.
    ///
    /// # Errors
    /// As [`Law::text`]; [`LawError::Unusable`] if it is no such number.
    pub fn number(&self, name: &str) -> Result<Ruled<Decimal>, LawError> {
        self.parsed(name, "a number that is not negative", |t| {
            t.parse::<Decimal>()
                .ok()
                .filter(|d| !d.is_sign_negative() || d.is_zero())
        })
    }

    /// The cell as a whole number.
    ///
    /// # Errors
    /// As [`Law::text`]; [`LawError::Unusable`] if it is no whole number.
    pub fn whole(&self, name: &str) -> Result<Ruled<u64>, LawError> {
        self.parsed(name, "a whole number", |t| t.parse().ok())
    }

    /// The cell as `yes` or `no`.
    ///
    /// # Errors
    /// As [`Law::text`]; [`LawError::Unusable`] if it is neither.
    pub fn yes(&self, name: &str) -> Result<Ruled<bool>, LawError> {
        self.parsed(name, "yes or no", |t| match t {
            "yes" => Some(true),
            "no" => Some(false),
            _ => None,
        })
    }

    /// The cell as a day.
    ///
    /// # Errors
    /// As [`Law::text`]; [`LawError::Unusable`] if it is no day.
    pub fn date(&self, name: &str) -> Result<Ruled<Date>, LawError> {
        self.parsed(name, "a day such as 2024-12-31", |t| t.parse().ok())
    }

    /// The cell as the last instant at which something may be done: a day without a time of day
    /// runs to its end.
    ///
    /// # Errors
    /// As [`Law::text`]; [`LawError::Unusable`] if it is neither.
    pub fn deadline(&self, name: &str) -> Result<Ruled<DateTime>, LawError> {
        self.parsed(name, "a day, or a day with a time of day", |t| {
            if t.contains('T') {
                t.parse().ok()
            } else {
                Some(t.parse::<Date>().ok()?.at(23, 59, 59, 0))
            }
        })
    }

    /// A rule that may be absent.
    ///
    /// # Errors
    /// Every error except [`LawError::None`].
    pub fn maybe<T>(found: Result<Ruled<T>, LawError>) -> Result<Option<Ruled<T>>, LawError> {
        match found {
            Ok(r) => Ok(Some(r)),
            Err(LawError::None { .. }) => Ok(None),
            Err(e) => Err(e),
        }
    }
}
