//! The registry over HTTP: thirty-two clients and one block, with the read model on SQLite and on
//! PostgreSQL; refusals; pages.
#![allow(missing_docs)]

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use ed25519_dalek::SigningKey;
use miyun_carbon::retire::{Reason, Retirement};
use miyun_core::{JurisdictionId, Text};
use miyun_ledger::Time;
use miyun_registry::policy::Holidays;
use miyun_registry::read::ReadModel;
use miyun_registry::request::{Amount, Envelope, Request, Role};
use miyun_registry::service::Setup;
use miyun_registry::{Ask, Registry, book, mirror, time};
use miyun_rulebook::Rulebook;
use miyun_web::registry::{Desk, standalone};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

const LEDGER: [u8; 32] = [9; 32];
static IDS: AtomicU64 = AtomicU64::new(1);

fn key(name: &str) -> SigningKey {
    use sha2::Digest as _;
    SigningKey::from_bytes(&sha2::Sha256::digest(name.as_bytes()).into())
}

struct Site {
    registry: Arc<Registry>,
    address: std::net::SocketAddr,
    now: Arc<AtomicI64>,
    _dir: tempfile::TempDir,
}

impl Site {
    async fn new(url: Option<String>) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let now = Arc::new(AtomicI64::new(
            time::parse("2025-03-06T03:30:00Z").unwrap().0,
        ));
        let clock = Arc::clone(&now);
        let setup = Setup {
            instruments: Rulebook::embedded().instruments(),
            holidays: Holidays::default(),
            operator: key("operator"),
            clock: Arc::new(move || Time(clock.load(Ordering::SeqCst))),
        };
        let registry = book::create(
            &dir.path().join("journal"),
            LEDGER,
            setup,
            &JurisdictionId::new("CN/sim").unwrap(),
            ("bureau", Text::new("模拟局", "Bureau (simulated)")),
            true,
        )
        .unwrap();
        let registry = Arc::new(registry);
        let url = url.unwrap_or_else(|| {
            format!("sqlite://{}?mode=rwc", dir.path().join("read.db").display())
        });
        let read = ReadModel::open(&url).await.unwrap();
        let text = "registry,serial,block_start,block_end,quantity,vintage,status,project_id\nverra,1-5-9-VCS,5,9,5,2020,issued,1\nverra,1-5-10-VCS,5,10,5,2020,issued,1\n";
        let mirrors = vec![mirror::read("sample", "sample.csv", text)];
        let desk = Desk::open(
            Arc::clone(&registry),
            read,
            mirrors,
            "https://registry.example".into(),
        )
        .await
        .unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, standalone(desk)).await });
        let site = Self {
            registry,
            address,
            now,
            _dir: dir,
        };
        site.fill().await;
        site
    }

    fn signed(&self, by: &str, ask: Ask) -> String {
        let signer = if by == "bureau:operator" {
            key("operator")
        } else {
            key(by)
        };
        serde_json::to_string(&Envelope::sign(&LEDGER, by, &self.request(ask), &signer).unwrap())
            .unwrap()
    }

    fn request(&self, ask: Ask) -> Request {
        let now = self.now.load(Ordering::SeqCst);
        Request {
            id: format!("{:032x}", 0xabc0_0000 + IDS.fetch_add(1, Ordering::SeqCst)),
            from: time::text(Time(now - 60_000)),
            until: time::text(Time(now + 3_600_000)),
            ask,
        }
    }

    async fn bureau(&self, ask: Ask) {
        let (status, body) = self.post(&self.signed("bureau:operator", ask)).await;
        assert_eq!(status, 200, "{body}");
    }

    async fn done(&self, by: &str, ask: Ask) -> Value {
        let (status, body) = self.post(&self.signed(by, ask)).await;
        assert_eq!(status, 200, "{body}");
        serde_json::from_str(&body).unwrap()
    }

    async fn post(&self, body: &str) -> (u16, String) {
        http(self.address, "POST", "/api/registry/v1/requests", body).await
    }

    async fn get(&self, path: &str) -> (u16, String) {
        http(self.address, "GET", path, "").await
    }

    async fn fill(&self) {
        for (id, role) in [
            ("a", Role::Compliance),
            ("b", Role::Compliance),
            ("frost", Role::Institution),
            ("dev", Role::Developer),
            ("ver", Role::Verifier),
            ("val", Role::Verifier),
        ] {
            self.bureau(Ask::RegisterParty {
                party: id.into(),
                role,
                name: Text::new(format!("{id}（模拟）"), format!("{id} (simulated)")),
                group: None,
                sector: None,
            })
            .await;
            for r in ["one", "two"] {
                let public = key(&format!("{id}:{r}")).verifying_key().to_bytes();
                self.bureau(Ask::AddRepresentative {
                    party: id.into(),
                    representative: r.into(),
                    key: hex::encode(public),
                })
                .await;
            }
        }
        let project = || "LX-0001".to_owned();
        let day = |t: &str| t.parse().unwrap();
        self.done(
            "dev:one",
            Ask::ProposeProject {
                project: project(),
                name: Text::new("造林（模拟）", "Forest (simulated)"),
                methodology: "afforestation".into(),
                started: day("2023-01-01"),
                outside: false,
                reversible: false,
            },
        )
        .await;
        self.done("val:one", Ask::ValidateProject { project: project() })
            .await;
        self.bureau(Ask::RegisterProject { project: project() })
            .await;
        self.done(
            "dev:one",
            Ask::Monitor {
                project: project(),
                from: day("2023-01-01"),
                until: day("2023-12-31"),
            },
        )
        .await;
        self.done(
            "ver:one",
            Ask::Verify {
                project: project(),
                period: 0,
                tonnes: Amount::from(1_000),
            },
        )
        .await;
        self.bureau(Ask::IssueCredits {
            project: project(),
            period: 0,
            tonnes: Amount::from(1_000),
        })
        .await;
        self.bureau(Ask::IssueAllowances {
            programme: "LXA".into(),
            vintage: 2024,
            amount: Amount::from(1_000_000),
        })
        .await;
        self.bureau(Ask::Allocate {
            asset: "LXA-2024".into(),
            to: "a".into(),
            amount: Amount::from(10_000),
        })
        .await;
    }
}

/// One exchange on its own connection.
async fn http(to: std::net::SocketAddr, method: &str, path: &str, body: &str) -> (u16, String) {
    let mut s = TcpStream::connect(to).await.unwrap();
    let head = format!(
        "{method} {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    s.write_all(head.as_bytes()).await.unwrap();
    s.write_all(body.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    s.read_to_end(&mut answer).await.unwrap();
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let status = answer.get(9..12).unwrap().parse().unwrap();
    let (_, body) = answer.split_once("\r\n\r\n").unwrap();
    (status, body.to_owned())
}

fn retire(n: usize) -> Ask {
    Ask::Retire {
        asset: "LX-0001-P0".into(),
        amount: Amount::from(1_000),
        serials: Some([1, 1_000]),
        retirement: Retirement {
            beneficiary: format!("客户 client {n}"),
            reason: Reason::Neutrality,
            jurisdiction: "CN/sim".into(),
            note: String::new(),
        },
    }
}

/// Thirty-two clients spend one block, each request sent twice at once.
async fn thirty_two(site: &Site) {
    let mut tasks = Vec::new();
    for n in 0..32 {
        let by = if n % 2 == 0 { "dev:one" } else { "dev:two" };
        let body = site.signed(by, retire(n));
        for _ in 0..2 {
            let (address, body) = (site.address, body.clone());
            tasks.push(tokio::spawn(async move {
                (
                    n,
                    http(address, "POST", "/api/registry/v1/requests", &body).await,
                )
            }));
        }
    }
    let mut won: Vec<(usize, bool)> = Vec::new();
    let mut lost = 0;
    for t in tasks {
        let (n, (status, body)) = t.await.unwrap();
        let body: Value = serde_json::from_str(&body).unwrap();
        if status == 200 {
            won.push((n, body["replayed"].as_bool().unwrap()));
        } else {
            assert_eq!(
                (status, body["code"].as_str()),
                (409, Some("insufficient")),
                "{body}"
            );
            lost += 1;
        }
    }
    assert_eq!((won.len(), lost), (2, 62));
    assert_eq!(won[0].0, won[1].0, "one client won, and heard it twice");
    assert_eq!(
        won.iter().filter(|w| w.1).count(),
        1,
        "done once, replayed once"
    );
    let (status, body) = site.get("/api/registry/v1/retirements?q=CLIENT").await;
    let found: Value = serde_json::from_str(&body).unwrap();
    assert_eq!((status, found["total"].as_i64()), (200, Some(1)), "{body}");
    let (_, body) = site.get("/api/registry/v1/assets/LX-0001-P0").await;
    let b: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(b["balance"]["balanced"], true, "{body}");
    assert_eq!(b["balance"]["serials"], true, "{body}");
    assert_eq!(b["blocks"].as_array().unwrap().len(), 1, "{body}");
    assert_eq!(b["blocks"][0]["kind"], "retired");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn one_of_thirty_two_wins_on_sqlite() {
    thirty_two(&Site::new(None).await).await;
}

/// A private PostgreSQL cluster in a temporary folder; it ends with the test.
struct Cluster {
    server: Child,
    _dir: tempfile::TempDir,
    url: String,
}

impl Drop for Cluster {
    fn drop(&mut self) {
        // It has lost its data folder in a moment; nothing is left to save.
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

fn postgres_bin() -> Option<PathBuf> {
    let mut all: Vec<PathBuf> = std::fs::read_dir("/usr/lib/postgresql")
        .ok()?
        .flatten()
        .map(|e| e.path().join("bin"))
        .filter(|p| p.join("initdb").exists())
        .collect();
    all.sort();
    all.pop()
}

/// The program as user `postgres` where we are root, which the server refuses to run as.
fn as_postgres(program: &Path) -> Command {
    let root = Command::new("id")
        .arg("-u")
        .output()
        .is_ok_and(|o| o.stdout.starts_with(b"0\n"));
    if root {
        let mut c = Command::new("setpriv");
        c.args(["--reuid=postgres", "--regid=postgres", "--clear-groups"])
            .arg(program);
        c
    } else {
        Command::new(program)
    }
}

fn cluster() -> Result<Cluster, String> {
    let bin = postgres_bin().ok_or("PostgreSQL is not installed")?;
    let dir = tempfile::tempdir().map_err(|e| e.to_string())?;
    let data = dir.path().join("data");
    std::fs::create_dir(&data).map_err(|e| e.to_string())?;
    // The server's user needs its folder; where we are not root it is ours already.
    let _ = Command::new("chown")
        .args(["-R", "postgres"])
        .arg(dir.path())
        .status();
    let made = as_postgres(&bin.join("initdb"))
        .args([
            "-U",
            "postgres",
            "-A",
            "trust",
            "-E",
            "UTF8",
            "--locale=C",
            "-D",
        ])
        .arg(&data)
        .stdout(Stdio::null())
        .output()
        .map_err(|e| e.to_string())?;
    if !made.status.success() {
        return Err(String::from_utf8_lossy(&made.stderr).into_owned());
    }
    let port = std::net::TcpListener::bind("127.0.0.1:0")
        .and_then(|l| l.local_addr())
        .map_err(|e| e.to_string())?
        .port();
    let server = as_postgres(&bin.join("postgres"))
        .arg("-D")
        .arg(&data)
        .args([
            "-p",
            &port.to_string(),
            "-c",
            "listen_addresses=127.0.0.1",
            "-c",
        ])
        .arg(format!("unix_socket_directories={}", dir.path().display()))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|e| e.to_string())?;
    let cluster = Cluster {
        server,
        _dir: dir,
        url: format!("postgres://postgres@127.0.0.1:{port}/postgres"),
    };
    for _ in 0..300 {
        if std::net::TcpStream::connect(("127.0.0.1", port)).is_ok() {
            return Ok(cluster);
        }
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    Err("PostgreSQL did not start in 30 s".into())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn one_of_thirty_two_wins_on_postgresql() {
    let cluster = match cluster() {
        Ok(c) => c,
        Err(e) => {
            eprintln!("skipped: {e}");
            return;
        }
    };
    // The port is open a moment before the server takes work.
    for _ in 0..100 {
        if ReadModel::open(&cluster.url).await.is_ok() {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    }
    let site = Site::new(Some(cluster.url.clone())).await;
    thirty_two(&site).await;
    // A read model is disposable: another one, built from the journal alone, holds the same.
    let first = ReadModel::open(&cluster.url).await.unwrap();
    let dir = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}?mode=rwc", dir.path().join("r.db").display());
    let second = ReadModel::open(&url).await.unwrap();
    let snapshot = miyun_registry::read::Snapshot::of(&site.registry.model());
    second.rebuild(&snapshot).await.unwrap();
    assert_eq!(
        first.counts().await.unwrap(),
        second.counts().await.unwrap()
    );
    assert_eq!(
        first.retirements("", None, 0, 10).await.unwrap(),
        second.retirements("", None, 0, 10).await.unwrap()
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refusals_are_problems_with_codes_and_change_nothing() {
    let site = Site::new(None).await;
    site.bureau(Ask::Freeze {
        party: "frost".into(),
        frozen: true,
        reason: "court".into(),
    })
    .await;
    let transfer = |amount: &str, to: &str| Ask::Transfer {
        asset: "LXA-2024".into(),
        to: to.into(),
        amount: Amount(amount.into()),
        serials: None,
    };
    let good = site.signed("a:one", transfer("1", "b"));
    let forged = good.replace("a:one", "a:two");
    let mut old = site.request(transfer("1", "b"));
    old.from = "2020-01-01T00:00:00Z".into();
    old.until = "2020-01-02T00:00:00Z".into();
    let old = Envelope::sign(&LEDGER, "a:one", &old, &key("a:one")).unwrap();
    let digest = || site.registry.look(|s| format!("{:?}", s.digest())).unwrap();
    let before = digest();
    let cases = [
        (site.signed("a:one", transfer("0", "b")), 422, "zero_amount"),
        (
            site.signed("a:one", transfer("-1", "b")),
            422,
            "negative_amount",
        ),
        (
            site.signed("a:one", transfer("99999999999999999999", "b")),
            422,
            "amount_overflow",
        ),
        (
            site.signed("a:one", transfer("10001", "b")),
            409,
            "insufficient",
        ),
        (
            site.signed("a:one", transfer("1", "nobody")),
            404,
            "unknown",
        ),
        (site.signed("a:one", transfer("1", "frost")), 403, "frozen"),
        (site.signed("frost:one", transfer("1", "a")), 403, "frozen"),
        (forged, 401, "wrong_signer"),
        (serde_json::to_string(&old).unwrap(), 422, "out_of_window"),
        (good.replace("\"by\"", "\"who\""), 400, "malformed"),
        ("not json".into(), 400, "malformed"),
        (
            site.signed(
                "b:one",
                Ask::Allocate {
                    asset: "LXA-2024".into(),
                    to: "b".into(),
                    amount: Amount::from(1),
                },
            ),
            403,
            "role",
        ),
    ];
    for (body, status, code) in cases {
        let (got, text) = site.post(&body).await;
        let problem: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(
            (got, problem["code"].as_str()),
            (status, Some(code)),
            "{text}"
        );
        assert_eq!(problem["status"], status);
        assert_eq!(digest(), before, "{code} changed something");
    }
    let (status, _) = site.post(&"x".repeat(200_000)).await;
    assert_eq!(status, 413);
    // Replayed under the same id with other content.
    let (status, _) = site.post(&good).await;
    assert_eq!(status, 200);
    let envelope: Envelope = serde_json::from_str(&good).unwrap();
    let mut request = envelope.open().unwrap();
    request.ask = transfer("2", "b");
    let other = Envelope::sign(&LEDGER, "a:one", &request, &key("a:one")).unwrap();
    let (status, text) = site.post(&serde_json::to_string(&other).unwrap()).await;
    assert_eq!(status, 409);
    assert!(text.contains("id_reused"), "{text}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_say_where_every_tonne_is() {
    let site = Site::new(None).await;
    let done = site.done("dev:one", retire(7)).await;
    let (id, record) = (
        done["id"].as_str().unwrap(),
        done["record"].as_u64().unwrap(),
    );
    site.done(
        "ver:one",
        Ask::ReportEmissions {
            party: "a".into(),
            year: 2024,
            tonnes: Amount::from(9_000),
        },
    )
    .await;
    let paths = [
        "/registry".to_owned(),
        "/registry/parties".into(),
        "/registry/party/a".into(),
        "/registry/account/5".into(),
        "/registry/asset/LXA-2024".into(),
        "/registry/credit/LX-0001-P0".into(),
        "/registry/projects".into(),
        "/registry/project/LX-0001".into(),
        "/registry/retirements?q=client".into(),
        format!("/registry/retirement/{id}"),
        "/registry/compliance".into(),
        format!("/registry/record/{record}"),
        format!("/registry/check?retirement={id}&record={record}"),
        "/registry/mirror/sample".into(),
    ];
    for path in &paths {
        for (lang, banner) in [("zh", "模拟数据"), ("en", "SIMULATED")] {
            let (status, body) = site.get(&format!("/{lang}{path}")).await;
            assert_eq!(status, 200, "/{lang}{path}: {body}");
            assert!(
                body.contains(banner),
                "/{lang}{path} does not say that it is simulated"
            );
            // The frame's own enhancement is deferred and from here; nothing is inline.
            assert_eq!(body.matches("<script").count(), 1, "/{lang}{path}");
            assert!(
                body.contains(" defer></script>"),
                "/{lang}{path}: an inline script"
            );
            assert_eq!(body.matches("<h1").count(), 1, "/{lang}{path}");
        }
    }
    let (_, body) = site.get("/en/registry/credit/LX-0001-P0").await;
    assert!(
        body.contains("issued 1,000 = held 0 + retired 1,000"),
        "{body}"
    );
    let (_, body) = site.get("/en/registry/mirror/sample").await;
    assert!(body.contains("serial-length"), "{body}");
    let (status, _) = site.get("/en/registry/party/nobody").await;
    assert_eq!(status, 404);
    let (status, pdf) = site
        .get(&format!(
            "/api/registry/v1/retirements/{id}/certificate.pdf"
        ))
        .await;
    assert_eq!(status, 200);
    assert!(pdf.starts_with("%PDF-"));
    // The proof of the certificate, brought back by a stranger.
    let (_, proof) = site.get(&format!("/api/registry/v1/proofs/{record}")).await;
    let (status, body) = http(
        site.address,
        "POST",
        "/api/registry/v1/proofs/check",
        &proof,
    )
    .await;
    assert_eq!(status, 200, "{body}");
    let named = format!("\"record\":{record}");
    assert!(body.contains(&named), "{body}");
    let spoilt = proof.replacen("\"place\":", "\"place\":1", 1);
    let (status, body) = http(
        site.address,
        "POST",
        "/api/registry/v1/proofs/check",
        &spoilt,
    )
    .await;
    assert_eq!(status, 400, "{body}");
    let (_, body) = site.get("/api/registry/v1/openapi.json").await;
    let api: Value = serde_json::from_str(&body).unwrap();
    assert!(
        api["paths"]["/api/registry/v1/requests"]["post"].is_object(),
        "{body}"
    );
    assert!(api["paths"].as_object().unwrap().len() >= 18);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_past_stays_as_it_was_known() {
    let site = Site::new(None).await;
    let filled = time::text(Time(site.now.load(Ordering::SeqCst)));
    let head = site.registry.head().unwrap();
    // A day later the credits are retired.
    site.now.fetch_add(86_400_000, Ordering::SeqCst);
    let done = site.done("dev:one", retire(7)).await;
    site.now.fetch_add(1_000, Ordering::SeqCst);
    let credit = "/en/registry/credit/LX-0001-P0";
    let (_, now) = site.get(credit).await;
    let (status, then) = site.get(&format!("{credit}?known={filled}")).await;
    assert_eq!(status, 200, "{then}");
    assert!(
        now.contains("issued 1,000 = held 0 + retired 1,000"),
        "{now}"
    );
    assert!(then.contains("issued 1,000 = held 1,000"), "{then}");
    assert!(then.contains("You see what was known on"), "{then}");
    // Every link of the page carries the moment on.
    let carried = format!("known={}", filled.replace(':', "%3A"));
    assert!(
        then.contains(&format!("/en/registry/projects?{carried}")),
        "{then}"
    );
    // The head of then, made again from the journal, is the head that was signed then.
    let (_, page) = site.get(&format!("/en/registry?known={filled}")).await;
    assert!(page.contains(&hex::encode(head.root)), "{page}");
    let total = async |query: &str| {
        let (status, body) = site.get(&format!("/api/registry/v1/tables/{query}")).await;
        assert_eq!(status, 200, "{query}: {body}");
        let v: Value = serde_json::from_str(&body).unwrap();
        v["total"].as_u64().unwrap()
    };
    assert_eq!(total("retirements?q=client").await, 1);
    assert_eq!(
        total(&format!("retirements?q=client&known={filled}")).await,
        0
    );
    let movements = total("movements").await;
    assert!(total(&format!("movements?known={filled}")).await < movements);
    let id = done["id"].as_str().unwrap();
    for (path, status) in [
        (format!("/en/registry/retirement/{id}?known={filled}"), 404),
        (format!("/en/registry/retirement/{id}"), 200),
        ("/en/registry?known=2020-01-01".into(), 404),
        ("/en/registry?known=then".into(), 400),
        ("/fr/registry".into(), 404),
        ("/api/registry/v1/tables/parties?known=then".into(), 400),
        ("/api/registry/v1/tables/nothing".into(), 404),
        ("/api/registry/v1/tables/accounts".into(), 400),
        ("/api/registry/v1/tables/accounts?party=nobody".into(), 404),
    ] {
        let (got, body) = site.get(&path).await;
        assert_eq!(got, status, "{path}: {body}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_table_of_the_pages_is_a_file() {
    let site = Site::new(None).await;
    site.done("dev:one", retire(7)).await;
    let paths = [
        ("/registry", "assets"),
        ("/registry", "movements"),
        ("/registry/parties", "parties"),
        ("/registry/party/a", "accounts"),
        ("/registry/party/a", "transfers"),
        ("/registry/account/5", "statement"),
        ("/registry/credit/LX-0001-P0", "blocks"),
        ("/registry/credit/LX-0001-P0", "asset-movements"),
        ("/registry/projects", "projects"),
        ("/registry/project/LX-0001", "monitoring"),
        ("/registry/project/LX-0001", "provenance"),
        ("/registry/retirements?q=client", "retirements"),
        ("/registry/compliance", "compliance"),
        ("/registry/mirror/sample", "mirror-blocks"),
    ];
    for (page, table) in paths {
        let (_, body) = site.get(&format!("/en{page}")).await;
        let link = body.split('"').find(|l| {
            l.starts_with(&format!("/api/registry/v1/tables/{table}")) && l.contains("format=csv")
        });
        // Nobody has verified data yet: the page of compliance has no table.
        let Some(link) = link else {
            assert_eq!(table, "compliance", "{body}");
            continue;
        };
        let link = link.replace("&amp;", "&");
        let (status, csv) = site.get(&link).await;
        assert_eq!(status, 200, "{link}: {csv}");
        let rows = csv.lines().count() - 1;
        let (_, json) = site
            .get(&link.replace("csv", "json").replace("100000", "1000"))
            .await;
        let v: Value = serde_json::from_str(&json).unwrap();
        assert_eq!(v["total"], rows, "{link}: {csv}");
        assert!(rows > 0 || ["transfers"].contains(&table), "{link}");
        let (status, parquet) = site.get(&link.replace("csv", "parquet")).await;
        assert!(status == 200 && parquet.starts_with("PAR1"), "{link}");
    }
}
