//! Reading rows and writing times, the same on both databases.

use jiff::Timestamp;
use serde::de::DeserializeOwned;
use sqlx::Row;
use sqlx::any::AnyRow;

use crate::StoreError;

/// A time as it is stored: RFC 3339, UTC, six decimals, so that text sorts like time.
pub(crate) fn stamp(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%S.%6fZ").to_string()
}

/// A row with the table it is of, for messages.
pub(crate) struct R<'a>(pub &'static str, pub &'a AnyRow);

impl R<'_> {
    pub fn text(&self, column: &str) -> Result<String, StoreError> {
        Ok(self.1.try_get::<String, _>(column)?)
    }

    pub fn opt(&self, column: &str) -> Result<Option<String>, StoreError> {
        Ok(self.1.try_get::<Option<String>, _>(column)?)
    }

    pub fn int(&self, column: &str) -> Result<i64, StoreError> {
        Ok(self.1.try_get::<i64, _>(column)?)
    }

    pub fn number(&self, column: &str) -> Result<u64, StoreError> {
        u64::try_from(self.int(column)?).map_err(|e| self.damaged(column, e))
    }

    pub fn parse<T: std::str::FromStr<Err: std::fmt::Display>>(
        &self,
        column: &str,
    ) -> Result<T, StoreError> {
        self.text(column)?
            .parse()
            .map_err(|e: T::Err| self.damaged(column, e))
    }

    pub fn parse_opt<T: std::str::FromStr<Err: std::fmt::Display>>(
        &self,
        column: &str,
    ) -> Result<Option<T>, StoreError> {
        self.opt(column)?
            .map(|t| t.parse().map_err(|e: T::Err| self.damaged(column, e)))
            .transpose()
    }

    pub fn json<T: DeserializeOwned>(&self, column: &str) -> Result<T, StoreError> {
        serde_json::from_str(&self.text(column)?).map_err(|e| self.damaged(column, e))
    }

    fn damaged(&self, column: &str, reason: impl std::fmt::Display) -> StoreError {
        StoreError::Damaged {
            table: self.0,
            id: self
                .1
                .try_get::<String, _>("id")
                .unwrap_or_else(|_| "?".into()),
            reason: format!("{column}: {reason}"),
        }
    }
}

/// A value as stored JSON.
pub(crate) fn json<T: serde::Serialize>(
    table: &'static str,
    value: &T,
) -> Result<String, StoreError> {
    serde_json::to_string(value).map_err(|e| StoreError::Damaged {
        table,
        id: "new".into(),
        reason: e.to_string(),
    })
}

/// A count as the database takes it.
pub(crate) fn signed(n: impl TryInto<i64>) -> i64 {
    n.try_into().unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_sort_as_text() {
        let text = |t: &str| stamp(t.parse().unwrap());
        assert_eq!(text("2026-03-01T00:00:00Z"), "2026-03-01T00:00:00.000000Z");
        assert!(text("2026-03-01T00:00:00.5Z") > text("2026-03-01T00:00:00Z"));
        assert!(text("2026-03-01T08:00:00+08:00") < text("2026-03-01T00:00:01Z"));
    }
}
