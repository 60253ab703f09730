//! Operations as whoever runs the platform does them: people, doctor, backup, restore, a stop.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

fn miyun(dir: &Path, args: &[&str]) -> Output {
    run(dir, args, "")
}

fn run(dir: &Path, args: &[&str], input: &str) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_miyun"))
        .args(args)
        .current_dir(dir)
        .env_remove("MIYUN_LAKE")
        .env_remove("MIYUN_CONFIG")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(input.as_bytes())
        .unwrap();
    child.wait_with_output().unwrap()
}

fn text(o: &Output) -> String {
    format!(
        "{}{}",
        String::from_utf8_lossy(&o.stdout),
        String::from_utf8_lossy(&o.stderr)
    )
}

fn ok(o: &Output) -> String {
    assert!(o.status.success(), "{}", text(o));
    text(o)
}

/// A folder with a configuration, two days of one station, and two people.
fn installation() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(
        dir.path().join("miyun.toml"),
        "lake = \"data\"\nlisten = \"127.0.0.1:0\"\n",
    )
    .unwrap();
    let mut csv = String::from("station,indicator,time,value,unit,flag\n");
    for (day, h) in (1..=2).flat_map(|d| (0..24).map(move |h| (d, h))) {
        csv.push_str(&format!(
            "north,PM2.5,2026-03-{day:02}T{h:02}:00+08:00,{}.0,ug/m3,\n",
            20 + h
        ));
    }
    std::fs::write(dir.path().join("north.csv"), csv).unwrap();
    ok(&miyun(
        dir.path(),
        &[
            "import",
            "north.csv",
            "--city",
            "newtown",
            "--interval",
            "hour-begin",
        ],
    ));
    ok(&run(
        dir.path(),
        &["user", "add", "Root", "--role", "admin", "--password-stdin"],
        "a long enough password\n",
    ));
    ok(&miyun(
        dir.path(),
        &["user", "add", "li", "--name", "李伟", "--role", "officer"],
    ));
    dir
}

#[test]
fn people_from_the_command_line() {
    let dir = installation();
    let list = ok(&miyun(dir.path(), &["user", "list", "--format", "csv"]));
    assert!(
        list.contains("root,root,admin,") && list.contains("li,李伟,officer,"),
        "{list}"
    );
    assert!(
        !miyun(dir.path(), &["user", "add", "ROOT"]).status.success(),
        "the login is taken"
    );
    let short = run(
        dir.path(),
        &["user", "password", "li", "--password-stdin"],
        "short\n",
    );
    assert!(
        !short.status.success() && text(&short).contains("at least 12"),
        "{}",
        text(&short)
    );
    let none = miyun(dir.path(), &["user", "grant", "nobody", "officer"]);
    assert!(
        text(&none).contains("nobody has the login"),
        "{}",
        text(&none)
    );
    let scope = miyun(dir.path(), &["user", "grant", "li", "enterprise"]);
    assert!(text(&scope).contains("needs a scope"), "{}", text(&scope));
    assert_eq!(
        miyun(dir.path(), &["user", "grant", "li", "king"])
            .status
            .code(),
        Some(2)
    );
    ok(&miyun(dir.path(), &["user", "close", "li"]));
    assert!(
        ok(&miyun(dir.path(), &["user", "list", "--format", "json"])).contains("\"closed\": true")
    );
}

#[test]
fn the_doctor_finds_what_is_wrong_and_says_how_to_mend_it() {
    let dir = installation();
    let good = ok(&miyun(dir.path(), &["doctor", "--format", "json"]));
    for what in [
        "installation",
        "network",
        "disk",
        "rulebook",
        "lake",
        "records",
        "audit log",
        "people",
        "jobs",
        "clock",
    ] {
        assert!(
            good.contains(&format!("\"what\": \"{what}\"")),
            "{what}: {good}"
        );
    }
    let bad = |say: &str| {
        let o = miyun(dir.path(), &["doctor", "--format", "csv"]);
        assert_eq!(o.status.code(), Some(1), "{say}: {}", text(&o));
        assert!(text(&o).contains(say), "{say}: {}", text(&o));
    };
    // A torn part.
    let part = find(&dir.path().join("data/observations"), "parquet");
    let bytes = std::fs::read(&part).unwrap();
    std::fs::write(&part, &bytes[..bytes.len() / 2]).unwrap();
    bad("1 of 1 parts are missing or torn");
    std::fs::write(&part, &bytes).unwrap();
    // A damaged commit.
    let commit = find(&dir.path().join("data/commits"), "json");
    let whole = std::fs::read(&commit).unwrap();
    std::fs::write(&commit, b"{").unwrap();
    bad("damaged commit");
    // Something recorded tomorrow: the clock is wrong.
    let later = String::from_utf8(whole.clone()).unwrap();
    let at = later.find("\"recorded_at\":\"").unwrap() + 15;
    std::fs::write(&commit, format!("{}2999{}", &later[..at], &later[at + 4..])).unwrap();
    bad("but something was recorded at 2999");
    std::fs::write(&commit, whole).unwrap();
    // A configuration that is none, and one that is dangerous.
    let config = dir.path().join("miyun.toml");
    std::fs::write(&config, "lake = \"data\"\nlisten = \"0.0.0.0:80\"\n").unwrap();
    bad("passwords travel in the clear");
    std::fs::write(&config, "lake = \"data\"\nlisen = 1\n").unwrap();
    bad("lisen");
    std::fs::write(&config, "lake = \"data\"\nrecords = \"mysql://x\"\n").unwrap();
    bad("is no database");
    // Records that are no database.
    std::fs::write(dir.path().join("junk.db"), "x".repeat(10_000)).unwrap();
    std::fs::write(&config, "lake = \"data\"\nrecords = \"sqlite:junk.db\"\n").unwrap();
    bad("records");
    std::fs::write(&config, "lake = \"data\"\n").unwrap();
    ok(&miyun(dir.path(), &["doctor"]));
}

fn find(dir: &Path, ending: &str) -> std::path::PathBuf {
    let mut stack = vec![dir.to_owned()];
    while let Some(d) = stack.pop() {
        for e in std::fs::read_dir(d).unwrap().flatten() {
            let p = e.path();
            if p.is_dir() {
                stack.push(p);
            } else if p.extension().is_some_and(|x| x == ending) {
                return p;
            }
        }
    }
    panic!("no .{ending} in {}", dir.display());
}

#[test]
fn a_backup_comes_back_whole_or_not_at_all() {
    let dir = installation();
    ok(&miyun(dir.path(), &["backup", "saved"]));
    assert!(
        !miyun(dir.path(), &["backup", "saved"]).status.success(),
        "never over another one"
    );
    let fresh = |name: &str| {
        let file = dir.path().join(format!("{name}.toml"));
        std::fs::write(&file, format!("lake = \"{name}\"\n")).unwrap();
        format!("{name}.toml")
    };
    let two = fresh("two");
    ok(&miyun(dir.path(), &["--config", &two, "restore", "saved"]));
    for args in [
        &["user", "list", "--format", "csv"][..],
        &[
            "sql",
            "SELECT count(*) AS n, sum(value) AS s FROM observation",
            "--format",
            "csv",
        ],
    ] {
        let a = miyun(dir.path(), args);
        let mut with = vec!["--config", two.as_str()];
        with.extend_from_slice(args);
        assert_eq!(ok(&a), ok(&miyun(dir.path(), &with)));
    }
    ok(&miyun(dir.path(), &["--config", &two, "doctor"]));
    let again = miyun(dir.path(), &["--config", &two, "restore", "saved"]);
    assert!(text(&again).contains("not empty"), "{}", text(&again));
    // One changed byte, and nothing is restored.
    let part = find(&dir.path().join("saved/lake/observations"), "parquet");
    let mut bytes = std::fs::read(&part).unwrap();
    bytes[100] ^= 1;
    std::fs::write(&part, bytes).unwrap();
    let three = fresh("three");
    let o = miyun(dir.path(), &["--config", &three, "restore", "saved"]);
    assert!(
        !o.status.success() && text(&o).contains("is damaged"),
        "{}",
        text(&o)
    );
    assert!(
        ok(&miyun(
            dir.path(),
            &["--config", &three, "user", "list", "--format", "csv"]
        ))
        .lines()
        .count()
            == 1
    );
    // A manifest that points elsewhere.
    let manifest = dir.path().join("saved/manifest.json");
    let text_of = std::fs::read_to_string(&manifest).unwrap();
    std::fs::write(
        &manifest,
        text_of.replacen("\"path\": \"lake/", "\"path\": \"../lake/", 1),
    )
    .unwrap();
    let o = miyun(dir.path(), &["--config", &three, "restore", "saved"]);
    assert!(
        text(&o).contains("leaves the backup's folder"),
        "{}",
        text(&o)
    );
}

/// A platform that serves the installation.
struct Serving {
    child: Child,
    address: String,
    /// What it says after its address.
    rest: Option<JoinHandle<Vec<String>>>,
}

impl Serving {
    fn begin(dir: &Path) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_miyun"))
            .args(["serve"])
            .current_dir(dir)
            .env_remove("MIYUN_LAKE")
            .env_remove("MIYUN_CONFIG")
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let address = lines
            .by_ref()
            .map_while(Result::ok)
            .find_map(|l| {
                l.strip_prefix("open http://")
                    .map(|r| r.split('/').next().unwrap().to_owned())
            })
            .unwrap();
        let rest = std::thread::spawn(move || lines.map_while(Result::ok).collect());
        Self {
            child,
            address,
            rest: Some(rest),
        }
    }

    fn get(&self, path: &str) -> String {
        let mut s = TcpStream::connect(&self.address).unwrap();
        let head = format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
        s.write_all(head.as_bytes()).unwrap();
        let mut answer = String::new();
        let _ = s.read_to_string(&mut answer);
        answer
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_running_platform_shows_what_came_into_its_lake_and_never_half_of_it() {
    let dir = installation();
    let serving = Serving::begin(dir.path());
    let day = |d: usize, more: usize| (0..24).map(move |h| (d, (20 + h + more) as f64));
    let all = |days: usize, more| (1..=days).flat_map(|d| day(d, more)).collect::<Vec<_>>();
    let (before, after) = (all(2, 0), all(3, 100));
    // The hours of March as the API gives them: day and value.
    let hours = || -> Option<Vec<(usize, f64)>> {
        let answer = serving.get("/api/v1/air/hours?period=2026-03&format=csv");
        if answer.starts_with("HTTP/1.1 429") {
            return None;
        }
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        let mut rows = answer.split_once("\r\n\r\n").unwrap().1.lines();
        let column = rows.next()?.split(',').position(|c| c == "PM2.5").unwrap();
        rows.map(|r| {
            let cells: Vec<&str> = r.trim().split(',').collect();
            let day = cells[1].rsplit('-').next()?.parse().ok()?;
            Some((day, cells.get(column)?.parse().ok()?))
        })
        .collect()
    };
    assert_eq!(hours().unwrap(), before);
    // Another process corrects both days and adds a third, in one commit.
    let mut csv = String::from("station,indicator,time,value,unit,flag\n");
    for (k, (d, v)) in after.iter().enumerate() {
        let h = k % 24;
        csv.push_str(&format!(
            "north,PM2.5,2026-03-{d:02}T{h:02}:00+08:00,{v:.1},ug/m3,\n"
        ));
    }
    std::fs::write(dir.path().join("later.csv"), csv).unwrap();
    let import = [
        "import",
        "later.csv",
        "--city",
        "newtown",
        "--interval",
        "hour-begin",
    ];
    let importing = {
        let dir = dir.path().to_owned();
        std::thread::spawn(move || miyun(&dir, &import))
    };
    let until = Instant::now() + Duration::from_secs(180);
    let mut seen = 0;
    while seen < 5 {
        assert!(Instant::now() < until, "the lake has it, the platform not");
        match hours() {
            Some(h) if h == after => seen += 1,
            Some(h) => assert!(
                h == before && seen == 0,
                "neither the old nor the new: {h:?}"
            ),
            None => {}
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    ok(&importing.join().unwrap());
    let page = serving.get("/en/air/stations/newtown/north");
    assert!(!page.starts_with("HTTP/1.1 5"), "{page}");
    let plan = serving.get("/api/v1/air/days?period=2026-03-03..2026-03-03&format=csv");
    assert!(plan.contains("131.5"), "the mean of the third day: {plan}");
}

#[cfg(unix)]
#[test]
fn a_stop_lets_answers_finish() {
    let dir = installation();
    let mut serving = Serving::begin(dir.path());
    let address = serving.address.clone();
    // A request whose head is half sent when the stop comes.
    let mut slow = TcpStream::connect(&address).unwrap();
    slow.write_all(b"GET /readyz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n")
        .unwrap();
    std::thread::sleep(Duration::from_millis(300));
    let told = Command::new("kill")
        .arg(serving.child.id().to_string())
        .status()
        .unwrap();
    assert!(told.success());
    let begun = Instant::now();
    slow.write_all(b"\r\n").unwrap();
    let mut answer = String::new();
    let _ = slow.read_to_string(&mut answer);
    assert!(answer.is_empty() || answer.ends_with("ready\n"), "{answer}");
    let status = serving.child.wait().unwrap();
    assert!(
        status.success() && begun.elapsed() < Duration::from_secs(25),
        "{status} {:?}",
        begun.elapsed()
    );
    assert!(TcpStream::connect(&address).is_err());
    let log = serving.rest.take().unwrap().join().unwrap().join("\n");
    assert!(log.contains("stopping"), "{log}");
    // SQLite is one file again.
    assert!(!dir.path().join("data/records.db-wal").exists());
}

/// A collector of traces: takes one export over HTTP and returns its head and body.
fn collector() -> (String, std::sync::mpsc::Receiver<(String, Vec<u8>)>) {
    let door = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = door.local_addr().unwrap().to_string();
    let (send, exports) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        for stream in door.incoming().map_while(Result::ok) {
            let mut reader = BufReader::new(stream.try_clone().unwrap());
            let mut head = String::new();
            while !head.ends_with("\r\n\r\n") && reader.read_line(&mut head).unwrap_or(0) > 0 {}
            let head = head.to_ascii_lowercase();
            let len = head
                .lines()
                .find_map(|l| l.strip_prefix("content-length: "))
                .and_then(|n| n.trim().parse().ok())
                .unwrap_or(0);
            let mut body = vec![0; len];
            let _ = reader.read_exact(&mut body);
            let _ = (&stream).write_all(
                b"HTTP/1.1 200 OK\r\ncontent-type: application/x-protobuf\r\ncontent-length: 0\r\nconnection: close\r\n\r\n",
            );
            if send.send((head, body)).is_err() {
                return;
            }
        }
    });
    (address, exports)
}

#[cfg(unix)]
#[test]
fn traces_reach_a_collector_when_one_is_configured() {
    let dir = installation();
    let (collector, exports) = collector();
    std::fs::write(
        dir.path().join("miyun.toml"),
        format!(
            "lake = \"data\"\nlisten = \"127.0.0.1:0\"\n[traces]\nendpoint = \"http://{collector}\"\nservice = \"newtown\"\nheaders = {{ authorization = \"Bearer abc\" }}\n"
        ),
    )
    .unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_miyun"))
        .args(["serve"])
        .current_dir(dir.path())
        .env_remove("MIYUN_LAKE")
        .env_remove("MIYUN_CONFIG")
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let address = lines
        .by_ref()
        .map_while(Result::ok)
        .find_map(|l| {
            l.strip_prefix("open http://")
                .map(|r| r.split('/').next().unwrap().to_owned())
        })
        .unwrap();
    let rest = std::thread::spawn(move || lines.map_while(Result::ok).collect::<Vec<_>>());
    // The caller of one traces too; another of them says nonsense.
    let parent = "traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\r\n";
    let nonsense = "traceparent: 00-zz\r\n";
    for (path, more) in [
        ("/healthz", nonsense),
        ("/en/air", ""),
        ("/api/v1/places", parent),
    ] {
        let mut s = TcpStream::connect(&address).unwrap();
        write!(
            s,
            "GET {path} HTTP/1.1\r\nhost: x\r\n{more}connection: close\r\n\r\n"
        )
        .unwrap();
        let mut answer = Vec::new();
        s.read_to_end(&mut answer).unwrap();
        assert!(answer.starts_with(b"HTTP/1.1 200"), "{path}");
    }
    // The stop sends what is left.
    let told = Command::new("kill")
        .arg(child.id().to_string())
        .status()
        .unwrap();
    assert!(told.success() && child.wait().unwrap().success());
    let log = rest.join().unwrap().join("\n");
    assert!(
        !log.contains("collector") && !log.contains("were not sent"),
        "{log}"
    );
    let mut bytes = Vec::new();
    while let Ok((head, body)) = exports.recv_timeout(Duration::from_secs(1)) {
        assert!(head.starts_with("post /v1/traces "), "{head}");
        assert!(
            head.contains("content-type: application/x-protobuf"),
            "{head}"
        );
        assert!(head.contains("authorization: bearer abc"), "{head}");
        bytes.extend(body);
    }
    // Texts stand in a protobuf message as they are.
    for text in [
        "newtown",
        "service.version",
        "GET /{lang}/air",
        "GET /api/v1/places",
        "http.response.status_code",
        "evaluate",
    ] {
        let found = bytes.windows(text.len()).any(|w| w == text.as_bytes());
        assert!(found, "{text} is in no span of {} bytes", bytes.len());
    }
    let ids: [(&str, &[u8]); 2] = [
        (
            "trace",
            &0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736_u128.to_be_bytes(),
        ),
        ("span", &0x00f0_67aa_0ba9_02b7_u64.to_be_bytes()),
    ];
    for (what, id) in ids {
        let found = bytes.windows(id.len()).any(|w| w == id);
        assert!(found, "no span belongs to the caller's {what}");
    }
    // The log has no trace of them.
    assert!(log.contains("/en/air") && !log.contains("otel"), "{log}");
}
