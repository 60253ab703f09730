//! The few files that pages load: one style sheet, one script, one icon, each packed once; and the
//! map that moves, which only its readers load.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::OnceLock;

use axum::extract::Path;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};

use crate::pack::{Packed, accepts};
use crate::shell::STYLE;

/// The one script; pages are complete without it.
pub const SCRIPT: &str = include_str!("../static/page.js");
const SCRIPT_TYPE: &str = "text/javascript; charset=utf-8";
const ICON: &str = include_str!("../static/icon.svg");

/// Path of the style sheet, with a mark that changes with its content.
#[must_use]
pub fn style_path() -> &'static str {
    static PATH: OnceLock<String> = OnceLock::new();
    PATH.get_or_init(|| format!("/static/style.css?v={}", mark(STYLE)))
}

/// Path of the script.
#[must_use]
pub fn script_path() -> &'static str {
    static PATH: OnceLock<String> = OnceLock::new();
    PATH.get_or_init(|| format!("/static/page.js?v={}", mark(SCRIPT)))
}

/// Path of a file of the map that moves.
#[must_use]
pub fn map_path(name: &str) -> String {
    let file = MAP.iter().find(|f| f.0 == name);
    format!("/static/{name}?v={}", mark(file.map_or(&[][..], |f| f.1)))
}

/// Files of the map that moves; those of the library are packed already.
const MAP: [(&str, &[u8]); 3] = [
    ("map.mjs", include_bytes!("../static/map.mjs")),
    (
        "maplibre-gl.mjs",
        include_bytes!("../static/maplibre/maplibre-gl.mjs.br"),
    ),
    (
        "maplibre-gl-worker.mjs",
        include_bytes!("../static/maplibre/maplibre-gl-worker.mjs.br"),
    ),
];

fn mark(text: impl AsRef<[u8]>) -> String {
    let mut h = DefaultHasher::new();
    text.as_ref().hash(&mut h);
    format!("{:08x}", h.finish() & 0xffff_ffff)
}

/// A file by name.
pub async fn file(Path(name): Path<String>, headers: HeaderMap) -> Response {
    static FILES: OnceLock<HashMap<&'static str, Packed>> = OnceLock::new();
    let files = FILES.get_or_init(|| {
        HashMap::from([
            (
                "style.css",
                Packed::new("text/css; charset=utf-8", STYLE.into(), true),
            ),
            ("page.js", Packed::new(SCRIPT_TYPE, SCRIPT.into(), true)),
            ("icon.svg", Packed::new("image/svg+xml", ICON.into(), true)),
            (MAP[0].0, Packed::new(SCRIPT_TYPE, MAP[0].1.into(), true)),
            (MAP[1].0, Packed::carried(SCRIPT_TYPE, MAP[1].1)),
            (MAP[2].0, Packed::carried(SCRIPT_TYPE, MAP[2].1)),
        ])
    });
    match files.get(name.as_str()) {
        Some(p) => {
            let mut r = p.answer(accepts(&headers), headers.get(header::IF_NONE_MATCH));
            r.headers_mut().insert(
                header::CACHE_CONTROL,
                header::HeaderValue::from_static("public, max-age=31536000, immutable"),
            );
            r
        }
        None => (StatusCode::NOT_FOUND, "there is no such file\n").into_response(),
    }
}
