//! The law as data.

use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::response::Response;
use serde::Serialize;
use utoipa::ToSchema;

use super::table::json;
use crate::app::Shared;
use crate::problem::Problem;

/// An instrument in short.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct InstrumentInShort {
    /// Id as it is cited.
    #[schema(example = "CN/GB-3095-2026")]
    id: String,
    /// Title in Chinese.
    title_zh: String,
    /// Title in English.
    title_en: String,
    /// Medium.
    #[schema(example = "air")]
    medium: String,
    /// Where it holds.
    #[schema(example = "CN")]
    jurisdiction: String,
    /// Days on which it is in force.
    in_force: String,
    /// Tables in it.
    tables: usize,
}

/// Instruments of the rulebook.
#[utoipa::path(get, operation_id = "rules_instruments", path = "/api/v1/rules", tag = "rules",
    responses((status = 200, description = "Instruments", body = Vec<InstrumentInShort>)))]
pub(super) async fn instruments(State(p): Shared, headers: HeaderMap) -> Result<Response, Problem> {
    let all: Vec<InstrumentInShort> = p
        .site
        .book
        .instruments()
        .iter()
        .map(|i| InstrumentInShort {
            id: i.id.to_string(),
            title_zh: i.title.zh.clone(),
            title_en: i.title.en.clone(),
            medium: i.medium.clone(),
            jurisdiction: i.jurisdiction.to_string(),
            in_force: i.in_force.to_string(),
            tables: i.tables.len(),
        })
        .collect();
    json(&all, &headers)
}

/// An instrument with its tables as printed, clauses and citations.
#[utoipa::path(get, operation_id = "rules_instrument", path = "/api/v1/rules/{jurisdiction}/{name}", tag = "rules",
    params(("jurisdiction" = String, Path, example = "CN"), ("name" = String, Path, example = "GB-3095-2026")),
    responses((status = 200, description = "Instrument", body = Object), (status = 404, description = "No such instrument", body = Problem)))]
pub(super) async fn instrument(
    State(p): Shared,
    Path((jurisdiction, name)): Path<(String, String)>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    // A province's instruments are written CN/11/NAME in the book, CN%2F11 in an address.
    let id = format!("{jurisdiction}/{name}");
    let found = p
        .site
        .book
        .instrument(&id)
        .ok_or_else(|| Problem::not_found(format!("there is no instrument {id:?}")))?;
    json(found, &headers)
}

/// An edition: the law of a day under a short name.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Edition {
    /// Name.
    #[schema(example = "2026")]
    id: String,
    /// Title in Chinese.
    title_zh: String,
    /// Title in English.
    title_en: String,
    /// Medium.
    medium: String,
    /// The day whose law it means.
    as_of: String,
}

/// Editions that evaluations may be asked under.
#[utoipa::path(get, operation_id = "rules_editions", path = "/api/v1/editions", tag = "rules",
    responses((status = 200, description = "Editions", body = Vec<Edition>)))]
pub(super) async fn editions(State(p): Shared, headers: HeaderMap) -> Result<Response, Problem> {
    let all: Vec<Edition> = p
        .site
        .book
        .editions()
        .iter()
        .map(|e| Edition {
            id: e.id.clone(),
            title_zh: e.title.zh.clone(),
            title_en: e.title.en.clone(),
            medium: e.medium.clone(),
            as_of: e.as_of.to_string(),
        })
        .collect();
    json(&all, &headers)
}
