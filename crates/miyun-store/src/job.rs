//! Long work: what waits, what runs, what came of it.

use std::str::FromStr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sqlx::any::AnyRow;

use crate::row::{R, json, signed, stamp};
use crate::{JobId, Store, StoreError};

/// What a job does. Every kind may be run again from its beginning without harm.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase", deny_unknown_fields)]
pub enum JobKind {
    /// Reads an uploaded file into the lake.
    Import {
        /// BLAKE3 of the uploaded bytes, their name in the spool.
        upload: String,
        /// Name of the file as it was given.
        name: String,
        /// City that its stations belong to.
        city: String,
        /// `hour-begin` or `hour-end`, if the file does not say.
        interval: Option<String>,
    },
    /// Assesses a city over a period and writes the figures to the lake.
    Evaluate {
        /// City.
        city: String,
        /// Period, for example `2016`.
        period: String,
        /// `in-force`, an edition, or `all`.
        edition: String,
    },
    /// Lists what changes its verdict under another edition.
    Replay {
        /// City.
        city: String,
        /// Period.
        period: String,
        /// One edition.
        from: String,
        /// The other.
        to: String,
    },
}

impl JobKind {
    /// Its word.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::Import { .. } => "import",
            Self::Evaluate { .. } => "evaluate",
            Self::Replay { .. } => "replay",
        }
    }
}

/// Where a job stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum JobState {
    /// Waits.
    Queued,
    /// Runs.
    Running,
    /// Is done; the result is there.
    Done,
    /// Failed; the reason is there.
    Failed,
    /// Was cancelled.
    Cancelled,
}

impl JobState {
    /// True if nothing more will happen.
    #[must_use]
    pub fn ended(self) -> bool {
        matches!(self, Self::Done | Self::Failed | Self::Cancelled)
    }
}

impl FromStr for JobState {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        Ok(match text {
            "queued" => Self::Queued,
            "running" => Self::Running,
            "done" => Self::Done,
            "failed" => Self::Failed,
            "cancelled" => Self::Cancelled,
            other => return Err(format!("{other:?} is no state of a job")),
        })
    }
}

/// A job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Job {
    /// Id.
    pub id: JobId,
    /// What it does.
    pub what: JobKind,
    /// Where it stands.
    pub state: JobState,
    /// What it is at, in words.
    pub stage: String,
    /// Steps done.
    pub done: u64,
    /// Steps in all, 0 if not known yet.
    pub total: u64,
    /// How often it was begun.
    pub attempts: u64,
    /// True if somebody asked it to stop.
    pub cancel_asked: bool,
    /// Who asked for it.
    pub created_by: String,
    /// When.
    pub created_at: Timestamp,
    /// When it last began.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// What came of it.
    pub result: Option<serde_json::Value>,
    /// Why it failed.
    pub error: Option<String>,
}

/// A job is begun at most so often: what brings the program down three times is left alone.
const ATTEMPTS_MAX: i64 = 3;

fn job(row: &AnyRow) -> Result<Job, StoreError> {
    let r = R("job", row);
    Ok(Job {
        id: r.parse("id")?,
        what: r.json("params")?,
        state: r.parse("state")?,
        stage: r.text("stage")?,
        done: r.number("done")?,
        total: r.number("total")?,
        attempts: r.number("attempts")?,
        cancel_asked: r.int("cancel_asked")? != 0,
        created_by: r.text("created_by")?,
        created_at: r.parse("created_at")?,
        started_at: r.parse_opt("started_at")?,
        ended_at: r.parse_opt("ended_at")?,
        result: r.opt("result")?.and_then(|t| serde_json::from_str(&t).ok()),
        error: r.opt("error")?,
    })
}

impl Store {
    /// Queues a job.
    ///
    /// # Errors
    /// [`StoreError`] if the database fails.
    pub async fn add_job(
        &self,
        what: &JobKind,
        by: &str,
        at: Timestamp,
    ) -> Result<JobId, StoreError> {
        let id = JobId::new(at);
        sqlx::query(
            "INSERT INTO job (id, kind, params, state, stage, done, total, attempts, cancel_asked, created_by, created_at) \
             VALUES ($1, $2, $3, 'queued', '', 0, 0, 0, 0, $4, $5)",
        )
        .bind(id.as_str())
        .bind(what.word())
        .bind(json("job", what)?)
        .bind(by)
        .bind(stamp(at))
        .execute(&self.pool)
        .await?;
        Ok(id)
    }

    /// A job.
    ///
    /// # Errors
    /// [`StoreError`] if the database fails.
    pub async fn job(&self, id: &JobId) -> Result<Option<Job>, StoreError> {
        let row = sqlx::query("SELECT * FROM job WHERE id = $1")
            .bind(id.as_str())
            .fetch_optional(&self.pool)
            .await?;
        row.as_ref().map(job).transpose()
    }

    /// Jobs, newest first; one page of at most `per_page`, from 1. Also how many there are.
    ///
    /// # Errors
    /// [`StoreError`] if the database fails.
    pub async fn jobs(&self, page: u32, per_page: u32) -> Result<(u64, Vec<Job>), StoreError> {
        let total = sqlx::query("SELECT COUNT(*) AS n FROM job")
            .fetch_one(&self.pool)
            .await?;
        let rows = sqlx::query("SELECT * FROM job ORDER BY id DESC LIMIT $1 OFFSET $2")
            .bind(i64::from(per_page))
            .bind(i64::from(page.saturating_sub(1)) * i64::from(per_page))
            .fetch_all(&self.pool)
            .await?;
        Ok((
            R("job", &total).number("n")?,
            rows.iter().map(job).collect::<Result<_, _>>()?,
        ))
    }

    /// Takes the oldest job that waits and marks it as running.
    ///
    /// # Errors
    /// [`StoreError`] if the database fails.
    pub async fn take_job(&self, at: Timestamp) -> Result<Option<Job>, StoreError> {
        let mut tx = self.begin().await?;
        self.serialize(&mut tx, 3).await?;
        let row = sqlx::query(
            "UPDATE job SET state = 'running', started_at = $1, attempts = attempts + 1, done = 0, stage = '' \
             WHERE id = (SELECT id FROM job WHERE state = 'queued' ORDER BY id LIMIT 1) RETURNING *",
        )
        .bind(stamp(at))
        .fetch_optional(&mut *tx)
        .await?;
        tx.commit().await?;
        row.as_ref().map(job).transpose()
    }

    /// Says how far a running job is; returns true if it was asked to stop.
    ///
    /// # Errors
    /// [`StoreError`] if the database fails.
    pub async fn job_progress(
        &self,
        id: &JobId,
        stage: &str,
        done: u64,
        total: u64,
    ) -> Result<bool, StoreError> {
        let row = sqlx::query(
            "UPDATE job SET stage = $2, done = $3, total = $4 WHERE id = $1 RETURNING cancel_asked",
        )
        .bind(id.as_str())
        .bind(stage)
        .bind(signed(done))
        .bind(signed(total))
        .fetch_optional(&self.pool)
        .await?;
        match row {
            Some(row) => Ok(R("job", &row).int("cancel_asked")? != 0),
            None => Err(StoreError::not_found("job", id)),
        }
    }

    /// Ends a running job. `Ok(None)` means that it stopped because it was asked to.
    ///
    /// # Errors
    /// [`StoreError`] if the database fails.
    pub async fn end_job(
        &self,
        id: &JobId,
        outcome: Result<Option<&serde_json::Value>, &str>,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        let (state, result, error) = match outcome {
            Ok(Some(v)) => ("done", Some(v.to_string()), None),
            Ok(None) => ("cancelled", None, None),
            Err(e) => ("failed", None, Some(e)),
        };
        sqlx::query(
            "UPDATE job SET state = $2, result = $3, error = $4, ended_at = $5 WHERE id = $1 AND state = 'running'",
        )
        .bind(id.as_str())
        .bind(state)
        .bind(result)
        .bind(error)
        .bind(stamp(at))
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// Asks a job to stop: a waiting one is cancelled at once, a running one at its next step.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] if it has ended, [`StoreError::NotFound`] if there is none.
    pub async fn cancel_job(&self, id: &JobId, at: Timestamp) -> Result<(), StoreError> {
        let done = sqlx::query(
            "UPDATE job SET cancel_asked = 1, \
             ended_at = CASE WHEN state = 'queued' THEN $2 ELSE ended_at END, \
             state = CASE WHEN state = 'queued' THEN 'cancelled' ELSE state END \
             WHERE id = $1 AND state IN ('queued', 'running')",
        )
        .bind(id.as_str())
        .bind(stamp(at))
        .execute(&self.pool)
        .await?;
        if done.rows_affected() > 0 {
            return Ok(());
        }
        match self.job(id).await? {
            Some(_) => Err(StoreError::Conflict(format!("job {id} has ended"))),
            None => Err(StoreError::not_found("job", id)),
        }
    }

    /// After a restart: jobs that were running wait again, or fail if they were begun too often.
    /// Returns how many wait again.
    ///
    /// # Errors
    /// [`StoreError`] if the database fails.
    pub async fn revive_jobs(&self, at: Timestamp) -> Result<u64, StoreError> {
        let mut tx = self.begin().await?;
        sqlx::query(
            "UPDATE job SET state = 'failed', ended_at = $2, error = 'the program stopped three times while this job ran' \
             WHERE state = 'running' AND attempts >= $1",
        )
        .bind(ATTEMPTS_MAX)
        .bind(stamp(at))
        .execute(&mut *tx)
        .await?;
        let done = sqlx::query(
            "UPDATE job SET state = 'queued', stage = 'begins again after a restart' WHERE state = 'running'",
        )
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(done.rows_affected())
    }
}
