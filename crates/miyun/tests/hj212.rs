//! The commands for vendors and testers, as a vendor runs them.

use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use serde_json::Value;

const GOOD: &str = "##0101QN=20160801085857223;ST=32;CN=1062;PW=100000;MN=010000A8900016F000169DC0;Flag=5;CP=&&RtdInterval=30&&1C80\r\n";

fn miyun(args: &[&str]) -> Command {
    let mut c = Command::new(env!("CARGO_BIN_EXE_miyun"));
    c.arg("hj212").args(args);
    c
}

fn fed(args: &[&str], input: &str) -> Output {
    let mut child = miyun(args)
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

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[test]
fn decode_says_what_is_wrong_and_exits_1() {
    let good = fed(&["decode"], GOOD);
    assert!(good.status.success());
    assert!(text(&good.stdout).contains("keeps the standard"));
    let bad = GOOD.replace("=30&&", "=31&&") + "noise" + GOOD;
    let out = fed(&["decode", "--lang", "zh"], &bad);
    assert_eq!(out.status.code(), Some(1));
    let said = text(&out.stdout);
    assert!(
        said.contains("数据已损坏") && said.contains("符合标准"),
        "{said}"
    );
    assert!(
        said.contains("1 帧") && said.contains("5 字节噪声"),
        "{said}"
    );
    let odd = GOOD.replace("1C80", "1c80");
    assert!(
        fed(&["decode", "--strict"], &odd).status.success(),
        "lower case is a remark"
    );
    let odd = GOOD.trim_end();
    assert!(fed(&["decode"], odd).status.success());
    assert_eq!(fed(&["decode", "--strict"], odd).status.code(), Some(1));
    let none = fed(&["decode"], "hello");
    assert_eq!(none.status.code(), Some(1));
    assert!(text(&none.stderr).contains("##"));
}

#[test]
fn decode_prints_for_programs() {
    let out = fed(&["decode", "--format", "json"], GOOD);
    let v: Value = serde_json::from_slice(&out.stdout).unwrap();
    assert_eq!(v[0]["frames"][0]["mn"], "010000A8900016F000169DC0");
    assert_eq!(v[0]["frames"][0]["values"][0]["value"], "30");
    let hex: String = GOOD.bytes().map(|b| format!("{b:02x} ")).collect();
    let out = fed(&["decode", "--hex", "--format", "csv"], &hex);
    let csv = text(&out.stdout);
    assert_eq!(
        csv.lines().nth(1),
        Some("-,1,0,010000A8900016F000169DC0,32,1062,20160801085857223,,RtdInterval,,,30,")
    );
    // CRC-16/MODBUS, low byte first: taken only if said so.
    let odd = GOOD.replace("1C80", "E73A");
    let refused = fed(&["decode"], &odd);
    assert_eq!(refused.status.code(), Some(1));
}

#[test]
fn codes_are_looked_up() {
    let out = fed(&["codes", "a34004", "--format", "json"], "");
    let v: Value = serde_json::from_slice(&out.stdout).unwrap();
    assert_eq!(v[0]["unit"], "ng/m3");
    assert_eq!(
        fed(&["codes", "nothing-like-it"], "").status.code(),
        Some(1)
    );
}

#[test]
fn the_fleet_names_its_faults() {
    let list = |seed: &str| -> Value {
        let out = fed(
            &[
                "fleet",
                "--devices",
                "200",
                "--seed",
                seed,
                "--format",
                "json",
            ],
            "",
        );
        serde_json::from_slice(&out.stdout).unwrap()
    };
    let fleet = list("5");
    assert_eq!(fleet, list("5"));
    assert_ne!(fleet, list("6"));
    let all = fleet.as_array().unwrap();
    assert_eq!(all.len(), 200);
    assert!(all.iter().any(|d| d["fault"] == "back-fill"));
    assert!(
        all.iter()
            .any(|d| d["encrypted"] == true && d["edition"] == 2025)
    );
}

/// A listening host and the address that the system gave it.
struct Host {
    child: Child,
    address: String,
    /// Reads what it prints, so that the host never waits for us.
    printed: std::thread::JoinHandle<String>,
}

impl Host {
    fn start(args: &[&str]) -> Self {
        let mut child = miyun(&["listen", "--bind", "127.0.0.1:0", "--format", "json"])
            .args(args)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut first = String::new();
        let mut errors = BufReader::new(child.stderr.take().unwrap());
        errors.read_line(&mut first).unwrap();
        std::thread::spawn(move || errors.read_to_end(&mut Vec::new()));
        let mut out = child.stdout.take().unwrap();
        let printed = std::thread::spawn(move || {
            let mut all = String::new();
            out.read_to_string(&mut all).unwrap();
            all
        });
        let address = first.trim().rsplit(' ').next().unwrap().to_owned();
        Self {
            child,
            address,
            printed,
        }
    }

    /// Ends the host; what it printed, line by line.
    fn end(mut self) -> Vec<Value> {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        let all = self.printed.join().unwrap();
        all.lines()
            .filter_map(|l| serde_json::from_str(l).ok())
            .collect()
    }
}

fn send(address: &str, args: &[&str]) -> Value {
    let out = miyun(&["send", address, "--format", "json", "--rate", "500"])
        .args(args)
        .output()
        .unwrap();
    assert!(out.status.success(), "{}", text(&out.stderr));
    serde_json::from_slice(&out.stdout).unwrap()
}

#[test]
fn a_fleet_is_heard_and_answered() {
    let host = Host::start(&["--crc", "any", "--key", "miyun-simulation"]);
    let t = send(
        &host.address,
        &["--devices", "6", "--minutes", "3", "--clean"],
    );
    assert_eq!(t["unanswered"], 0, "{t}");
    assert_eq!(t["answered"], t["asked"]);
    let heard = host.end();
    assert_eq!(heard.len() as u64, t["frames"].as_u64().unwrap());
    assert!(heard.iter().all(|f| f["reason"].is_null()));
}

#[test]
fn tls_is_spoken_and_a_stranger_is_not_trusted() {
    let dir = tempfile::tempdir().unwrap();
    let file = |name: &str| dir.path().join(name).display().to_string();
    let issue = |name: &str| {
        let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        let write = |n: String, t: String| std::fs::write(Path::new(&n), t).unwrap();
        write(file(&format!("{name}.pem")), made.cert.pem());
        write(
            file(&format!("{name}.key")),
            made.signing_key.serialize_pem(),
        );
    };
    issue("host");
    issue("stranger");
    let (cert, key) = (file("host.pem"), file("host.key"));
    let host = Host::start(&[
        "--crc",
        "any",
        "--key",
        "miyun-simulation",
        "--tls-cert",
        &cert,
        "--tls-key",
        &key,
    ]);
    let with = |ca: &str| {
        miyun(&[
            "send",
            &host.address,
            "--minutes",
            "1",
            "--rate",
            "500",
            "--clean",
            "--format",
            "json",
        ])
        .args(["--tls", ca, "--tls-name", "localhost"])
        .output()
        .unwrap()
    };
    let trusted = with(&cert);
    assert!(trusted.status.success(), "{}", text(&trusted.stderr));
    let t: Value = serde_json::from_slice(&trusted.stdout).unwrap();
    assert_eq!(t["answered"], t["asked"]);
    assert!(t["asked"].as_u64().unwrap() > 0);
    let refused = with(&file("stranger.pem"));
    assert_eq!(refused.status.code(), Some(1));
    assert!(
        text(&refused.stderr).contains("certificate"),
        "{}",
        text(&refused.stderr)
    );
    host.end();
}
