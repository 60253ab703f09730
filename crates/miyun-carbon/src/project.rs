//! The life of a credit project: methodology, validation, registration, monitoring periods,
//! verification, issuance with its buffer, reversal.

use jiff::civil::Date;
use miyun_core::{Period, RuleRef};
use serde::{Deserialize, Serialize};

use crate::Error;
use crate::law::Law;
use crate::offset::percent;

/// Where a project stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stage {
    /// Written down.
    Proposed,
    /// A validator has confirmed its design.
    Validated,
    /// The authority has registered it.
    Registered,
}

impl Stage {
    fn word(self) -> &'static str {
        match self {
            Self::Proposed => "proposed",
            Self::Validated => "validated",
            Self::Registered => "registered",
        }
    }
}

/// What a project has reported for a span of days.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Monitoring {
    /// The days, both included and both given.
    pub period: Period,
    /// Who verified it and how much, once verified.
    pub verified: Option<Verified>,
    /// Tonnes issued for it, buffer included.
    pub issued: u64,
}

/// A verification.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verified {
    /// The verifier.
    pub by: String,
    /// Tonnes.
    pub tonnes: u64,
}

/// A project.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Project {
    /// Its id, also the first part of its serials.
    pub id: String,
    /// Name of its methodology in the rulebook, for example `afforestation`.
    pub methodology: String,
    /// First day.
    pub started: Date,
    /// True if its reductions lie outside the market's own territory.
    pub outside: bool,
    /// True if what it stores can be lost, so that a buffer is kept.
    pub reversible: bool,
    /// Where it stands.
    pub stage: Stage,
    /// Who validated it.
    pub validator: Option<String>,
    /// What it has reported, in order of submission.
    pub monitoring: Vec<Monitoring>,
}

/// An issuance split into what the owner and the buffer get.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Issuance {
    /// To the owner.
    pub owner: u64,
    /// To the buffer.
    pub buffer: u64,
    /// The rule of the buffer, if it keeps one.
    pub buffer_rule: Option<RuleRef>,
}

impl Project {
    /// Lets a project in whose methodology is open and which started late enough.
    ///
    /// # Errors
    /// [`Error::Law`] if the methodology or the starting rule is missing, [`Error::Field`] if the
    /// project started too early or the methodology is not open yet.
    pub fn propose(
        law: &Law<'_>,
        id: &str,
        methodology: &str,
        started: Date,
        outside: bool,
        reversible: bool,
    ) -> Result<(Self, RuleRef), Error> {
        let from = law.date("credit-project-start-from")?;
        if started < from.value {
            return Err(Error::Field {
                field: "started",
                reason: format!("{started} is before {} ({})", from.value, from.rule),
            });
        }
        let method = law.date(&format!("methodology/{methodology}"))?;
        if law.on() < method.value {
            return Err(Error::Field {
                field: "methodology",
                reason: format!(
                    "{methodology} is open from {} ({})",
                    method.value, method.rule
                ),
            });
        }
        Ok((
            Self {
                id: id.into(),
                methodology: methodology.into(),
                started,
                outside,
                reversible,
                stage: Stage::Proposed,
                validator: None,
                monitoring: Vec::new(),
            },
            from.rule,
        ))
    }

    fn state(&self, step: &'static str, needs: &'static str) -> Error {
        Error::ProjectState {
            project: self.id.clone(),
            step,
            needs,
            is: self.stage.word().into(),
        }
    }

    /// Notes the validator.
    ///
    /// # Errors
    /// [`Error::ProjectState`] unless just proposed.
    pub fn validate(&mut self, validator: &str) -> Result<(), Error> {
        if self.stage != Stage::Proposed {
            return Err(self.state("validation", "proposed"));
        }
        self.stage = Stage::Validated;
        self.validator = Some(validator.into());
        Ok(())
    }

    /// Registers it.
    ///
    /// # Errors
    /// [`Error::ProjectState`] unless validated.
    pub fn register(&mut self) -> Result<(), Error> {
        if self.stage != Stage::Validated {
            return Err(self.state("registration", "validated"));
        }
        self.stage = Stage::Registered;
        Ok(())
    }

    /// Takes a monitoring report and returns its number, from 0.
    ///
    /// # Errors
    /// [`Error::MonitoringOverlap`] if it shares a day with an earlier one, [`Error::ProjectState`]
    /// unless registered, [`Error::Field`] for an open, reversed or too early period.
    pub fn monitor(&mut self, period: Period) -> Result<usize, Error> {
        if self.stage != Stage::Registered {
            return Err(self.state("monitoring", "registered"));
        }
        let (Some(from), Some(until)) = (period.from, period.until) else {
            return Err(Error::Field {
                field: "period",
                reason: "a monitoring period has a first and a last day".into(),
            });
        };
        if from > until || from < self.started {
            return Err(Error::Field {
                field: "period",
                reason: format!("{period} is reversed or begins before {}", self.started),
            });
        }
        if let Some(old) = self.monitoring.iter().find(|m| m.period.overlaps(&period)) {
            return Err(Error::MonitoringOverlap {
                project: self.id.clone(),
                new: period.to_string(),
                old: old.period.to_string(),
            });
        }
        self.monitoring.push(Monitoring {
            period,
            verified: None,
            issued: 0,
        });
        Ok(self.monitoring.len() - 1)
    }

    fn at(&mut self, n: usize) -> Result<&mut Monitoring, Error> {
        let count = self.monitoring.len();
        self.monitoring.get_mut(n).ok_or_else(|| Error::Field {
            field: "monitoring",
            reason: format!("there are {count} monitoring periods, numbered from 0"),
        })
    }

    /// Notes what a verifier found; the validator of the project may not verify it.
    ///
    /// # Errors
    /// [`Error::Field`] for an unknown period, a second verification, no tonnes, or the validator.
    pub fn verify(&mut self, n: usize, by: &str, tonnes: u64) -> Result<(), Error> {
        let validator = self.validator.clone();
        let m = self.at(n)?;
        let reason = if m.verified.is_some() {
            "the period is already verified"
        } else if tonnes == 0 {
            "a verification of no tonnes issues nothing"
        } else if validator.as_deref() == Some(by) {
            "the validator of a project does not verify it"
        } else {
            m.verified = Some(Verified {
                by: by.into(),
                tonnes,
            });
            return Ok(());
        };
        Err(Error::Field {
            field: "verification",
            reason: reason.into(),
        })
    }

    /// Splits an issuance of `tonnes` and counts it against what was verified. A retry of the same
    /// issuance finds nothing left, so it can never mint twice.
    ///
    /// # Errors
    /// [`Error::MoreThanVerified`], [`Error::Law`] if a reversible project has no buffer rule,
    /// [`Error::Field`] for no tonnes or an unverified period.
    pub fn issue(&mut self, law: &Law<'_>, n: usize, tonnes: u64) -> Result<Issuance, Error> {
        let reversible = self.reversible;
        let m = self.at(n)?;
        let verified = m.verified.as_ref().map_or(0, |v| v.tonnes);
        if tonnes == 0 || verified == 0 {
            return Err(Error::Field {
                field: "tonnes",
                reason: "issuance needs a verified period and at least one tonne".into(),
            });
        }
        let total = m.issued.checked_add(tonnes).filter(|t| *t <= verified);
        let Some(total) = total else {
            return Err(Error::MoreThanVerified {
                asked: tonnes,
                verified,
                issued: m.issued,
            });
        };
        let (buffer, buffer_rule) = if reversible {
            let share = law.number("buffer-share")?;
            (percent(tonnes, share.value)?, Some(share.rule))
        } else {
            (0, None)
        };
        m.issued = total;
        Ok(Issuance {
            owner: tonnes - buffer,
            buffer,
            buffer_rule,
        })
    }
}
