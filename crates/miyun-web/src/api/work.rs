//! Jobs and uploads.

use std::io::Write;
use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use miyun_core::IntervalLabel;
use miyun_store::{Job, JobId, JobKind, JobState, MediaId};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa::openapi::path::{HttpMethod, OperationBuilder, PathItem};
use utoipa::openapi::request_body::RequestBodyBuilder;
use utoipa::openapi::{ContentBuilder, ResponseBuilder};

use super::read::period;
use super::table::{Body, Format, Listed, Page, json as answer};
use super::{Denied, named};
use crate::app::{Platform, Shared};
use crate::auth::Viewer;
use crate::policy::{Area, Op};
use crate::problem::{Code, Problem};

/// A job.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct JobDocument {
    id: String,
    /// What it does.
    #[schema(value_type = Object)]
    what: serde_json::Value,
    /// `queued`, `running`, `done`, `failed` or `cancelled`.
    state: String,
    /// What it is at.
    stage: String,
    /// Steps done.
    done: u64,
    /// Steps in all, 0 if not known yet.
    total: u64,
    /// How often it was begun.
    attempts: u64,
    cancel_asked: bool,
    created_by: String,
    created_at: String,
    started_at: Option<String>,
    ended_at: Option<String>,
    /// What came of it.
    #[schema(value_type = Option<Object>)]
    result: Option<serde_json::Value>,
    /// Why it failed.
    error: Option<String>,
}

fn document(j: &Job) -> JobDocument {
    JobDocument {
        id: j.id.to_string(),
        what: serde_json::to_value(&j.what).unwrap_or_default(),
        state: state(j.state).into(),
        stage: j.stage.clone(),
        done: j.done,
        total: j.total,
        attempts: j.attempts,
        cancel_asked: j.cancel_asked,
        created_by: j.created_by.clone(),
        created_at: j.created_at.to_string(),
        started_at: j.started_at.map(|t| t.to_string()),
        ended_at: j.ended_at.map(|t| t.to_string()),
        result: j.result.clone(),
        error: j.error.clone(),
    }
}

pub(crate) fn state(s: JobState) -> &'static str {
    match s {
        JobState::Queued => "queued",
        JobState::Running => "running",
        JobState::Done => "done",
        JobState::Failed => "failed",
        JobState::Cancelled => "cancelled",
    }
}

/// Work to begin.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(tag = "kind", rename_all = "lowercase", deny_unknown_fields)]
#[schema(example = json!({"kind": "evaluate", "city": "linxi", "period": "2024", "edition": "all"}))]
pub(crate) enum NewJob {
    /// Reads an uploaded file into the lake.
    Import {
        /// Digest that the upload answered with.
        upload: String,
        /// Name of the file; its ending says how it is packed.
        name: String,
        /// City that its stations belong to.
        city: String,
        /// `hour-begin` or `hour-end`, if the file does not say.
        #[serde(default)]
        interval: Option<String>,
    },
    /// Assesses a city over a period and writes the figures to the lake.
    Evaluate {
        /// City.
        city: String,
        /// Period.
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

/// The job if it makes sense.
pub(crate) fn checked(p: &Platform, new: NewJob) -> Result<JobKind, Problem> {
    let edition = |e: &str| {
        if e == "in-force" || p.site.book.edition("air", e).is_ok() {
            Ok(())
        } else {
            Err(Problem::bad(format!(
                "there is no edition {e:?}: in-force or one of GET /api/v1/editions"
            )))
        }
    };
    let city_is_here = |c: &str| p.site.city(Some(c)).map(|_| ()).map_err(Problem::from);
    Ok(match new {
        NewJob::Import {
            upload,
            name,
            city,
            interval,
        } => {
            let id: MediaId = upload
                .parse()
                .map_err(|_| Problem::bad("upload: not the digest of an upload"))?;
            if !p.spool.join(id.as_str()).is_file() {
                return Err(Problem::not_found(
                    "there is no such upload: POST /api/v1/uploads first",
                ));
            }
            let plain = name.len() <= 200
                && !name.is_empty()
                && !name.starts_with('.')
                && name
                    .chars()
                    .all(|c| c.is_alphanumeric() || "._- ()".contains(c));
            if !plain {
                return Err(Problem::bad(
                    "name: a file name of letters, digits and . _ - ( )",
                ));
            }
            city.parse::<miyun_core::SubjectId>()
                .map_err(|e| Problem::bad(format!("city: {e}")))?;
            if city.contains('/') {
                return Err(Problem::bad("city: without a stroke"));
            }
            if let Some(i) = interval.as_deref().filter(|i| !i.is_empty()) {
                i.parse::<IntervalLabel>()
                    .map_err(|e| Problem::bad(format!("interval: {e}")))?;
            }
            JobKind::Import {
                upload,
                name,
                city,
                interval: interval.filter(|i| !i.is_empty()),
            }
        }
        NewJob::Evaluate {
            city,
            period: text,
            edition: e,
        } => {
            city_is_here(&city)?;
            period(&text)?;
            if e != "all" {
                edition(&e)?;
            }
            JobKind::Evaluate {
                city,
                period: text,
                edition: e,
            }
        }
        NewJob::Replay {
            city,
            period: text,
            from,
            to,
        } => {
            city_is_here(&city)?;
            period(&text)?;
            edition(&from)?;
            edition(&to)?;
            if from == to {
                return Err(Problem::bad("from and to are the same edition"));
            }
            JobKind::Replay {
                city,
                period: text,
                from,
                to,
            }
        }
    })
}

/// Begins long work.
#[utoipa::path(post, operation_id = "work_start", path = "/api/v1/jobs", tag = "jobs", request_body = NewJob, security(("key" = [])),
    responses((status = 202, description = "Queued; the Location header names the job", body = JobDocument), (status = 400, description = "Not understood", body = Problem), Denied, (status = 404, description = "No such city or upload", body = Problem)))]
pub(super) async fn start(
    State(p): Shared,
    v: Viewer,
    Body(new): Body<NewJob>,
) -> Result<Response, Problem> {
    v.api(Op::Write, Area::Data)?;
    let what = checked(&p, new)?;
    let id = queue(&p, &v, &what).await?;
    let job = p
        .store
        .job(&id)
        .await?
        .ok_or_else(|| Problem::internal("the new job is not there"))?;
    let place = [(header::LOCATION, format!("/api/v1/jobs/{id}"))];
    Ok((StatusCode::ACCEPTED, place, Json(document(&job))).into_response())
}

/// Queues a job and wakes who runs them.
pub(crate) async fn queue(p: &Platform, v: &Viewer, what: &JobKind) -> Result<JobId, Problem> {
    let user = v.user_api()?;
    let id = p.store.add_job(what, user.id.as_str(), p.now()).await?;
    v.audit(p, "job-start", &format!("job/{id}"), what.word())
        .await?;
    p.jobs.wake();
    Ok(id)
}

/// Whoever began a job and whoever keeps jobs may see and stop it.
pub(crate) fn may_see(v: &Viewer, j: &Job) -> bool {
    v.user
        .as_ref()
        .is_some_and(|u| j.created_by == u.id.as_str())
        || v.may(Op::Write, Area::Data)
        || v.may(Op::Manage, Area::Admin)
}

/// Jobs, newest first.
#[utoipa::path(get, operation_id = "work_list", path = "/api/v1/jobs", tag = "jobs", params(Page), security(("key" = [])),
    responses((status = 200, description = "Jobs", body = Listed<JobDocument>), (status = 400, description = "A parameter cannot be understood", body = Problem), Denied))]
pub(super) async fn list(
    State(p): Shared,
    v: Viewer,
    Query(page): Query<Page>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    v.user_api()?;
    if !v.may(Op::Manage, Area::Admin) {
        v.api(Op::Write, Area::Data)?;
    }
    let page = page.check(Format::Json)?;
    let (total, all) = p.store.jobs(page.page, page.per_page).await?;
    let body = Listed {
        total,
        page: page.page,
        per_page: page.per_page,
        items: all.iter().map(document).collect(),
    };
    answer(&body, &headers)
}

async fn get(p: &Platform, v: &Viewer, text: &str) -> Result<Job, Problem> {
    v.user_api()?;
    let id: JobId = named("job", text)?;
    // Somebody else's job is as good as none.
    p.store
        .job(&id)
        .await?
        .filter(|j| may_see(v, j))
        .ok_or_else(|| Problem::not_found("there is no such job"))
}

/// A job: how far it is, and what came of it.
#[utoipa::path(get, operation_id = "work_one", path = "/api/v1/jobs/{id}", tag = "jobs", params(("id" = String, Path)), security(("key" = [])),
    responses((status = 200, description = "The job", body = JobDocument), (status = 401, description = "Nobody is signed in", body = Problem), (status = 404, description = "No such job", body = Problem)))]
pub(super) async fn one(
    State(p): Shared,
    v: Viewer,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    answer(&document(&get(&p, &v, &id).await?), &headers)
}

/// Asks a job to stop: at once if it waits, at its next step if it runs.
#[utoipa::path(delete, operation_id = "work_cancel", path = "/api/v1/jobs/{id}", tag = "jobs", params(("id" = String, Path)), security(("key" = [])),
    responses((status = 202, description = "Asked", body = JobDocument), Denied, (status = 404, description = "No such job", body = Problem), (status = 409, description = "It has ended", body = Problem)))]
pub(super) async fn cancel(
    State(p): Shared,
    v: Viewer,
    Path(text): Path<String>,
) -> Result<Response, Problem> {
    let job = get(&p, &v, &text).await?;
    if !v.may(Op::Manage, Area::Admin) {
        v.api(Op::Write, Area::Data)?;
    }
    p.store.cancel_job(&job.id, p.now()).await?;
    v.audit(&p, "job-cancel", &format!("job/{}", job.id), "")
        .await?;
    let job = get(&p, &v, &text).await?;
    Ok((StatusCode::ACCEPTED, Json(document(&job))).into_response())
}

/// An upload.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Upload {
    /// BLAKE3 of the bytes; name it in a job.
    upload: String,
    /// Bytes.
    bytes: u64,
}

/// Says in the document what `upload` does; its route stands apart because its body may be large.
pub(super) fn describe_upload(api: &mut utoipa::openapi::OpenApi) {
    let of = |text: &str| ResponseBuilder::new().description(text).build();
    let operation = OperationBuilder::new()
        .tag("jobs")
        .operation_id(Some("upload"))
        .summary(Some(
            "Sends a file of observations (CSV, CSV.gz or Parquet) for a later import.",
        ))
        .request_body(Some(
            RequestBodyBuilder::new()
                .content("application/octet-stream", ContentBuilder::new().build())
                .required(Some(utoipa::openapi::Required::True))
                .build(),
        ))
        .response(
            "201",
            of("Stored; the body names it: {\"upload\": …, \"bytes\": …}"),
        )
        .response("400", of("The body is empty"))
        .response("401", of("Nobody is signed in"))
        .response("403", of("Not allowed"))
        .response("413", of("The body is too large"))
        .build();
    api.paths.paths.insert(
        "/api/v1/uploads".into(),
        PathItem::new(HttpMethod::Post, operation),
    );
}

/// Most bytes that may wait in the spool.
const SPOOL_LEN_MAX: u64 = 2 << 30;

/// Stores a file for a later import, under the digest of its bytes.
pub(super) async fn upload(
    State(p): State<Arc<Platform>>,
    v: Viewer,
    body: Bytes,
) -> Result<Response, Problem> {
    let bytes = body.len() as u64;
    let upload = spooled(&p, &v, body).await?.to_string();
    Ok((StatusCode::CREATED, Json(Upload { upload, bytes })).into_response())
}

/// Stores a file if the viewer may.
pub(crate) async fn spooled(p: &Platform, v: &Viewer, body: Bytes) -> Result<MediaId, Problem> {
    v.api(Op::Write, Area::Data)?;
    if body.is_empty() {
        return Err(Problem::bad(
            "the body is empty: send the bytes of the file",
        ));
    }
    let bytes = body.len() as u64;
    let spool = p.spool.clone();
    let id = super::read::away(move || {
        let id = MediaId::of(&body);
        let waiting: u64 = std::fs::read_dir(&spool)
            .map_err(Problem::internal)?
            .flatten()
            .filter_map(|e| e.metadata().ok())
            .map(|m| m.len())
            .sum();
        if waiting.saturating_add(body.len() as u64) > SPOOL_LEN_MAX {
            return Err(Problem::new(
                Code::Conflict,
                "too many files wait for an import: import or remove some first",
            ));
        }
        let (whole, part) = (spool.join(id.as_str()), spool.join(format!("{id}.part")));
        let write = || -> std::io::Result<()> {
            let mut f = std::fs::File::create(&part)?;
            f.write_all(&body)?;
            f.sync_all()?;
            std::fs::rename(&part, &whole)
        };
        write().map_err(Problem::internal)?;
        Ok(id)
    })
    .await?;
    v.audit(p, "upload", &format!("upload/{id}"), &bytes.to_string())
        .await?;
    Ok(id)
}
