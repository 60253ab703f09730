//! Articles: lists, versions, drafts, four eyes, likes, collections.

use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use miyun_core::text::Lang;
use miyun_store::{
    Article, ArticleContent, ArticleId, ArticleQuery, ArticleVersion, CollectionId, LegalStatus,
    Order, VersionState,
};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::map::KnownQuery;
use super::publish::{Created, DecisionBody, created};
use super::read::{date, known};
use super::table::{Body, Cell, Format, Sheet, SheetQuery, Table, json as answer};
use super::{Denied, done, named, said};
use crate::app::{Platform, Shared};
use crate::auth::Viewer;
use crate::policy::{Area, Op};
use crate::problem::{Code, Problem};

/// What articles to look for.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct ListQuery {
    /// Words that must all be there, Chinese or English.
    #[param(example = "大气")]
    q: Option<String>,
    /// Language of the words: `zh` or `en`.
    lang: Option<String>,
    /// Region code; what it contains counts.
    #[param(example = "CN/11")]
    region: Option<String>,
    /// Topic.
    topic: Option<String>,
    /// Source, in either language.
    source: Option<String>,
    /// Publisher, in either language.
    publisher: Option<String>,
    /// `notice`, `draft`, `in-force`, `amended` or `repealed`.
    status: Option<String>,
    /// Document or index number.
    number: Option<String>,
    /// Released in this year.
    #[param(example = "2026")]
    year: Option<String>,
    /// Released on or after this day.
    from: Option<String>,
    /// Released on or before this day.
    until: Option<String>,
    /// Has a clause that this measure tracks.
    measure: Option<String>,
    /// `date` or `relevance`.
    order: Option<String>,
    /// As known at this moment: a day or an RFC 3339 time. What was withdrawn since stays away.
    known: Option<String>,
}

/// Articles of one answer of the store.
const ARTICLES_PER_PAGE: u32 = 100;

fn query(q: ListQuery) -> Result<ArticleQuery, Problem> {
    let some = |t: Option<String>| t.filter(|t| !t.trim().is_empty());
    let day = |name: &str, t: Option<String>| some(t).map(|t| date(name, &t)).transpose();
    if q.q.as_ref().is_some_and(|t| t.len() > 1_000) {
        return Err(Problem::bad("q: at most 1000 bytes"));
    }
    Ok(ArticleQuery {
        lang: match some(q.lang).as_deref() {
            None => None,
            Some("zh") => Some(Lang::Zh),
            Some("en") => Some(Lang::En),
            Some(other) => return Err(Problem::bad(format!("lang: {other:?}: zh or en"))),
        },
        status: some(q.status)
            .map(|t| t.parse::<LegalStatus>())
            .transpose()
            .map_err(|e| Problem::bad(format!("status: {e}")))?,
        measure: some(q.measure)
            .map(|t| t.parse())
            .transpose()
            .map_err(|e: miyun_core::IdError| Problem::bad(format!("measure: {e}")))?,
        order: match some(q.order).as_deref() {
            None | Some("date") => Order::Date,
            Some("relevance") => Order::Relevance,
            Some(other) => {
                return Err(Problem::bad(format!("order: {other:?}: date or relevance")));
            }
        },
        from: day("from", q.from)?,
        until: day("until", q.until)?,
        text: no_nul("q", some(q.q))?,
        region: no_nul("region", some(q.region))?,
        topic: no_nul("topic", some(q.topic))?,
        source: no_nul("source", some(q.source))?,
        publisher: no_nul("publisher", some(q.publisher))?,
        number: no_nul("number", some(q.number))?,
        year: some(q.year)
            .map(|t| t.parse::<i16>())
            .transpose()
            .map_err(|_| Problem::bad("year: write a year such as 2026"))?,
        known: known(q.known.as_deref())?,
        page: 1,
        per_page: ARTICLES_PER_PAGE,
    })
}

/// PostgreSQL texts hold no NUL.
fn no_nul(name: &str, t: Option<String>) -> Result<Option<String>, Problem> {
    match t {
        Some(t) if t.contains('\0') => Err(Problem::bad(format!("{name}: holds a NUL character"))),
        other => Ok(other),
    }
}

/// Published articles: as JSON with facets and snippets, at most 100 a page; as CSV or Parquet a row
/// for each article.
#[utoipa::path(get, operation_id = "articles_list", path = "/api/v1/articles", tag = "articles", params(ListQuery, SheetQuery),
    responses((status = 200, description = "Articles", body = Object, example = json!({"total": 0, "hits": [], "facets": {"region": [], "topic": [], "source": [], "publisher": [], "status": [], "year": []}})), (status = 400, description = "A parameter cannot be understood", body = Problem)))]
pub(super) async fn list(
    State(p): Shared,
    Query(q): Query<ListQuery>,
    sheet: Sheet,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let mut q = query(q)?;
    if sheet.format() == Format::Json {
        let page = sheet.page()?;
        if page.per_page > ARTICLES_PER_PAGE {
            return Err(Problem::bad(format!(
                "per_page: from 1 to {ARTICLES_PER_PAGE}, more as CSV or Parquet"
            )));
        }
        q.page = page.page;
        q.per_page = page.per_page;
        return answer(&p.store.find_articles(&q).await?, &headers);
    }
    let mut rows = Vec::new();
    loop {
        let found = p.store.find_articles(&q).await?;
        rows.extend(found.hits.iter().filter_map(|h| row(&h.article)));
        if found.hits.is_empty() || u64::from(q.page * ARTICLES_PER_PAGE) >= found.total {
            break;
        }
        q.page += 1;
    }
    sheet.answer(&Table::new("articles", &COLUMNS, rows))
}

const COLUMNS: [&str; 14] = [
    "id",
    "version",
    "title_zh",
    "title_en",
    "source",
    "publisher",
    "released_at",
    "status",
    "document_number",
    "regions",
    "topics",
    "clauses",
    "tracked",
    "blake3",
];

fn row(a: &Article) -> Option<Vec<Cell>> {
    let v = a.current.as_ref()?;
    let c = &v.content;
    let title = |lang| {
        let own = c.texts.iter().find(|t| t.lang == lang);
        own.map_or(Cell::Null, |t| Cell::text(&t.title))
    };
    let mut tracked: Vec<&str> = c.links.iter().map(|l| l.anchor.as_str()).collect();
    tracked.sort_unstable();
    tracked.dedup();
    Some(vec![
        Cell::text(&a.id),
        Cell::Int(v.version.into()),
        title(Lang::Zh),
        title(Lang::En),
        Cell::text(&c.source.zh),
        Cell::text(&c.publisher.zh),
        Cell::text(c.released_at),
        Cell::text(c.status.as_str()),
        c.document_number.as_ref().map_or(Cell::Null, Cell::text),
        Cell::text(c.regions.join(" ")),
        Cell::text(c.topics.join(" ")),
        Cell::Int(c.clauses.into()),
        Cell::Int(i64::try_from(tracked.len()).unwrap_or(i64::MAX)),
        Cell::text(&v.digest),
    ])
}

fn id(text: &str) -> Result<ArticleId, Problem> {
    named("article", text)
}

async fn get(p: &Platform, text: &str) -> Result<Article, Problem> {
    p.store
        .article(&id(text)?)
        .await?
        .ok_or_else(|| Problem::not_found("there is no such article"))
}

/// An article with its current version or the one that was shown at a moment, or its tombstone.
#[utoipa::path(get, operation_id = "articles_one", path = "/api/v1/articles/{id}", tag = "articles", params(("id" = String, Path, example = "01ARZ3NDEKTSV4RRFFQ69G5FAV"), KnownQuery),
    responses((status = 200, description = "The article", body = Object), (status = 400, description = "A parameter cannot be understood", body = Problem), (status = 404, description = "No such article, or none then", body = Problem), (status = 410, description = "Withdrawn: the detail says why and when", body = Problem)))]
pub(super) async fn one(
    State(p): Shared,
    v: Viewer,
    Path(id): Path<String>,
    Query(q): Query<KnownQuery>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let mut a = get(&p, &id).await?;
    if let Some(t) = &a.tombstone {
        return Err(Problem::new(
            Code::Gone,
            format!("withdrawn at {}: {}", t.at, t.reason),
        ));
    }
    if let Some(then) = known(q.known.as_deref())? {
        let all = p.store.article_versions(&a.id).await?;
        a.current = all.into_iter().find(|x| x.shown_by(then));
    }
    // What nobody published is as good as not there for who may not edit it.
    if a.current.is_none() && !v.may(Op::Write, Area::Articles) {
        return Err(Problem::not_found("there is no such article"));
    }
    answer(&a, &headers)
}

/// Versions of an article, newest first: published ones, and for editors all.
#[utoipa::path(get, operation_id = "articles_versions", path = "/api/v1/articles/{id}/versions", tag = "articles", params(("id" = String, Path)),
    responses((status = 200, description = "Versions", body = Vec<Object>), (status = 404, description = "No such article", body = Problem)))]
pub(super) async fn versions(
    State(p): Shared,
    v: Viewer,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let a = get(&p, &id).await?;
    let all = p.store.article_versions(&a.id).await?;
    let editor = v.may(Op::Write, Area::Articles);
    let seen: Vec<&ArticleVersion> = all
        .iter()
        .filter(|x| editor || (x.state == VersionState::Published && a.tombstone.is_none()))
        .collect();
    if seen.is_empty() {
        return Err(Problem::not_found("there is no such article"));
    }
    answer(&seen, &headers)
}

/// Content to save.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"note": "first", "content": {"texts": [{"lang": "zh", "title": "标题", "summary": "", "body": "正文", "status": "original"}], "source": {"zh": "来源", "en": "source"}, "publisher": {"zh": "密云", "en": "Miyun"}, "released_at": "2026-11-23T00:00:00Z", "status": "notice"}}))]
pub(super) struct DraftBody {
    /// What changed, in words.
    #[serde(default)]
    note: String,
    /// Everything that the version says.
    #[schema(value_type = Object)]
    content: ArticleContent,
}

/// Begins an article as a draft.
#[utoipa::path(post, operation_id = "articles_create", path = "/api/v1/articles", tag = "articles", request_body = DraftBody, security(("key" = [])),
    responses((status = 201, description = "Saved", body = Created), (status = 400, description = "Content that may not be stored", body = Problem), Denied))]
pub(super) async fn create(
    State(p): Shared,
    v: Viewer,
    Body(b): Body<DraftBody>,
) -> Result<Response, Problem> {
    let id = draft(&p, &v, None, &b).await?;
    Ok(created(id))
}

async fn draft(
    p: &Platform,
    v: &Viewer,
    id: Option<&ArticleId>,
    b: &DraftBody,
) -> Result<ArticleId, Problem> {
    let user = v.api(Op::Write, Area::Articles)?;
    let nul = b.note.contains('\0')
        || serde_json::to_string(&b.content).is_ok_and(|t| t.contains("\\u0000"));
    if nul {
        return Err(Problem::bad("a text holds a NUL character"));
    }
    let (id, n) = p
        .store
        .save_draft(id, &b.content, &b.note, &user.id, p.now())
        .await?;
    let (object, detail) = (format!("article/{id}"), format!("version {n}"));
    v.audit(p, "article-draft", &object, &detail).await?;
    Ok(id)
}

/// Saves the open draft of an article, or opens the next version.
#[utoipa::path(put, operation_id = "articles_save", path = "/api/v1/articles/{id}/draft", tag = "articles", params(("id" = String, Path)), request_body = DraftBody, security(("key" = [])),
    responses((status = 204, description = "Saved"), (status = 400, description = "Content that may not be stored", body = Problem), Denied, (status = 404, description = "No such article", body = Problem), (status = 409, description = "A version waits for its second person", body = Problem)))]
pub(super) async fn save(
    State(p): Shared,
    v: Viewer,
    Path(text): Path<String>,
    Body(b): Body<DraftBody>,
) -> Result<Response, Problem> {
    draft(&p, &v, Some(&id(&text)?), &b).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// Hands the open draft to a second person.
#[utoipa::path(post, operation_id = "articles_propose", path = "/api/v1/articles/{id}/proposal", tag = "articles", params(("id" = String, Path)), security(("key" = [])),
    responses((status = 204, description = "Proposed"), Denied, (status = 404, description = "No such article", body = Problem), (status = 409, description = "No open draft", body = Problem)))]
pub(super) async fn propose(
    State(p): Shared,
    v: Viewer,
    Path(text): Path<String>,
) -> Result<Response, Problem> {
    let user = v.api(Op::Propose, Area::Articles)?;
    let id = id(&text)?;
    p.store.propose_article(&id, &user.id, p.now()).await?;
    done(&p, &v, "article-propose", &format!("article/{id}"), "").await
}

/// Publishes the proposed version of somebody else, or sends it back.
#[utoipa::path(post, operation_id = "articles_decide", path = "/api/v1/articles/{id}/decision", tag = "articles", params(("id" = String, Path)), request_body = DecisionBody, security(("key" = [])),
    responses((status = 204, description = "Decided"), (status = 400, description = "Not understood", body = Problem), Denied, (status = 404, description = "No such article", body = Problem), (status = 409, description = "Nothing waits, or a second person is needed", body = Problem)))]
pub(super) async fn decide(
    State(p): Shared,
    v: Viewer,
    Path(text): Path<String>,
    Body(b): Body<DecisionBody>,
) -> Result<Response, Problem> {
    let user = v.api(Op::Decide, Area::Articles)?;
    let id = id(&text)?;
    let note = said(&b.note);
    p.store
        .decide_article(&id, b.approve, &note, &user.id, p.now())
        .await?;
    let action = if b.approve {
        "article-publish"
    } else {
        "article-reject"
    };
    p.site.changed();
    done(&p, &v, action, &format!("article/{id}"), &note).await
}

/// Why an article is withdrawn.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct WithdrawBody {
    /// Shown on the tombstone.
    #[schema(example = "published by mistake")]
    reason: String,
}

/// Withdraws an article; a tombstone with the reason stays.
#[utoipa::path(post, operation_id = "articles_withdraw", path = "/api/v1/articles/{id}/withdrawal", tag = "articles", params(("id" = String, Path)), request_body = WithdrawBody, security(("key" = [])),
    responses((status = 204, description = "Withdrawn"), (status = 400, description = "Not understood", body = Problem), Denied, (status = 404, description = "No such article", body = Problem), (status = 409, description = "Withdrawn before, or no reason", body = Problem)))]
pub(super) async fn withdraw(
    State(p): Shared,
    v: Viewer,
    Path(text): Path<String>,
    Body(b): Body<WithdrawBody>,
) -> Result<Response, Problem> {
    let user = v.api(Op::Decide, Area::Articles)?;
    let id = id(&text)?;
    let reason = said(&b.reason);
    p.store
        .withdraw_article(&id, &reason, &user.id, p.now())
        .await?;
    p.site.changed();
    done(
        &p,
        &v,
        "article-withdraw",
        &format!("article/{id}"),
        &reason,
    )
    .await
}

/// Likes.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Likes {
    /// Likes of people and visitors; never used for ranking.
    likes: u64,
    /// True if the viewer likes it.
    liked: bool,
}

async fn likes(
    p: &Platform,
    v: &Viewer,
    id: &ArticleId,
    headers: &HeaderMap,
) -> Result<Response, Problem> {
    let user = v.user_api()?;
    let body = Likes {
        likes: p.store.likes(id).await?,
        liked: p.store.liked(id, &user.id).await?,
    };
    answer(&body, headers)
}

/// Likes an article; again is the same as once.
#[utoipa::path(put, operation_id = "articles_like", path = "/api/v1/articles/{id}/like", tag = "articles", params(("id" = String, Path)), security(("key" = [])),
    responses((status = 200, description = "Liked", body = Likes), Denied, (status = 404, description = "No such article", body = Problem)))]
pub(super) async fn like(
    State(p): Shared,
    v: Viewer,
    Path(text): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let user = v.api(Op::Like, Area::Articles)?;
    let id = id(&text)?;
    p.store.like(&id, &user.id, p.now()).await?;
    likes(&p, &v, &id, &headers).await
}

/// Takes a like back.
#[utoipa::path(delete, operation_id = "articles_unlike", path = "/api/v1/articles/{id}/like", tag = "articles", params(("id" = String, Path)), security(("key" = [])),
    responses((status = 200, description = "Not liked", body = Likes), Denied, (status = 404, description = "No such article", body = Problem)))]
pub(super) async fn unlike(
    State(p): Shared,
    v: Viewer,
    Path(text): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let user = v.api(Op::Like, Area::Articles)?;
    let id = id(&text)?;
    p.store.unlike(&id, &user.id).await?;
    likes(&p, &v, &id, &headers).await
}

/// One's own collections.
#[utoipa::path(get, operation_id = "articles_collections", path = "/api/v1/collections", tag = "articles", security(("key" = [])),
    responses((status = 200, description = "Collections", body = Vec<Object>), (status = 401, description = "Nobody is signed in", body = Problem)))]
pub(super) async fn collections(
    State(p): Shared,
    v: Viewer,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let user = v.user_api()?;
    answer(&p.store.collections(&user.id).await?, &headers)
}

/// A collection to make.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct CollectionBody {
    /// Title.
    #[schema(example = "To read")]
    title: String,
}

/// Most collections of one person.
const COLLECTIONS_MAX: usize = 200;

/// Makes a collection.
#[utoipa::path(post, operation_id = "articles_create_collection", path = "/api/v1/collections", tag = "articles", request_body = CollectionBody, security(("key" = [])),
    responses((status = 201, description = "Made", body = Created), (status = 400, description = "Not understood", body = Problem), Denied, (status = 409, description = "No title, or too many collections", body = Problem)))]
pub(super) async fn create_collection(
    State(p): Shared,
    v: Viewer,
    Body(b): Body<CollectionBody>,
) -> Result<Response, Problem> {
    let user = v.api(Op::Like, Area::Articles)?;
    if p.store.collections(&user.id).await?.len() >= COLLECTIONS_MAX {
        return Err(Problem::new(
            Code::Conflict,
            format!("at most {COLLECTIONS_MAX} collections"),
        ));
    }
    let title: String = b.title.chars().filter(|c| !c.is_control()).collect();
    Ok(created(
        p.store.create_collection(&user.id, &title, p.now()).await?,
    ))
}

fn collection(text: &str) -> Result<CollectionId, Problem> {
    named("collection", text)
}

/// Removes a collection.
#[utoipa::path(delete, operation_id = "articles_delete_collection", path = "/api/v1/collections/{id}", tag = "articles", params(("id" = String, Path)), security(("key" = [])),
    responses((status = 204, description = "Removed"), Denied, (status = 404, description = "No such collection of yours", body = Problem)))]
pub(super) async fn delete_collection(
    State(p): Shared,
    v: Viewer,
    Path(text): Path<String>,
) -> Result<Response, Problem> {
    let user = v.api(Op::Like, Area::Articles)?;
    p.store
        .delete_collection(&user.id, &collection(&text)?)
        .await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// Puts an article into a collection.
#[utoipa::path(put, operation_id = "articles_collect", path = "/api/v1/collections/{id}/{article}", tag = "articles", params(("id" = String, Path), ("article" = String, Path)), security(("key" = [])),
    responses((status = 204, description = "There"), Denied, (status = 404, description = "No such collection of yours, or no such article", body = Problem)))]
pub(super) async fn collect(
    State(p): Shared,
    v: Viewer,
    Path((c, a)): Path<(String, String)>,
) -> Result<Response, Problem> {
    let user = v.api(Op::Like, Area::Articles)?;
    p.store
        .collect(&user.id, &collection(&c)?, &id(&a)?, p.now())
        .await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// Takes an article out of a collection.
#[utoipa::path(delete, operation_id = "articles_uncollect", path = "/api/v1/collections/{id}/{article}", tag = "articles", params(("id" = String, Path), ("article" = String, Path)), security(("key" = [])),
    responses((status = 204, description = "Not there"), Denied, (status = 404, description = "No such collection of yours", body = Problem)))]
pub(super) async fn uncollect(
    State(p): Shared,
    v: Viewer,
    Path((c, a)): Path<(String, String)>,
) -> Result<Response, Problem> {
    let user = v.api(Op::Like, Area::Articles)?;
    p.store
        .uncollect(&user.id, &collection(&c)?, &id(&a)?)
        .await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}
