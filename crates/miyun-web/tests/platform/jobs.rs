//! Long work: progress, result, cancel, and what a restart does to it.

use std::time::Duration;

use jiff::Timestamp;
use miyun_store::{JobKind, JobState, Role};

use crate::client::{Browser, Server};

async fn ended(s: &Server, b: &Browser, id: &str) -> serde_json::Value {
    for _ in 0..3_000 {
        let j = b.get(s, &format!("/api/v1/jobs/{id}")).await.json();
        if ["done", "failed", "cancelled"].contains(&j["state"].as_str().unwrap()) {
            return j;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("the job does not end");
}

#[tokio::test]
async fn an_upload_becomes_observations_that_pages_show() {
    let dir = tempfile::tempdir().unwrap();
    let s = Server::in_folder(dir.path()).await;
    s.person("li", Some(Role::Officer), "").await;
    let b = s.sign_in("li").await;
    let mut csv = String::from("station,indicator,time,value,unit,flag\n");
    for h in 0..24 {
        csv.push_str(&format!(
            "north,PM2.5,2025-03-01T{h:02}:00+08:00,{}.0,ug/m3,\n",
            10 + h
        ));
    }
    csv.push_str("north,PM2.5,2025-03-02T00:00+08:00,not a number,ug/m3,\n");
    let token = [
        ("cookie", b.cookie.as_str()),
        ("x-csrf-token", b.csrf.as_str()),
    ];
    let up = s
        .send("POST", "/api/v1/uploads", &token, csv.as_bytes())
        .await;
    assert_eq!(up.status, 201, "{}", up.text());
    let upload = up.json()["upload"].as_str().unwrap().to_owned();
    let body = serde_json::json!({"kind": "import", "upload": upload, "name": "north.csv", "city": "newtown", "interval": "hour-begin"}).to_string();
    let job = b.api(&s, "POST", "/api/v1/jobs", &body).await;
    assert_eq!(job.status, 202, "{}", job.text());
    let id = job.json()["id"].as_str().unwrap().to_owned();
    assert_eq!(
        job.header("location"),
        Some(format!("/api/v1/jobs/{id}").as_str())
    );
    let j = ended(&s, &b, &id).await;
    assert_eq!(j["state"], "done", "{j}");
    assert_eq!(
        (
            &j["result"]["report"]["values_new"],
            &j["result"]["problems_total"]
        ),
        (&24.into(), &1.into())
    );
    assert!(
        j["result"]["problems"][0]
            .as_str()
            .unwrap()
            .contains("north.csv:26"),
        "{j}"
    );
    // Shown at once, by the same process.
    let places = s.get("/api/v1/places?city=newtown").await.json();
    assert_eq!(places["total"], 2, "{places}");
    let hours = s
        .get("/api/v1/air/hours?city=newtown&period=2025-03-01..2025-03-01")
        .await
        .json();
    assert_eq!(
        (&hours["total"], &hours["rows"][23]["PM2.5"]),
        (&24.into(), &"33".into())
    );
    assert!(
        b.get(&s, &format!("/en/jobs/{id}"))
            .await
            .text()
            .contains("New values")
    );
    // The file is gone from the spool; a second import of the same bytes changes nothing.
    assert!(!s.spool().join(&upload).exists());
    s.send("POST", "/api/v1/uploads", &token, csv.as_bytes())
        .await;
    let again = b.api(&s, "POST", "/api/v1/jobs", &body).await.json()["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let j = ended(&s, &b, &again).await;
    assert_eq!(
        (&j["state"], &j["result"]["report"]["files_known"]),
        (&"done".into(), &1.into()),
        "{j}"
    );
    // A file that is none fails and says why.
    let up = s
        .send("POST", "/api/v1/uploads", &token, b"\x1f\x8bgarbage")
        .await
        .json()["upload"]
        .as_str()
        .unwrap()
        .to_owned();
    let body =
        serde_json::json!({"kind": "import", "upload": up, "name": "x.csv.gz", "city": "newtown"})
            .to_string();
    let id = b.api(&s, "POST", "/api/v1/jobs", &body).await.json()["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let j = ended(&s, &b, &id).await;
    assert!(
        j["state"] == "failed" && j["error"].as_str().unwrap().contains("gzip"),
        "{j}"
    );
}

#[tokio::test]
async fn evaluations_and_replays_have_results() {
    let dir = tempfile::tempdir().unwrap();
    let s = Server::in_folder(dir.path()).await;
    s.person("li", Some(Role::Officer), "").await;
    let b = s.sign_in("li").await;
    let form = format!(
        "csrf={}&kind=evaluate&city=linxi&period=2024&edition=all",
        b.csrf
    );
    let r = s
        .send(
            "POST",
            "/en/jobs",
            &[("cookie", &b.cookie), crate::client::FORM],
            form.as_bytes(),
        )
        .await;
    let page = r.header("location").unwrap().to_owned();
    let id = page.rsplit('/').next().unwrap().to_owned();
    let j = ended(&s, &b, &id).await;
    assert_eq!(j["state"], "done", "{j}");
    assert!(j["result"]["figures"].as_u64().unwrap() > 100, "{j}");
    assert_eq!(
        s.get(j["result"]["link"].as_str().unwrap()).await.status,
        200
    );
    let body = r#"{"kind":"replay","city":"linxi","period":"2024","from":"2012","to":"2026"}"#;
    let id = b.api(&s, "POST", "/api/v1/jobs", body).await.json()["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let j = ended(&s, &b, &id).await;
    let rows = j["result"]["rows"].as_array().unwrap();
    assert!(
        !rows.is_empty() && rows.iter().all(|r| r["before"] != r["after"]),
        "{j}"
    );
    assert!(
        b.get(&s, &format!("/zh/jobs/{id}"))
            .await
            .text()
            .contains("新限值")
    );
    for bad in [
        r#"{"kind":"replay","city":"linxi","period":"2024","from":"2026","to":"2026"}"#,
        r#"{"kind":"evaluate","city":"linxi","period":"never","edition":"all"}"#,
        r#"{"kind":"evaluate","city":"linxi","period":"2024","edition":"1900"}"#,
        r#"{"kind":"erase"}"#,
        r#"{"kind":"evaluate","city":"linxi","period":"2024","edition":"all","more":1}"#,
    ] {
        assert_eq!(
            b.api(&s, "POST", "/api/v1/jobs", bad).await.code(),
            "bad-request",
            "{bad}"
        );
    }
    let nowhere = r#"{"kind":"evaluate","city":"atlantis","period":"2024","edition":"all"}"#;
    assert_eq!(
        b.api(&s, "POST", "/api/v1/jobs", nowhere).await.code(),
        "not-found"
    );
}

#[tokio::test]
async fn a_restart_takes_up_what_was_running_and_what_waited() {
    let dir = tempfile::tempdir().unwrap();
    let s = Server::in_folder(dir.path()).await;
    s.person("li", Some(Role::Officer), "").await;
    let what = JobKind::Evaluate {
        city: "linxi".into(),
        period: "2024".into(),
        edition: "2026".into(),
    };
    s.stop().await;
    // As a program that was killed leaves it: one runs, one waits.
    let url = format!("sqlite:{}", dir.path().join("records.db").display());
    let store = miyun_store::Store::open(&url).await.unwrap();
    let at = Timestamp::now();
    let running = store.add_job(&what, "x", at).await.unwrap();
    assert_eq!(store.take_job(at).await.unwrap().unwrap().id, running);
    let waiting = store.add_job(&what, "x", at).await.unwrap();
    store.close().await;
    let s = Server::in_folder(dir.path()).await;
    let b = s.sign_in("li").await;
    for (id, attempts) in [(running, 2), (waiting, 1)] {
        let j = ended(&s, &b, id.as_str()).await;
        assert_eq!(
            (&j["state"], &j["attempts"]),
            (&"done".into(), &attempts.into()),
            "{j}"
        );
    }
    s.stop().await;
}

#[tokio::test]
async fn a_waiting_job_is_cancelled_at_once() {
    let s = Server::start().await;
    s.person("li", Some(Role::Officer), "").await;
    let b = s.sign_in("li").await;
    // Many, so that the last of them waits.
    let mut ids = Vec::new();
    for _ in 0..6 {
        let body = r#"{"kind":"evaluate","city":"linxi","period":"2024","edition":"all"}"#;
        ids.push(
            b.api(&s, "POST", "/api/v1/jobs", body).await.json()["id"]
                .as_str()
                .unwrap()
                .to_owned(),
        );
    }
    let last = ids.pop().unwrap();
    let r = b
        .api(&s, "DELETE", &format!("/api/v1/jobs/{last}"), "")
        .await;
    assert_eq!(r.status, 202, "{}", r.text());
    let j = ended(&s, &b, &last).await;
    assert_eq!(j["state"], "cancelled");
    assert_eq!(
        b.api(&s, "DELETE", &format!("/api/v1/jobs/{last}"), "")
            .await
            .code(),
        "conflict"
    );
    for id in ids {
        assert_eq!(ended(&s, &b, &id).await["state"], "done");
    }
    let job = s.store.job(&last.parse().unwrap()).await.unwrap().unwrap();
    assert_eq!(job.state, JobState::Cancelled);
}
