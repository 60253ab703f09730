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
