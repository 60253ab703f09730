//! What an attacker without a browser tries.

use std::time::Duration;

use miyun_store::Role;
use miyun_web::app::Settings;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::client::{Browser, FORM, JSON, PASSWORD, Server, quick};

#[tokio::test]
async fn a_session_cannot_be_fixed() {
    let s = Server::start().await;
    s.person("li", Some(Role::Officer), "").await;
    // The attacker plants a session cookie; the victim signs in with it.
    let planted = "a".repeat(64);
    let form = s.get("/en/sign-in").await;
    let ours = form.cookie("miyun_form").unwrap();
    let body = format!(
        "csrf={}&login=li&password={}",
        form.csrf(),
        PASSWORD.replace(' ', "+")
    );
    let cookies = format!("miyun_session={planted}; miyun_form={ours}");
    let r = s
        .send(
            "POST",
            "/en/sign-in",
            &[("cookie", &cookies), FORM],
            body.as_bytes(),
        )
        .await;
    let session = r.cookie("miyun_session").unwrap();
    assert_ne!(session, planted);
    let with = async |c: &str| {
        s.send(
            "GET",
            "/api/v1/me",
            &[("cookie", &format!("miyun_session={c}"))],
            b"",
        )
        .await
        .status
    };
    assert_eq!((with(&planted).await, with(&session).await), (401, 200));
    // Signing in again ends the session before.
    let me = s
        .send(
            "GET",
            "/api/v1/me",
            &[("cookie", &format!("miyun_session={session}"))],
            b"",
        )
        .await;
    let browser = Browser {
        cookie: format!("miyun_session={session}"),
        csrf: me.json()["csrf"].as_str().unwrap().into(),
    };
    let body = format!(
        "csrf={}&login=li&password={}",
        browser.csrf,
        PASSWORD.replace(' ', "+")
    );
    let r = s
        .send(
            "POST",
            "/en/sign-in",
            &[("cookie", &browser.cookie), FORM],
            body.as_bytes(),
        )
        .await;
    let second = r.cookie("miyun_session").unwrap();
    assert_eq!((with(&session).await, with(&second).await), (401, 200));
    let flags = r
        .headers
        .iter()
        .find(|(k, v)| k == "set-cookie" && v.starts_with("miyun_session="))
        .unwrap();
    for flag in ["HttpOnly", "SameSite=Lax", "Path=/"] {
        assert!(flags.1.contains(flag), "{}", flags.1);
    }
}

#[tokio::test]
async fn over_https_cookies_are_bound_to_the_host() {
    let s = Server::with(Settings {
        https: true,
        ..quick()
    })
    .await;
    s.person("li", None, "").await;
    let form = s.get("/en/sign-in").await;
    let ours = form.cookie("miyun_form").unwrap();
    let body = format!(
        "csrf={}&login=li&password={}",
        form.csrf(),
        PASSWORD.replace(' ', "+")
    );
    let r = s
        .send(
            "POST",
            "/en/sign-in",
            &[("cookie", &format!("miyun_form={ours}")), FORM],
            body.as_bytes(),
        )
        .await;
    let set: Vec<&str> = r
        .headers
        .iter()
        .filter(|(k, _)| k == "set-cookie")
        .map(|(_, v)| v.as_str())
        .collect();
    assert!(
        set.iter()
            .any(|c| c.starts_with("__Host-miyun_session=") && c.contains("; Secure")),
        "{set:?}"
    );
    assert!(set.iter().all(|c| c.contains("; Secure")), "{set:?}");
}

#[tokio::test]
async fn forms_of_other_sites_are_refused() {
    let s = Server::start().await;
    s.person("li", Some(Role::Officer), "").await;
    let b = s.sign_in("li").await;
    let post = async |headers: &[(&str, &str)], path: &str, body: &str| {
        let mut all = vec![("cookie", b.cookie.as_str())];
        all.extend_from_slice(headers);
        s.send("POST", path, &all, body.as_bytes()).await.status
    };
    let job = r#"{"kind":"evaluate","city":"linxi","period":"2024","edition":"2026"}"#;
    // No token, a wrong one, the right one of the wrong kind of request.
    assert_eq!(post(&[JSON], "/api/v1/jobs", job).await, 403);
    assert_eq!(
        post(
            &[JSON, ("x-csrf-token", "0".repeat(32).as_str())],
            "/api/v1/jobs",
            job
        )
        .await,
        403
    );
    assert_eq!(
        post(&[JSON, ("x-csrf-token", "")], "/api/v1/jobs", job).await,
        403
    );
    assert_eq!(
        post(&[("content-type", "text/plain")], "/api/v1/jobs", job).await,
        403
    );
    assert_eq!(
        post(
            &[FORM],
            "/en/jobs",
            "kind=evaluate&city=linxi&period=2024&edition=2026"
        )
        .await,
        403
    );
    assert_eq!(post(&[FORM], "/en/sign-out", "").await, 403);
    assert_eq!(b.get(&s, "/api/v1/me").await.status, 200, "still signed in");
    // The right token, but the browser says that another site sent it.
    for evil in [
        ("origin", "https://evil.example"),
        ("origin", "null"),
        ("sec-fetch-site", "cross-site"),
    ] {
        let token = ("x-csrf-token", b.csrf.as_str());
        assert_eq!(
            post(&[JSON, token, evil], "/api/v1/jobs", job).await,
            403,
            "{evil:?}"
        );
    }
    // Without a session too.
    let r = s
        .send(
            "POST",
            "/en/sign-in",
            &[FORM, ("origin", "https://evil.example")],
            b"login=li",
        )
        .await;
    assert_eq!(r.status, 403);
    // Signing a victim in as the attacker: the form token of another browser does not help.
    let form = s.get("/en/sign-in").await;
    let body = format!(
        "csrf={}&login=li&password={}",
        form.csrf(),
        PASSWORD.replace(' ', "+")
    );
    assert_eq!(
        s.send("POST", "/en/sign-in", &[FORM], body.as_bytes())
            .await
            .status,
        403
    );
    let other = format!("miyun_form={}", "b".repeat(64));
    assert_eq!(
        s.send(
            "POST",
            "/en/sign-in",
            &[FORM, ("cookie", &other)],
            body.as_bytes()
        )
        .await
        .status,
        403
    );
    // And the honest way works, also as a file form.
    let form = format!(
        "csrf={}&kind=evaluate&city=linxi&period=2024&edition=2026",
        b.csrf
    );
    assert_eq!(post(&[FORM], "/en/jobs", &form).await, 303);
    let parts = format!(
        "--x\r\ncontent-disposition: form-data; name=\"csrf\"\r\n\r\n{}\r\n--x--\r\n",
        b.csrf
    );
    assert_eq!(
        post(
            &[("content-type", "multipart/form-data; boundary=x")],
            "/en/sign-out",
            &parts
        )
        .await,
        303
    );
    assert_eq!(b.get(&s, "/api/v1/me").await.status, 401, "signed out");
}

#[tokio::test]
async fn guessing_passwords_is_slow_and_tells_nothing() {
    let attempt = async |s: &Server, login: &str| {
        let form = s.get("/en/sign-in").await;
        let cookie = format!("miyun_form={}", form.cookie("miyun_form").unwrap());
        let body = format!(
            "csrf={}&login={login}&password=wrong+wrong+wrong",
            form.csrf()
        );
        let headers = [("cookie", cookie.as_str()), FORM];
        s.send("POST", "/en/sign-in", &headers, body.as_bytes())
            .await
    };
    let s = Server::start().await;
    s.person("account-one", None, "").await;
    let (known, unknown) = (
        attempt(&s, "account-one").await,
        attempt(&s, "account-two").await,
    );
    assert_eq!((known.status, unknown.status), (422, 422));
    let plain = |a: &crate::client::Answer, login: &str| {
        let text = a.text().replace(login, "X");
        let (a, b) = text.split_once("name=\"csrf\" value=\"").unwrap();
        format!("{a}{}", &b[32..])
    };
    assert_eq!(
        plain(&known, "account-one"),
        plain(&unknown, "account-two"),
        "the same words for both"
    );
    // One attempt a minute: the second is refused, whoever's account it tries.
    let s = Server::with(Settings {
        sign_ins_per_minute: 1,
        ..quick()
    })
    .await;
    assert_eq!(attempt(&s, "account-one").await.status, 422);
    assert_eq!(attempt(&s, "account-one").await.status, 429);
    assert_eq!(attempt(&s, "account-two").await.status, 429);
}

#[tokio::test]
async fn paths_do_not_leave_their_place() {
    let s = Server::start().await;
    for path in [
        "/static/../../../../etc/passwd",
        "/static/..%2f..%2f..%2fetc%2fpasswd",
        "/static/%2e%2e/%2e%2e/etc/passwd",
        "/static//etc/passwd",
        "/media/..%2f..%2frecords.db",
        "/en/rules/../../../../etc/passwd",
        "/en/why/..%2f..%2fcommits",
        "/api/v1/figures/..%2f..%2fetc%2fpasswd",
        "/api/v1/rules/..%2f..%2fetc/passwd",
        "/api/v1/plans/..%2f..%2fetc%2fpasswd/status",
        "/api/v1/air/hours?period=2024&city=..%2f..%2fetc",
        "/api/v1/air/ledger?city=..%2f..%2fetc&part=days",
        "/api/v1/plans/..%2f..%2fetc%2fpasswd/measures",
        "/api/v1/pictures/..%2f..%2frecords.db",
        "/api/v1/map/layers/..%2f..%2fetc%2fpasswd",
        "/api/v1/map/stations?city=..%2f..%2fetc",
        "/api/v1/device-tables/..%2f..%2fetc%2fpasswd",
        "/static/maplibre%2f..%2f..%2fmap.mjs",
        "/en/%00",
        "/api/v1/figures/%00",
        "/api/v1/articles/%ff%fe",
        "/..",
        "//evil.example/",
        "/\\evil.example",
    ] {
        let r = s.get(path).await;
        assert!(
            (400..500).contains(&r.status) || r.status == 307 || r.status == 303,
            "{path}: {}",
            r.status
        );
        assert!(!r.text().contains("root:"), "{path}");
        assert!(
            r.header("location")
                .is_none_or(|l| l.starts_with('/') && !l.starts_with("//")),
            "{path}"
        );
    }
    // Going back after a sign-in never leaves the site.
    s.person("li", None, "").await;
    for back in [
        "https://evil.example/",
        "//evil.example",
        "/zh/..//evil.example",
        "/en/\\evil.example",
        "javascript:alert(1)",
        "/en/%0d%0aset-cookie:x",
    ] {
        let form = s.get("/en/sign-in").await;
        let cookie = format!("miyun_form={}", form.cookie("miyun_form").unwrap());
        let body = format!(
            "csrf={}&login=li&password={}&back={back}",
            form.csrf(),
            PASSWORD.replace(' ', "+")
        );
        let r = s
            .send(
                "POST",
                "/en/sign-in",
                &[("cookie", &cookie), FORM],
                body.as_bytes(),
            )
            .await;
        let to = r.header("location").unwrap_or("/").to_owned();
        assert!(to.starts_with('/') && !to.contains("evil"), "{back}: {to}");
    }
    // The import's page and API do not say where files lie on the server.
    assert!(!s.get("/api/v1/imports").await.text().contains("/srv/"));
    // An upload's name is no path.
    s.person("op", Some(Role::Officer), "").await;
    let b = s.sign_in("op").await;
    let up = s
        .send(
            "POST",
            "/api/v1/uploads",
            &[("cookie", &b.cookie), ("x-csrf-token", &b.csrf)],
            b"x",
        )
        .await
        .json()["upload"]
        .as_str()
        .unwrap()
        .to_owned();
    for (upload, name, city) in [
        ("../records.db", "a.csv", "linxi"),
        (up.as_str(), "../../a.csv", "linxi"),
        (up.as_str(), "/etc/passwd", "linxi"),
        (up.as_str(), "a.csv", "../x"),
        (up.as_str(), "a.csv", "x/y"),
        (up.as_str(), "a.csv", ""),
    ] {
        let body =
            serde_json::json!({"kind": "import", "upload": upload, "name": name, "city": city})
                .to_string();
        assert_eq!(
            b.api(&s, "POST", "/api/v1/jobs", &body).await.status,
            400,
            "{body}"
        );
    }
}

#[tokio::test]
async fn what_is_too_large_is_refused() {
    let s = Server::with(Settings {
        upload_mib_max: 1,
        ..quick()
    })
    .await;
    s.person("li", Some(Role::Officer), "").await;
    let b = s.sign_in("li").await;
    let token = [
        ("cookie", b.cookie.as_str()),
        ("x-csrf-token", b.csrf.as_str()),
    ];
    // A body that says how long it is, and one that does not.
    let big = vec![b'x'; 3 << 20];
    assert_eq!(
        s.send("POST", "/api/v1/jobs", &[token[0], token[1], JSON], &big)
            .await
            .code(),
        "too-large"
    );
    assert_eq!(
        s.send("POST", "/api/v1/uploads", &token, &big).await.code(),
        "too-large"
    );
    let mut chunked = format!(
        "POST /api/v1/uploads HTTP/1.1\r\nhost: x\r\nconnection: close\r\ntransfer-encoding: chunked\r\ncookie: {}\r\nx-csrf-token: {}\r\n\r\n",
        b.cookie, b.csrf
    )
    .into_bytes();
    for _ in 0..3 {
        chunked.extend_from_slice(b"100000\r\n");
        chunked.extend_from_slice(&vec![b'x'; 0x10_0000]);
        chunked.extend_from_slice(b"\r\n");
    }
    chunked.extend_from_slice(b"0\r\n\r\n");
    assert_eq!(s.raw(&chunked).await.status, 413);
    // A head that never ends, too many headers, a long path.
    let long = format!(
        "GET /en/ HTTP/1.1\r\nhost: x\r\nx: {}\r\n\r\n",
        "a".repeat(100_000)
    );
    assert!([400, 431, 0].contains(&s.raw(long.as_bytes()).await.status));
    let many = format!(
        "GET /en/ HTTP/1.1\r\nhost: x\r\n{}\r\n",
        "a: b\r\n".repeat(5_000)
    );
    assert!([400, 431, 0].contains(&s.raw(many.as_bytes()).await.status));
    let path = format!("/en/{}", "a".repeat(70_000));
    assert!([400, 404, 414, 431, 0].contains(&s.get(&path).await.status));
    // Pages and periods that would make us count for ever.
    for path in [
        "/api/v1/places?page=0",
        "/api/v1/places?per_page=0",
        "/api/v1/places?per_page=4294967295",
        "/api/v1/places?page=99999999999999999999",
        "/api/v1/air/items?period=0001..9999",
        "/api/v1/air/items?period=2025..2024",
        "/api/v1/articles?per_page=101",
    ] {
        let r = s.get(path).await;
        assert_eq!(
            (r.status, r.code().as_str()),
            (400, "bad-request"),
            "{path}"
        );
    }
    assert_eq!(s.get("/healthz").await.status, 200, "and it still answers");
}

#[tokio::test]
async fn slow_clients_are_cut_off() {
    let s = Server::start().await;
    // One byte of a head every second: the head must be there within fifteen.
    let mut slow = TcpStream::connect(s.address).await.unwrap();
    slow.write_all(b"GET /en/ HTTP/1.1\r\nhost: x\r\n")
        .await
        .unwrap();
    let begun = std::time::Instant::now();
    let mut out = [0u8; 512];
    let ended = loop {
        let _ = slow.write_all(b"x").await;
        match tokio::time::timeout(Duration::from_secs(1), slow.read(&mut out)).await {
            Ok(Ok(0) | Err(_)) => break true,
            Ok(Ok(_)) => break true,
            Err(_) if begun.elapsed() > Duration::from_secs(40) => break false,
            Err(_) => {}
        }
    };
    assert!(
        ended && begun.elapsed() < Duration::from_secs(30),
        "{:?}",
        begun.elapsed()
    );
    // Meanwhile others are answered, with many such connections open.
    let mut held = Vec::new();
    for _ in 0..200 {
        let mut c = TcpStream::connect(s.address).await.unwrap();
        c.write_all(b"GET / HT").await.unwrap();
        held.push(c);
    }
    assert_eq!(s.get("/healthz").await.status, 200);
}

#[tokio::test]
async fn headers_and_statements_are_not_injected() {
    let s = Server::start().await;
    let evil = [
        "%0d%0aset-cookie:%20x=1",
        "%27%20OR%201=1%20--",
        "%27;%20DROP%20TABLE%20person;%20--",
        "%22%20OR%20%22%22=%22",
        "{{7*7}}",
        "${7*7}",
        "%3Cscript%3Ealert(1)%3C/script%3E",
        "%00",
        "%F0%9F%92%A9",
        "%2525",
    ];
    for e in evil {
        for path in [
            format!("/settings?theme={e}&back={e}"),
            format!("/en/sign-in?back={e}"),
            format!("/en/air?city={e}&year={e}&edition={e}"),
            format!("/en/why/{e}"),
            format!("/en/rules/{e}"),
            format!("/en/articles?q={e}&region={e}&source={e}"),
            format!("/en/?plan={e}&on={e}"),
            format!("/api/v1/articles?q={e}&order=relevance"),
            format!("/api/v1/articles?source={e}&region={e}&number={e}"),
            format!("/api/v1/places?city={e}"),
            format!("/api/v1/figures/{e}"),
            format!("/api/v1/published?place={e}"),
            format!("/api/v1/published?known={e}"),
            format!("/api/v1/air/items?period={e}"),
            format!("/api/v1/air/items?period=2024&city={e}&edition={e}"),
        ] {
            let r = s.get(&path).await;
            assert!(
                r.status < 500 && r.status != 0,
                "{path}: {} {}",
                r.status,
                r.text()
            );
            assert!(r.header("x").is_none());
            assert!(
                !r.headers
                    .iter()
                    .any(|(k, v)| k == "set-cookie" && v.starts_with("x=")),
                "{path}"
            );
            // JSON says back what it was given; no browser takes that for a page.
            let page = r
                .header("content-type")
                .is_some_and(|t| t.starts_with("text/html"));
            assert!(!page || !r.text().contains("<script>alert(1)"), "{path}");
            if e.contains("7*7") {
                assert!(!r.text().contains(">49<"), "{path}");
            }
            if r.status >= 400 && path.starts_with("/api/") {
                r.code();
            }
        }
    }
    s.person("still", None, "").await;
    s.sign_in("still").await;
    // Headers that lie.
    for (k, v) in [
        ("x-forwarded-for", "1.2.3.4"),
        ("x-forwarded-host", "evil.example"),
        ("x-request-id", "<script>"),
        ("host", "evil.example"),
        ("cookie", "miyun_session='; DROP TABLE session; --"),
        ("accept-language", "<script>"),
        ("if-none-match", "\"\"\"*"),
    ] {
        let r = s.send("GET", "/en/", &[(k, v)], b"").await;
        assert!(r.status < 500 && !r.text().contains("evil.example"), "{k}");
        assert_ne!(r.header("x-request-id"), Some("<script>"));
    }
    assert!(
        s.raw(b"GET /en/ HTTP/1.1\r\nhost: x\r\nhost: y\r\nconnection: close\r\n\r\n")
            .await
            .status
            < 500
    );
    for nonsense in [
        &b"\x16\x03\x01\x02\x00\x01"[..],
        b"GET\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"\r\n\r\n\r\n\r\n",
    ] {
        let a = s.raw(nonsense).await;
        assert!(a.status < 500, "{nonsense:?}");
    }
    // Two lengths, or a length and chunks: the usual way to smuggle.
    for both in [
        "POST /api/v1/jobs HTTP/1.1\r\nhost: x\r\ncontent-length: 4\r\ncontent-length: 40\r\nconnection: close\r\n\r\nabcd",
        "POST /api/v1/jobs HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked, identity\r\nconnection: close\r\n\r\n0\r\n\r\n",
    ] {
        assert!(s.raw(both.as_bytes()).await.status < 500);
    }
}

#[tokio::test]
async fn scripts_in_articles_stay_text() {
    let s = Server::start().await;
    s.person("a", Some(Role::Officer), "").await;
    s.person("b", Some(Role::Officer), "").await;
    let (a, b) = (s.sign_in("a").await, s.sign_in("b").await);
    let evil = "<script>alert(1)</script><img src=x onerror=alert(1)> [x](javascript:alert(1)) ![y](data:text/html,<script>) <a href=\"javascript:alert(1)\">z</a> \" onmouseover=\"alert(1)";
    let content = serde_json::json!({"note": evil, "content": {
        "texts": [{"lang": "zh", "title": evil, "summary": evil, "body": format!("# {evil}\n\n1. {evil}\n\n{evil}"), "status": "original"}],
        "source": {"zh": evil, "en": evil}, "publisher": {"zh": evil, "en": evil}, "audience": evil,
        "document_number": evil, "released_at": "2025-01-01T00:00:00Z", "status": "notice"}});
    let made = a
        .api(&s, "POST", "/api/v1/articles", &content.to_string())
        .await;
    assert_eq!(made.status, 201, "{}", made.text());
    let id = made.json()["id"].as_str().unwrap().to_owned();
    a.api(&s, "POST", &format!("/api/v1/articles/{id}/proposal"), "")
        .await;
    let done = b
        .api(
            &s,
            "POST",
            &format!("/api/v1/articles/{id}/decision"),
            r#"{"approve":true}"#,
        )
        .await;
    assert_eq!(done.status, 204);
    for path in [
        format!("/zh/articles/{id}"),
        format!("/en/articles/{id}"),
        "/zh/articles".into(),
        "/zh/articles?q=alert".into(),
        "/zh/".into(),
        "/zh/articles/feed.atom".into(),
        "/zh/articles/feed.json".into(),
        format!("/api/v1/articles/{id}"),
        "/api/v1/articles?q=alert".into(),
    ] {
        let r = s.get(&path).await;
        assert!(r.status < 500, "{path}: {}", r.status);
        if !r
            .header("content-type")
            .is_some_and(|t| t.starts_with("text/html"))
        {
            // Programs get the text as it is; a browser must not take it for a page.
            assert_eq!(
                r.header("x-content-type-options"),
                Some("nosniff"),
                "{path}"
            );
            continue;
        }
        let text = r.text();
        for bad in [
            "<script>alert",
            "<img src=x",
            "href=\"javascript:",
            "src=\"data:",
            "\" onmouseover=\"",
            "<a href=\"javascript",
        ] {
            assert!(!text.contains(bad), "{path}: {bad}");
        }
        let csp = r.header("content-security-policy").unwrap_or("");
        assert!(
            csp.contains("default-src 'none'") && !csp.contains("unsafe") && !csp.contains("http"),
            "{path}: {csp}"
        );
    }
}

#[tokio::test]
async fn every_answer_is_guarded() {
    let s = Server::start().await;
    s.person("li", None, "").await;
    let b = s.sign_in("li").await;
    for path in [
        "/en/",
        "/en/sign-in",
        "/en/nothing",
        "/api/v1/places",
        "/api/v1/nothing",
        "/api/v1/openapi.json",
    ] {
        let r = s.get(path).await;
        assert_eq!(
            r.header("x-content-type-options"),
            Some("nosniff"),
            "{path}"
        );
        assert!(
            r.header("content-security-policy")
                .is_some_and(|c| c.contains("frame-ancestors 'none'")),
            "{path}"
        );
        assert!(r.header("x-request-id").is_some(), "{path}");
    }
    for path in ["/en/", "/en/account", "/api/v1/me"] {
        let r = b.get(&s, path).await;
        assert!(
            r.header("cache-control")
                .is_some_and(|c| c.contains("private") || c.contains("no-store")),
            "{path}: {:?}",
            r.header("cache-control")
        );
    }
    // A method that is not there, a path that is not there: problems, not pages.
    assert_eq!(
        s.send("DELETE", "/api/v1/places", &[], b"").await.code(),
        "method-not-allowed"
    );
    assert_eq!(s.get("/api/v1/nothing").await.code(), "not-found");
    assert_eq!(
        s.send(
            "POST",
            "/api/v1/jobs",
            &[JSON],
            br#"{"kind":"evaluate","city":"linxi","period":"2024","edition":"2026"}"#
        )
        .await
        .code(),
        "not-signed-in"
    );
}

#[tokio::test]
async fn who_asks_too_often_waits() {
    let s = Server::with(Settings {
        api_requests_per_minute: 20,
        ..quick()
    })
    .await;
    let mut codes = Vec::new();
    for _ in 0..30 {
        codes.push(s.get("/api/v1/places").await);
    }
    let last = codes.last().unwrap();
    assert_eq!(last.code(), "too-many");
    assert_eq!(last.header("retry-after"), Some("60"));
    assert!(codes[..15].iter().all(|a| a.status == 200));
    // An address that anyone can write does not help without a proxy in front.
    assert_eq!(
        s.send(
            "GET",
            "/api/v1/places",
            &[("x-forwarded-for", "9.9.9.9")],
            b""
        )
        .await
        .status,
        429
    );
    assert_eq!(s.get("/en/").await.status, 200, "pages are still read");
}
