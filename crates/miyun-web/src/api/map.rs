//! What a map draws: stations and outlets as GeoJSON, and the layers that the program carries.

use axum::extract::{Path, Query, State};
use axum::http::HeaderMap;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::read::{as_known, away};
use super::table::{json as answer, tagged};
use crate::app::Shared;
use crate::geo::LAYERS;
use crate::outlets::{Outlet, Standing};
use crate::pages::map::{Station, stations as of_day};
use crate::problem::Problem;

/// A GeoJSON collection (RFC 7946).
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Collection<P> {
    /// `FeatureCollection`.
    #[serde(rename = "type")]
    kind: &'static str,
    /// Its features.
    features: Vec<Feature<P>>,
}

/// A point with what is known of it.
#[derive(Debug, Serialize, ToSchema)]
struct Feature<P> {
    /// `Feature`.
    #[serde(rename = "type")]
    kind: &'static str,
    geometry: Spot,
    properties: P,
}

/// A point.
#[derive(Debug, Serialize, ToSchema)]
struct Spot {
    /// `Point`.
    #[serde(rename = "type")]
    kind: &'static str,
    /// Longitude and latitude in degrees, WGS 84.
    coordinates: [f64; 2],
}

fn collection<P>(points: impl Iterator<Item = ((f64, f64), P)>) -> Collection<P> {
    Collection {
        kind: "FeatureCollection",
        features: points
            .map(|((lon, lat), properties)| Feature {
                kind: "Feature",
                geometry: Spot {
                    kind: "Point",
                    coordinates: [lon, lat],
                },
                properties,
            })
            .collect(),
    }
}

/// A station on a day.
#[derive(Debug, Serialize, ToSchema)]
struct StationMark {
    /// Its id.
    id: String,
    name_zh: String,
    name_en: String,
    /// The value as printed; absent without enough data.
    value: Option<String>,
    /// Level of the index, from 1.
    level: Option<u8>,
    /// Primary pollutants.
    primary: String,
    /// Path of why, without the language.
    page: String,
}

/// An outlet.
#[derive(Debug, Serialize, ToSchema)]
struct OutletMark {
    /// Its id.
    id: String,
    /// How it stands.
    standing: Standing,
    /// When it was last heard, local time.
    heard: Option<String>,
    /// Path of its page, without the language.
    page: String,
}

/// Which day of which city.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct DayQuery {
    /// City; the first one if not given.
    #[param(example = "linxi")]
    city: Option<String>,
    /// Day; the last one with data if not given.
    #[param(example = "2024-02-01")]
    at: Option<String>,
    /// `AQI` or an indicator with a scale.
    #[param(example = "AQI")]
    layer: Option<String>,
    /// Only what was known at this moment: a day or an RFC 3339 time.
    known: Option<String>,
}

/// Stations of a day as the map shows them.
#[utoipa::path(get, operation_id = "map_stations", path = "/api/v1/map/stations", tag = "data", params(DayQuery),
    responses((status = 200, description = "Stations with a place, as GeoJSON", body = Collection<StationMark>, content_type = "application/geo+json"), (status = 400, description = "A parameter cannot be understood", body = Problem), (status = 404, description = "No such city, layer or data", body = Problem)))]
pub(super) async fn stations(
    State(p): Shared,
    Query(q): Query<DayQuery>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let found = away(move || {
        let known = as_known(q.known.as_deref())?;
        let asked = [("city", q.city), ("at", q.at), ("layer", q.layer)];
        let params = asked
            .into_iter()
            .filter_map(|(k, v)| Some((k.to_owned(), v?)))
            .collect();
        Ok(of_day(&p.site, &known, &params)?)
    })
    .await?;
    let mark = |s: Station| {
        let mark = StationMark {
            id: s.subject.id.to_string(),
            name_zh: s.subject.name.zh,
            name_en: s.subject.name.en,
            value: s.value,
            level: s.level,
            primary: s.primary,
            page: s.why,
        };
        (s.at, mark)
    };
    geojson(&collection(found.into_iter().map(mark)), &headers)
}

/// As known when.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct KnownQuery {
    /// Only what was known at this moment: a day or an RFC 3339 time.
    pub(super) known: Option<String>,
}

/// Outlets with a place and how they stand; none where no gateway runs.
#[utoipa::path(get, operation_id = "map_outlets", path = "/api/v1/map/outlets", tag = "data", params(KnownQuery),
    responses((status = 200, description = "Outlets, as GeoJSON", body = Collection<OutletMark>, content_type = "application/geo+json"), (status = 400, description = "A parameter cannot be understood", body = Problem)))]
pub(super) async fn outlets(
    State(p): Shared,
    Query(q): Query<KnownQuery>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let found = away(move || Ok(p.site.outlets(&as_known(q.known.as_deref())?)?)).await?;
    let mark = |o: Outlet| {
        let mark = OutletMark {
            id: o.id,
            standing: o.standing,
            heard: o.heard,
            page: o.link,
        };
        ((o.lon, o.lat), mark)
    };
    geojson(&collection(found.into_iter().map(mark)), &headers)
}

fn geojson(value: &impl Serialize, headers: &HeaderMap) -> Result<Response, Problem> {
    let bytes = serde_json::to_vec(value).map_err(Problem::internal)?;
    Ok(tagged("application/geo+json", bytes, headers))
}

/// A layer of lines or areas.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct MapLayer {
    /// Its id; its shapes are at `/api/v1/map/layers/{id}`.
    id: &'static str,
    /// City that it belongs to.
    city: &'static str,
    /// What every map with it must show.
    credit: &'static str,
    /// Its licence.
    licence: &'static str,
    /// True for areas.
    closed: bool,
}

/// Layers of lines and areas that the program carries, with their licences.
#[utoipa::path(get, operation_id = "map_layers", path = "/api/v1/map/layers", tag = "data",
    responses((status = 200, description = "Layers", body = Vec<MapLayer>)))]
pub(super) async fn layers(headers: HeaderMap) -> Result<Response, Problem> {
    let all: Vec<MapLayer> = LAYERS
        .iter()
        .map(|l| MapLayer {
            id: l.id,
            city: l.city,
            credit: l.credit,
            licence: l.licence,
            closed: l.closed,
        })
        .collect();
    answer(&all, &headers)
}

/// The shapes of a layer.
#[utoipa::path(get, operation_id = "map_layer", path = "/api/v1/map/layers/{id}", tag = "data", params(("id" = String, Path, example = "rivers")),
    responses((status = 200, description = "The layer, as GeoJSON", body = Object, content_type = "application/geo+json"), (status = 404, description = "No such layer", body = Problem)))]
pub(super) async fn layer(Path(id): Path<String>, headers: HeaderMap) -> Result<Response, Problem> {
    let found = LAYERS
        .iter()
        .find(|l| l.id == id)
        .ok_or_else(|| Problem::not_found(format!("there is no layer {id:?}")))?;
    let bytes = found.geojson().as_bytes().to_vec();
    Ok(tagged("application/geo+json", bytes, &headers))
}
