//! The desk: a reader's collections, and the articles that officers write, propose and decide.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{Form, FromRequest, Multipart, Path, Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use jiff::Timestamp;
use maud::{Markup, html};
use miyun_core::text::Lang;
use miyun_core::{MeasureId, Text};
use miyun_store::{
    ArticleContent, ArticleId, ArticleText, ArticleVersion, ClauseLink, Deed, LegalStatus, MediaId,
    PersonId, Picture, TextStatus, VersionState,
};

use super::articles::{status, store, tracked};
use crate::articles::{markup, when};
use crate::auth::Viewer;
use crate::failure::Failure;
use crate::server::{Params, Shown};
use crate::shell::View;
use crate::site::Site;

/// The person who reads, or why nothing is done.
pub(super) fn person(view: &View) -> Result<PersonId, Failure> {
    view.reader
        .as_ref()
        .and_then(|r| r.id.parse().ok())
        .ok_or_else(|| Failure::Forbidden("sign in first".into()))
}

fn writer(view: &View) -> Result<PersonId, Failure> {
    match &view.reader {
        Some(r) if r.writes => person(view),
        _ => Err(Failure::Forbidden("only officers write articles".into())),
    }
}

/// Writes into the audit log what was done to an article.
async fn audit(
    site: &Site,
    v: &Viewer,
    action: &str,
    id: &ArticleId,
    detail: &str,
) -> Result<(), Failure> {
    let deed = Deed {
        actor: &v.actor(),
        action,
        object: &format!("article/{id}"),
        detail,
        request: &v.request,
        address: &v.address,
    };
    store(site)?.audit(&deed, Timestamp::now()).await?;
    Ok(())
}

/// Sends somebody whom nobody knows to the sign-in, and back here afterwards.
fn sign_in(view: &View) -> Response {
    let prefix = crate::shell::prefix(view.lang);
    let back = crate::shell::encode(&format!("{prefix}{}", view.path));
    Redirect::to(&format!("{prefix}/sign-in?back={back}")).into_response()
}

fn csrf(view: &View) -> Markup {
    html! { input type="hidden" name="csrf" value=(view.reader.as_ref().map_or("", |r| r.csrf.as_str())); }
}

pub(super) async fn desk(State(site): State<Arc<Site>>, view: View) -> Response {
    if view.reader.is_none() {
        return sign_in(&view);
    }
    let made: Result<Shown, Failure> = async {
        let me = person(&view)?;
        let s = store(&site)?;
        let collections = s.collections(&me).await?;
        let mut titles = Vec::new();
        for c in &collections {
            let mut items = Vec::new();
            for a in &c.items {
                let title = s
                    .article(a)
                    .await?
                    .and_then(|x| x.current)
                    .and_then(|v| v.content.text(view.lang).map(|t| t.title.clone()));
                items.push((a.clone(), title));
            }
            titles.push((c, items));
        }
        let writes = view.reader.as_ref().is_some_and(|r| r.writes);
        let drafts = if writes { s.article_drafts().await? } else { Vec::new() };
        let title = view.tr("工作台", "Desk");
        let body = html! {
            h1 { (title) @if let Some(r) = &view.reader { " · " (r.name) } }
            p { a href=(view.link("/account")) { (view.tr("账户与密钥", "Account and keys")) }
                @if writes {
                    " · " a href=(view.link("/proposals")) { (view.tr("待复核", "Waiting for a second person")) }
                    " · " a href=(view.link("/jobs")) { (view.tr("任务", "Jobs")) }
                }
                @if view.reader.as_ref().is_some_and(|r| r.keeps) { " · " a href=(view.link("/admin")) { (view.tr("管理", "Administration")) } }
            }
            @if writes {
                h2 { (view.tr("文章", "Articles")) }
                p { a.button href=(view.link("/desk/articles/new")) { (view.tr("写一篇", "Write one")) } }
                @if drafts.is_empty() { p.soft { (view.tr("没有草稿，也没有待批准的文章。", "No draft, and nothing waits for a second person.")) } } @else {
                div.scroll tabindex="0" { table { thead { tr { th scope="col" { (view.tr("标题", "Title")) } th scope="col" { (view.tr("状态", "State")) } th scope="col" { (view.tr("改于", "Edited")) } } }
                    tbody { @for d in &drafts { tr {
                        th scope="row" { a href=(view.link(&format!("/desk/articles/{}", d.article))) { (d.content.text(view.lang).map_or("", |t| t.title.as_str())) } }
                        td { (state(&view, d.state)) } td { (when::exact(d.edited_at)) }
                    } } } } } }
            }
            h2 { (view.tr("我的收藏", "My collections")) }
            p.soft { (view.tr("只有您自己看得到。", "Only you can see them.")) }
            @for (c, items) in &titles {
                h3 { (c.title) " (" (items.len()) ")" }
                ul { @for (id, t) in items { li {
                    a href=(view.link(&format!("/articles/{id}"))) { (t.as_deref().unwrap_or(view.tr("已撤回的文章", "a withdrawn article"))) }
                    form.inline method="post" action=(view.link(&format!("/articles/{id}/collect"))) { (csrf(&view)) input type="hidden" name="collection" value=(c.id); button name="undo" value="1" { (view.tr("移出", "Take out")) } }
                } } }
                form.inline method="post" action=(view.link("/desk/collections")) { (csrf(&view)) button name="delete" value=(c.id) { (view.tr("删除这个收藏夹", "Delete this collection")) } }
            }
            form.inline method="post" action=(view.link("/desk/collections")) { (csrf(&view))
                label { (view.tr("新收藏夹", "New collection")) " " input name="title" maxlength="100" required; } button { (view.tr("建立", "Make")) } }
            @if collections.iter().any(|c| !c.items.is_empty()) { p { a href=(view.link("/desk/collections.json")) { (view.tr("导出收藏（JSON）", "Export the collections (JSON)")) } } }
            form.inline method="post" action=(view.link("/sign-out")) { (csrf(&view)) button { (view.tr("退出登录", "Sign out")) } }
        };
        Ok(Shown::new(title, false, body))
    }
    .await;
    super::finish(&view, made)
}

fn state(view: &View, s: VersionState) -> &str {
    match s {
        VersionState::Draft => view.tr("草稿", "draft"),
        VersionState::Proposed => view.tr("待第二人批准", "waits for a second person"),
        VersionState::Published => view.tr("已发布", "published"),
        VersionState::Rejected => view.tr("退回", "sent back"),
    }
}

pub(super) async fn collections(
    State(site): State<Arc<Site>>,
    view: View,
    Form(form): Form<Params>,
) -> Response {
    let made: Result<(), Failure> = async {
        let me = person(&view)?;
        let s = store(&site)?;
        if let Some(id) = form.get("delete") {
            let id = id
                .parse()
                .map_err(|_| Failure::Bad("no such collection".into()))?;
            s.delete_collection(&me, &id).await?;
        } else {
            let title = form.get("title").map_or("", String::as_str);
            s.create_collection(&me, title, Timestamp::now()).await?;
        }
        Ok(())
    }
    .await;
    done(&view, made, "/desk")
}

/// The reader's collections as a file.
pub(super) async fn export(State(site): State<Arc<Site>>, view: View) -> Response {
    let made: Result<_, Failure> =
        async { Ok(store(&site)?.collections(&person(&view)?).await?) }.await;
    match made {
        Ok(c) => axum::Json(c).into_response(),
        Err(f) => f.page(&view),
    }
}

fn done(view: &View, made: Result<(), Failure>, to: &str) -> Response {
    match made {
        Ok(()) => Redirect::to(&view.link(to)).into_response(),
        Err(f) => f.page(view),
    }
}

/// The version that the editor opens: the open draft, else the current one.
async fn open(site: &Site, id: &ArticleId) -> Result<Option<ArticleVersion>, Failure> {
    let all = store(site)?.article_versions(id).await?;
    let draft = all
        .iter()
        .find(|v| matches!(v.state, VersionState::Draft | VersionState::Proposed))
        .cloned();
    Ok(draft.or_else(|| all.into_iter().find(|v| v.state == VersionState::Published)))
}

pub(super) async fn edit(
    State(site): State<Arc<Site>>,
    view: View,
    Path((_, id)): Path<(String, String)>,
) -> Response {
    if view.reader.is_none() {
        return sign_in(&view);
    }
    let made: Result<Shown, Failure> = async {
        writer(&view)?;
        if id == "new" {
            return Ok(form_page(&site, &view, None, None, &Params::new(), None));
        }
        let id: ArticleId = id
            .parse()
            .map_err(|_| Failure::NotFound("no such article".into()))?;
        let v = open(&site, &id)
            .await?
            .ok_or_else(|| Failure::NotFound("no such article".into()))?;
        Ok(form_page(
            &site,
            &view,
            Some(&id),
            Some(&v),
            &fields(&v.content),
            None,
        ))
    }
    .await;
    super::finish(&view, made)
}

/// The fields of the editor and the picture that came with them.
pub(super) struct Sent {
    fields: Params,
    picture: Option<Bytes>,
}

/// Most fields of a form.
const FIELDS_MAX: usize = 64;

impl<S: Send + Sync> FromRequest<S> for Sent {
    type Rejection = Response;

    async fn from_request(request: Request, state: &S) -> Result<Self, Response> {
        let files = request
            .headers()
            .get(header::CONTENT_TYPE)
            .is_some_and(|t| t.as_bytes().starts_with(b"multipart/form-data"));
        if !files {
            let Form(fields) = Form::<Params>::from_request(request, state)
                .await
                .map_err(IntoResponse::into_response)?;
            return Ok(Self {
                fields,
                picture: None,
            });
        }
        let mut parts = Multipart::from_request(request, state)
            .await
            .map_err(IntoResponse::into_response)?;
        let (mut fields, mut picture) = (Params::new(), None);
        while let Some(part) = parts
            .next_field()
            .await
            .map_err(IntoResponse::into_response)?
        {
            let name = part.name().unwrap_or("").to_owned();
            let bytes = part.bytes().await.map_err(IntoResponse::into_response)?;
            if name == "picture_file" {
                // A file field that was left alone comes as an empty file.
                picture = Some(bytes).filter(|b| !b.is_empty());
            } else if fields.len() < FIELDS_MAX {
                let text = String::from_utf8(bytes.into()).map_err(|_| {
                    (StatusCode::BAD_REQUEST, format!("{name}: not UTF-8\n")).into_response()
                })?;
                fields.insert(name, text);
            } else {
                return Err((StatusCode::BAD_REQUEST, "too many fields\n").into_response());
            }
        }
        Ok(Self { fields, picture })
    }
}

/// Saves a draft; with `act=propose` it also asks for the second person. A mistake gives the form
/// again, with what was written and what is wrong beside its field.
pub(super) async fn save(
    State(site): State<Arc<Site>>,
    view: View,
    v: Viewer,
    Path((_, id)): Path<(String, String)>,
    Sent {
        fields: mut form,
        picture,
    }: Sent,
) -> Response {
    let me = match writer(&view) {
        Ok(m) => m,
        Err(f) => return f.page(&view),
    };
    let known: Option<ArticleId> = id.parse().ok();
    if known.is_none() && id != "new" {
        return Failure::NotFound("no such article".into()).page(&view);
    }
    let old = match &known {
        Some(k) => match open(&site, k).await {
            Ok(v) => v,
            Err(f) => return f.page(&view),
        },
        None => None,
    };
    let s = match store(&site) {
        Ok(s) => s,
        Err(f) => return f.page(&view),
    };
    let sent = picture.is_some();
    // The picture first: if another field is wrong, the form that comes back still has it.
    let kept = match picture {
        Some(file) => crate::picture::keep(s, file, me.as_str(), Timestamp::now())
            .await
            .map(|id| {
                form.insert("picture".into(), id.to_string());
                form.remove("picture_remove");
            })
            .map_err(|p| ("picture_file".to_owned(), p.detail)),
        None => Ok(()),
    };
    let made = match kept.and_then(|()| content(&form, old.as_ref().map(|v| &v.content))) {
        Err(e) => Err(e),
        Ok(c) => {
            let note = form.get("note").map_or("", String::as_str);
            let now = Timestamp::now();
            let saved = s.save_draft(known.as_ref(), &c, note, &me, now).await;
            let saved = match (saved, form.get("act").map(String::as_str)) {
                (Ok((id, _)), Some("propose")) => {
                    s.propose_article(&id, &me, now).await.map(|()| id)
                }
                (r, _) => r.map(|r| r.0),
            };
            saved.map_err(|e| match e {
                miyun_store::StoreError::Content(c) if c.field == "picture" => {
                    ("picture_file".into(), c.reason)
                }
                miyun_store::StoreError::Content(c) => (c.field, c.reason),
                other => (String::new(), Failure::from(other).to_string()),
            })
        }
    };
    if let Ok(id) = &made {
        let proposed = form.get("act").is_some_and(|a| a == "propose");
        let action = if proposed {
            "article-propose"
        } else {
            "article-draft"
        };
        let picture = form.get("picture").filter(|_| sent);
        let detail = picture.map_or(String::new(), |p| format!("picture/{p}"));
        if let Err(f) = audit(&site, &v, action, id, &detail).await {
            return f.page(&view);
        }
    }
    match made {
        Ok(id) => Redirect::to(&view.link(&format!("/desk/articles/{id}"))).into_response(),
        Err((field, reason)) => {
            let shown = form_page(
                &site,
                &view,
                known.as_ref(),
                old.as_ref(),
                &form,
                Some((field.as_str(), reason.as_str())),
            );
            let mut r = super::finish(&view, Ok(shown));
            *r.status_mut() = StatusCode::UNPROCESSABLE_ENTITY;
            r
        }
    }
}

/// The second person approves or sends back.
pub(super) async fn decide(
    State(site): State<Arc<Site>>,
    view: View,
    v: Viewer,
    Path((_, id)): Path<(String, String)>,
    Form(form): Form<Params>,
) -> Response {
    let made: Result<(), Failure> = async {
        let me = person(&view)?;
        if !view.reader.as_ref().is_some_and(|r| r.approves) {
            return Err(Failure::Forbidden(
                "only those who may decide publish articles".into(),
            ));
        }
        let id: ArticleId = id
            .parse()
            .map_err(|_| Failure::NotFound("no such article".into()))?;
        let reason = form.get("reason").map_or("", String::as_str);
        let approve = form.get("act").is_some_and(|a| a == "approve");
        store(&site)?
            .decide_article(&id, approve, reason, &me, Timestamp::now())
            .await?;
        site.changed();
        let action = if approve {
            "article-publish"
        } else {
            "article-reject"
        };
        audit(&site, &v, action, &id, reason).await?;
        Ok(())
    }
    .await;
    done(&view, made, &format!("/desk/articles/{id}"))
}

/// Withdraws an article; a tombstone stays.
pub(super) async fn withdraw(
    State(site): State<Arc<Site>>,
    view: View,
    v: Viewer,
    Path((_, id)): Path<(String, String)>,
    Form(form): Form<Params>,
) -> Response {
    let made: Result<(), Failure> = async {
        let me = person(&view)?;
        if !view.reader.as_ref().is_some_and(|r| r.approves) {
            return Err(Failure::Forbidden(
                "only those who may decide withdraw articles".into(),
            ));
        }
        let id: ArticleId = id
            .parse()
            .map_err(|_| Failure::NotFound("no such article".into()))?;
        let reason = form.get("reason").map_or("", String::as_str);
        store(&site)?
            .withdraw_article(&id, reason, &me, Timestamp::now())
            .await?;
        site.changed();
        audit(&site, &v, "article-withdraw", &id, reason).await?;
        Ok(())
    }
    .await;
    done(&view, made, &format!("/articles/{id}"))
}

/// The fields of the form from a content.
fn fields(c: &ArticleContent) -> Params {
    let mut f = Params::new();
    let mut put = |k: &str, v: &str| {
        f.insert(k.to_owned(), v.to_owned());
    };
    for t in &c.texts {
        let l = match t.lang {
            Lang::Zh => "zh",
            Lang::En => "en",
        };
        put(&format!("title_{l}"), &t.title);
        put(&format!("summary_{l}"), &t.summary);
        put(&format!("body_{l}"), &t.body);
        put(&format!("status_{l}"), text_status(t.status));
    }
    put("source_zh", &c.source.zh);
    put("source_en", &c.source.en);
    put("publisher_zh", &c.publisher.zh);
    put("publisher_en", &c.publisher.en);
    put("released_at", &c.released_at.to_string());
    put(
        "issued_on",
        &c.issued_on.map(|d| d.to_string()).unwrap_or_default(),
    );
    put(
        "effective_from",
        &c.effective_from.map(|d| d.to_string()).unwrap_or_default(),
    );
    put(
        "effective_until",
        &c.effective_until.map(|d| d.to_string()).unwrap_or_default(),
    );
    put("status", c.status.as_str());
    put("regions", &c.regions.join(" "));
    put("topics", &c.topics.join(" "));
    put(
        "document_number",
        c.document_number.as_deref().unwrap_or(""),
    );
    put("index_number", c.index_number.as_deref().unwrap_or(""));
    let links: Vec<String> = c
        .links
        .iter()
        .map(|l| format!("{} {}", l.anchor, l.measure))
        .collect();
    put("links", &links.join("\n"));
    if let Some(p) = &c.picture {
        put("picture", p.media.as_str());
        put("caption_zh", &p.caption.zh);
        put("caption_en", &p.caption.en);
        put("alt_zh", &p.alt.zh);
        put("alt_en", &p.alt.en);
        put("credit", &p.credit);
        put("licence", &p.licence);
    }
    f
}

fn text_status(s: TextStatus) -> &'static str {
    match s {
        TextStatus::Original => "original",
        TextStatus::Machine => "machine",
        TextStatus::Reviewed => "reviewed",
        TextStatus::Official => "official",
    }
}

/// A content from the fields of the form; an error names the field.
fn content(
    form: &Params,
    old: Option<&ArticleContent>,
) -> Result<ArticleContent, (String, String)> {
    let get = |k: &str| form.get(k).map_or("", |v| v.trim());
    let bad = |k: &str, why: String| (k.to_owned(), why);
    let day = |k: &str| match get(k) {
        "" => Ok(None),
        t => t
            .parse::<miyun_core::Date>()
            .map(Some)
            .map_err(|_| bad(k, format!("{t:?} is no day: write 2026-03-01"))),
    };
    let mut texts = Vec::new();
    for (lang, l) in [(Lang::Zh, "zh"), (Lang::En, "en")] {
        let title = get(&format!("title_{l}"));
        let body = form.get(&format!("body_{l}")).map_or("", String::as_str);
        if title.is_empty() && body.trim().is_empty() {
            continue;
        }
        if body.len() > markup::LONGEST {
            return Err(bad(
                &format!("body_{l}"),
                format!("is longer than {} bytes", markup::LONGEST),
            ));
        }
        texts.push(ArticleText {
            lang,
            title: title.to_owned(),
            summary: get(&format!("summary_{l}")).to_owned(),
            body: markup::fixed(body),
            status: match get(&format!("status_{l}")) {
                "machine" => TextStatus::Machine,
                "reviewed" => TextStatus::Reviewed,
                "official" => TextStatus::Official,
                _ => TextStatus::Original,
            },
        });
    }
    // The original comes first.
    texts.sort_by_key(|t| t.status != TextStatus::Original);
    let clauses: Vec<String> = texts
        .first()
        .map(|t| markup::parse(&t.body))
        .unwrap_or_default()
        .into_iter()
        .filter(markup::Block::is_clause)
        .map(|b| b.anchor)
        .collect();
    let mut links = Vec::new();
    for (n, line) in get("links")
        .lines()
        .map(str::trim)
        .enumerate()
        .filter(|(_, l)| !l.is_empty())
    {
        let (anchor, measure) = line.split_once(char::is_whitespace).ok_or_else(|| {
            bad(
                "links",
                format!(
                    "line {}: write a clause and a measure, such as s2.1 linxi-sim/2.1",
                    n + 1
                ),
            )
        })?;
        if !clauses.iter().any(|c| c == anchor) {
            return Err(bad(
                "links",
                format!("line {}: the text has no clause {anchor}", n + 1),
            ));
        }
        let measure: MeasureId = measure
            .trim()
            .parse()
            .map_err(|e: miyun_core::IdError| bad("links", format!("line {}: {e}", n + 1)))?;
        links.push(ClauseLink {
            anchor: anchor.to_owned(),
            measure,
        });
    }
    let picture = match get("picture") {
        "" => None,
        _ if form.contains_key("picture_remove") => None,
        t => Some(Picture {
            media: t
                .parse::<MediaId>()
                .map_err(|e| bad("picture_file", e.to_string()))?,
            caption: Text::new(get("caption_zh"), get("caption_en")),
            credit: get("credit").to_owned(),
            licence: get("licence").to_owned(),
            alt: Text::new(get("alt_zh"), get("alt_en")),
        }),
    };
    let list = |k: &str| get(k).split_whitespace().map(str::to_owned).collect();
    let some = |k: &str| Some(get(k).to_owned()).filter(|v| !v.is_empty());
    let released_at = match get("released_at") {
        "" => Timestamp::now(),
        t => t.parse().map_err(|_| {
            bad(
                "released_at",
                format!("{t:?} is no moment: write 2026-11-24T08:00:00Z"),
            )
        })?,
    };
    Ok(ArticleContent {
        texts,
        source: Text::new(get("source_zh"), get("source_en")),
        publisher: Text::new(get("publisher_zh"), get("publisher_en")),
        released_at,
        issued_on: day("issued_on")?,
        effective_from: day("effective_from")?,
        effective_until: day("effective_until")?,
        status: get("status").parse().unwrap_or(LegalStatus::Notice),
        regions: list("regions"),
        topics: list("topics"),
        audience: old.map_or(String::new(), |o| o.audience.clone()),
        document_number: some("document_number"),
        index_number: some("index_number"),
        picture,
        attachments: old.map_or(Vec::new(), |o| o.attachments.clone()),
        clauses: u32::try_from(clauses.len()).unwrap_or(u32::MAX),
        links,
    })
}

fn form_page(
    site: &Site,
    view: &View,
    id: Option<&ArticleId>,
    old: Option<&ArticleVersion>,
    values: &Params,
    wrong: Option<(&str, &str)>,
) -> Shown {
    let title = match id {
        Some(_) => view.tr("编辑文章", "Edit an article"),
        None => view.tr("写一篇文章", "Write an article"),
    };
    let v = |k: &str| values.get(k).map_or("", String::as_str);
    let fault = |k: &str| wrong.filter(|w| w.0 == k).map(|w| w.1);
    let input = |k: &str, label: &str, kind: &str| {
        html! { p { label for=(k) { (label) } br;
        input id=(k) name=(k) type=(kind) value=(v(k)) aria-invalid=[fault(k).map(|_| "true")] aria-describedby=[fault(k).map(|_| format!("{k}-fault"))] autofocus[fault(k).is_some()];
        @if let Some(f) = fault(k) { span.fault id={ (k) "-fault" } { " " (f) } } } }
    };
    let area = |k: &str, label: &str, rows: u8| {
        html! { p { label for=(k) { (label) } br;
        textarea id=(k) name=(k) rows=(rows) aria-invalid=[fault(k).map(|_| "true")] aria-describedby=[fault(k).map(|_| format!("{k}-fault"))] autofocus[fault(k).is_some()] { (v(k)) }
        @if let Some(f) = fault(k) { br; span.fault id={ (k) "-fault" } { (f) } } } }
    };
    let pick = |k: &str, label: &str, options: &[(&str, String)]| {
        html! { p { label for=(k) { (label) } br; select id=(k) name=(k) { @for (value, name) in options { option value=(value) selected[v(k) == *value] { (name) } } } } }
    };
    let kinds: Vec<(&str, String)> = ["notice", "draft", "in-force", "amended", "repealed"]
        .iter()
        .map(|s| (*s, status(view.lang, s)))
        .collect();
    let text_kinds: Vec<(&str, String)> = [
        ("original", "原文", "original"),
        ("machine", "机器翻译", "translated by a machine"),
        (
            "reviewed",
            "译文，经人工核对",
            "a translation read by a person",
        ),
        ("official", "正式译文", "an official translation"),
    ]
    .iter()
    .map(|(k, zh, en)| (*k, view.tr(zh, en).to_owned()))
    .collect();
    let proposed = old.is_some_and(|o| o.state == VersionState::Proposed);
    let path = id.map_or("new".to_owned(), ToString::to_string);
    let mine = old.is_some_and(|o| {
        view.reader
            .as_ref()
            .is_some_and(|r| o.editors.iter().any(|e| e.as_str() == r.id))
    });
    let body = html! {
        p.crumbs { a href=(view.link("/desk")) { (view.tr("工作台", "Desk")) } }
        h1 { (title) }
        @if let Some(o) = old { p { (view.tr("第 ", "Version ")) (o.version) (view.tr(" 版：", ": ")) strong { (state(view, o.state)) } @if !o.decided_reason.is_empty() { " · " (o.decided_reason) }
            @if o.state == VersionState::Published { " · " a href=(view.link(&format!("/articles/{path}"))) { (view.tr("查看", "see it")) } } } }
        @if let Some((_, why)) = wrong { p.note.wrong role="alert" { (view.tr("没有保存：", "Not saved: ")) (why) } }
        @if proposed {
            section.box aria-labelledby="second" {
                h2 id="second" { (view.tr("第二人决定", "The second person decides")) }
                @if mine { p { (view.tr("您改过这一版，需由另一个人决定。", "You edited this version; somebody else has to decide.")) } } @else {
                form method="post" action=(view.link(&format!("/desk/articles/{path}/decide"))) { (csrf(view))
                    p { label for="reason" { (view.tr("意见", "Words")) } br; input id="reason" name="reason"; }
                    button name="act" value="approve" { (view.tr("批准并发布", "Approve and publish")) } " "
                    button name="act" value="return" { (view.tr("退回", "Send back")) }
                } }
            }
        }
        form.editor method="post" enctype="multipart/form-data" action=(view.link(&format!("/desk/articles/{path}"))) { (csrf(view))
            @for (l, name) in [("zh", view.tr("中文", "Chinese")), ("en", view.tr("英文", "English"))] { fieldset {
                legend { (name) }
                (input(&format!("title_{l}"), view.tr("标题", "Title"), "text"))
                (area(&format!("summary_{l}"), view.tr("摘要（一两句）", "Summary (a sentence or two)"), 2))
                (area(&format!("body_{l}"), view.tr("正文", "Body"), 16))
                (pick(&format!("status_{l}"), view.tr("文本性质", "Kind of text"), &text_kinds))
            } }
            details { summary { (view.tr("正文怎么写", "How to write the body")) } p.code { "# 标题  / heading" br; "- 列表项  / item" br; "> 引文  / quote" br; "**重点**  *强调*  `代码`  [文字](https://…)" br; "{#s2.1}" } p { (view.tr("每个段落和列表项是一个条款；保存时各得一个固定的编号，以后修改不会移动它。", "Each paragraph and item is a clause; saving gives each a fixed address that later edits do not move.")) } }
            fieldset {
                legend { (view.tr("说明", "About it")) }
                (input("source_zh", view.tr("来源（中文）", "Source (Chinese)"), "text")) (input("source_en", view.tr("来源（英文）", "Source (English)"), "text"))
                (input("publisher_zh", view.tr("发布机构（中文）", "Publisher (Chinese)"), "text")) (input("publisher_en", view.tr("发布机构（英文）", "Publisher (English)"), "text"))
                (pick("status", view.tr("状态", "Status"), &kinds))
                (input("released_at", view.tr("发布时刻（UTC）", "Released (UTC)"), "text"))
                (input("issued_on", view.tr("成文日期", "Issued"), "date")) (input("effective_from", view.tr("施行自", "In effect from"), "date")) (input("effective_until", view.tr("施行至", "In effect until"), "date"))
                (input("document_number", view.tr("文号", "Document number"), "text")) (input("index_number", view.tr("索引号", "Index number"), "text"))
                (input("topics", view.tr("主题（空格分开）", "Topics (with spaces between)"), "text")) (input("regions", view.tr("地区编码（空格分开）", "Region codes (with spaces between)"), "text"))
                (area("links", view.tr("条款与措施，每行一对：s2.1 linxi-sim/2.1", "Clause and measure, one pair a line: s2.1 linxi-sim/2.1"), 6))
                (input("note", view.tr("这次改了什么（公开）", "What changed (public)"), "text"))
            }
            fieldset {
                legend { (view.tr("图片", "Picture")) }
                @if v("picture").parse::<MediaId>().is_ok() {
                    input type="hidden" name="picture" value=(v("picture"));
                    img.picture src={ "/media/" (v("picture")) } alt=(v(view.tr("alt_zh", "alt_en"))) width="240";
                    p { label { input type="checkbox" name="picture_remove" value="1"; " " (view.tr("不用这张图", "Do without this picture")) } }
                }
                p { label for="picture_file" { (view.tr("PNG、JPEG 或 WebP，至多 8 MiB；只保留像素，不保留拍摄地点等信息", "PNG, JPEG or WebP, at most 8 MiB; only the pixels are kept, no place or camera data")) } br;
                    input id="picture_file" name="picture_file" type="file" accept="image/png,image/jpeg,image/webp" aria-invalid=[fault("picture_file").map(|_| "true")] aria-describedby=[fault("picture_file").map(|_| "picture_file-fault")] autofocus[fault("picture_file").is_some()];
                    @if let Some(f) = fault("picture_file") { br; span.fault id="picture_file-fault" { (f) } } }
                p.soft { (view.tr("有图片时，下面各项都要填。", "With a picture, each of these is required.")) }
                (input("caption_zh", view.tr("图注（中文）", "Caption (Chinese)"), "text")) (input("caption_en", view.tr("图注（英文）", "Caption (English)"), "text"))
                (input("alt_zh", view.tr("替代文字：看不到图的人读到什么（中文）", "What it shows, for those who do not see it (Chinese)"), "text")) (input("alt_en", view.tr("替代文字（英文）", "The same in English"), "text"))
                (input("credit", view.tr("作者", "Credit"), "text")) (input("licence", view.tr("许可", "Licence"), "text"))
            }
            button name="act" value="save" { (view.tr("保存草稿", "Save the draft")) } " "
            button name="act" value="propose" { (view.tr("保存并送第二人批准", "Save and ask the second person")) }
        }
        @if let Some(o) = old { @if o.state == VersionState::Published && view.reader.as_ref().is_some_and(|r| r.approves) {
            form method="post" action=(view.link(&format!("/desk/articles/{path}/withdraw"))) { (csrf(view))
                h2 { (view.tr("撤回", "Withdraw")) }
                p { (view.tr("撤回后网址仍在，公开显示原因和日期；不能恢复。", "After withdrawing the address stays and shows reason and date; there is no way back.")) }
                p { label for="why" { (view.tr("原因（公开）", "Reason (public)")) } br; input id="why" name="reason" required; }
                button { (view.tr("撤回这篇文章", "Withdraw this article")) }
            }
        } }
        @if let Some(o) = old { p.soft { (view.tr("条款 ", "Clauses ")) (o.content.clauses) " · " (view.tr("已跟踪 ", "tracked ")) (tracked(o.content.links.iter().map(|l| l.anchor.as_str()))) " · BLAKE3 " (o.digest) } }
        @if site.plans.is_empty() { p.soft { (view.tr("没有计划，条款无处可连。", "There is no plan to link clauses to.")) } }
    };
    Shown::new(title, false, body)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form(pairs: &[(&str, &str)]) -> Params {
        pairs
            .iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
            .collect()
    }

    #[test]
    fn a_form_becomes_content_and_back() {
        let f = form(&[
            ("title_zh", "题"),
            ("body_zh", "甲\n\n乙"),
            ("title_en", "T"),
            ("body_en", "a\n\nb"),
            ("status_en", "reviewed"),
            ("links", "s0.2 linxi-sim/2.1"),
            ("released_at", "2026-01-09T01:00:00Z"),
            ("topics", "air plan"),
            ("status", "in-force"),
        ]);
        assert_eq!(content(&f, None).unwrap().picture, None);
        let mut f = f;
        f.extend(form(&[
            ("picture", MediaId::of(b"x").as_str()),
            ("caption_zh", "山"),
            ("caption_en", "hills"),
            ("alt_zh", "一座山"),
            ("alt_en", "a hill"),
            ("credit", "Li"),
            ("licence", "CC0"),
        ]));
        let c = content(&f, None).unwrap();
        let mut without = f.clone();
        without.insert("picture_remove".into(), "1".into());
        assert_eq!(content(&without, Some(&c)).unwrap().picture, None);
        assert_eq!((c.clauses, c.links.len(), c.texts.len()), (2, 1, 2));
        assert_eq!(c.texts[0].lang, Lang::Zh);
        assert!(c.texts[0].body.contains("乙 {#s0.2}"));
        let again = content(&fields(&c), Some(&c)).unwrap();
        assert_eq!(again, c);
    }

    #[test]
    fn a_mistake_names_its_field() {
        let field = |extra: &[(&str, &str)]| {
            let mut f = form(&[("title_zh", "题"), ("body_zh", "甲")]);
            f.extend(form(extra));
            content(&f, None).unwrap_err().0
        };
        assert_eq!(field(&[("links", "s9.9 linxi-sim/2.1")]), "links");
        assert_eq!(field(&[("links", "s0.1")]), "links");
        assert_eq!(field(&[("issued_on", "soon")]), "issued_on");
        assert_eq!(field(&[("released_at", "today")]), "released_at");
        assert_eq!(field(&[("picture", "../x")]), "picture_file");
    }
}
