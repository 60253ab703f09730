//! Pictures of articles: sent in the editor or over the API, kept as pixels, shown with their words.

use std::io::Cursor;

use image::{DynamicImage, ImageBuffer, ImageFormat, Rgb};
use miyun_store::Role;

use crate::client::{Answer, Browser, Server};

fn photo(w: u32, h: u32, format: ImageFormat) -> Vec<u8> {
    let picture = DynamicImage::ImageRgb8(ImageBuffer::from_fn(w, h, |i, j| {
        let n = (i.wrapping_mul(2_654_435_761) ^ j.wrapping_mul(40_503)) >> 27;
        Rgb([(i % 256) as u8, (j % 256) as u8, (n % 32) as u8 * 8])
    }));
    let mut out = Cursor::new(Vec::new());
    picture.write_to(&mut out, format).unwrap();
    out.into_inner()
}

async fn send(s: &Server, who: &Browser, body: &[u8]) -> Answer {
    let headers = [
        ("cookie", who.cookie.as_str()),
        ("x-csrf-token", &who.csrf),
        ("content-type", "application/octet-stream"),
    ];
    s.send("POST", "/api/v1/pictures", &headers, body).await
}

/// The editor's form as a browser sends it.
async fn form(
    s: &Server,
    who: &Browser,
    path: &str,
    fields: &[(&str, &str)],
    file: Option<(&str, &[u8])>,
) -> Answer {
    let mut body = Vec::new();
    let mut all = vec![("csrf", who.csrf.as_str())];
    all.extend_from_slice(fields);
    for (k, v) in all {
        let part = format!("--XX\r\nContent-Disposition: form-data; name=\"{k}\"\r\n\r\n{v}\r\n");
        body.extend_from_slice(part.as_bytes());
    }
    let (name, bytes) = file.unwrap_or(("", b""));
    let part = format!(
        "--XX\r\nContent-Disposition: form-data; name=\"picture_file\"; filename=\"{name}\"\r\nContent-Type: image/png\r\n\r\n"
    );
    body.extend_from_slice(part.as_bytes());
    body.extend_from_slice(bytes);
    body.extend_from_slice(b"\r\n--XX--\r\n");
    let headers = [
        ("cookie", who.cookie.as_str()),
        ("content-type", "multipart/form-data; boundary=XX"),
    ];
    s.send("POST", path, &headers, &body).await
}

const FIELDS: [(&str, &str); 11] = [
    ("title_zh", "带图的文章"),
    ("body_zh", "一句。"),
    ("source_zh", "甲"),
    ("source_en", "a"),
    ("publisher_zh", "乙"),
    ("publisher_en", "b"),
    ("caption_zh", "山前的城"),
    ("caption_en", "A city before hills"),
    ("alt_zh", "一座城"),
    ("alt_en", "\"><script>alert(1)</script>"),
    ("credit", "<img src=x onerror=alert(1)>"),
];

#[tokio::test]
async fn only_officers_send_pictures() {
    let s = Server::start().await;
    let file = photo(32, 32, ImageFormat::Png);
    for (login, role, status) in [
        ("officer", Some(Role::Officer), 201),
        ("admin", Some(Role::Admin), 201),
        ("reader", None, 403),
        ("enterprise", Some(Role::Enterprise), 403),
        ("verifier", Some(Role::Verifier), 403),
        ("exchange", Some(Role::Exchange), 403),
    ] {
        let scope = if status == 403 { "party/one" } else { "" };
        s.person(login, role, scope).await;
        let who = s.sign_in(login).await;
        assert_eq!(send(&s, &who, &file).await.status, status, "{login}");
        // A session without its token, as another site would send it.
        let bare = [("cookie", who.cookie.as_str())];
        let r = s.send("POST", "/api/v1/pictures", &bare, &file).await;
        assert_eq!(r.status, 403, "{login}");
    }
    let r = s.send("POST", "/api/v1/pictures", &[], &file).await;
    assert_eq!(r.code(), "not-signed-in");
}

#[tokio::test]
async fn what_is_served_is_not_what_was_sent() {
    let s = Server::start().await;
    s.person("li", Some(Role::Officer), "").await;
    let who = s.sign_in("li").await;
    let mut sent = photo(1_000, 500, ImageFormat::Jpeg);
    sent.extend_from_slice(b"<script>alert(document.domain)</script>");
    let r = send(&s, &who, &sent).await;
    assert_eq!(r.status, 201, "{}", r.text());
    let document = r.json();
    let id = document["picture"].as_str().unwrap();
    let widths = document["widths"].as_array().unwrap();
    let pixels: Vec<u64> = widths
        .iter()
        .map(|w| w["width"].as_u64().unwrap())
        .collect();
    assert_eq!(pixels, [1_000, 960, 480]);
    let same = s.get(&format!("/api/v1/pictures/{id}")).await;
    assert_eq!(same.json(), document);
    for w in widths {
        let r = s.get(w["url"].as_str().unwrap()).await;
        assert_eq!(r.status, 200);
        assert_eq!(r.header("content-type"), w["content_type"].as_str());
        assert_eq!(r.header("x-content-type-options"), Some("nosniff"));
        assert_eq!(
            r.header("cache-control"),
            Some("public, max-age=31536000, immutable")
        );
        assert!(
            r.header("content-security-policy")
                .unwrap()
                .contains("sandbox")
        );
        assert!(!r.text().contains("<script"));
        let back = image::load_from_memory(&r.body).unwrap();
        assert_eq!(u64::from(back.width()), w["width"].as_u64().unwrap());
    }
    // What is no picture, too much of one, or no address of one.
    let mut bomb = photo(8, 8, ImageFormat::Png);
    bomb[16..20].copy_from_slice(&50_000u32.to_be_bytes());
    for (bytes, code) in [
        (
            &b"<svg xmlns=\"http://www.w3.org/2000/svg\"><script>alert(1)</script></svg>"[..],
            "unsupported-type",
        ),
        (
            b"<!doctype html><script>alert(1)</script>",
            "unsupported-type",
        ),
        (b"GIF89a\x01\x00\x01\x00\x00\x00\x00;", "unsupported-type"),
        (b"", "unsupported-type"),
        (&sent[..200], "bad-request"),
        (&bomb, "bad-request"),
    ] {
        assert_eq!(send(&s, &who, bytes).await.code(), code, "{bytes:?}");
    }
    assert_eq!(send(&s, &who, &vec![0; 9 << 20]).await.status, 413);
    for path in ["/api/v1/pictures/..%2f..%2fx", "/api/v1/pictures/00"] {
        assert_eq!(s.get(path).await.code(), "not-found");
    }
}

#[tokio::test]
async fn an_article_keeps_the_picture_of_each_version() {
    let s = Server::start().await;
    s.person("li", Some(Role::Officer), "").await;
    s.person("wang", Some(Role::Officer), "").await;
    let (li, wang) = (s.sign_in("li").await, s.sign_in("wang").await);
    let first = photo(700, 350, ImageFormat::Png);
    // Without a licence it is not saved; the form that comes back still has the picture.
    let r = form(
        &s,
        &li,
        "/en/desk/articles/new",
        &FIELDS,
        Some(("a.png", &first)),
    )
    .await;
    assert_eq!(r.status, 422, "{}", r.text());
    let text = r.text();
    assert!(text.contains("licence are required") && text.contains("id=\"picture_file-fault\""));
    let (_, rest) = text.split_once("name=\"picture\" value=\"").unwrap();
    let id = rest[..64].to_owned();
    let mut fields = FIELDS.to_vec();
    fields.extend([
        ("licence", "CC BY 4.0"),
        ("picture", &id),
        ("act", "propose"),
    ]);
    let r = form(&s, &li, "/en/desk/articles/new", &fields, None).await;
    assert_eq!(r.status, 303, "{}", r.text());
    let desk = r.header("location").unwrap().to_owned();
    let article = desk.rsplit('/').next().unwrap().to_owned();
    let approve = async || {
        let r = wang
            .api(
                &s,
                "POST",
                &format!("/api/v1/articles/{article}/decision"),
                r#"{"approve":true}"#,
            )
            .await;
        assert_eq!(r.status, 204, "{}", r.text());
    };
    approve().await;
    let page = s.get(&format!("/en/articles/{article}")).await.text();
    let figure = |page: &str| {
        let (_, rest) = page.split_once("<figure class=\"picture\"").unwrap();
        rest.split("</figure>").next().unwrap().to_owned()
    };
    let shown = figure(&page);
    assert!(shown.contains(&format!("src=\"/media/{id}\"")), "{shown}");
    assert!(shown.contains("700w") && shown.contains("480w") && shown.contains("width=\"700\""));
    assert!(shown.contains("<figcaption") && shown.contains("A city before hills"));
    assert!(shown.contains("CC BY 4.0"));
    // Words of the picture are words.
    assert!(!page.contains("<script>alert") && !page.contains("<img src=x"));
    assert!(shown.contains("alt=\"&quot;&gt;&lt;script&gt;"));
    // The next version has another picture; the first keeps its own.
    let second = photo(640, 320, ImageFormat::WebP);
    let r = form(&s, &li, &desk, &fields, Some(("b.webp", &second))).await;
    assert_eq!(r.status, 303, "{}", r.text());
    approve().await;
    let now = figure(&s.get(&format!("/en/articles/{article}")).await.text());
    let then = figure(&s.get(&format!("/en/articles/{article}@1")).await.text());
    assert!(now.contains("width=\"640\"") && !now.contains(&id));
    assert!(then.contains(&id));
    assert_eq!(s.get(&format!("/media/{id}")).await.status, 200);
    // A picture that was never sent here, by the form and over the API.
    let mut foreign = fields.clone();
    let elsewhere = "0".repeat(64);
    foreign.retain(|(k, _)| *k != "picture");
    foreign.push(("picture", &elsewhere));
    let r = form(&s, &li, &desk, &foreign, None).await;
    assert_eq!(r.status, 422);
    assert!(r.text().contains("upload it first"));
    let content = serde_json::json!({"content": {"texts": [{"lang": "zh", "title": "t", "summary": "", "body": "b", "status": "original"}], "source": {"zh": "a", "en": "a"}, "publisher": {"zh": "a", "en": "a"}, "released_at": "2025-01-01T00:00:00Z", "status": "notice",
        "picture": {"media": elsewhere, "caption": {"zh": "a", "en": "a"}, "alt": {"zh": "a", "en": "a"}, "credit": "c", "licence": "l"}}});
    let r = li
        .api(&s, "POST", "/api/v1/articles", &content.to_string())
        .await;
    assert_eq!(r.code(), "bad-request");
    // An SVG under the name of a PNG.
    let svg = b"<svg xmlns=\"http://www.w3.org/2000/svg\" onload=\"alert(1)\"/>";
    let r = form(&s, &li, &desk, &fields, Some(("c.png", svg))).await;
    assert_eq!(r.status, 422);
    assert!(r.text().contains("no PNG, JPEG or WebP"));
}
