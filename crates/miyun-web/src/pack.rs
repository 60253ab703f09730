//! Bodies packed once (br and gzip) with their ETag, and the pages that are kept that way.

use std::collections::HashMap;
use std::io::Write;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use crate::site::Site;

/// What an answer may be packed with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Coding {
    /// Brotli.
    Br,
    /// Gzip.
    Gzip,
    /// Nothing.
    Plain,
}

/// The best coding that a client takes. `q=0` means that it does not take one.
#[must_use]
pub fn accepts(headers: &HeaderMap) -> Coding {
    let text = headers
        .get(header::ACCEPT_ENCODING)
        .and_then(|v| v.to_str().ok())
        .unwrap_or("");
    let takes = |name: &str| {
        text.split(',').any(|part| {
            let mut bits = part.split(';').map(str::trim);
            bits.next().is_some_and(|n| n.eq_ignore_ascii_case(name))
                && !bits.any(|b| matches!(b, "q=0" | "q=0.0" | "q=0.00" | "q=0.000"))
        })
    };
    if takes("br") {
        Coding::Br
    } else if takes("gzip") {
        Coding::Gzip
    } else {
        Coding::Plain
    }
}

/// A body in three codings with its ETag.
#[derive(Debug, Clone)]
pub struct Packed {
    kind: HeaderValue,
    etag: HeaderValue,
    plain: Bytes,
    gzip: Bytes,
    br: Bytes,
}

impl Packed {
    /// Packs a body; `tight` spends more time for fewer bytes, for files that never change.
    #[must_use]
    pub fn new(kind: &'static str, plain: Bytes, tight: bool) -> Self {
        Self::of(HeaderValue::from_static(kind), plain, tight)
    }

    fn of(kind: HeaderValue, plain: Bytes, tight: bool) -> Self {
        let mut gzip = flate2::write::GzEncoder::new(
            Vec::with_capacity(plain.len() / 4),
            flate2::Compression::new(if tight { 9 } else { 6 }),
        );
        // Writing to memory does not fail.
        let _ = gzip.write_all(&plain);
        let gzip = gzip.finish().unwrap_or_default();
        let mut br = Vec::with_capacity(plain.len() / 4);
        let params = brotli::enc::BrotliEncoderParams {
            quality: if tight { 11 } else { 5 },
            ..Default::default()
        };
        let _ = brotli::BrotliCompress(&mut plain.as_ref(), &mut br, &params);
        let digest = blake3::hash(&plain).to_hex();
        let etag = HeaderValue::from_str(&format!("\"{}\"", &digest.as_str()[..20]))
            .unwrap_or(HeaderValue::from_static("\"0\""));
        Self {
            kind,
            etag,
            plain,
            gzip: gzip.into(),
            br: br.into(),
        }
    }

    /// A body that comes packed with Brotli. Whoever does not take that gets it plain.
    #[must_use]
    pub fn carried(kind: &'static str, br: &'static [u8]) -> Self {
        let mut plain = Vec::new();
        // What the program carries unpacks; a test looks.
        let _ = brotli::BrotliDecompress(&mut &*br, &mut plain);
        let digest = blake3::hash(br).to_hex();
        Self {
            kind: HeaderValue::from_static(kind),
            etag: HeaderValue::from_str(&format!("\"{}\"", &digest.as_str()[..20]))
                .unwrap_or(HeaderValue::from_static("\"0\"")),
            plain: plain.into(),
            gzip: Bytes::new(),
            br: Bytes::from_static(br),
        }
    }

    /// The answer, or 304 where the client has it.
    #[must_use]
    pub fn answer(&self, coding: Coding, if_none_match: Option<&HeaderValue>) -> Response {
        let known = if_none_match
            .and_then(|v| v.to_str().ok())
            .is_some_and(|v| {
                v.split(',')
                    .any(|t| t.trim().trim_start_matches("W/") == self.etag.to_str().unwrap_or(""))
            });
        let (body, name) = match coding {
            Coding::Br if !self.br.is_empty() => (&self.br, Some("br")),
            Coding::Gzip if !self.gzip.is_empty() => (&self.gzip, Some("gzip")),
            _ => (&self.plain, None),
        };
        let mut r = if known {
            StatusCode::NOT_MODIFIED.into_response()
        } else {
            Response::new(Body::from(body.clone()))
        };
        let h = r.headers_mut();
        h.insert(header::ETAG, self.etag.clone());
        h.insert(
            header::VARY,
            HeaderValue::from_static("accept-encoding, cookie"),
        );
        if !known {
            h.insert(header::CONTENT_TYPE, self.kind.clone());
            if let Some(n) = name {
                h.insert(header::CONTENT_ENCODING, HeaderValue::from_static(n));
            }
        }
        r
    }
}

/// Pages as they were last made, for readers who are not signed in.
#[derive(Clone)]
pub struct Pages {
    site: Arc<Site>,
    kept: Arc<Mutex<HashMap<String, Kept>>>,
}

struct Kept {
    generation: u64,
    made: Instant,
    /// Since when somebody makes it again, and from which state of the site.
    renewing: Option<(Instant, u64)>,
    page: Packed,
}

/// Pages kept at most; a page is tens of kilobytes.
const MOST: usize = 1_500;
/// Longest path and query that is kept.
const LONGEST: usize = 300;
/// How long a page is kept: relative times on it may be this old.
const FRESH: Duration = Duration::from_secs(60);
/// The same of pages that show what loggers say.
const FRESH_LIVE: Duration = Duration::from_secs(2);
const LIVE: [&str; 3] = ["/devices", "/outlets/", "/map"];
/// How long one reader may take to make an old page again before another one tries.
const RENEWAL: Duration = Duration::from_secs(5);
/// Largest page.
const LARGEST: usize = 8 << 20;

impl Pages {
    /// Nothing kept yet.
    #[must_use]
    pub fn new(site: Arc<Site>) -> Self {
        Self {
            site,
            kept: Arc::default(),
        }
    }

    /// The kept page. When it is old, or the site has changed, one reader makes it again while the
    /// others still get it: a change that all of them answered anew would hold all of them up.
    fn get(&self, key: &str, fresh: Duration) -> Option<Packed> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let k = kept.get_mut(key)?;
        let now = self.site.generation();
        let old = k.generation != now || k.made.elapsed() >= fresh;
        let renewed = k
            .renewing
            .is_some_and(|(since, of)| of == now && since.elapsed() < RENEWAL);
        if old && !renewed {
            k.renewing = Some((Instant::now(), now));
            return None;
        }
        Some(k.page.clone())
    }

    fn put(&self, key: String, generation: u64, page: Packed) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= MOST {
            kept.retain(|_, k| k.generation == generation && k.made.elapsed() < FRESH);
            if kept.len() >= MOST {
                kept.clear();
            }
        }
        let fresh = Kept {
            generation,
            made: Instant::now(),
            renewing: None,
            page,
        };
        kept.insert(key, fresh);
    }
}

/// Reading preferences among the cookies, sorted; `None` if there is any other cookie, since then
/// the page may be made for one person.
fn preferences(headers: &HeaderMap) -> Option<String> {
    let mut found = Vec::new();
    for value in headers.get_all(header::COOKIE) {
        for pair in value.to_str().ok()?.split(';').map(str::trim) {
            match pair.split('=').next() {
                Some("theme" | "colours" | "size") => found.push(pair),
                Some("") => {}
                _ => return None,
            }
        }
    }
    found.sort_unstable();
    found.truncate(3);
    Some(found.join(";"))
}

/// Answers from kept pages where it may, and keeps what it made.
pub async fn keep(State(pages): State<Pages>, request: Request, next: Next) -> Response {
    let path = request.uri().path();
    let page = request.method() == Method::GET
        && (path.starts_with("/zh/") || path.starts_with("/en/"))
        && request
            .uri()
            .path_and_query()
            .is_some_and(|p| p.as_str().len() <= LONGEST)
        && !request.headers().contains_key(header::AUTHORIZATION);
    let Some(preferences) = page.then(|| preferences(request.headers())).flatten() else {
        return next.run(request).await;
    };
    let host = request
        .headers()
        .get(header::HOST)
        .and_then(|h| h.to_str().ok())
        .unwrap_or("");
    let key = format!("{host} {} {preferences}", request.uri());
    let coding = accepts(request.headers());
    let asked = request.headers().get(header::IF_NONE_MATCH).cloned();
    let live = LIVE.iter().any(|l| path[3..].starts_with(l));
    if let Some(p) = pages.get(&key, if live { FRESH_LIVE } else { FRESH }) {
        return p.answer(coding, asked.as_ref());
    }
    let generation = pages.site.generation();
    let (mut parts, body) = next.run(request).await.into_parts();
    let keepable = parts.status == StatusCode::OK
        && !parts.headers.contains_key(header::SET_COOKIE)
        && !parts.headers.contains_key(header::CONTENT_ENCODING)
        && !parts
            .headers
            .get(header::CACHE_CONTROL)
            .and_then(|v| v.to_str().ok())
            .is_some_and(|v| v.contains("no-store"));
    let Some(kind) = parts
        .headers
        .get(header::CONTENT_TYPE)
        .filter(|_| keepable)
        .cloned()
    else {
        return Response::from_parts(parts, body);
    };
    let Ok(bytes) = to_bytes(body, LARGEST).await else {
        parts.status = StatusCode::INTERNAL_SERVER_ERROR;
        return Response::from_parts(parts, Body::from("the page is too large\n"));
    };
    let Ok(packed) = tokio::task::spawn_blocking(move || Packed::of(kind, bytes, false)).await
    else {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    };
    let mut answer = packed.answer(coding, asked.as_ref());
    for name in [
        header::CONTENT_DISPOSITION,
        header::LINK,
        header::CACHE_CONTROL,
    ] {
        if let Some(v) = parts.headers.get(&name) {
            // A header that the kept page would lose: do not keep it.
            answer.headers_mut().insert(name, v.clone());
            return answer;
        }
    }
    pages.put(key, generation, packed);
    answer
}

/// Packs pages that are made anew for every reader who is not signed in. A page for one person is
/// left as it is: its length would tell a stranger about its tokens.
pub async fn squeeze(request: Request, next: Next) -> Response {
    let anyone = request.method() == Method::GET
        && preferences(request.headers()).is_some()
        && !request.headers().contains_key(header::AUTHORIZATION);
    let coding = accepts(request.headers());
    let asked = request.headers().get(header::IF_NONE_MATCH).cloned();
    let (mut parts, body) = next.run(request).await.into_parts();
    let kind = parts.headers.get(header::CONTENT_TYPE).filter(|k| {
        anyone
            && parts.status == StatusCode::OK
            && k.as_bytes().starts_with(b"text/html")
            && !parts.headers.contains_key(header::CONTENT_ENCODING)
            && !parts.headers.contains_key(header::SET_COOKIE)
    });
    let Some(kind) = kind.cloned() else {
        return Response::from_parts(parts, body);
    };
    let Ok(bytes) = to_bytes(body, LARGEST).await else {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    };
    let Ok(packed) = tokio::task::spawn_blocking(move || Packed::of(kind, bytes, false)).await
    else {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    };
    parts.headers.remove(header::CONTENT_LENGTH);
    let mut answer = packed.answer(coding, asked.as_ref());
    for (name, value) in &parts.headers {
        answer.headers_mut().entry(name).or_insert(value.clone());
    }
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(name: header::HeaderName, value: &'static str) -> HeaderMap {
        let mut h = HeaderMap::new();
        h.insert(name, HeaderValue::from_static(value));
        h
    }

    #[test]
    fn a_refused_coding_is_not_used() {
        let of = |v| accepts(&with(header::ACCEPT_ENCODING, v));
        assert_eq!(of("gzip, deflate, br"), Coding::Br);
        assert_eq!(of("br;q=0, gzip"), Coding::Gzip);
        assert_eq!(of("identity"), Coding::Plain);
        assert_eq!(accepts(&HeaderMap::new()), Coding::Plain);
    }

    #[test]
    fn packed_bodies_unpack_to_the_same_bytes() {
        use std::io::Read;
        let text: Bytes = "every figure answers why. ".repeat(400).into();
        let p = Packed::new("text/plain", text.clone(), false);
        let mut out = Vec::new();
        flate2::read::GzDecoder::new(p.gzip.as_ref())
            .read_to_end(&mut out)
            .unwrap();
        assert_eq!(out, text);
        let mut out = Vec::new();
        brotli::BrotliDecompress(&mut p.br.as_ref(), &mut out).unwrap();
        assert_eq!(out, text);
        assert!(p.br.len() < text.len() / 20);
        let again = p.answer(Coding::Br, Some(&p.etag));
        assert_eq!(again.status(), StatusCode::NOT_MODIFIED);
    }

    #[test]
    fn a_page_for_one_person_is_never_kept() {
        let of = |v| preferences(&with(header::COOKIE, v));
        assert_eq!(
            of("theme=dark; size=large").as_deref(),
            Some("size=large;theme=dark")
        );
        assert_eq!(of("theme=dark; session=1"), None);
        assert_eq!(preferences(&HeaderMap::new()).as_deref(), Some(""));
    }
}
