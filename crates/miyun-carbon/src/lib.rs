//! What carbon rules ask for in code: business calendars and delays, offset caps, holding limits
//! over related parties, carry-over, fines, compliance codes, corresponding adjustment, the life
//! of a credit project, retirement.
//!
//! Pure. Every number comes from the rulebook by way of [`law::Law`], and every answer carries
//! the rule that gave it. Tonnes are integers, money has two decimals, nothing is a float.

pub mod adjust;
pub mod calendar;
pub mod carry;
pub mod compliance;
pub mod holding;
pub mod law;
pub mod offset;
pub mod penalty;
pub mod project;
pub mod retire;
pub mod serial;

pub use law::{Law, LawError, Ruled};

/// Why a carbon rule refuses or cannot answer. The code of each is stable: see [`Error::code`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// No rule, or an unusable one.
    #[error(transparent)]
    Law(#[from] LawError),
    /// A sum or product does not fit.
    #[error("{what} does not fit: {detail}")]
    Overflow {
        /// What was computed.
        what: &'static str,
        /// With which numbers.
        detail: String,
    },
    /// More offsets than the cap allows.
    #[error("{offered} t of {class} offsets, but the cap is {cap} t ({share} % of {base} t)")]
    OffsetCap {
        /// `all` or `outside`.
        class: &'static str,
        /// Offered in this year so far and now.
        offered: u64,
        /// The cap.
        cap: u64,
        /// Share of the base in percent, as printed.
        share: String,
        /// What the share is of.
        base: u64,
    },
    /// A group would hold more than its limit.
    #[error("group {group} would hold {held} t, its limit is {limit} t")]
    HoldingLimit {
        /// The group.
        group: String,
        /// What it would hold.
        held: u64,
        /// Its limit.
        limit: u64,
    },
    /// Two monitoring periods of one project share a day.
    #[error("monitoring period {new} overlaps {old} of project {project}")]
    MonitoringOverlap {
        /// The project.
        project: String,
        /// The period asked for.
        new: String,
        /// The period that exists.
        old: String,
    },
    /// A project is not in the state that a step needs.
    #[error("project {project}: {step} needs {needs}, but it is {is}")]
    ProjectState {
        /// The project.
        project: String,
        /// What was asked.
        step: &'static str,
        /// What it needs.
        needs: &'static str,
        /// What it is.
        is: String,
    },
    /// More asked for than was verified.
    #[error("{asked} t asked for, {verified} t verified and {issued} t issued")]
    MoreThanVerified {
        /// Asked for now.
        asked: u64,
        /// Verified for the period.
        verified: u64,
        /// Issued before.
        issued: u64,
    },
    /// A step of authorisation or adjustment out of order.
    #[error("corresponding adjustment: {step} is not possible from {from}")]
    Adjustment {
        /// What was asked.
        step: &'static str,
        /// The state.
        from: &'static str,
    },
    /// Export of units that are not authorised and adjusted.
    #[error("export needs units that are authorised and adjusted; these are {0}")]
    ExportGate(&'static str),
    /// A field that may not be empty, is too long, or is not of its list.
    #[error("{field}: {reason}")]
    Field {
        /// The field.
        field: &'static str,
        /// What is wrong, and what to write.
        reason: String,
    },
}

impl Error {
    /// The stable code of the refusal, for programs.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Law(e) => e.code(),
            Self::Overflow { .. } => "overflow",
            Self::OffsetCap { .. } => "offset_cap",
            Self::HoldingLimit { .. } => "holding_limit",
            Self::MonitoringOverlap { .. } => "monitoring_overlap",
            Self::ProjectState { .. } => "project_state",
            Self::MoreThanVerified { .. } => "more_than_verified",
            Self::Adjustment { .. } => "adjustment_state",
            Self::ExportGate(_) => "export_gate",
            Self::Field { .. } => "field",
        }
    }
}
