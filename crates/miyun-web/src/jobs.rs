//! Long work: one job at a time, with progress, a way to stop, and a result that stays. What ran
//! when the program stopped begins again at the next start.

mod pages;
mod work;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::routing::{get, post};
use miyun_store::{Deed, Job, JobId, StoreError};
use tokio::runtime::Handle;
use tokio::sync::{Notify, watch};

use crate::app::Platform;

/// Wakes the one who runs jobs.
pub(crate) struct Jobs {
    news: Notify,
}

impl Jobs {
    pub fn new() -> Self {
        Self {
            news: Notify::new(),
        }
    }

    /// Says that a job waits.
    pub fn wake(&self) {
        self.news.notify_one();
    }
}

/// Routes of the pages of jobs.
pub(crate) fn routes() -> Router<Arc<Platform>> {
    Router::new()
        .route("/{lang}/jobs", get(pages::list).post(pages::start))
        .route(
            "/{lang}/jobs/import",
            post(pages::import).layer(DefaultBodyLimit::max(crate::auth::FORM_LEN_MAX)),
        )
        .route("/{lang}/jobs/{id}", get(pages::one))
        .route("/{lang}/jobs/{id}/cancel", post(pages::cancel))
}

/// Why work did not come to its end.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Halt {
    /// Somebody asked it to stop.
    #[error("cancelled")]
    Cancelled,
    /// The program stops; the job begins again at the next start.
    #[error("the program stops")]
    Stopping,
    /// It failed.
    #[error("{0}")]
    Failed(String),
}

impl Halt {
    fn failed(e: impl std::fmt::Display) -> Self {
        Self::Failed(e.to_string())
    }
}

/// How work says how far it is, between two steps.
pub(crate) struct Steps {
    platform: Arc<Platform>,
    job: JobId,
    handle: Handle,
    stopping: Arc<AtomicBool>,
}

impl Steps {
    /// Says what comes now, and stops the work if it should.
    fn step(&self, stage: &str, done: u64, total: u64) -> Result<(), Halt> {
        if self.stopping.load(Ordering::Acquire) {
            return Err(Halt::Stopping);
        }
        let said = self
            .platform
            .store
            .job_progress(&self.job, stage, done, total);
        match self.handle.block_on(said) {
            Ok(false) => Ok(()),
            Ok(true) => Err(Halt::Cancelled),
            Err(e) => Err(Halt::failed(e)),
        }
    }
}

/// Looks for waiting jobs that often, should a call have been missed.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// Runs jobs until `stop` says true; first those that the last stop interrupted.
///
/// # Errors
/// [`StoreError`] if the records do not answer at the start.
pub async fn run(p: Arc<Platform>, mut stop: watch::Receiver<bool>) -> Result<(), StoreError> {
    let again = p.store.revive_jobs(p.now()).await?;
    if again > 0 {
        tracing::info!(jobs = again, "jobs begin again after a restart");
    }
    let stopping = Arc::new(AtomicBool::new(false));
    while !*stop.borrow() {
        let job = match p.store.take_job(p.now()).await {
            Ok(job) => job,
            Err(e) => {
                tracing::error!(error = %e, "jobs cannot be read");
                None
            }
        };
        match job {
            None => {
                tokio::select! {
                    () = p.jobs.news.notified() => {}
                    () = tokio::time::sleep(LOOK_EVERY) => {}
                    _ = stop.changed() => {}
                }
            }
            Some(job) => {
                let mut work = std::pin::pin!(one(Arc::clone(&p), job, Arc::clone(&stopping)));
                let stopped = async {
                    let _ = stop.wait_for(|s| *s).await;
                };
                tokio::select! {
                    () = &mut work => {}
                    () = stopped => {
                        stopping.store(true, Ordering::Release);
                        work.await;
                    }
                }
            }
        }
    }
    Ok(())
}

async fn one(p: Arc<Platform>, job: Job, stopping: Arc<AtomicBool>) {
    let steps = Steps {
        platform: Arc::clone(&p),
        job: job.id.clone(),
        handle: Handle::current(),
        stopping,
    };
    let what = job.what.clone();
    let span = tracing::info_span!(target: crate::TRACE, "job", job = %job.id, kind = what.word());
    let done =
        tokio::task::spawn_blocking(move || span.in_scope(|| work::work(&steps, &what))).await;
    let outcome = match &done {
        Ok(Ok(result)) => Ok(Some(result)),
        Ok(Err(Halt::Cancelled)) => Ok(None),
        // It stays marked as running and begins again at the next start.
        Ok(Err(Halt::Stopping)) => return,
        Ok(Err(e)) => Err(e.to_string()),
        Err(e) => Err(format!("the work broke off: {e}")),
    };
    let word = match &outcome {
        Ok(Some(_)) => "job-done",
        Ok(None) => "job-cancelled",
        Err(e) => {
            tracing::warn!(job = %job.id, error = %e, "a job failed");
            "job-failed"
        }
    };
    let ended = p
        .store
        .end_job(
            &job.id,
            outcome.as_ref().map(|r| *r).map_err(String::as_str),
            p.now(),
        )
        .await;
    let object = format!("job/{}", job.id);
    let deed = Deed {
        actor: "system",
        action: word,
        object: &object,
        detail: job.what.word(),
        ..Deed::default()
    };
    let written = p.store.audit(&deed, p.now()).await;
    for e in [ended.err(), written.err()].into_iter().flatten() {
        tracing::error!(job = %job.id, error = %e, "the end of a job was not recorded");
    }
}

/// Keeps small tables small and runs jobs, until `stop` says true.
///
/// # Errors
/// [`StoreError`] as [`run`].
pub async fn background(p: Arc<Platform>, stop: watch::Receiver<bool>) -> Result<(), StoreError> {
    let mut sweeps = tokio::task::JoinSet::new();
    sweeps.spawn(crate::auth::sweep(Arc::clone(&p)));
    sweeps.spawn(crate::picture::sweep(Arc::clone(&p)));
    let done = run(p, stop).await;
    sweeps.shutdown().await;
    done
}
