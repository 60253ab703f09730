//! Instants of the ledger and civil time of the registry.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::{Offset, TimeZone};
use miyun_carbon::{Law, LawError};
use miyun_ledger::Time;

/// The instant as RFC 3339, or `-` outside the range of dates.
#[must_use]
pub fn text(t: Time) -> String {
    Timestamp::from_millisecond(t.0).map_or_else(|_| "-".into(), |t| t.to_string())
}

/// The instant written in `text` (RFC 3339).
///
/// # Errors
/// [`crate::Error::Malformed`] naming the text.
pub fn parse(text: &str) -> Result<Time, crate::Error> {
    text.parse::<Timestamp>()
        .map(|t| Time(t.as_millisecond()))
        .map_err(|_| {
            crate::Error::Malformed(format!(
                "{text:?} is no instant; write 2025-03-01T09:00:00Z"
            ))
        })
}

/// The zone of a registry's office: fixed, as business hours of registries are.
#[derive(Debug, Clone)]
pub struct Zone(TimeZone);

impl Zone {
    /// The zone that the rules of a market name; UTC where they name none.
    ///
    /// # Errors
    /// [`LawError`] for a cell that is no zone.
    pub fn of(law: &Law<'_>) -> Result<Self, LawError> {
        let Some(cell) = Law::maybe(law.text("business-zone"))? else {
            return Ok(Self(TimeZone::UTC));
        };
        let hours = match cell.value {
            "UTC" => Some(0),
            // The registry regulation counts in CET all year.
            "CET" => Some(1),
            other => other.strip_prefix("UTC").and_then(|h| h.parse::<i8>().ok()),
        };
        match hours.and_then(|h| Offset::from_hours(h).ok()) {
            Some(offset) => Ok(Self(TimeZone::fixed(offset))),
            None => Err(LawError::Unusable {
                name: "business-zone".into(),
                rule: Box::new(cell.rule),
                found: cell.value.into(),
                expected: "UTC+8 or CET",
            }),
        }
    }

    /// Coordinated universal time.
    #[must_use]
    pub fn of_utc() -> Self {
        Self(TimeZone::UTC)
    }

    /// Civil time at an instant; the first day of 1970 outside the range of dates.
    #[must_use]
    pub fn civil(&self, t: Time) -> DateTime {
        Timestamp::from_millisecond(t.0)
            .unwrap_or(Timestamp::UNIX_EPOCH)
            .to_zoned_datetime(self.0.clone())
            .datetime()
    }

    /// The instant of a civil time.
    #[must_use]
    pub fn instant(&self, t: DateTime) -> Time {
        self.0
            .to_timestamp(t)
            .map_or(Time::MAX, |t| Time(t.as_millisecond()))
    }
}
