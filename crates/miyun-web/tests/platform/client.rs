//! A server of its own for every test, and a client that sends exactly what it is told.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use jiff::Timestamp;
use miyun_core::Date;
use miyun_import::{Declared, Layout};
use miyun_lake::{ImportFile, Lake};
use miyun_rulebook::Rulebook;
use miyun_store::{NewPerson, PersonId, Role, Store};
use miyun_web::app::{Platform, Settings, app};
use miyun_web::auth::password;
use miyun_web::server::Site;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// First day of the city's data.
const FIRST: Date = Date::constant(2024, 1, 1);
/// Days of data.
const DAYS: usize = 60;
/// The password of everyone here.
pub const PASSWORD: &str = "a long enough password";

fn hash() -> &'static str {
    static HASH: OnceLock<String> = OnceLock::new();
    HASH.get_or_init(|| password::hash(PASSWORD).unwrap())
}

/// The simulated city as a file.
pub fn csv() -> &'static str {
    static CSV: OnceLock<String> = OnceLock::new();
    CSV.get_or_init(|| miyun_sim::city(7, FIRST, DAYS).csv())
}

/// A lake with the city, made once and copied for tests that change it.
fn lake() -> &'static Path {
    static LAKE: OnceLock<tempfile::TempDir> = OnceLock::new();
    LAKE.get_or_init(|| {
        let dir = tempfile::tempdir().unwrap();
        let book = Rulebook::embedded();
        let declared = Declared {
            interval: Some(miyun_core::IntervalLabel::HourBegin),
            subject_prefix: "linxi/".into(),
            ..Declared::default()
        };
        let text = csv().as_bytes();
        let words = miyun_assess::words(book);
        let parsed =
            miyun_import::read_csv("linxi.csv", text, Layout::Long, &declared, &words).unwrap();
        let file = ImportFile {
            name: "/srv/secret/place/linxi.csv".into(),
            digest: blake3::hash(text).to_hex().to_string(),
            declared: "hour-begin, UTC+8".into(),
            reviewed: false,
            parsed,
        };
        Lake::open(dir.path())
            .unwrap()
            .import(
                vec![file],
                miyun_sim::city(7, FIRST, 1).subjects,
                &|i| miyun_assess::medium(book, i),
                "2024-03-01T00:00:00Z",
            )
            .unwrap();
        dir
    })
    .path()
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().flatten() {
        let (path, name) = (entry.path(), entry.file_name());
        if path.is_dir() {
            copy(&path, &to.join(name));
        } else {
            std::fs::copy(path, to.join(name)).unwrap();
        }
    }
}

/// A platform that listens.
pub struct Server {
    pub address: SocketAddr,
    pub store: Store,
    /// Lives as long as the server.
    #[expect(dead_code)]
    pub platform: Arc<Platform>,
    dir: PathBuf,
    stop: watch::Sender<bool>,
    _temporary: Option<tempfile::TempDir>,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.stop.send(true);
    }
}

/// Settings under which tests are not slowed down.
pub fn quick() -> Settings {
    Settings {
        api_requests_per_minute: 1_000_000,
        sign_ins_per_minute: 1_000_000,
        ..Settings::default()
    }
}

impl Server {
    /// A server with its own records over the common lake.
    pub async fn start() -> Self {
        Self::with(quick()).await
    }

    pub async fn with(settings: Settings) -> Self {
        let spool = tempfile::tempdir().unwrap();
        let dir = spool.path().to_owned();
        let store = Store::memory().await.unwrap();
        Self::over(lake(), store, settings, dir, Some(spool)).await
    }

    /// A server over a lake and records in a folder, which outlive it.
    pub async fn in_folder(dir: &Path) -> Self {
        if !dir.join("lake").exists() {
            copy(lake(), &dir.join("lake"));
        }
        let url = format!("sqlite:{}", dir.join("records.db").display());
        let store = Store::open(&url).await.unwrap();
        Self::over(&dir.join("lake"), store, quick(), dir.to_owned(), None).await
    }

    async fn over(
        lake: &Path,
        store: Store,
        settings: Settings,
        dir: PathBuf,
        temporary: Option<tempfile::TempDir>,
    ) -> Self {
        let book = Rulebook::embedded();
        let plans = miyun_plan::embedded(book.vocabulary());
        let today = Date::constant(2025, 2, 4);
        let site = Arc::new(
            Site::new(Lake::open(lake).unwrap(), book, plans, today).with_store(store.clone()),
        );
        let platform = Platform::new(site, store.clone(), settings, dir.join("spool")).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = watch::channel(false);
        let mut told = stopped.clone();
        let router = app(Arc::clone(&platform), miyun_web::app::Doors::default());
        tokio::spawn(miyun_web::jobs::background(Arc::clone(&platform), stopped));
        tokio::spawn(miyun_web::listen::serve(listener, router, async move {
            let _ = told.wait_for(|s| *s).await;
        }));
        Self {
            address,
            store,
            platform,
            dir,
            stop,
            _temporary: temporary,
        }
    }

    /// Stops as the program does, and waits until it has.
    pub async fn stop(self) {
        self.stop.send(true).unwrap();
        for _ in 0..200 {
            if TcpStream::connect(self.address).await.is_err() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        self.store.close().await;
    }

    pub fn spool(&self) -> PathBuf {
        self.dir.join("spool")
    }

    /// Adds a person with a role.
    pub async fn person(&self, login: &str, role: Option<Role>, scope: &str) -> PersonId {
        let at = Timestamp::now();
        let new = NewPerson {
            login: login.into(),
            name: login.into(),
            email: String::new(),
            password: Some(hash().into()),
        };
        let id = self.store.add_person(&new, at).await.unwrap();
        if let Some(role) = role {
            self.store
                .grant_role(&id, role, scope, (at, None), "test", at)
                .await
                .unwrap();
        }
        id
    }

    /// Signs a person in as a browser does; returns who then asks.
    pub async fn sign_in(&self, login: &str) -> Browser {
        let form = self.get("/en/sign-in").await;
        let cookie = form.cookie("miyun_form").unwrap();
        let body = format!(
            "csrf={}&login={login}&password={}&back=/en/about",
            form.csrf(),
            PASSWORD.replace(' ', "+")
        );
        let r = self
            .send(
                "POST",
                "/en/sign-in",
                &[("cookie", &format!("miyun_form={cookie}")), FORM],
                body.as_bytes(),
            )
            .await;
        assert_eq!(r.status, 303, "{}", r.text());
        assert_eq!(r.header("location"), Some("/en/about"));
        let session = r.cookie("miyun_session").unwrap();
        let mut browser = Browser {
            cookie: format!("miyun_session={session}"),
            csrf: String::new(),
        };
        let me = self
            .send("GET", "/api/v1/me", &[("cookie", &browser.cookie)], b"")
            .await;
        browser.csrf = me.json()["csrf"].as_str().unwrap().to_owned();
        browser
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.send("GET", path, &[], b"").await
    }

    /// Sends a request with exactly these headers (and host, length, close).
    pub async fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Answer {
        let mut text = format!(
            "{method} {path} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n",
            self.address
        );
        for (k, v) in headers {
            text.push_str(&format!("{k}: {v}\r\n"));
        }
        if !body.is_empty() || method != "GET" {
            text.push_str(&format!("content-length: {}\r\n", body.len()));
        }
        text.push_str("\r\n");
        let mut bytes = text.into_bytes();
        bytes.extend_from_slice(body);
        self.raw(&bytes).await
    }

    /// Sends bytes as they are and reads whatever comes.
    pub async fn raw(&self, bytes: &[u8]) -> Answer {
        let mut s = TcpStream::connect(self.address).await.unwrap();
        // A server that refuses early may close while we still write.
        let _ = s.write_all(bytes).await;
        let mut out = Vec::new();
        let read = tokio::time::timeout(Duration::from_secs(60), s.read_to_end(&mut out)).await;
        assert!(read.is_ok(), "no answer within a minute");
        Answer::parse(&out)
    }
}

pub const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");
pub const JSON: (&str, &str) = ("content-type", "application/json");

/// A signed-in browser.
#[derive(Clone)]
pub struct Browser {
    pub cookie: String,
    pub csrf: String,
}

impl Browser {
    pub async fn get(&self, s: &Server, path: &str) -> Answer {
        s.send("GET", path, &[("cookie", &self.cookie)], b"").await
    }

    /// A request of the API that changes something, with the token.
    pub async fn api(&self, s: &Server, method: &str, path: &str, body: &str) -> Answer {
        let headers = [
            ("cookie", self.cookie.as_str()),
            ("x-csrf-token", &self.csrf),
            JSON,
        ];
        s.send(method, path, &headers, body.as_bytes()).await
    }
}

/// What came back.
#[derive(Debug, Clone, Default)]
pub struct Answer {
    /// 0 if the connection was closed without an answer.
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Answer {
    fn parse(bytes: &[u8]) -> Self {
        let Some(end) = bytes.windows(4).position(|w| w == b"\r\n\r\n") else {
            return Self::default();
        };
        let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
        let mut lines = head.split("\r\n");
        let status = lines
            .next()
            .and_then(|l| l.split(' ').nth(1))
            .and_then(|c| c.parse().ok())
            .unwrap_or(0);
        let headers: Vec<(String, String)> = lines
            .filter_map(|l| l.split_once(": "))
            .map(|(k, v)| (k.to_ascii_lowercase(), v.to_owned()))
            .collect();
        let mut body = bytes[end + 4..].to_vec();
        if headers
            .iter()
            .any(|(k, v)| k == "transfer-encoding" && v == "chunked")
        {
            body = unchunk(&body);
        }
        Self {
            status,
            headers,
            body,
        }
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(k, _)| k == name)
            .map(|(_, v)| v.as_str())
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|e| panic!("{e}: {} {}", self.status, self.text()))
    }

    /// The value of a cookie that was set.
    pub fn cookie(&self, name: &str) -> Option<String> {
        self.headers
            .iter()
            .filter(|(k, _)| k == "set-cookie")
            .find_map(|(_, v)| v.strip_prefix(name)?.strip_prefix('='))
            .map(|v| v.split(';').next().unwrap_or("").to_owned())
    }

    /// The token of the first form.
    pub fn csrf(&self) -> String {
        let text = self.text();
        let (_, rest) = text
            .split_once("name=\"csrf\" value=\"")
            .expect("a form with a token");
        rest.split('"').next().unwrap().to_owned()
    }

    /// The code of a problem.
    pub fn code(&self) -> String {
        assert_eq!(
            self.header("content-type"),
            Some("application/problem+json"),
            "{}",
            self.text()
        );
        self.json()["code"].as_str().unwrap().to_owned()
    }
}

fn unchunk(mut bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    while let Some(end) = bytes.windows(2).position(|w| w == b"\r\n") {
        let n =
            usize::from_str_radix(String::from_utf8_lossy(&bytes[..end]).trim(), 16).unwrap_or(0);
        if n == 0 || bytes.len() < end + 2 + n {
            break;
        }
        out.extend_from_slice(&bytes[end + 2..end + 2 + n]);
        bytes = &bytes[(end + 4 + n).min(bytes.len())..];
    }
    out
}
