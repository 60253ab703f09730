//! What was acknowledged is still there after a crash; a backup of one database fills the other.

mod both;

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use both::at;
use miyun_store::{AuditQuery, Deed, NewPerson, NewRendition, Role, Store, StoreError};

/// Not a test of its own: the writer that `a_crash_loses_nothing` kills.
#[tokio::test]
async fn writer_to_be_killed() {
    let Ok(url) = std::env::var("MIYUN_TEST_WRITER") else {
        return;
    };
    let store = Store::open(&url).await.unwrap();
    loop {
        let deed = Deed {
            actor: "writer",
            action: "write",
            object: "x",
            ..Deed::default()
        };
        let seq = store.audit(&deed, at(0)).await.unwrap();
        // Said only after the store has acknowledged.
        eprintln!("acknowledged {seq}");
    }
}

async fn crash(url: &str) {
    let mut last = 0u64;
    for round in 1..=5u64 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "writer_to_be_killed", "--nocapture"])
            .env("MIYUN_TEST_WRITER", url)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let mut wanted = 7 * round;
        for line in lines.by_ref().map_while(Result::ok) {
            if let Some(n) = line.strip_prefix("acknowledged ") {
                last = last.max(n.parse().unwrap());
                wanted -= 1;
                if wanted == 0 {
                    break;
                }
            }
        }
        child.kill().unwrap();
        // What it still said before it died was acknowledged too.
        for line in lines.map_while(Result::ok) {
            if let Some(n) = line.strip_prefix("acknowledged ") {
                last = last.max(n.parse().unwrap());
            }
        }
        child.wait().unwrap();
        let store = Store::open(url).await.unwrap();
        let newest = store
            .audit_entries(&AuditQuery {
                limit: 1,
                ..AuditQuery::default()
            })
            .await
            .unwrap();
        assert!(
            newest[0].seq >= last && last > 0,
            "{} of {last}",
            newest[0].seq
        );
        assert_eq!(store.audit_check().await.unwrap(), None);
        assert!(store.integrity().await.unwrap().is_empty());
        store.close().await;
    }
}

#[tokio::test]
async fn a_crash_loses_nothing_in_sqlite() {
    let dir = tempfile::tempdir().unwrap();
    crash(&format!(
        "sqlite:{}",
        dir.path().join("records.db").display()
    ))
    .await;
}

#[tokio::test]
async fn a_crash_of_the_program_loses_nothing_in_postgres() {
    if let Some((url, _store)) = both::postgres_url().await {
        crash(&url).await;
    }
}

async fn fill(store: &Store) {
    let new = NewPerson {
        login: "li".into(),
        name: "李\u{2028}\"'\\".into(),
        email: String::new(),
        password: None,
    };
    let p = store.add_person(&new, at(0)).await.unwrap();
    store
        .grant_role(&p, Role::Officer, "", (at(0), None), "x", at(0))
        .await
        .unwrap();
    store
        .put_picture(
            &[NewRendition {
                content_type: "image/png",
                width: 2,
                height: 1,
                bytes: vec![0, 255, 10, 13, 34],
            }],
            "x",
            at(1),
        )
        .await
        .unwrap();
    store
        .audit(
            &Deed {
                actor: "li",
                action: "a",
                object: "b",
                ..Deed::default()
            },
            at(2),
        )
        .await
        .unwrap();
}

async fn same(from: &Store, to: &Store) {
    let (a, b) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let written = from.backup(a.path()).await.unwrap();
    let read = to.restore(a.path()).await.unwrap();
    assert_eq!(written, read);
    assert_eq!(to.audit_check().await.unwrap(), None);
    to.backup(b.path()).await.unwrap();
    for (table, _) in miyun_store::TABLES {
        let text = |d: &tempfile::TempDir| {
            std::fs::read_to_string(d.path().join(format!("{table}.jsonl"))).unwrap()
        };
        assert_eq!(text(&a), text(&b), "{table}");
    }
    assert!(
        matches!(to.restore(a.path()).await, Err(StoreError::Conflict(_))),
        "not into a full store"
    );
}

#[tokio::test]
async fn a_backup_comes_back_and_crosses_databases() {
    let (_d1, one) = both::sqlite().await;
    fill(&one).await;
    let (_d2, two) = both::sqlite().await;
    same(&one, &two).await;
    if let Some(three) = both::postgres().await {
        same(&two, &three).await;
        let (_d4, four) = both::sqlite().await;
        same(&three, &four).await;
    }
}

#[tokio::test]
async fn a_damaged_backup_is_refused_whole() {
    let (_d1, one) = both::sqlite().await;
    fill(&one).await;
    let dir = tempfile::tempdir().unwrap();
    one.backup(dir.path()).await.unwrap();
    let path = dir.path().join("role_grant.jsonl");
    let text = std::fs::read_to_string(&path).unwrap();
    for bad in [
        text.replace("officer", "king"),
        text.replace("\"id\"", "\"id) VALUES (1); --\""),
        text[..20].to_owned(),
    ] {
        std::fs::write(&path, bad).unwrap();
        let (_d2, two) = both::sqlite().await;
        let e = two.restore(dir.path()).await.unwrap_err().to_string();
        assert!(e.contains("role_grant.jsonl: line 1"), "{e}");
        assert!(
            two.person_by_login("li").await.unwrap().is_none(),
            "nothing was restored"
        );
    }
}

#[tokio::test]
async fn what_is_no_database_is_refused() {
    for url in ["", "mysql://x/y", "/tmp/x.db", "http://x"] {
        assert!(
            matches!(Store::open(url).await, Err(StoreError::Url(_))),
            "{url}"
        );
    }
}

/// Nobody edits the past, not even with SQL in hand.
async fn append_only(url: &str) {
    let store = Store::open(url).await.unwrap();
    store
        .audit(
            &Deed {
                actor: "li",
                action: "a",
                object: "b",
                ..Deed::default()
            },
            at(2),
        )
        .await
        .unwrap();
    let pool = sqlx::AnyPool::connect(url).await.unwrap();
    for sql in ["UPDATE audit SET actor = 'x'", "DELETE FROM audit"] {
        let e = sqlx::query(sql)
            .execute(&pool)
            .await
            .unwrap_err()
            .to_string();
        assert!(e.contains("append-only"), "{e}");
    }
}

#[tokio::test]
async fn the_past_is_append_only() {
    let dir = tempfile::tempdir().unwrap();
    append_only(&format!(
        "sqlite:{}",
        dir.path().join("records.db").display()
    ))
    .await;
    if let Some((url, _store)) = both::postgres_url().await {
        append_only(&url).await;
    }
}

#[tokio::test]
async fn a_changed_entry_is_found() {
    let dir = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", dir.path().join("records.db").display());
    let store = Store::open(&url).await.unwrap();
    for _ in 0..5 {
        store
            .audit(
                &Deed {
                    actor: "li",
                    action: "a",
                    object: "b",
                    ..Deed::default()
                },
                at(2),
            )
            .await
            .unwrap();
    }
    let pool = sqlx::AnyPool::connect(&url).await.unwrap();
    for sql in [
        "DROP TRIGGER audit_no_update",
        "UPDATE audit SET actor = 'somebody else' WHERE seq = 3",
    ] {
        sqlx::query(sql).execute(&pool).await.unwrap();
    }
    assert_eq!(store.audit_check().await.unwrap().unwrap().seq, 3);
}
