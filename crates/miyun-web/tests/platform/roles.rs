//! The table of rights over pages and API: every role, allowed and denied, and somebody else's
//! things.

use miyun_store::Role;

use crate::client::{Browser, Server};

/// Method, path, body; then what each may: visitor, reader without a role, officer, enterprise,
/// verifier, exchange, admin. `y` allowed, `n` forbidden, `s` asked to sign in.
const TABLE: &str = r#"
GET    /en/                         -  y y y y y y y
GET    /zh/air                      -  y y y y y y y
GET    /en/rules                    -  y y y y y y y
GET    /api/v1/places               -  y y y y y y y
GET    /api/v1/air/items?period=2024 - y y y y y y y
GET    /api/v1/articles             -  y y y y y y y
GET    /api/v1/published            -  y y y y y y y
GET    /api/v1/search?q=air         -  y y y y y y y
GET    /api/v1/plans/linxi-sim/measures - y y y y y y y
GET    /api/v1/air/ledger?year=2024 -  y y y y y y y
GET    /api/v1/map/stations         -  y y y y y y y
GET    /api/v1/map/outlets          -  y y y y y y y
GET    /en/desk/articles/new        -  s n y n n n y
GET    /api/v1/me                   -  s y y y y y y
GET    /api/v1/keys                 -  s y y y y y y
GET    /api/v1/collections          -  s y y y y y y
GET    /en/account                  -  s y y y y y y
GET    /en/jobs                     -  s n y n n n y
GET    /api/v1/jobs                 -  s n y n n n y
GET    /en/proposals                -  s n y n n n y
GET    /en/admin                    -  s n n n n n y
POST   /api/v1/jobs                 {"kind":"evaluate","city":"linxi","period":"2024","edition":"2026"}  s n y n n n n
POST   /api/v1/articles             {"content":{"texts":[{"lang":"zh","title":"t","summary":"","body":"b","status":"original"}],"source":{"zh":"a","en":"a"},"publisher":{"zh":"a","en":"a"},"released_at":"2025-01-01T00:00:00Z","status":"notice"}}  s n y n n n y
POST   /api/v1/collections          {"title":"t"}  s y y y y y y
GET    /api/v1/proposals            -  s y y y y y y
GET    /api/v1/people               -  s n n n n n y
GET    /api/v1/audit                -  s n n n n n y
POST   /api/v1/people               {"login":"new-LOGIN","name":"n","password":"a long enough password"}  s n n n n n y
"#;

const ROLES: [(&str, Option<Role>, &str); 6] = [
    ("reader", None, ""),
    ("officer", Some(Role::Officer), ""),
    ("enterprise", Some(Role::Enterprise), "party/one"),
    ("verifier", Some(Role::Verifier), "party/one"),
    ("exchange", Some(Role::Exchange), ""),
    ("admin", Some(Role::Admin), ""),
];

#[tokio::test]
async fn every_role_over_pages_and_api() {
    let s = Server::start().await;
    let mut who: Vec<(&str, Option<Browser>)> = vec![("visitor", None)];
    for (login, role, scope) in ROLES {
        s.person(login, role, scope).await;
        who.push((login, Some(s.sign_in(login).await)));
    }
    let mut checked = 0;
    for line in TABLE.lines().filter(|l| !l.trim().is_empty()) {
        let (method, rest) = line.split_once(' ').unwrap();
        let (path, rest) = rest.trim_start().split_once(' ').unwrap();
        let (body, marks) = rest
            .trim()
            .rsplit_once("  ")
            .or_else(|| rest.trim().split_once(' '))
            .unwrap();
        let (body, marks) = (body.trim().trim_start_matches('-'), marks.trim());
        for ((login, browser), mark) in who.iter().zip(marks.split_whitespace()) {
            let body = body.replace("LOGIN", login);
            let r = match browser {
                Some(b) if method == "GET" => b.get(&s, path).await,
                Some(b) => b.api(&s, method, path, &body).await,
                None => {
                    s.send(method, path, &[crate::client::JSON], body.as_bytes())
                        .await
                }
            };
            let page = !path.starts_with("/api/");
            let ok = match mark {
                "y" => (200..300).contains(&r.status),
                "n" => r.status == 403,
                _ if page => {
                    r.status == 303
                        && r.header("location")
                            .unwrap()
                            .starts_with("/en/sign-in?back=")
                }
                _ => r.status == 401,
            };
            assert!(
                ok,
                "{login} {method} {path}: {mark} expected, got {} {}",
                r.status,
                r.text()
            );
            checked += 1;
        }
    }
    assert_eq!(checked, 28 * 7);
}

#[tokio::test]
async fn other_peoples_things_are_as_good_as_none() {
    let s = Server::start().await;
    s.person("one", Some(Role::Officer), "").await;
    s.person("two", Some(Role::Enterprise), "party/two").await;
    s.person("three", None, "").await;
    let (one, two, three) = (
        s.sign_in("one").await,
        s.sign_in("two").await,
        s.sign_in("three").await,
    );
    // A job of an officer, seen by an enterprise.
    let job = one
        .api(
            &s,
            "POST",
            "/api/v1/jobs",
            r#"{"kind":"evaluate","city":"linxi","period":"2024","edition":"2026"}"#,
        )
        .await;
    let job = format!("/api/v1/jobs/{}", job.json()["id"].as_str().unwrap());
    assert_eq!(one.get(&s, &job).await.status, 200);
    assert_eq!(two.get(&s, &job).await.code(), "not-found");
    assert_eq!(two.api(&s, "DELETE", &job, "").await.code(), "not-found");
    let page = job.replace("/api/v1", "/en");
    assert_eq!(two.get(&s, &page).await.status, 404);
    assert_eq!(s.get(&job).await.code(), "not-signed-in");
    // A collection.
    let c = two
        .api(&s, "POST", "/api/v1/collections", r#"{"title":"mine"}"#)
        .await;
    let c = format!("/api/v1/collections/{}", c.json()["id"].as_str().unwrap());
    assert_eq!(three.api(&s, "DELETE", &c, "").await.code(), "not-found");
    assert_eq!(
        three
            .get(&s, "/api/v1/collections")
            .await
            .json()
            .as_array()
            .unwrap()
            .len(),
        0
    );
    assert_eq!(two.api(&s, "DELETE", &c, "").await.status, 204);
    // A key.
    let key = two
        .api(
            &s,
            "POST",
            "/api/v1/keys",
            r#"{"name":"k","scopes":["read"],"days":1}"#,
        )
        .await;
    let key = format!("/api/v1/keys/{}", key.json()["id"].as_str().unwrap());
    assert_eq!(three.api(&s, "DELETE", &key, "").await.code(), "not-found");
    assert_eq!(two.api(&s, "DELETE", &key, "").await.status, 204);
    // Somebody's roles.
    let me = two.get(&s, "/api/v1/me").await.json()["id"]
        .as_str()
        .unwrap()
        .to_owned();
    assert_eq!(
        three
            .get(&s, &format!("/api/v1/people/{me}/roles"))
            .await
            .code(),
        "forbidden"
    );
    assert_eq!(
        two.get(&s, &format!("/api/v1/people/{me}/roles"))
            .await
            .status,
        200
    );
    // A draft that nobody published.
    let draft = one
        .api(&s, "POST", "/api/v1/articles", r#"{"content":{"texts":[{"lang":"zh","title":"secret","summary":"","body":"b","status":"original"}],"source":{"zh":"a","en":"a"},"publisher":{"zh":"a","en":"a"},"released_at":"2025-01-01T00:00:00Z","status":"notice"}}"#)
        .await;
    let draft = format!("/api/v1/articles/{}", draft.json()["id"].as_str().unwrap());
    assert_eq!(one.get(&s, &draft).await.status, 200);
    for path in [draft.clone(), format!("{draft}/versions")] {
        assert_eq!(two.get(&s, &path).await.code(), "not-found");
        assert_eq!(s.get(&path).await.code(), "not-found");
    }
    assert_eq!(
        two.api(&s, "POST", &format!("{draft}/proposal"), "")
            .await
            .code(),
        "forbidden"
    );
}

#[tokio::test]
async fn two_people_publish_over_the_api() {
    let s = Server::start().await;
    s.person("a", Some(Role::Officer), "").await;
    s.person("b", Some(Role::Officer), "").await;
    let (a, b) = (s.sign_in("a").await, s.sign_in("b").await);
    // An article.
    let content = r#"{"content":{"texts":[{"lang":"zh","title":"大气","summary":"","body":"b","status":"original"}],"source":{"zh":"a","en":"a"},"publisher":{"zh":"a","en":"a"},"released_at":"2025-01-01T00:00:00Z","status":"notice"}}"#;
    let id = a.api(&s, "POST", "/api/v1/articles", content).await.json()["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let at = |what: &str| format!("/api/v1/articles/{id}/{what}");
    assert_eq!(a.api(&s, "POST", &at("proposal"), "").await.status, 204);
    let own = a
        .api(&s, "POST", &at("decision"), r#"{"approve":true}"#)
        .await;
    assert_eq!((own.status, own.code().as_str()), (409, "four-eyes"));
    assert_eq!(
        b.api(&s, "POST", &at("decision"), r#"{"approve":true}"#)
            .await
            .status,
        204
    );
    assert_eq!(
        s.get("/api/v1/articles?q=%E5%A4%A7%E6%B0%94").await.json()["total"],
        1
    );
    assert_eq!(b.api(&s, "PUT", &at("like"), "").await.json()["likes"], 1);
    assert_eq!(b.api(&s, "PUT", &at("like"), "").await.json()["likes"], 1);
    assert_eq!(
        a.api(&s, "POST", &at("withdrawal"), r#"{"reason":"wrong"}"#)
            .await
            .status,
        204
    );
    let gone = s.get(&format!("/api/v1/articles/{id}")).await;
    assert_eq!((gone.status, gone.code().as_str()), (410, "gone"));
    // A figure, then its correction.
    let items = s
        .get("/api/v1/air/items?period=2024&place=linxi")
        .await
        .json();
    let corrected = s
        .get("/api/v1/air/items?period=2024&place=linxi&edition=2026")
        .await
        .json();
    let pm = |v: &serde_json::Value| {
        v["rows"]
            .as_array()
            .unwrap()
            .iter()
            .find(|r| r["indicator"] == "PM2.5")
            .unwrap()["id"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    let publish = async |figure: &str, reason: &str| {
        let body = serde_json::json!({"kind": "figure", "figure": figure, "edition": "in-force", "reason": reason});
        let p = a
            .api(&s, "POST", "/api/v1/proposals", &body.to_string())
            .await;
        assert_eq!(p.status, 201, "{}", p.text());
        let path = format!(
            "/api/v1/proposals/{}/decision",
            p.json()["id"].as_str().unwrap()
        );
        let own = a.api(&s, "POST", &path, r#"{"approve":true}"#).await;
        assert_eq!(own.code(), "four-eyes");
        b.api(&s, "POST", &path, r#"{"approve":true}"#).await
    };
    assert_eq!(publish(&pm(&items), "").await.status, 200);
    let before = jiff::Timestamp::now();
    assert_eq!(
        publish(&pm(&corrected), " ").await.code(),
        "conflict",
        "a correction says why"
    );
    assert_eq!(
        publish(&pm(&corrected), "assessed under the wrong edition")
            .await
            .status,
        200
    );
    let now = s.get("/api/v1/published?place=linxi").await.json();
    let then = s
        .get(&format!("/api/v1/published?place=linxi&known={before}"))
        .await
        .json();
    assert_eq!(now["rows"][0]["id"], pm(&corrected).as_str());
    assert_eq!(then["rows"][0]["id"], pm(&items).as_str());
    let history = s
        .get("/api/v1/published/history?place=linxi&indicator=PM2.5&statistic=annual-mean&period=2024")
        .await
        .json();
    assert_eq!(history.as_array().unwrap().len(), 2);
    assert!(history[0]["difference"].is_string(), "{history}");
    assert_eq!(
        s.get(&format!("/api/v1/figures/{}", pm(&items)))
            .await
            .status,
        200
    );
    // An administrator is made by two.
    s.person("c", Some(Role::Admin), "").await;
    s.person("d", Some(Role::Admin), "").await;
    let (c, d) = (s.sign_in("c").await, s.sign_in("d").await);
    let b_id = b.get(&s, "/api/v1/me").await.json()["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let direct = c
        .api(
            &s,
            "POST",
            &format!("/api/v1/people/{b_id}/roles"),
            r#"{"role":"admin"}"#,
        )
        .await;
    assert_eq!(direct.code(), "four-eyes");
    let body = serde_json::json!({"kind": "admin", "person": b_id}).to_string();
    assert_eq!(
        a.api(&s, "POST", "/api/v1/proposals", &body).await.code(),
        "forbidden"
    );
    let p = c.api(&s, "POST", "/api/v1/proposals", &body).await;
    let path = format!(
        "/api/v1/proposals/{}/decision",
        p.json()["id"].as_str().unwrap()
    );
    assert_eq!(
        c.api(&s, "POST", &path, r#"{"approve":true}"#).await.code(),
        "four-eyes"
    );
    assert_eq!(
        a.api(&s, "POST", &path, r#"{"approve":true}"#).await.code(),
        "forbidden"
    );
    assert_eq!(b.get(&s, "/api/v1/audit").await.code(), "forbidden");
    assert_eq!(
        d.api(&s, "POST", &path, r#"{"approve":true}"#).await.status,
        200
    );
    assert_eq!(b.get(&s, "/api/v1/audit").await.status, 200);
    assert_eq!(s.store.audit_check().await.unwrap(), None);
}

#[tokio::test]
async fn a_key_may_what_its_scopes_say() {
    let s = Server::start().await;
    s.person("a", Some(Role::Officer), "").await;
    s.person("root", Some(Role::Admin), "").await;
    let (a, root) = (s.sign_in("a").await, s.sign_in("root").await);
    let make = async |who: &Browser, scopes: &str| {
        let body = format!(r#"{{"name":"k","scopes":{scopes},"days":1}}"#);
        let r = who.api(&s, "POST", "/api/v1/keys", &body).await;
        assert_eq!(r.status, 201, "{}", r.text());
        (
            format!("Bearer {}", r.json()["secret"].as_str().unwrap()),
            r.json()["id"].as_str().unwrap().to_owned(),
        )
    };
    let (read, read_id) = make(&a, r#"["read"]"#).await;
    let (write, _) = make(&a, r#"["read","write"]"#).await;
    let (manage, _) = make(&root, r#"["manage"]"#).await;
    let ask = async |key: &str, method: &str, path: &str, body: &str| {
        s.send(
            method,
            path,
            &[("authorization", key), crate::client::JSON],
            body.as_bytes(),
        )
        .await
    };
    let job = r#"{"kind":"evaluate","city":"linxi","period":"2024","edition":"2026"}"#;
    assert_eq!(
        ask(&read, "GET", "/api/v1/me", "").await.json()["scopes"][0],
        "read"
    );
    assert_eq!(
        ask(&read, "POST", "/api/v1/jobs", job).await.code(),
        "forbidden"
    );
    // A key needs no form token: no browser sends it by itself.
    assert_eq!(ask(&write, "POST", "/api/v1/jobs", job).await.status, 202);
    assert_eq!(
        ask(&write, "GET", "/api/v1/people", "").await.code(),
        "forbidden"
    );
    assert_eq!(ask(&manage, "GET", "/api/v1/people", "").await.status, 200);
    assert_eq!(
        ask(
            &manage,
            "POST",
            "/api/v1/keys",
            r#"{"name":"k","scopes":["read"],"days":1}"#
        )
        .await
        .code(),
        "forbidden"
    );
    // No key decides: that needs the person.
    let content = r#"{"content":{"texts":[{"lang":"zh","title":"t","summary":"","body":"b","status":"original"}],"source":{"zh":"a","en":"a"},"publisher":{"zh":"a","en":"a"},"released_at":"2025-01-01T00:00:00Z","status":"notice"}}"#;
    let id = ask(&write, "POST", "/api/v1/articles", content)
        .await
        .json()["id"]
        .as_str()
        .unwrap()
        .to_owned();
    assert_eq!(
        ask(
            &write,
            "POST",
            &format!("/api/v1/articles/{id}/proposal"),
            ""
        )
        .await
        .status,
        204
    );
    assert_eq!(
        ask(
            &write,
            "POST",
            &format!("/api/v1/articles/{id}/decision"),
            r#"{"approve":true}"#
        )
        .await
        .code(),
        "forbidden"
    );
    // A revoked key is refused, it does not become a visitor.
    assert_eq!(
        a.api(&s, "DELETE", &format!("/api/v1/keys/{read_id}"), "")
            .await
            .status,
        204
    );
    assert_eq!(
        ask(&read, "GET", "/api/v1/places", "").await.code(),
        "not-signed-in"
    );
    assert_eq!(
        ask("Bearer nonsense", "GET", "/api/v1/places", "")
            .await
            .code(),
        "not-signed-in"
    );
    assert_eq!(
        ask("Basic YTpi", "GET", "/api/v1/places", "").await.code(),
        "not-signed-in"
    );
}
