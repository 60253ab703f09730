//! Figures as they were published. A correction is a later row; the older value stays reachable
//! by asking what was known on an earlier day.

use jiff::Timestamp;
use miyun_core::{Assessment, Decimal, IndicatorId, Period, StatisticId, SubjectId};
use serde::{Deserialize, Serialize};
use sqlx::any::AnyRow;
use sqlx::{Any, Transaction};

use crate::row::{R, json, stamp};
use crate::{FigureId, Store, StoreError};

/// Which figure, whatever its value.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct FigureKey {
    /// Where.
    pub subject: SubjectId,
    /// What.
    pub indicator: IndicatorId,
    /// Over what.
    pub statistic: StatisticId,
    /// Which days.
    pub period: Period,
    /// Under which edition of the law: `in-force`, `2026`.
    pub edition: String,
}

impl FigureKey {
    /// The key of an assessment under an edition.
    #[must_use]
    pub fn of(a: &Assessment, edition: &str) -> Self {
        Self {
            subject: a.subject.clone(),
            indicator: a.indicator.clone(),
            statistic: a.statistic.clone(),
            period: a.period,
            edition: edition.to_owned(),
        }
    }
}

/// One publication of a figure.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PublishedFigure {
    /// Id of this publication.
    pub id: FigureId,
    /// Which figure.
    pub key: FigureKey,
    /// The figure with its reasons.
    pub assessment: Assessment,
    /// When it was published.
    pub published_at: Timestamp,
    /// By whom.
    pub published_by: String,
    /// Empty the first time; then why it was corrected.
    pub reason: String,
}

/// What a correction changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// New value minus old value, where both are there.
    pub value: Option<Decimal>,
    /// True if another verdict was given.
    pub verdict_changed: bool,
    /// True if it is held against another limit.
    pub limit_changed: bool,
    /// True if other rules were applied.
    pub rules_changed: bool,
    /// True if it rests on other rows.
    pub evidence_changed: bool,
}

impl PublishedFigure {
    /// What changed since `older`.
    #[must_use]
    pub fn difference(&self, older: &Self) -> Difference {
        let (new, old) = (&self.assessment, &older.assessment);
        Difference {
            value: new.value.zip(old.value).and_then(|(n, o)| n.checked_sub(o)),
            verdict_changed: new.verdict != old.verdict,
            limit_changed: new.limit != old.limit,
            rules_changed: new.trace.rules != old.trace.rules,
            evidence_changed: new.trace.evidence != old.trace.evidence,
        }
    }
}

fn figure(row: &AnyRow) -> Result<PublishedFigure, StoreError> {
    let r = R("figure", row);
    Ok(PublishedFigure {
        id: r.parse("id")?,
        key: FigureKey {
            subject: r.parse("subject")?,
            indicator: r.parse("indicator")?,
            statistic: r.parse("statistic")?,
            period: r.parse("period")?,
            edition: r.text("edition")?,
        },
        assessment: r.json("document")?,
        published_at: r.parse("published_at")?,
        published_by: r.text("published_by")?,
        reason: r.text("reason")?,
    })
}

const KEY: &str =
    "subject = $1 AND indicator = $2 AND statistic = $3 AND period = $4 AND edition = $5";

impl Store {
    /// Publishes a figure. Returns false if its last publication is the same assessment.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] if it corrects an earlier one and `reason` is empty.
    pub async fn publish_figure(
        &self,
        key: &FigureKey,
        assessment: &Assessment,
        by: &str,
        reason: &str,
        at: Timestamp,
    ) -> Result<bool, StoreError> {
        let mut tx = self.begin().await?;
        let done = self
            .publish_in(&mut tx, key, assessment, by, reason, at)
            .await?;
        tx.commit().await?;
        Ok(done)
    }

    pub(crate) async fn publish_in(
        &self,
        tx: &mut Transaction<'static, Any>,
        key: &FigureKey,
        assessment: &Assessment,
        by: &str,
        reason: &str,
        at: Timestamp,
    ) -> Result<bool, StoreError> {
        let document = json("figure", assessment)?;
        self.serialize(tx, 2).await?;
        let last = sqlx::query(sqlx::AssertSqlSafe(format!(
            "SELECT assessment, published_at FROM figure WHERE {KEY} ORDER BY published_at DESC, id DESC LIMIT 1"
        )))
        .bind(key.subject.as_str())
        .bind(key.indicator.as_str())
        .bind(key.statistic.as_str())
        .bind(key.period.to_string())
        .bind(&key.edition)
        .fetch_optional(&mut **tx)
        .await?;
        if let Some(row) = &last {
            let r = R("figure", row);
            if r.text("assessment")? == assessment.id.as_str() {
                return Ok(false);
            }
            if reason.trim().is_empty() {
                return Err(StoreError::Conflict(format!(
                    "{} {} {} {} was published before: say why it is corrected",
                    key.subject, key.indicator, key.statistic, key.period
                )));
            }
            if r.text("published_at")? >= stamp(at) {
                return Err(StoreError::Conflict(
                    "the clock stands before the last publication of this figure: set the clock"
                        .into(),
                ));
            }
        }
        sqlx::query(
            "INSERT INTO figure (id, subject, indicator, statistic, period, edition, valid_from, valid_until, \
             assessment, value, verdict, document, published_at, published_by, reason) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)",
        )
        .bind(FigureId::new(at).as_str())
        .bind(key.subject.as_str())
        .bind(key.indicator.as_str())
        .bind(key.statistic.as_str())
        .bind(key.period.to_string())
        .bind(&key.edition)
        .bind(key.period.from.map(|d| d.to_string()))
        .bind(key.period.until.map(|d| d.to_string()))
        .bind(assessment.id.as_str())
        .bind(assessment.value.map(|v| v.to_string()))
        .bind(assessment.verdict.to_string())
        .bind(document)
        .bind(stamp(at))
        .bind(by)
        .bind(reason.trim())
        .execute(&mut **tx)
        .await?;
        Ok(true)
    }

    /// The figure as it was known at `known`; as it is known now if `None`.
    ///
    /// # Errors
    /// [`StoreError`] if the database fails.
    pub async fn published(
        &self,
        key: &FigureKey,
        known: Option<Timestamp>,
    ) -> Result<Option<PublishedFigure>, StoreError> {
        let history = self.published_history(key).await?;
        Ok(history
            .into_iter()
            .find(|f| known.is_none_or(|k| f.published_at <= k)))
    }

    /// Every publication of a figure, newest first.
    ///
    /// # Errors
    /// [`StoreError`] if the database fails.
    pub async fn published_history(
        &self,
        key: &FigureKey,
    ) -> Result<Vec<PublishedFigure>, StoreError> {
        let rows = sqlx::query(sqlx::AssertSqlSafe(format!(
            "SELECT * FROM figure WHERE {KEY} ORDER BY published_at DESC, id DESC LIMIT 1000"
        )))
        .bind(key.subject.as_str())
        .bind(key.indicator.as_str())
        .bind(key.statistic.as_str())
        .bind(key.period.to_string())
        .bind(&key.edition)
        .fetch_all(&self.pool)
        .await?;
        rows.iter().map(figure).collect()
    }

    /// The first publication of an assessment.
    ///
    /// # Errors
    /// [`StoreError`] if the database fails.
    pub async fn published_by_id(
        &self,
        assessment: &str,
    ) -> Result<Option<PublishedFigure>, StoreError> {
        let row = sqlx::query(
            "SELECT * FROM figure WHERE assessment = $1 ORDER BY published_at, id LIMIT 1",
        )
        .bind(assessment)
        .fetch_optional(&self.pool)
        .await?;
        row.as_ref().map(figure).transpose()
    }

    /// Figures as known at `known`, each once, by subject, indicator, statistic, period; one page
    /// of at most `per_page`, from 1. Also how many there are.
    ///
    /// # Errors
    /// [`StoreError`] if the database fails.
    pub async fn published_list(
        &self,
        subject: Option<&SubjectId>,
        known: Option<Timestamp>,
        page: u32,
        per_page: u32,
    ) -> Result<(u64, Vec<PublishedFigure>), StoreError> {
        const FROM: &str = "FROM figure f WHERE ($1 = '' OR f.subject = $1) AND f.published_at <= $2 \
            AND NOT EXISTS (SELECT 1 FROM figure g WHERE g.subject = f.subject AND g.indicator = f.indicator \
            AND g.statistic = f.statistic AND g.period = f.period AND g.edition = f.edition \
            AND g.published_at <= $2 AND g.published_at > f.published_at)";
        let (subject, known) = (
            subject.map_or("", |s| s.as_str()),
            known.map_or_else(|| "9999".to_owned(), stamp),
        );
        let total = sqlx::query(sqlx::AssertSqlSafe(format!("SELECT COUNT(*) AS n {FROM}")))
            .bind(subject)
            .bind(&known)
            .fetch_one(&self.pool)
            .await?;
        let rows = sqlx::query(sqlx::AssertSqlSafe(format!(
            "SELECT f.* {FROM} ORDER BY f.subject, f.indicator, f.statistic, f.period, f.edition LIMIT $3 OFFSET $4"
        )))
        .bind(subject)
        .bind(&known)
        .bind(i64::from(per_page))
        .bind(i64::from(page.saturating_sub(1)) * i64::from(per_page))
        .fetch_all(&self.pool)
        .await?;
        Ok((
            R("figure", &total).number("n")?,
            rows.iter().map(figure).collect::<Result<_, _>>()?,
        ))
    }
}
