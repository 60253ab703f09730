//! Likes that cannot be stuffed, and private collections.
//!
//! A person's like is one row. A visitor first gets a signed token for one article, good for an
//! hour, in a cookie that is sent to this address only; the token counts once, and all visitors
//! behind one address prefix count a few times a day. Of the address only a keyed digest is kept,
//! under a key that changes daily.

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::{Form, Path, State};
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse, Redirect, Response};
use jiff::Timestamp;
use maud::html;
use miyun_store::{ArticleId, LikeOutcome, PersonId};

use super::article::{load, named};
use super::articles::store;
use crate::failure::Failure;
use crate::server::{Params, Shown};
use crate::shell::{Address, View, prefix};
use crate::site::Site;

/// How long a token is good, in seconds.
const TOKEN_S: i64 = 3_600;

/// A token: random part, end, signature over both and the article.
fn token(site: &Site, article: &ArticleId, random: u128, until: i64) -> String {
    let body = format!("{random:032x}.{until}");
    format!("{body}.{}", sign(site, &format!("like {article} {body}")))
}

fn sign(site: &Site, text: &str) -> String {
    blake3::keyed_hash(site.secret(), text.as_bytes())
        .to_hex()
        .as_str()[..32]
        .to_owned()
}

/// True if this site made the token for the article and it is not over.
fn is_good(site: &Site, article: &ArticleId, text: &str, now: i64) -> bool {
    let Some((body, signature)) = text.rsplit_once('.') else {
        return false;
    };
    let expected = sign(site, &format!("like {article} {body}"));
    // Compared as digests, so that time tells nothing.
    let same = blake3::hash(expected.as_bytes()) == blake3::hash(signature.as_bytes());
    same && body
        .split_once('.')
        .and_then(|(_, u)| u.parse::<i64>().ok())
        .is_some_and(|u| u >= now && u <= now + TOKEN_S)
}

/// What is remembered of an address: a digest of its /24 or /48 under the key of the day.
fn prefix_key(site: &Site, address: IpAddr, now: Timestamp) -> String {
    let near: Vec<u8> = match address {
        IpAddr::V4(a) => a.octets()[..3].to_vec(),
        IpAddr::V6(a) => match a.to_ipv4_mapped() {
            Some(a) => a.octets()[..3].to_vec(),
            None => a.octets()[..6].to_vec(),
        },
    };
    let day = now.as_second().div_euclid(86_400);
    let key = blake3::keyed_hash(site.secret(), format!("prefix {day}").as_bytes());
    blake3::keyed_hash(key.as_bytes(), &near).to_hex().as_str()[..32].to_owned()
}

fn cookie<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|v| v.to_str().ok())
        .flat_map(|v| v.split(';'))
        .find_map(|p| p.trim().strip_prefix(name)?.strip_prefix('='))
}

/// The page that asks once more and hands out the token.
pub(super) async fn ask(
    State(site): State<Arc<Site>>,
    view: View,
    Path((_, id)): Path<(String, String)>,
    headers: HeaderMap,
) -> Response {
    let made: Result<(ArticleId, Shown), Failure> = async {
        let (article, v) = load(&site, &id).await?;
        let title = v
            .as_ref()
            .and_then(|v| v.content.text(view.lang))
            .map(|t| t.title.clone())
            .ok_or_else(|| Failure::Gone("withdrawn".into()))?;
        let n = store(&site)?.likes(&article.id).await?;
        let path = view.link(&format!("/articles/{}/like", article.id));
        let head = view.tr("喜欢这篇文章", "Like this article");
        let body = html! {
            p.crumbs { a href=(view.link(&format!("/articles/{}", article.id))) { (title) } }
            h1 { (head) }
            form method="post" action=(path) data-like {
                @if let Some(r) = &view.reader { input type="hidden" name="csrf" value=(r.csrf); }
                button { (view.tr("喜欢", "Like")) " " output { (n) } }
            }
            p.soft { (view.tr("不登录也能表示喜欢：每人一次，同一网段每天有限，不记录您的地址。喜欢的多少不影响文章的次序。", "You can like without signing in: once each, limited by network and day, and your address is not kept. Likes never decide the order of articles.")) }
        };
        Ok((article.id, Shown::new(head, false, body)))
    }
    .await;
    let article = made.as_ref().ok().map(|m| m.0.clone());
    let mut r = super::finish(&view, made.map(|m| m.1));
    let now = Timestamp::now().as_second();
    if let Some(article) = article {
        let there = cookie(&headers, "like").is_some_and(|t| is_good(&site, &article, t, now));
        if !there && view.reader.is_none() {
            let t = token(&site, &article, rand::random(), now + TOKEN_S);
            let text = format!(
                "like={t}; Path={}/articles/{article}/like; Max-Age={TOKEN_S}; SameSite=Strict; HttpOnly",
                prefix(view.lang)
            );
            if let Ok(v) = HeaderValue::from_str(&text) {
                r.headers_mut().append(header::SET_COOKIE, v);
            }
        }
    }
    r.headers_mut()
        .insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    r
}

/// Counts a like; answers as JSON to the script and with a redirect to a form.
pub(super) async fn like(
    State(site): State<Arc<Site>>,
    view: View,
    Path((_, id)): Path<(String, String)>,
    Address(address): Address,
    headers: HeaderMap,
    Form(form): Form<Params>,
) -> Response {
    let now = Timestamp::now();
    let made: Result<(ArticleId, u64), Failure> = async {
        let (article, _) = named(&id)?;
        let s = store(&site)?;
        match view
            .reader
            .as_ref()
            .and_then(|r| r.id.parse::<PersonId>().ok())
        {
            Some(person) if form.contains_key("undo") => {
                s.unlike(&article, &person).await?;
            }
            Some(person) => {
                s.like(&article, &person, now).await?;
            }
            None => {
                let token = cookie(&headers, "like")
                    .filter(|t| is_good(&site, &article, t, now.as_second()))
                    .ok_or_else(|| {
                        Failure::Forbidden(
                            "open the page of the like button first: the token is missing or over"
                                .into(),
                        )
                    })?;
                let digest = blake3::hash(token.as_bytes()).to_hex().to_string();
                let key = prefix_key(&site, address, now);
                if s.like_as_visitor(&article, &digest, &key, now).await? == LikeOutcome::Capped {
                    return Err(Failure::TooMany(
                        "enough likes of this article came from your network today".into(),
                    ));
                }
            }
        }
        Ok((article.clone(), s.likes(&article).await?))
    }
    .await;
    let script = headers
        .get(header::ACCEPT)
        .and_then(|a| a.to_str().ok())
        .is_some_and(|a| a.contains("application/json"));
    match made {
        Ok((_, n)) if script => {
            axum::Json(serde_json::json!({ "likes": n, "text": n.to_string() })).into_response()
        }
        Ok((article, _)) => {
            Redirect::to(&view.link(&format!("/articles/{article}"))).into_response()
        }
        Err(f) if script => (
            f.status(),
            axum::Json(serde_json::json!({ "text": f.to_string() })),
        )
            .into_response(),
        Err(f) => f.page(&view),
    }
}

/// Puts an article into one of the reader's collections, or takes it out.
pub(super) async fn collect(
    State(site): State<Arc<Site>>,
    view: View,
    Path((_, id)): Path<(String, String)>,
    Form(form): Form<Params>,
) -> Response {
    let made: Result<ArticleId, Failure> = async {
        let (article, _) = named(&id)?;
        let person = super::desk::person(&view)?;
        let text = form.get("collection").map_or("", String::as_str);
        let collection = text
            .parse()
            .map_err(|_| Failure::Bad(format!("no collection {text:?}")))?;
        let s = store(&site)?;
        if form.contains_key("undo") {
            s.uncollect(&person, &collection, &article).await?;
        } else {
            s.collect(&person, &collection, &article, Timestamp::now())
                .await?;
        }
        Ok(article)
    }
    .await;
    match made {
        Ok(_) if form.contains_key("undo") => Redirect::to(&view.link("/desk")).into_response(),
        Ok(article) => Redirect::to(&view.link(&format!("/articles/{article}"))).into_response(),
        Err(f) => f.page(&view),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn site() -> (tempfile::TempDir, Site) {
        let dir = tempfile::tempdir().unwrap();
        let lake = miyun_lake::Lake::open(dir.path()).unwrap();
        let book = miyun_rulebook::Rulebook::embedded();
        let site = Site::new(
            lake,
            book,
            Vec::new(),
            miyun_core::Date::constant(2026, 11, 24),
        );
        (dir, site)
    }

    #[test]
    fn a_token_is_for_one_article_and_one_hour() {
        let (_dir, site) = site();
        let at = Timestamp::UNIX_EPOCH;
        let (a, b) = (
            ArticleId::new(at),
            ArticleId::new("2026-01-01T00:00:00Z".parse().unwrap()),
        );
        let t = token(&site, &a, 7, 5_000);
        assert!(is_good(&site, &a, &t, 4_000));
        assert!(!is_good(&site, &b, &t, 4_000));
        assert!(!is_good(&site, &a, &t, 5_001));
        assert!(!is_good(&site, &a, &t.replace("5000", "9000"), 6_000));
        let (_d, other) = site_again();
        assert!(!is_good(&other, &a, &t, 4_000));
        assert!(!is_good(&site, &a, "", 0) && !is_good(&site, &a, "...", 0));
    }

    fn site_again() -> (tempfile::TempDir, Site) {
        site()
    }

    #[test]
    fn a_network_is_one_prefix_for_one_day() {
        let (_dir, site) = site();
        let key = |a: &str, t: &str| prefix_key(&site, a.parse().unwrap(), t.parse().unwrap());
        let day = "2026-11-24T01:00:00Z";
        assert_eq!(key("192.0.2.1", day), key("192.0.2.250", day));
        assert_eq!(key("192.0.2.1", day), key("::ffff:192.0.2.9", day));
        assert_ne!(key("192.0.2.1", day), key("192.0.3.1", day));
        assert_ne!(
            key("192.0.2.1", day),
            key("192.0.2.1", "2026-11-25T01:00:00Z")
        );
        assert_eq!(key("2001:db8:1::1", day), key("2001:db8:1:2::9", day));
    }
}
