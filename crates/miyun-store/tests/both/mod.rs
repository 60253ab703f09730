//! Runs a test on SQLite and on PostgreSQL.
//!
//! PostgreSQL is the server at `MIYUN_TEST_POSTGRES` (a URL whose user may make databases), or a
//! private one that is started from Debian's package in a temporary folder, reachable by socket
//! only, and stopped when the test program ends. Without either its half is skipped, saying so.

#![allow(dead_code, unused_imports, unused_macros)] // each test program uses its part

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use miyun_store::{ArticleId, Store};
use sqlx::Connection;

/// A moment of the tests' day.
pub fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_770_000_000 + second).unwrap()
}

/// A store in a file of its own folder.
pub async fn sqlite() -> (tempfile::TempDir, Store) {
    let dir = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", dir.path().join("records.db").display());
    (dir, Store::open(&url).await.unwrap())
}

/// A store in a database of its own, `None` if there is no server.
pub async fn postgres() -> Option<Store> {
    Some(postgres_url().await?.1)
}

/// The same with its URL.
pub async fn postgres_url() -> Option<(String, Store)> {
    let server = server()?;
    let name = format!("t_{}", ArticleId::new(Timestamp::now())).to_lowercase();
    sqlx::any::install_default_drivers();
    let mut admin = sqlx::AnyConnection::connect(&server.replace("{db}", "postgres"))
        .await
        .unwrap();
    sqlx::query(sqlx::AssertSqlSafe(format!("CREATE DATABASE {name}")))
        .execute(&mut admin)
        .await
        .unwrap();
    admin.close().await.unwrap();
    let url = server.replace("{db}", &name);
    let store = Store::open(&url).await.unwrap();
    Some((url, store))
}

fn server() -> Option<&'static str> {
    static SERVER: OnceLock<Option<String>> = OnceLock::new();
    SERVER
        .get_or_init(|| match std::env::var("MIYUN_TEST_POSTGRES") {
            Ok(url) => {
                let (base, _) = url.rsplit_once('/').expect("postgres://USER@HOST/NAME");
                Some(format!("{base}/{{db}}"))
            }
            Err(_) => start(),
        })
        .as_deref()
}

fn start() -> Option<String> {
    let Some(bin) = programs() else {
        eprintln!(
            "SKIPPED on PostgreSQL: no initdb in /usr/lib/postgresql/*/bin (apt-get install postgresql) and no MIYUN_TEST_POSTGRES"
        );
        return None;
    };
    let dir = std::env::temp_dir().join(format!("miyun-pg-{}", std::process::id()));
    std::fs::create_dir_all(&dir).unwrap();
    // PostgreSQL refuses to run as root: then it runs as the package's user.
    let root = Command::new("id").arg("-u").output().unwrap().stdout == b"0\n";
    let become_user = if root {
        "setpriv --reuid=postgres --regid=postgres --clear-groups "
    } else {
        ""
    };
    if root {
        let done = Command::new("chown")
            .args(["postgres"])
            .arg(&dir)
            .status()
            .unwrap();
        assert!(done.success(), "chown postgres");
    }
    let (bin, d) = (bin.display(), dir.display());
    // The server ends when the pipe to it closes, that is, when this program ends in any way.
    let script = format!(
        "cd {d} && {become_user}{bin}/initdb -D {d}/data -U postgres -A trust -E UTF8 --locale=C >{d}/initdb.log 2>&1 || exit 1\n\
         {become_user}{bin}/postgres -D {d}/data -k {d} -c listen_addresses= -c max_connections=200 -c fsync=off >{d}/server.log 2>&1 &\n\
         server=$!\n\
         cat >/dev/null\n\
         kill -INT $server; wait $server; rm -rf {d}\n"
    );
    // The shell outlives the tests by a moment and ends itself when its input does.
    #[expect(clippy::zombie_processes)]
    let mut child = Command::new("sh")
        .args(["-c", &script])
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    // Kept open until the program ends.
    std::mem::forget(child.stdin.take());
    let begun = Instant::now();
    while !dir.join(".s.PGSQL.5432").exists() {
        assert!(
            begun.elapsed() < Duration::from_secs(60) && child.try_wait().unwrap().is_none(),
            "PostgreSQL did not start:\n{}\n{}",
            std::fs::read_to_string(dir.join("initdb.log")).unwrap_or_default(),
            std::fs::read_to_string(dir.join("server.log")).unwrap_or_default()
        );
        std::thread::sleep(Duration::from_millis(50));
    }
    // The socket appears a moment before the server answers.
    std::thread::sleep(Duration::from_millis(300));
    Some(format!("postgres://postgres@localhost/{{db}}?host={d}"))
}

fn programs() -> Option<PathBuf> {
    let mut all: Vec<PathBuf> = std::fs::read_dir(Path::new("/usr/lib/postgresql"))
        .ok()?
        .flatten()
        .map(|e| e.path().join("bin"))
        .filter(|b| b.join("initdb").exists())
        .collect();
    all.sort();
    all.pop()
}

/// One body, two tests: `name::sqlite` and `name::postgres`.
macro_rules! both {
    ($(#[$doc:meta])* $name:ident, |$store:ident| $body:block) => {
        $(#[$doc])*
        mod $name {
            use super::*;
            async fn body($store: miyun_store::Store) $body
            #[tokio::test]
            async fn sqlite() {
                let (_dir, store) = crate::both::sqlite().await;
                body(store).await;
            }
            #[tokio::test]
            async fn postgres() {
                if let Some(store) = crate::both::postgres().await {
                    body(store).await;
                }
            }
        }
    };
}
pub(crate) use both;
