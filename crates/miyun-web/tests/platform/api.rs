//! The document of the API, its tables in every format, metrics and health.

use std::path::Path;

use crate::client::Server;

/// The document as it was agreed; a change shows in the diff of this file.
#[test]
fn the_document_is_as_agreed() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("openapi.json");
    let now = miyun_web::api::openapi_json().to_owned() + "\n";
    if std::env::var_os("MIYUN_UPDATE").is_some() {
        std::fs::write(&path, &now).unwrap();
    }
    let agreed = std::fs::read_to_string(&path).unwrap_or_default();
    let first = agreed
        .lines()
        .zip(now.lines())
        .enumerate()
        .find(|(_, (a, b))| a != b);
    assert!(
        agreed == now,
        "openapi.json is not what the code says (first difference: {first:?}); if it should change: MIYUN_UPDATE=1 cargo test -p miyun-web --test platform the_document"
    );
}

#[test]
fn the_document_is_whole() {
    let doc: serde_json::Value = serde_json::from_str(miyun_web::api::openapi_json()).unwrap();
    assert!(doc["openapi"].as_str().unwrap().starts_with("3.1"));
    let mut seen = std::collections::HashSet::new();
    for (path, item) in doc["paths"].as_object().unwrap() {
        assert!(path.starts_with("/api/v1/"), "{path}");
        for (method, op) in item.as_object().unwrap() {
            assert!(
                seen.insert(op["operationId"].as_str().unwrap().to_owned()),
                "{path} {method}: two operations of one name"
            );
            assert!(
                op["summary"].as_str().is_some_and(|s| !s.is_empty()),
                "{path} {method} says nothing"
            );
            assert!(!op["responses"].as_object().unwrap().is_empty());
            assert!(!op["tags"].as_array().unwrap().is_empty());
        }
    }
    assert!(seen.len() >= 35, "{}", seen.len());
}

#[tokio::test]
async fn every_path_of_the_document_is_there() {
    let s = Server::start().await;
    let doc = s.get("/api/v1/openapi.json").await.json();
    for (path, item) in doc["paths"].as_object().unwrap() {
        let path = path
            .replace("{id}", "x")
            .replace("{article}", "x")
            .replace("{grant}", "x")
            .replace("{jurisdiction}", "CN")
            .replace("{name}", "x");
        for method in item.as_object().unwrap().keys() {
            let r = s
                .send(&method.to_uppercase(), &path, &[crate::client::JSON], b"{}")
                .await;
            assert!(
                r.status != 405 && r.status < 500,
                "{method} {path}: {}",
                r.status
            );
        }
    }
}

#[tokio::test]
async fn tables_come_as_json_csv_and_parquet() {
    let s = Server::start().await;
    let q = "/api/v1/air/items?period=2024&place=linxi";
    let json = s.get(q).await;
    let rows = json.json()["rows"].as_array().unwrap().clone();
    assert!(rows.len() >= 6 && json.header("x-total-count").is_some());
    let csv = s.get(&format!("{q}&format=csv")).await;
    assert_eq!(csv.header("content-type"), Some("text/csv; charset=utf-8"));
    let text = csv.text();
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let header = reader.headers().unwrap().clone();
    let (id, value) = (
        header.iter().position(|h| h == "id").unwrap(),
        header.iter().position(|h| h == "value").unwrap(),
    );
    let mut n = 0;
    for (line, row) in reader.records().map(Result::unwrap).zip(&rows) {
        assert_eq!(line[id], *row["id"].as_str().unwrap());
        assert_eq!(line[value], *row["value"].as_str().unwrap_or(""));
        n += 1;
    }
    assert_eq!(n, rows.len());
    let parquet = s.get(&format!("{q}&format=parquet")).await;
    assert!(parquet.body.starts_with(b"PAR1") && parquet.body.ends_with(b"PAR1"));
    assert!(
        parquet
            .header("content-disposition")
            .unwrap()
            .contains("air-items.parquet")
    );
    // Each figure of the table answers why.
    for row in &rows {
        let f = s
            .get(&format!("/api/v1/figures/{}", row["id"].as_str().unwrap()))
            .await
            .json();
        assert_eq!(f["value"], row["value"], "{f}");
        assert!(!f["trace"]["rules"].as_array().unwrap().is_empty());
    }
    // An entity tag saves the way.
    let tag = json.header("etag").unwrap().to_owned();
    let again = s.send("GET", q, &[("if-none-match", &tag)], b"").await;
    assert_eq!((again.status, again.body.len()), (304, 0));
    // Pages join without a gap.
    let page = |n: u32| format!("/api/v1/air/days?period=2024&per_page=500&page={n}");
    let first = s.get(&page(1)).await;
    let total = first.json()["total"].as_u64().unwrap();
    let mut dates = Vec::new();
    for n in 1..=total.div_ceil(500) {
        for r in s.get(&page(u32::try_from(n).unwrap())).await.json()["rows"]
            .as_array()
            .unwrap()
        {
            dates.push(format!("{} {}", r["place"], r["date"]));
        }
    }
    let all = dates.len();
    dates.sort();
    dates.dedup();
    assert_eq!((all as u64, dates.len() as u64), (total, total));
    assert!(first.header("link").unwrap().contains("rel=\"next\""));
}

#[tokio::test]
async fn health_readiness_and_metrics() {
    let s = Server::start().await;
    assert_eq!(s.get("/healthz").await.status, 200);
    assert_eq!(s.get("/readyz").await.text(), "ready\n");
    s.get("/en/").await;
    s.get("/api/v1/places").await;
    let text = s.get("/metrics").await.text();
    assert!(
        text.contains(
            "miyun_http_requests_total{method=\"GET\",route=\"/api/v1/places\",status=\"200\"} 1"
        ),
        "{text}"
    );
    assert!(
        text.contains("miyun_http_request_seconds_bucket")
            && text.contains("miyun_jobs")
            && text.ends_with("# EOF\n")
    );
    // Paths of an attacker do not become labels.
    s.get("/en/x/y/z/1").await;
    assert!(!s.get("/metrics").await.text().contains("x/y/z"));
    // Records that are gone: alive, but not ready.
    s.store.close().await;
    assert_eq!(
        (
            s.get("/healthz").await.status,
            s.get("/readyz").await.status
        ),
        (200, 503)
    );
}

#[tokio::test]
async fn plan_articles_search_and_ledger_come_as_files() {
    let s = Server::start().await;
    miyun_web::articles::demo::fill(&s.store, jiff::Timestamp::now())
        .await
        .unwrap();
    let rows = async |path: &str| {
        let join = if path.contains('?') { '&' } else { '?' };
        let csv = s.get(&format!("{path}{join}format=csv")).await;
        assert_eq!(csv.status, 200, "{path}: {}", csv.text());
        assert_eq!(
            csv.header("content-type"),
            Some("text/csv; charset=utf-8"),
            "{path}"
        );
        let parquet = s.get(&format!("{path}{join}format=parquet")).await;
        assert!(parquet.body.starts_with(b"PAR1"), "{path}");
        csv::Reader::from_reader(csv.body.as_slice())
            .records()
            .count()
    };
    // The plan: a row for each indicator, and one for a measure without any.
    let plan = s
        .get("/api/v1/plans/linxi-sim/status?on=2024-02-20")
        .await
        .json();
    let indicators: usize = plan["measures"]
        .as_array()
        .unwrap()
        .iter()
        .map(|m| m["indicators"].as_array().unwrap().len().max(1))
        .sum();
    assert_eq!(
        rows("/api/v1/plans/linxi-sim/measures?on=2024-02-20").await,
        indicators
    );
    assert_eq!(
        s.get("/api/v1/plans/none/measures").await.code(),
        "not-found"
    );
    // Articles: the same query as JSON and as a table.
    for q in [
        "/api/v1/articles?topic=air",
        "/api/v1/articles?q=%E6%89%AC%E5%B0%98&year=2026",
    ] {
        let total = s.get(q).await.json()["total"].as_u64().unwrap();
        assert_eq!(rows(q).await as u64, total, "{q}");
        assert!(total > 0, "{q}");
    }
    assert_eq!(
        s.get("/api/v1/articles?year=soon").await.code(),
        "bad-request"
    );
    // As known then: before its second version the plan had eleven clauses that were tracked.
    let plan = async |known: &str| {
        let found = s
            .get(&format!("/api/v1/articles?topic=carbon&known={known}"))
            .await
            .json();
        let id = found["hits"][0]["article"]["id"].as_str()?.to_owned();
        let one = s.get(&format!("/api/v1/articles/{id}?known={known}")).await;
        let version = one.json()["current"]["version"].as_u64()?;
        assert_eq!(found["hits"][0]["article"]["current"]["version"], version);
        Some(version)
    };
    assert_eq!(plan("2026-01-01").await, None);
    assert_eq!(plan("2026-02-01").await, Some(1));
    assert_eq!(plan("2026-04-01").await, Some(2));
    assert_eq!(
        s.get("/api/v1/articles?known=then").await.code(),
        "bad-request"
    );
    // The ledger of a year.
    assert!(rows("/api/v1/air/ledger?year=2024&part=days").await > 5);
    assert!(rows("/api/v1/air/ledger?year=2024&part=stations").await > 5);
    assert_eq!(
        s.get("/api/v1/air/ledger?part=years").await.code(),
        "bad-request"
    );
    // One search.
    let found = s.get("/api/v1/search?q=%E6%89%AC%E5%B0%98").await.json();
    let kinds: Vec<&str> = found["rows"]
        .as_array()
        .unwrap()
        .iter()
        .map(|r| r["kind"].as_str().unwrap())
        .collect();
    assert!(
        kinds.contains(&"measure") && kinds.contains(&"article"),
        "{found}"
    );
    assert!(rows("/api/v1/search?q=GB%203095").await >= 2);
    assert_eq!(s.get("/api/v1/search").await.status, 400);
}

#[tokio::test]
async fn the_map_is_made_of_this_site_alone() {
    let s = Server::start().await;
    let page = s.get("/en/map?at=2024-02-01").await;
    let text = page.text();
    let policy = page.header("content-security-policy").unwrap();
    assert!(
        policy.contains("worker-src 'self'") && !policy.contains("blob:"),
        "{policy}"
    );
    // The library is named for whoever asks, and loaded by nobody else.
    assert_eq!(text.matches("<script").count(), 1);
    let stations = s
        .get("/api/v1/map/stations?city=linxi&at=2024-02-01&layer=AQI")
        .await;
    assert_eq!(
        stations.header("content-type"),
        Some("application/geo+json")
    );
    let shapes = stations.json();
    let features = shapes["features"].as_array().unwrap();
    assert!(features.len() > 10 && features[0]["geometry"]["type"] == "Point");
    for f in features {
        let value = f["properties"]["value"].as_str().unwrap_or("–");
        assert!(text.contains(&format!(">{value}</text>")), "{f}");
    }
    for (path, status) in [
        ("/api/v1/map/stations?layer=nothing", 404),
        ("/api/v1/map/stations?at=never", 400),
        ("/api/v1/map/stations?city=nowhere", 404),
        ("/api/v1/map/layers/rivers", 200),
        ("/api/v1/map/layers/..%2frivers", 404),
        ("/api/v1/map/outlets", 200),
        ("/api/v1/map/outlets?known=then", 400),
    ] {
        assert_eq!(s.get(path).await.status, status, "{path}");
    }
    // The files of the map, packed for who takes it and plain for who does not.
    for name in ["map.mjs", "maplibre-gl.mjs", "maplibre-gl-worker.mjs"] {
        let path = text
            .split('"')
            .find(|p| p.starts_with(&format!("/static/{name}?v=")))
            .unwrap();
        let plain = s.get(path).await;
        assert!(
            plain.status == 200 && plain.header("content-encoding").is_none(),
            "{name}"
        );
        assert_eq!(
            plain.header("content-type"),
            Some("text/javascript; charset=utf-8")
        );
        assert_eq!(plain.header("x-content-type-options"), Some("nosniff"));
        assert!(
            !plain.body.is_empty() && !plain.text().contains("sourceMappingURL"),
            "{name}"
        );
        let packed = s.send("GET", path, &[("accept-encoding", "br")], b"").await;
        assert_eq!(packed.header("content-encoding"), Some("br"), "{name}");
        assert!(packed.body.len() * 3 < plain.body.len(), "{name}");
    }
}
