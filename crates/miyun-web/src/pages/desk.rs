//! The desk: a reader's collections, and for officers the articles that wait.

use std::sync::Arc;

use axum::extract::{Form, State};
use axum::response::{IntoResponse, Redirect, Response};
use jiff::Timestamp;
use maud::{Markup, html};
use miyun_store::{PersonId, VersionState};

use super::articles::store;
use crate::articles::when;
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

/// Sends somebody whom nobody knows to the sign-in, and back here afterwards.
pub(super) fn sign_in(view: &View) -> Response {
    let prefix = crate::shell::prefix(view.lang);
    let back = crate::shell::encode(&format!("{prefix}{}", view.path));
    Redirect::to(&format!("{prefix}/sign-in?back={back}")).into_response()
}

pub(super) fn csrf(view: &View) -> Markup {
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

/// Where a version stands, in words.
pub(super) fn state(view: &View, s: VersionState) -> &str {
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

pub(super) fn done(view: &View, made: Result<(), Failure>, to: &str) -> Response {
    match made {
        Ok(()) => Redirect::to(&view.link(to)).into_response(),
        Err(f) => f.page(view),
    }
}
