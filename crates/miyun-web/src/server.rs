//! The HTTP door: pages of the plan, the air, the rulebook and every figure's why.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Uri, header};
use axum::response::{Html, IntoResponse, Redirect, Response};
use axum::routing::get;
use maud::{Markup, html};
use miyun_air::Incomplete;
use miyun_assess::EditionChoice;
use miyun_assess::air::{AirEvaluation, AirRequest, Record, evaluate};
use miyun_core::text::Lang;
use miyun_core::{Assessment, Date, Period, SubjectId};
use miyun_lake::Lake;
use miyun_plan::Plan;
use miyun_rulebook::Rulebook;
use tower_http::set_header::SetResponseHeaderLayer;
use tower_http::timeout::TimeoutLayer;

use crate::figures::LakeFigures;
use crate::shell::{STYLE, View, page, tr};
use crate::{plan, report, rules};

/// What the pages show.
pub struct Site {
    /// Observations.
    pub lake: Lake,
    /// The law.
    pub book: &'static Rulebook,
    /// Plans whose city is in the lake.
    pub plans: Vec<Plan>,
    /// The day that pages speak of; the edge passes it in.
    pub today: Date,
    records: Mutex<HashMap<SubjectId, Arc<Record>>>,
    figures: Mutex<HashMap<String, Assessment>>,
}

impl Site {
    /// A site over a lake.
    #[must_use]
    pub fn new(lake: Lake, book: &'static Rulebook, plans: Vec<Plan>, today: Date) -> Self {
        Self {
            lake,
            book,
            plans,
            today,
            records: Mutex::default(),
            figures: Mutex::default(),
        }
    }

    fn record(&self, city: Option<&SubjectId>) -> Result<Arc<Record>, Failure> {
        let mut records = self
            .records
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(known) = city.and_then(|c| records.get(c)).or_else(|| {
            if city.is_none() {
                records.values().next()
            } else {
                None
            }
        }) {
            return Ok(Arc::clone(known));
        }
        let record = Arc::new(
            Record::read(&self.lake, self.book, city, None, None)
                .map_err(|e| Failure::NotFound(e.to_string()))?,
        );
        records.insert(record.city.id.clone(), Arc::clone(&record));
        Ok(record)
    }

    fn remember<'a>(&self, assessments: impl IntoIterator<Item = &'a Assessment>) {
        let mut figures = self
            .figures
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        // Bounded: figures can always be made again from the lake.
        if figures.len() > 20_000 {
            figures.clear();
        }
        figures.extend(
            assessments
                .into_iter()
                .map(|a| (a.id.to_string(), a.clone())),
        );
    }
}

/// Why a page could not be shown.
enum Failure {
    NotFound(String),
    Bad(String),
    Lake(String),
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let (status, text) = match self {
            Self::NotFound(t) => (StatusCode::NOT_FOUND, t),
            Self::Bad(t) => (StatusCode::BAD_REQUEST, t),
            Self::Lake(t) => (StatusCode::INTERNAL_SERVER_ERROR, t),
        };
        let view = View {
            lang: Lang::En,
            path: "/".into(),
            theme: "",
            colours: "",
            size: "",
        };
        let body = html! { h1 { (status.as_u16()) " " (status.canonical_reason().unwrap_or("")) } p { (text) } p { a href="/en/" { "Overview" } " · " a href="/zh/" lang="zh-Hans" { "概览" } } };
        (
            status,
            Html(
                page(
                    &view,
                    status.canonical_reason().unwrap_or("error"),
                    false,
                    body,
                )
                .into_string(),
            ),
        )
            .into_response()
    }
}

type Shared = State<Arc<Site>>;
type Params = Query<HashMap<String, String>>;

/// Longest that a request may take.
const TIMEOUT: Duration = Duration::from_secs(30);

/// The routes of a site.
#[must_use]
pub fn router(site: Arc<Site>) -> Router {
    let set = |name: &'static str, value: &'static str| {
        SetResponseHeaderLayer::overriding(
            HeaderName::from_static(name),
            HeaderValue::from_static(value),
        )
    };
    Router::new()
        .route("/", get(start))
        .route("/settings", get(settings))
        .route("/static/style.css", get(|| async { ([(header::CONTENT_TYPE, "text/css; charset=utf-8"), (header::CACHE_CONTROL, "max-age=300")], STYLE) }))
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/{lang}/", get(home))
        .route("/{lang}/air", get(air))
        .route("/{lang}/rules", get(rule_list))
        .route("/{lang}/rules/{*id}", get(rule))
        .route("/{lang}/why/{id}", get(why))
        .route("/{lang}/data", get(data))
        .route("/{lang}/about", get(about))
        .fallback(|| async { Failure::NotFound("There is no such page.".into()) })
        .layer(TimeoutLayer::with_status_code(StatusCode::GATEWAY_TIMEOUT, TIMEOUT))
        .layer(set("content-security-policy", "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"))
        .layer(set("x-content-type-options", "nosniff"))
        .layer(set("referrer-policy", "no-referrer"))
        .with_state(site)
}

/// Answers on `listener` until the process is told to stop; requests under way are finished.
///
/// # Errors
/// If the listener fails.
pub async fn run(listener: tokio::net::TcpListener, router: Router) -> std::io::Result<()> {
    axum::serve(listener, router)
        .with_graceful_shutdown(stop())
        .await
}

/// Waits for Ctrl-C or, as service managers send it, SIGTERM.
async fn stop() {
    let interrupt = tokio::signal::ctrl_c();
    #[cfg(unix)]
    let terminate = async {
        match tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
            Ok(mut s) => {
                s.recv().await;
            }
            Err(_) => std::future::pending().await,
        }
    };
    #[cfg(not(unix))]
    let terminate = std::future::pending::<()>();
    tokio::select! {
        _ = interrupt => {}
        () = terminate => {}
    }
}

fn view(lang: &str, uri: &Uri, headers: &HeaderMap) -> Result<View, Failure> {
    let lang = match lang {
        "zh" => Lang::Zh,
        "en" => Lang::En,
        other => {
            return Err(Failure::NotFound(format!(
                "There is no language {other:?}; use /zh/ or /en/."
            )));
        }
    };
    let cookies = headers
        .get(header::COOKIE)
        .and_then(|c| c.to_str().ok())
        .unwrap_or("");
    let has = |pair: &str| cookies.split(';').any(|c| c.trim() == pair);
    let path = uri.path_and_query().map_or("/", |p| p.as_str());
    Ok(View {
        lang,
        path: path
            .get(3..)
            .filter(|p| !p.is_empty())
            .unwrap_or("/")
            .to_owned(),
        theme: if has("theme=dark") {
            "dark"
        } else if has("theme=light") {
            "light"
        } else {
            ""
        },
        colours: if has("colours=cividis") {
            "cividis"
        } else {
            ""
        },
        size: if has("size=large") { "large" } else { "" },
    })
}

async fn start(headers: HeaderMap) -> Redirect {
    let zh = headers
        .get(header::ACCEPT_LANGUAGE)
        .and_then(|l| l.to_str().ok())
        .is_some_and(|l| l.trim_start().to_ascii_lowercase().starts_with("zh"));
    Redirect::to(if zh { "/zh/" } else { "/en/" })
}

/// Sets a reading preference and goes back; only known words and paths of this site are taken.
async fn settings(Query(q): Params) -> Response {
    const KNOWN: [(&str, &[&str]); 3] = [
        ("theme", &["light", "dark"]),
        ("colours", &["cividis", "standard"]),
        ("size", &["large", "normal"]),
    ];
    let back = q
        .get("back")
        .filter(|b| {
            (b.starts_with("/zh/") || b.starts_with("/en/"))
                && !b.contains("//")
                && !b.contains('\\')
                && b.bytes().all(|c| c.is_ascii_graphic())
        })
        .map_or("/", String::as_str);
    let mut response = Redirect::to(back).into_response();
    for (key, values) in KNOWN {
        if let Some(v) = q.get(key).filter(|v| values.contains(&v.as_str()))
            && let Ok(cookie) = HeaderValue::from_str(&format!(
                "{key}={v}; Path=/; Max-Age=31536000; SameSite=Lax; HttpOnly"
            ))
        {
            response.headers_mut().append(header::SET_COOKIE, cookie);
        }
    }
    response
}

/// Runs a page's work away from the threads that answer.
async fn work<T: Send + 'static>(
    f: impl FnOnce() -> Result<T, Failure> + Send + 'static,
) -> Result<T, Failure> {
    tokio::task::spawn_blocking(f)
        .await
        .map_err(|e| Failure::Lake(e.to_string()))?
}

fn shown(view: &View, title: &str, simulated: bool, body: Markup) -> Html<String> {
    Html(page(view, title, simulated, body).into_string())
}

async fn home(
    State(site): Shared,
    Path(lang): Path<String>,
    Query(q): Params,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Html<String>, Failure> {
    let view = view(&lang, &uri, &headers)?;
    work(move || {
        let on = match q.get("on") {
            Some(d) => d.parse().map_err(|_| Failure::Bad(format!("{d:?} is no date: write 2026-03-01")))?,
            None => site.today,
        };
        let chosen = match q.get("plan") {
            Some(id) => site.plans.iter().find(|p| p.id == *id).ok_or_else(|| Failure::NotFound(format!("no plan {id:?}")))?,
            None => site.plans.first().ok_or_else(|| Failure::NotFound("no plan".into()))?,
        };
        let figures = LakeFigures::new(&site.lake, site.book);
        let status = miyun_plan::status(chosen, on, &figures);
        site.remember(status.measures.iter().flat_map(|m| &m.indicators).filter_map(|i| i.figure.as_ref()).map(|f| &f.assessment));
        let body = html! {
            (plan::body(view.lang, &|p| view.link(p), &status))
            form.inline method="get" {
                label { (view.tr("日期", "Day")) " " input type="date" name="on" value=(on); }
                label { (view.tr("计划", "Plan")) " " select name="plan" { @for p in &site.plans { option value=(p.id) selected[p.id == chosen.id] { (p.title.get(view.lang)) } } } }
                button { (view.tr("显示", "Show")) }
            }
        };
        Ok(shown(&view, view.tr("计划", "The plan"), status.simulated, body))
    })
    .await
}

async fn air(
    State(site): Shared,
    Path(lang): Path<String>,
    Query(q): Params,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Html<String>, Failure> {
    let view = view(&lang, &uri, &headers)?;
    work(move || {
        let city = q.get("city").filter(|c| !c.is_empty()).map(|c| c.parse::<SubjectId>()).transpose().map_err(|e| Failure::Bad(e.to_string()))?;
        let record = match &city {
            Some(c) => site.record(Some(c))?,
            None => {
                let first = site.lake.subjects().into_iter().find(|s| s.kind == miyun_core::subject::SubjectKind::City).map(|s| s.id);
                site.record(first.as_ref())?
            }
        };
        let last = miyun_air::annual::date_of(record.first_day, record.days.saturating_sub(1));
        // Without a choice, the last year that is whole.
        let whole = if (last.month(), last.day()) == (12, 31) { last.year() } else { last.year() - 1 };
        let year: i16 = match q.get("year").filter(|y| !y.is_empty()) {
            Some(y) => y.parse().map_err(|_| Failure::Bad(format!("{y:?} is no year")))?,
            None => whole.max(record.first_day.year()),
        };
        let period = Period::year(year).ok_or_else(|| Failure::Bad(format!("{year} is out of range")))?;
        let chosen = q.get("edition").map_or("all", String::as_str);
        let all: Vec<AirEvaluation> = editions(&site, chosen)?
            .into_iter()
            .map(|choice| evaluate(site.book, &record, &AirRequest { city: city.clone(), period, choice, interval: None, incomplete: Incomplete::AsEdition, as_known_on: None }))
            .collect::<Result<_, _>>()
            .map_err(|e| Failure::NotFound(e.to_string()))?;
        site.remember(all.iter().flat_map(|e| &e.assessments));
        let simulated = all.iter().any(AirEvaluation::simulated);
        let title = format!("{} · {} · {year}", record.city.name.get(view.lang), view.tr("环境空气质量", "ambient air"));
        let body = html! {
            form.inline method="get" {
                label { (view.tr("年份", "Year")) " " select name="year" { @for y in record.first_day.year()..=last.year() { option value=(y) selected[y == year] { (y) } } } }
                label { (view.tr("标准版本", "Edition")) " " select name="edition" {
                    option value="all" selected[chosen == "all"] { (view.tr("现行及各版本", "in force, and all others")) }
                    @for e in site.book.editions() { option value=(e.id) selected[chosen == e.id] { (e.title.get(view.lang)) } }
                } }
                @if let Some(c) = &city { input type="hidden" name="city" value=(c); }
                button { (view.tr("显示", "Show")) }
            }
            (report::body(view.lang, site.book, &all, &title))
        };
        Ok(shown(&view, &title, simulated, body))
    })
    .await
}

/// The editions of a choice: all means the law in force first, then the named ones.
fn editions(site: &Site, chosen: &str) -> Result<Vec<EditionChoice>, Failure> {
    let names = || {
        site.book
            .editions()
            .iter()
            .map(|e| EditionChoice::Named(e.id.clone()))
    };
    match chosen {
        "all" | "" => Ok(std::iter::once(EditionChoice::InForce)
            .chain(names())
            .collect()),
        one if site.book.edition("air", one).is_ok() => {
            Ok(vec![EditionChoice::Named(one.to_owned())])
        }
        other => Err(Failure::NotFound(format!("no edition {other:?}"))),
    }
}

async fn rule_list(
    State(site): Shared,
    Path(lang): Path<String>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Html<String>, Failure> {
    let view = view(&lang, &uri, &headers)?;
    let body = html! {
        h1 { (view.tr("规则库", "Rulebook")) }
        p.lead { (view.tr("法律以数据形式存放：每个数字都有条款、出处和施行日期；没有核对过原文的，一律标明。", "The law as data: every number has its clause, citation and dates; what nobody compared with the text is marked.")) }
        (rules::list(view.lang, &|p| view.link(p), site.book.instruments(), site.today))
    };
    Ok(shown(&view, view.tr("规则库", "Rulebook"), false, body))
}

async fn rule(
    State(site): Shared,
    Path((lang, id)): Path<(String, String)>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Html<String>, Failure> {
    let view = view(&lang, &uri, &headers)?;
    let i = site
        .book
        .instrument(&id)
        .ok_or_else(|| Failure::NotFound(format!("no instrument {id:?}")))?;
    Ok(shown(
        &view,
        i.title.get(view.lang),
        false,
        rules::instrument(view.lang, &|p| view.link(p), i),
    ))
}

async fn why(
    State(site): Shared,
    Path((lang, id)): Path<(String, String)>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Html<String>, Failure> {
    let view = view(&lang, &uri, &headers)?;
    work(move || {
        let known = site.figures.lock().unwrap_or_else(std::sync::PoisonError::into_inner).get(&id).cloned();
        let a = match known {
            Some(a) => a,
            None => site.lake.find_assessments(&id).map_err(|e| Failure::Lake(e.to_string()))?.into_iter().map(|(a, _)| a).find(|a| a.id == *id).ok_or_else(|| Failure::NotFound(format!("no figure {id:?}; figures get their id when a page or an evaluation computes them")))?,
        };
        let subject = site.lake.subjects().into_iter().find(|s| s.id == a.subject);
        let name = subject.as_ref().map_or(a.subject.to_string(), |s| s.name.get(view.lang).to_owned());
        let v = |d: Option<miyun_core::Decimal>| d.map_or("–".to_owned(), |d| d.to_string());
        let body = html! {
            h1 { (view.tr("为什么", "Why")) " " (v(a.value)) " " (a.unit) "?" }
            p.lead { (name) " · " (a.indicator) " " (a.statistic) " · " (a.period) " · " (report::verdict(view.lang, &a.verdict)) @if a.limit.is_some() { " · " (view.tr("限值", "limit")) " " (v(a.limit)) } }
            @if !a.sufficiency.missing.is_empty() { p.note { (a.sufficiency.missing.join("; ")) } }
            (report::chain(view.lang, site.book, &a, &|p| view.link(p)))
        };
        Ok(shown(&view, view.tr("为什么", "Why"), subject.is_some_and(|s| s.simulated), body))
    })
    .await
}

async fn data(
    State(site): Shared,
    Path(lang): Path<String>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Html<String>, Failure> {
    let view = view(&lang, &uri, &headers)?;
    let body = html! {
        h1 { (view.tr("数据", "Data")) }
        p { (view.tr("数据是 Parquet 文件，任何 Arrow、DuckDB 或 pandas 用户都能直接打开；也可用 miyun sql 查询。", "The data are Parquet files that any Arrow, DuckDB or pandas user can open; or query them with miyun sql.")) }
        div.scroll { table {
            thead { tr { th.n scope="col" { "#" } th scope="col" { (view.tr("入库时间", "Recorded")) } th scope="col" { (view.tr("文件", "File")) } th scope="col" { (view.tr("声明", "Declared")) } th.n scope="col" { (view.tr("行", "Rows")) } th.n scope="col" { (view.tr("值", "Values")) } th.n scope="col" { (view.tr("问题", "Problems")) } th scope="col" { "blake3" } } }
            tbody { @for c in site.lake.commits() { @for f in &c.files { tr { td.n { (c.sequence) } td { (c.recorded_at) } td { (f.name.rsplit('/').next().unwrap_or("")) } td { (f.declared) } td.n { (f.rows) } td.n { (f.values) } td.n { (f.problems) } td.code { (f.digest.get(..16).unwrap_or("")) "…" } } } } }
        } }
    };
    Ok(shown(
        &view,
        view.tr("数据", "Data"),
        site.lake.subjects().iter().any(|s| s.simulated),
        body,
    ))
}

async fn about(
    State(_): Shared,
    Path(lang): Path<String>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Html<String>, Failure> {
    let view = view(&lang, &uri, &headers)?;
    let body = html! {
        h1 { (view.tr("方法", "Methods")) }
        p { (view.tr("城市值是不含对照点的各站日值平均；日值、指数、年评价按所选版本的条款计算，规定修约之处用精确算术。", "A city value is the mean of its stations' daily values without control stations; daily values, indices and annual items follow the clauses of the chosen edition, with exact arithmetic wherever rounding is prescribed.")) }
        p { (view.tr("数值、有效性、缺什么和结论分开给出：无效的数值仍然显示，并注明无效。", "Value, validity, what is missing and the verdict are given apart: a value that is not valid is still shown, as such.")) }
        p { (view.tr("凡未与原文核对的规则都标为“未核实”。", "Every rule that nobody compared with the text is marked \"not verified\".")) }
    };
    Ok(shown(&view, tr(view.lang, "方法", "Methods"), false, body))
}
