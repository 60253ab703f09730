//! Pages of jobs: what waits and runs, how far it is, what came of it.

use axum::Form;
use axum::extract::{Path, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{Html, IntoResponse, Redirect, Response};
use maud::{Markup, html};
use miyun_core::subject::SubjectKind;
use miyun_core::text::Lang;
use miyun_store::{Job, JobId, JobKind, JobState};
use serde::Deserialize;
use serde_json::Value;

use crate::api::work::{NewJob, checked, may_see, queue, spooled};
use crate::app::{Platform, Shared};
use crate::auth::{Refused, Viewer};
use crate::form::Sent;
use crate::policy::{Area, Op};
use crate::problem::{Code, Problem};
use crate::shell::{View, page};
use crate::words::word as word_of;

fn word(lang: Lang, s: JobState) -> (&'static str, &'static str) {
    let (class, zh, en) = match s {
        JobState::Queued => ("none", "排队中", "queued"),
        JobState::Running => ("warn", "运行中", "running"),
        JobState::Done => ("good", "✓ 完成", "✓ done"),
        JobState::Failed => ("bad", "× 失败", "× failed"),
        JobState::Cancelled => ("none", "已取消", "cancelled"),
    };
    (class, if lang == Lang::Zh { zh } else { en })
}

fn name(lang: Lang, what: &JobKind) -> String {
    let zh = lang == Lang::Zh;
    match what {
        JobKind::Import { name, city, .. } if zh => format!("导入 {name}（{city}）"),
        JobKind::Import { name, city, .. } => format!("Import {name} ({city})"),
        JobKind::Evaluate {
            city,
            period,
            edition,
        } if zh => format!("评价 {city} {period}，版本 {edition}"),
        JobKind::Evaluate {
            city,
            period,
            edition,
        } => format!("Evaluate {city} {period}, edition {edition}"),
        JobKind::Replay {
            city,
            period,
            from,
            to,
        } if zh => format!("重算 {city} {period}：{from} → {to}"),
        JobKind::Replay {
            city,
            period,
            from,
            to,
        } => format!("Replay {city} {period}: {from} → {to}"),
    }
}

fn may_list(v: &Viewer) -> Result<(), Refused> {
    if v.may(Op::Manage, Area::Admin) {
        v.signed_in()?;
        return Ok(());
    }
    v.require(Op::Write, Area::Data).map(|_| ())
}

/// Jobs, and the forms to begin one.
pub(super) async fn list(State(p): Shared, view: View, v: Viewer) -> Result<Response, Refused> {
    may_list(&v)?;
    let (_, all) = p.store.jobs(1, 50).await.map_err(|e| v.broken(&e))?;
    Ok(show_list(&p, &view, &v, &all, None))
}

fn show_list(p: &Platform, view: &View, v: &Viewer, all: &[Job], wrong: Option<&str>) -> Response {
    let lang = view.lang;
    let cities: Vec<_> = p
        .site
        .lake()
        .subjects()
        .into_iter()
        .filter(|s| s.kind == SubjectKind::City)
        .collect();
    let year = p.site.today().year() - 1;
    let city = html! {
        input type="hidden" name="csrf" value=(v.csrf);
        label { (view.tr("城市", "City")) " " select name="city" { @for c in &cities { option value=(c.id) { (c.name.get(lang)) } } } } " "
    };
    let common = html! { (city)
        label { (view.tr("时段", "Period")) " " input name="period" value=(year) required; } " "
    };
    let editions = |field: &str, first: &str| -> Markup {
        html! { select name=(field) {
            @if first == "all" { option value="all" { (view.tr("全部", "all")) } }
            option value="in-force" { (view.tr("现行", "in force")) }
            @for e in p.site.book.editions() { option value=(e.id) { (e.title.get(lang)) } }
        } }
    };
    let body = html! {
        h1 { (view.tr("任务", "Jobs")) }
        @if let Some(w) = wrong { p.note role="alert" { (w) } }
        @if v.may(Op::Write, Area::Data) {
            form.inline method="post" action=(view.link("/jobs")) { (common)
                label { (view.tr("版本", "Edition")) " " (editions("edition", "all")) } " "
                button name="kind" value="evaluate" { (view.tr("评价", "Evaluate")) }
            }
            form.inline method="post" action=(view.link("/jobs")) { (common)
                label { (view.tr("从", "From")) " " (editions("from", "")) } " "
                label { (view.tr("到", "To")) " " (editions("to", "")) } " "
                button name="kind" value="replay" { (view.tr("重算", "Replay")) }
            }
            form.inline method="post" enctype="multipart/form-data" action=(view.link("/jobs/import")) { (city)
                label { (view.tr("文件", "File")) " " input type="file" name="file" accept=".csv,.gz,.parquet" required; } " "
                label { (view.tr("时标", "Labels")) " " select name="interval" {
                    option value="" { (view.tr("文件自己说明", "the file says")) }
                    @for i in ["hour-begin", "hour-end"] { option value=(i) { (word_of(lang, i)) } }
                } } " "
                button { (view.tr("导入", "Import")) }
            }
            p.soft { (view.tr("CSV、CSV.gz 或 Parquet，至多 8 MiB；更大的文件用 POST /api/v1/uploads。", "CSV, CSV.gz or Parquet of at most 8 MiB; larger ones with POST /api/v1/uploads.")) }
        }
        @if all.is_empty() { p { (view.tr("还没有任务。", "No jobs yet.")) } } @else {
            div.scroll tabindex="0" { table {
                thead { tr { th scope="col" { (view.tr("任务", "Job")) } th scope="col" { (view.tr("状态", "State")) } th scope="col" { (view.tr("进度", "Progress")) } th scope="col" { (view.tr("开始", "Asked for")) } } }
                tbody { @for j in all { @let (class, state) = word(lang, j.state); tr {
                    th scope="row" { a href=(view.link(&format!("/jobs/{}", j.id))) { (name(lang, &j.what)) } }
                    td { span class={ "verdict " (class) } { (state) } }
                    td { @if !j.state.ended() { (j.done) @if j.total > 0 { " / " (j.total) } " " (j.stage) } }
                    td { time datetime=(j.created_at) { (j.created_at.strftime("%Y-%m-%d %H:%M").to_string()) " UTC" } }
                } } }
            } }
        }
    };
    let text = page(view, view.tr("任务", "Jobs"), false, body).into_string();
    let status = if wrong.is_some() {
        StatusCode::UNPROCESSABLE_ENTITY
    } else {
        StatusCode::OK
    };
    (status, Html(text)).into_response()
}

#[derive(Deserialize)]
pub(super) struct StartForm {
    kind: String,
    city: String,
    period: String,
    #[serde(default)]
    edition: String,
    #[serde(default)]
    from: String,
    #[serde(default)]
    to: String,
}

/// Begins a job from a form.
pub(super) async fn start(
    State(p): Shared,
    view: View,
    v: Viewer,
    Form(f): Form<StartForm>,
) -> Result<Response, Refused> {
    v.require(Op::Write, Area::Data)?;
    let new = match f.kind.as_str() {
        "evaluate" => NewJob::Evaluate {
            city: f.city,
            period: f.period,
            edition: f.edition,
        },
        "replay" => NewJob::Replay {
            city: f.city,
            period: f.period,
            from: f.from,
            to: f.to,
        },
        _ => return Err(v.refuse(Code::BadRequest, "there is no such kind of job")),
    };
    let begun = async {
        let what = checked(&p, new)?;
        queue(&p, &v, &what).await
    };
    after(&p, &view, &v, begun.await).await
}

/// Begins the import of a file that came with the form.
pub(super) async fn import(
    State(p): Shared,
    view: View,
    v: Viewer,
    Sent { mut fields, file }: Sent,
) -> Result<Response, Refused> {
    v.require(Op::Write, Area::Data)?;
    let mut field = |k: &str| fields.remove(k).unwrap_or_default();
    let (city, interval) = (field("city"), field("interval"));
    let begun = async {
        let none = view.tr("没有选择文件。", "No file was chosen.");
        let (name, bytes) = file.ok_or_else(|| Problem::bad(none))?;
        let new = NewJob::Import {
            upload: spooled(&p, &v, bytes).await?.to_string(),
            name,
            city,
            interval: Some(interval),
        };
        let what = checked(&p, new)?;
        queue(&p, &v, &what).await
    };
    after(&p, &view, &v, begun.await).await
}

/// To the page of the job that began, or the list again with what is wrong.
async fn after(
    p: &Platform,
    view: &View,
    v: &Viewer,
    begun: Result<JobId, Problem>,
) -> Result<Response, Refused> {
    match begun {
        Ok(id) => Ok(Redirect::to(&view.link(&format!("/jobs/{id}"))).into_response()),
        Err(Problem { detail, .. }) => {
            let (_, all) = p.store.jobs(1, 50).await.map_err(|e| v.broken(&e))?;
            Ok(show_list(p, view, v, &all, Some(&detail)))
        }
    }
}

async fn get(p: &Platform, v: &Viewer, text: &str) -> Result<Job, Refused> {
    v.signed_in()?;
    let none = || v.refuse(Code::NotFound, "there is no such job");
    let id: JobId = text.parse().map_err(|_| none())?;
    let job = p.store.job(&id).await.map_err(|e| v.broken(&e))?;
    job.filter(|j| may_see(v, j)).ok_or_else(none)
}

/// A job. The page loads itself again while there is something to wait for.
pub(super) async fn one(
    State(p): Shared,
    view: View,
    v: Viewer,
    Path((_, text)): Path<(String, String)>,
) -> Result<Response, Refused> {
    let j = get(&p, &v, &text).await?;
    let (class, state) = word(view.lang, j.state);
    let title = name(view.lang, &j.what);
    let body = html! {
        h1 { (title) }
        p.lead { span class={ "verdict " (class) } { (state) } @if !j.state.ended() { " " (j.stage) } }
        @if !j.state.ended() {
            @if j.total > 0 { p { progress value=(j.done) max=(j.total) aria-label=(view.tr("进度", "Progress")) {} " " (j.done) " / " (j.total) } }
            @if j.cancel_asked { p.note { (view.tr("已请求停止，将在下一步停下。", "Asked to stop; it stops at its next step.")) } }
            @else { form method="post" action=(view.link(&format!("/jobs/{}/cancel", j.id))) { input type="hidden" name="csrf" value=(v.csrf); button { (view.tr("停止", "Stop")) } } }
            p.soft { (view.tr("本页每三秒刷新一次；关闭本页不影响任务。", "This page loads itself again every three seconds; closing it does not stop the job.")) }
        }
        @if let Some(e) = &j.error { p.note { (e) } }
        @if let Some(r) = &j.result { (result(&view, r)) }
        p { a href=(view.link("/jobs")) { (view.tr("全部任务", "All jobs")) } " · " a href={ "/api/v1/jobs/" (j.id) } { "JSON" } }
    };
    let mut r = Html(page(&view, &title, false, body).into_string()).into_response();
    if !j.state.ended() {
        r.headers_mut()
            .insert(header::REFRESH, HeaderValue::from_static("3"));
    }
    Ok(r)
}

/// Parts of results in both languages, in the order in which tables show them.
const COLUMNS: [(&str, &str, &str); 18] = [
    ("place", "地点", "Place"),
    ("date", "日期", "Day"),
    ("indicator", "指标", "Indicator"),
    ("value", "数值", "Value"),
    ("before", "原结论", "Verdict before"),
    ("limit_before", "原限值", "Limit before"),
    ("clause_before", "原条款", "Clause before"),
    ("after", "新结论", "Verdict after"),
    ("limit_after", "新限值", "Limit after"),
    ("clause_after", "新条款", "Clause after"),
    ("changes", "结论改变", "Verdicts changed"),
    ("shown", "列出", "Listed"),
    ("files_new", "新文件", "New files"),
    ("files_known", "已有文件", "Files known"),
    ("values_new", "新数值", "New values"),
    ("values_revised", "订正数值", "Values revised"),
    ("values_known", "已有数值", "Values known"),
    ("problems_total", "问题", "Problems"),
];

fn result(view: &View, r: &Value) -> Markup {
    let link = r["link"].as_str().map(|l| {
        if l.starts_with("/api/") {
            l.to_owned()
        } else {
            view.link(l)
        }
    });
    let rows = r["rows"].as_array();
    let mut columns: Vec<&String> = rows
        .and_then(|r| r.first())
        .and_then(Value::as_object)
        .map(|o| o.keys().collect())
        .unwrap_or_default();
    // What is where and when comes first; the names of others follow as they are.
    columns.sort_by_key(|c| {
        COLUMNS
            .iter()
            .position(|k| k.0 == **c)
            .unwrap_or(usize::MAX)
    });
    let text = |v: &Value| {
        let plain = v.as_str().map_or_else(|| v.to_string(), str::to_owned);
        let zh = match plain.as_str() {
            "attained" => "达标",
            "exceeded" => "超标",
            "insufficient" => "数据不足",
            _ => return plain,
        };
        view.tr(zh, &plain).to_owned()
    };
    let name = |key: &'_ str| {
        COLUMNS
            .iter()
            .find(|k| k.0 == key)
            .map_or_else(|| key.replace('_', " "), |k| view.tr(k.1, k.2).to_owned())
    };
    html! {
        h2 { (view.tr("结果", "Result")) }
        @if let Some(l) = link { p { a href=(l) { (view.tr("打开结果", "Open the result")) } } }
        dl.pairs { @if let Some(o) = r.as_object() { @for (k, v) in o.iter().filter(|(k, v)| *k != "link" && !v.is_array() && !v.is_object()) {
            dt { (name(k)) } dd { (text(v)) }
        } } }
        @if let Some(o) = r["report"].as_object() { dl.pairs { @for (k, v) in o { dt { (name(k)) } dd { (text(v)) } } } }
        @if let Some(problems) = r["problems"].as_array().filter(|x| !x.is_empty()) { ul { @for x in problems { li { (text(x)) } } } }
        @if let Some(rows) = rows { div.scroll tabindex="0" { table {
            thead { tr { @for c in &columns { th scope="col" { (name(c)) } } } }
            tbody { @for row in rows.iter().take(500) { tr { @for c in &columns { td { (text(&row[c.as_str()])) } } } } }
        } } }
    }
}

/// Asks a job to stop.
pub(super) async fn cancel(
    State(p): Shared,
    view: View,
    v: Viewer,
    Path((_, text)): Path<(String, String)>,
) -> Result<Response, Refused> {
    may_list(&v)?;
    let j = get(&p, &v, &text).await?;
    match p.store.cancel_job(&j.id, p.now()).await {
        // It ended meanwhile: the page says so.
        Ok(()) | Err(miyun_store::StoreError::Conflict(_)) => {}
        Err(e) => return Err(v.broken(&e)),
    }
    v.audit(&p, "job-cancel", &format!("job/{}", j.id), "")
        .await
        .map_err(|e| v.broken(&e.detail))?;
    Ok(Redirect::to(&view.link(&format!("/jobs/{}", j.id))).into_response())
}
