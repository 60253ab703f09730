//! The editor of articles: drafts are written, proposed, decided by a second person, withdrawn.

mod content;
mod form;

use std::sync::Arc;

use axum::extract::{Form, Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use jiff::Timestamp;
use miyun_store::{ArticleId, ArticleVersion, Deed, PersonId, VersionState};

use self::content::{content, fields};
use self::form::form_page;
use super::articles::store;
use super::desk::{done, person, sign_in};
use crate::auth::Viewer;
use crate::failure::Failure;
use crate::form::Sent;
use crate::server::{Params, Shown};
use crate::shell::View;
use crate::site::Site;

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

/// Who may publish and withdraw.
fn chief(view: &View) -> Result<PersonId, Failure> {
    match &view.reader {
        Some(r) if r.approves => person(view),
        _ => Err(Failure::Forbidden(
            "only those who may decide publish and withdraw articles".into(),
        )),
    }
}

fn named(id: &str) -> Result<ArticleId, Failure> {
    id.parse()
        .map_err(|_| Failure::NotFound("no such article".into()))
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
        let id = named(&id)?;
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

/// Saves a draft; with `act=propose` it also asks for the second person. A mistake gives the form
/// again, with what was written and what is wrong beside its field.
pub(super) async fn save(
    State(site): State<Arc<Site>>,
    view: View,
    v: Viewer,
    Path((_, id)): Path<(String, String)>,
    Sent {
        fields: mut form,
        file,
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
    let sent = file.is_some();
    // The picture first: if another field is wrong, the form that comes back still has it.
    let kept = match file {
        Some((_, file)) => crate::picture::keep(s, file, me.as_str(), Timestamp::now())
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
        let me = chief(&view)?;
        let id = named(&id)?;
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
        let me = chief(&view)?;
        let id = named(&id)?;
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
