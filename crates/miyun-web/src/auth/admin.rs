//! The administrators' page: people, roles, the audit log.

use axum::Form;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{Html, IntoResponse, Redirect, Response};
use maud::html;
use miyun_store::{AuditQuery, Role};
use serde::Deserialize;

use super::viewer::{Refused, Viewer};
use crate::api::people::{GrantBody, PersonBody, add as add_person, give, take};
use crate::app::{Platform, Shared};
use crate::policy::{Area, Op};
use crate::problem::Problem;
use crate::shell::{View, page};
use crate::words::word;

/// People on one page.
const PEOPLE_MAX: u32 = 500;

/// People with their roles, and the newest entries of the audit log.
pub(super) async fn page_of_all(
    State(p): Shared,
    view: View,
    v: Viewer,
) -> Result<Response, Refused> {
    show(&p, &view, &v, None).await
}

async fn show(
    p: &Platform,
    view: &View,
    v: &Viewer,
    wrong: Option<&str>,
) -> Result<Response, Refused> {
    v.require(Op::Manage, Area::Admin)?;
    let at = p.now();
    let (total, people) = p
        .store
        .people(1, PEOPLE_MAX)
        .await
        .map_err(|e| v.broken(&e))?;
    let mut rows = Vec::with_capacity(people.len());
    for x in people {
        let grants = p
            .store
            .grants(&x.id, at, at)
            .await
            .map_err(|e| v.broken(&e))?;
        rows.push((x, grants));
    }
    let query = AuditQuery {
        limit: 50,
        ..AuditQuery::default()
    };
    let log = p
        .store
        .audit_entries(&query)
        .await
        .map_err(|e| v.broken(&e))?;
    // People by their login, everybody else by the word that is kept.
    let who = |actor: &str| {
        let person = rows.iter().find(|(x, _)| x.id.as_str() == actor);
        person.map_or_else(
            || word(view.lang, actor).to_owned(),
            |(x, _)| x.login.clone(),
        )
    };
    let token = html! { input type="hidden" name="csrf" value=(v.csrf); };
    let body = html! {
        h1 { (view.tr("管理", "Administration")) }
        @if let Some(w) = wrong { p.note role="alert" { (w) } }
        p { a href=(view.link("/jobs")) { (view.tr("任务", "Jobs")) } " · " a href=(view.link("/proposals")) { (view.tr("待复核", "Waiting for a second person")) } }
        h2 { (view.tr("人员", "People")) " (" (total) ")" }
        div.scroll tabindex="0" { table {
            thead { tr { th scope="col" { (view.tr("用户名", "Login")) } th scope="col" { (view.tr("姓名", "Name")) } th scope="col" { (view.tr("角色", "Roles")) } th scope="col" { (view.tr("授予角色", "Give a role")) } } }
            tbody { @for (x, grants) in &rows { tr {
                th scope="row" { (x.login) @if x.disabled_at.is_some() { " " span.soft { (view.tr("（已关闭）", "(closed)")) } } }
                td lang="" { (x.name) }
                td { @for g in grants {
                    form.inline method="post" action=(view.link("/admin/roles")) { (token)
                        input type="hidden" name="person" value=(x.id); input type="hidden" name="take" value=(g.id);
                        (word(view.lang, g.role.as_str())) @if !g.scope.is_empty() { " (" (g.scope) ")" } " "
                        button aria-label=(format!("{} {} {}", view.tr("收回", "Take back"), word(view.lang, g.role.as_str()), x.login)) { (view.tr("收回", "Take back")) }
                    }
                } }
                td { @if x.disabled_at.is_none() {
                    form.inline method="post" action=(view.link("/admin/roles")) { (token)
                        input type="hidden" name="person" value=(x.id);
                        select name="role" aria-label=(format!("{} {}", view.tr("角色", "Role"), x.login)) { @for r in Role::ALL.into_iter().filter(|r| *r != Role::Admin) { option value=(r) { (word(view.lang, r.as_str())) } } } " "
                        input name="scope" aria-label=(format!("{} {}", view.tr("范围", "Scope"), x.login)) placeholder=(view.tr("范围", "scope")) size="12"; " "
                        button { (view.tr("授予", "Give")) }
                    }
                } }
            } } }
        } }
        p.soft { (view.tr("管理员须由两人任命：", "An administrator is made by two people: ")) a href=(view.link("/proposals")) { (view.tr("提请任命", "propose one")) } }
        h2 { (view.tr("新增人员", "Add a person")) }
        form method="post" action=(view.link("/admin/people")) { (token)
            p { label { (view.tr("用户名", "Login")) br; input name="login" required autocomplete="off"; } }
            p { label { (view.tr("姓名", "Name")) br; input name="name" autocomplete="off"; } }
            p { label { (view.tr("初始密码（至少 12 个字符）", "First password (at least 12 characters)")) br; input type="password" name="password" required minlength="12" autocomplete="new-password"; } }
            p { button { (view.tr("新增", "Add")) } }
        }
        h2 { (view.tr("审计日志", "Audit log")) }
        div.scroll tabindex="0" { table {
            thead { tr { th.n scope="col" { "#" } th scope="col" { (view.tr("时间", "Time")) } th scope="col" { (view.tr("何人", "Who")) } th scope="col" { (view.tr("何事", "What")) } th scope="col" { (view.tr("对象", "On what")) } th scope="col" { (view.tr("地址", "Address")) } } }
            tbody { @for e in &log { tr { td.n { (e.seq) } td { (e.at.strftime("%Y-%m-%d %H:%M:%S").to_string()) } td { (who(&e.actor)) } td { (word(view.lang, &e.action)) } td.code { (e.object) " " span.soft { (e.detail) } } td { (e.address) } } } }
        } }
    };
    let text = page(view, view.tr("管理", "Administration"), false, body).into_string();
    let status = if wrong.is_some() {
        StatusCode::UNPROCESSABLE_ENTITY
    } else {
        StatusCode::OK
    };
    Ok((status, Html(text)).into_response())
}

async fn after<T>(
    p: &Platform,
    view: &View,
    v: &Viewer,
    done: Result<T, Problem>,
) -> Result<Response, Refused> {
    match done {
        Ok(_) => Ok(Redirect::to(&view.link("/admin")).into_response()),
        Err(problem) if problem.status == 401 || problem.status == 403 => {
            Err(v.refuse(problem.code, &problem.detail))
        }
        Err(problem) => show(p, view, v, Some(&problem.detail)).await,
    }
}

#[derive(Deserialize)]
pub(super) struct AddForm {
    login: String,
    #[serde(default)]
    name: String,
    password: String,
}

/// Adds a person.
pub(super) async fn add(
    State(p): Shared,
    view: View,
    v: Viewer,
    Form(f): Form<AddForm>,
) -> Result<Response, Refused> {
    v.require(Op::Manage, Area::Admin)?;
    let body = PersonBody {
        login: f.login,
        name: f.name,
        email: String::new(),
        password: f.password,
    };
    let done = add_person(&p, &v, body).await;
    after(&p, &view, &v, done).await
}

#[derive(Deserialize)]
pub(super) struct RoleForm {
    person: String,
    #[serde(default)]
    role: String,
    #[serde(default)]
    scope: String,
    #[serde(default)]
    take: String,
}

/// Gives a role or takes one back.
pub(super) async fn roles(
    State(p): Shared,
    view: View,
    v: Viewer,
    Form(f): Form<RoleForm>,
) -> Result<Response, Refused> {
    v.require(Op::Manage, Area::Admin)?;
    let done = if f.take.is_empty() {
        let body = GrantBody {
            role: f.role,
            scope: f.scope,
            valid_from: None,
            valid_until: None,
        };
        give(&p, &v, &f.person, body).await.map(|_| ())
    } else {
        take(&p, &v, &f.person, &f.take).await
    };
    after(&p, &view, &v, done).await
}
