//! The pages, one file each.

mod about;
mod air;
mod article;
mod articles;
mod attention;
mod desk;
mod editor;
mod home;
pub(crate) mod ledger;
mod liking;
pub(crate) mod map;
mod measure;
mod rulebook;
mod search;
mod station;
mod why;

use std::sync::Arc;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Path, Query, State};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::{get, post};
use miyun_core::{Date, Period};

use crate::failure::Failure;
use crate::server::{Params, Shown, shown};
use crate::shell::View;
use crate::site::Site;

type Shared = State<Arc<Site>>;

/// A route whose page needs the site, the view and the parameters.
macro_rules! page {
    ($make:path) => {
        get(
            |State(site): Shared, view: View, Query(q): Query<Params>| async move {
                shown(view, move |v| $make(&site, v, &q)).await
            },
        )
    };
    ($make:path, $rest:ty) => {
        get(
            |State(site): Shared,
             view: View,
             Path(path): Path<$rest>,
             Query(q): Query<Params>| async move {
                shown(view, move |v| $make(&site, v, &q, &path)).await
            },
        )
    };
}

/// Routes of the pages.
pub(crate) fn routes() -> Router<Arc<Site>> {
    Router::new()
        .route("/{lang}/", get(home::with_articles))
        .route("/{lang}/plan/{plan}/{row}", get(measure::with_clauses))
        .route("/{lang}/map", page!(map::page))
        .route("/{lang}/air", page!(air::page))
        .route("/{lang}/air/ledger", page!(ledger::page))
        .route(
            "/{lang}/air/station/{*id}",
            page!(station::page, (String, String)),
        )
        .route("/{lang}/why/{*id}", get(why::with_history))
        .route("/{lang}/rules", page!(rulebook::list))
        .route("/{lang}/rules/diff", page!(rulebook::diff))
        .route(
            "/{lang}/rules/{*id}",
            page!(rulebook::one, (String, String)),
        )
        .route("/{lang}/search", get(search::page))
        .route("/{lang}/data", page!(about::data))
        .route("/{lang}/about", page!(about::about))
        .route("/{lang}/glossary", page!(about::glossary))
        .route("/{lang}/articles", get(articles::list))
        .route("/{lang}/articles/feed.atom", get(articles::as_atom))
        .route("/{lang}/articles/feed.json", get(articles::as_json))
        .route("/{lang}/articles/{id}", get(article::page))
        .route("/{lang}/articles/{id}/diff", get(article::difference))
        .route("/{lang}/articles/{id}/cite/{form}", get(article::citation))
        .route(
            "/{lang}/articles/{id}/like",
            get(liking::ask).post(liking::like),
        )
        .route("/{lang}/articles/{id}/collect", post(liking::collect))
        .route("/media/{id}", get(article::media))
        .route("/{lang}/desk", get(desk::desk))
        .route("/{lang}/desk/collections", post(desk::collections))
        .route("/{lang}/desk/collections.json", get(desk::export))
        .route(
            "/{lang}/desk/articles/{id}",
            get(editor::edit)
                .post(editor::save)
                .layer(DefaultBodyLimit::max(crate::auth::FORM_LEN_MAX)),
        )
        .route("/{lang}/desk/articles/{id}/decide", post(editor::decide))
        .route(
            "/{lang}/desk/articles/{id}/withdraw",
            post(editor::withdraw),
        )
}

/// A page that was made, or the page that says why not.
fn finish(view: &View, made: Result<Shown, Failure>) -> Response {
    match made {
        Ok(s) => {
            let text = crate::shell::page(view, &s.title, s.simulated, s.body).into_string();
            Html(text).into_response()
        }
        Err(f) => f.page(view),
    }
}

/// The day that a page speaks of: `at`, or the last day with anything to say.
fn at(q: &Params, default: Date) -> Result<Date, Failure> {
    match q.get("at").filter(|d| !d.is_empty()) {
        Some(d) => d
            .parse()
            .map_err(|_| Failure::Bad(format!("at={d}: write a day such as 2026-03-01"))),
        None => Ok(default),
    }
}

/// The part of `year` up to `until`.
fn year_to(year: i16, until: Date) -> Option<Period> {
    let whole = Period::year(year)?;
    Some(Period::days(whole.from?, whole.until?.min(until)))
}
