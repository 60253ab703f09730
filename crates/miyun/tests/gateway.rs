//! The gateway as a process: from a logger's frame to page, API, lake and proof, over a kill -9.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use miyun_hj212::{DeviceProfile, Message, Qn, Region, Stamp};

const MN: &str = "010000A8900016F000169DC0";
const TOKEN: &str = "a-token-of-the-test";

fn miyun(lake: &Path, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_miyun"))
        .arg("--lake")
        .arg(lake)
        .args(args)
        .output()
        .unwrap()
}

fn ok(lake: &Path, args: &[&str]) -> String {
    let out = miyun(lake, args);
    assert!(
        out.status.success(),
        "{args:?}: {}",
        String::from_utf8_lossy(&out.stderr)
    );
    String::from_utf8(out.stdout).unwrap()
}

struct Gateway {
    child: Child,
    hj212: SocketAddr,
    http: SocketAddr,
}

impl Drop for Gateway {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn start(lake: &Path) -> Gateway {
    start_in(lake, &["--simulated"])
}

fn start_in(lake: &Path, how: &[&str]) -> Gateway {
    let mut child = Command::new(env!("CARGO_BIN_EXE_miyun"))
        .arg("--lake")
        .arg(lake)
        .args([
            "gateway",
            "run",
            "--listen",
            "127.0.0.1:0",
            "--http",
            "127.0.0.1:0",
            "--lake-every-s",
            "1",
        ])
        .args(how)
        .env("MIYUN_GATEWAY_TOKEN", TOKEN)
        .stderr(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let (mut hj212, mut http) = (None, None);
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    while http.is_none() {
        let line = lines.next().unwrap().unwrap();
        if let Some(a) = line.strip_prefix("HJ 212 on ") {
            hj212 = a.parse().ok();
        } else if let Some(a) = line.strip_prefix("pages on http://") {
            http = a.split('/').next().unwrap().parse().ok();
        }
    }
    // What it says later is read away, so that it never waits for a reader.
    std::thread::spawn(move || lines.for_each(drop));
    Gateway {
        child,
        hj212: hj212.unwrap(),
        http: http.unwrap(),
    }
}

fn local(minutes_ago: i64) -> jiff::civil::DateTime {
    let t = jiff::Timestamp::now().as_second() - minutes_ago * 60;
    jiff::tz::TimeZone::fixed(jiff::tz::offset(8))
        .to_datetime(jiff::Timestamp::from_second(t).unwrap())
}

/// Sends hour means of SO2 and waits for 9014.
fn hour(to: SocketAddr, n: i64, hours_ago: i64, value: &str, flag: &str) -> String {
    let qn = Qn::new(local(0)).plus_ms(n);
    let at = local(hours_ago * 60)
        .with()
        .minute(0)
        .second(0)
        .subsec_nanosecond(0)
        .build()
        .unwrap();
    let f = Message::new("31", 2061, MN)
        .qn(qn)
        .pw("123456")
        .ack(true)
        .region(Region::new().item("DataTime", Stamp(at)).factor(
            "a21026",
            &[("Avg", &value), ("ZsAvg", &value), ("Flag", &flag)],
        ))
        .encode_whole(&DeviceProfile::default())
        .unwrap();
    let mut s = TcpStream::connect(to).unwrap();
    s.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    s.write_all(&f).unwrap();
    let mut bytes = [0; 512];
    let n = s.read(&mut bytes).unwrap();
    let text = String::from_utf8_lossy(&bytes[..n]).into_owned();
    assert!(text.contains("CN=9014"), "{text}");
    qn.to_string()
}

fn http(to: SocketAddr, request: &str) -> String {
    let mut s = TcpStream::connect(to).unwrap();
    s.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    s.write_all(request.as_bytes()).unwrap();
    let mut out = Vec::new();
    let _ = s.read_to_end(&mut out);
    String::from_utf8_lossy(&out).into_owned()
}

fn get(to: SocketAddr, path: &str) -> String {
    http(
        to,
        &format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"),
    )
}

fn post(to: SocketAddr, path: &str, token: Option<&str>, body: &str) -> String {
    let auth = token.map_or(String::new(), |t| format!("Authorization: Bearer {t}\r\n"));
    http(
        to,
        &format!(
            "POST {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: application/json\r\n{auth}Content-Length: {}\r\n\r\n{body}",
            body.len()
        ),
    )
}

fn wait(what: &str, mut f: impl FnMut() -> bool) {
    let until = Instant::now() + Duration::from_secs(180);
    while !f() {
        assert!(Instant::now() < until, "waited in vain: {what}");
        std::thread::sleep(Duration::from_millis(200));
    }
}

#[test]
fn from_a_frame_to_page_api_lake_and_proof_over_a_kill() {
    let dir = tempfile::tempdir().unwrap();
    let lake = dir.path();
    ok(
        lake,
        &[
            "gateway",
            "set",
            MN,
            "status=accepted",
            "subject=linxi/outlet-7",
            "unit.a21026=mg/m3",
            "indicator.a21026=SO2-stack",
            "position=118.02,40.01",
            "--by",
            "test",
            "--why",
            "test",
        ],
    );
    let bad = miyun(
        lake,
        &["gateway", "set", MN, "edition=2020", "--by", "test"],
    );
    assert!(!bad.status.success() && String::from_utf8_lossy(&bad.stderr).contains("2017"));
    let nowhere = miyun(
        lake,
        &["gateway", "set", MN, "position=200,0", "--by", "test"],
    );
    assert!(String::from_utf8_lossy(&nowhere.stderr).contains("118.02,40.01"));
    let g = start(lake);
    // The permit of outlet 7 allows 20 mg/m3.
    let qn = hour(g.hj212, 1, 3, "15.5", "N");
    hour(g.hj212, 2, 2, "25.5", "N");
    hour(g.hj212, 3, 1, "99", "D");
    wait("the state", || {
        get(g.http, &format!("/api/v1/devices/{MN}")).contains("\"exceedance_hours\":1")
    });
    let outlet = get(g.http, "/en/outlets/linxi/outlet-7");
    assert!(
        outlet.contains("CN/sim/permit-outlet-7")
            && outlet.contains("× exceeded")
            && outlet.contains("SIMULATED"),
        "{outlet}"
    );
    let page = get(g.http, "/zh/devices");
    assert!(
        page.contains(MN) && page.contains("已确认") && page.contains("content-security-policy")
    );
    assert!(get(g.http, &format!("/en/devices/{MN}")).contains("? not a measurement"));
    assert!(get(g.http, "/en/devices/NOBODY").starts_with("HTTP/1.1 404"));
    assert!(
        get(
            g.http,
            &format!("/sta/v1.1/Datastreams('{MN}:a21026:ZsAvg:hour')/Observations?$count=true")
        )
        .contains("\"@iot.count\":3")
    );
    assert!(get(g.http, "/sta/v1.1/Things?$filter=x").contains("501"));
    // History is in the lake within seconds, with the moment at which it was recorded.
    let history = format!("/sta/v1.1/Datastreams('{MN}:a21026:ZsAvg:hour')/Observations");
    wait("the history", || {
        get(
            g.http,
            &format!("{history}?$top=2&$orderby=phenomenonTime%20asc"),
        )
        .contains("\"resultTime\":\"20")
    });
    let asked = |query: &str| -> serde_json::Value {
        let text = get(g.http, &format!("{history}?{query}"));
        let body = text.split_once("\r\n\r\n").unwrap().1;
        serde_json::from_str(body).unwrap_or_else(|e| panic!("{e}: {text}"))
    };
    let results = |v: &serde_json::Value| -> Vec<f64> {
        let all = v["value"].as_array().unwrap();
        all.iter().map(|o| o["result"].as_f64().unwrap()).collect()
    };
    let first = asked("$top=2&$orderby=phenomenonTime%20asc&$count=true");
    assert_eq!(
        (results(&first), first["@iot.count"].as_u64()),
        (vec![15.5, 25.5], Some(3))
    );
    let next = first["@iot.nextLink"].as_str().unwrap().to_owned();
    let text = get(g.http, &next);
    assert!(text.contains("99") && !text.contains("15.5"), "{text}");
    let at = first["value"][1]["phenomenonTime"].as_str().unwrap();
    let from = asked(&format!("$filter=phenomenonTime%20ge%20{at}"));
    assert_eq!(results(&from), [99.0, 25.5]);
    assert_eq!(from["value"][0]["resultQuality"], "invalid");
    assert!(get(g.http, &format!("{history}?$filter=result%20gt%205")).contains("501"));
    assert!(get(g.http, &format!("{history}?$top=many")).contains("400"));
    let entities = |path: &str| -> serde_json::Value {
        let text = get(g.http, path);
        serde_json::from_str(text.split_once("\r\n\r\n").unwrap().1).unwrap()
    };
    let streams = entities(&format!(
        "/sta/v1.1/Things('{MN}')/Datastreams?$top=1&$count=true"
    ));
    let count = streams["@iot.count"].as_u64().unwrap();
    assert!(count >= 2 && streams["value"].as_array().unwrap().len() == 1);
    let rest = entities(streams["@iot.nextLink"].as_str().unwrap());
    assert_eq!(
        rest["@iot.count"].as_u64(),
        Some(count),
        "counted on every page"
    );
    let place = entities(&format!("/sta/v1.1/Things('{MN}')/Locations"));
    assert_eq!(place["value"][0]["location"]["coordinates"][0], 118.02);
    let seen = entities(&format!(
        "/sta/v1.1/Datastreams('{MN}:a21026:Avg:hour')/ObservedProperty"
    ));
    assert_eq!(seen["@iot.id"], "a21026");
    // What was known at a moment stays reachable when more has come.
    let moment = jiff::Timestamp::now();
    std::thread::sleep(Duration::from_millis(50));
    hour(g.hj212, 5, 5, "12.5", "N");
    let hours = |known: &str| {
        let text = get(
            g.http,
            &format!("/api/v1/device-tables/hours?mn={MN}{known}"),
        );
        let (_, body) = text.split_once("\r\n\r\n").unwrap();
        let v: serde_json::Value =
            serde_json::from_str(body).unwrap_or_else(|e| panic!("{e}: {text}"));
        v["total"].as_u64().unwrap()
    };
    wait("the fourth hour", || hours("") == 4);
    assert_eq!(hours(&format!("&known={moment}")), 3);
    let then = get(
        g.http,
        &format!("/en/outlets/linxi/outlet-7?known={moment}"),
    );
    assert!(
        then.contains("You see what was known on") && !then.contains("12.5"),
        "{then}"
    );
    assert!(get(g.http, "/en/outlets/linxi/outlet-7").contains("12.5"));
    let before = get(g.http, "/en/devices?known=2020-01-01");
    assert!(
        before.contains("0 devices") && !before.contains("data-live"),
        "{before}"
    );
    assert!(get(g.http, &format!("/en/devices/{MN}?known=2020-01-01")).starts_with("HTTP/1.1 404"));
    assert!(get(g.http, "/en/devices?known=yesterday").starts_with("HTTP/1.1 400"));
    for table in [
        "devices",
        "properties",
        "values",
        "received",
        "hours",
        "findings",
        "commands",
    ] {
        let csv = get(
            g.http,
            &format!("/api/v1/device-tables/{table}?mn={MN}&format=csv"),
        );
        assert!(
            csv.starts_with("HTTP/1.1 200") && csv.contains("text/csv"),
            "{table}: {csv}"
        );
        assert!(page.contains("/api/v1/device-tables/devices?"), "{page}");
    }
    assert!(get(g.http, "/api/v1/device-tables/nothing").starts_with("HTTP/1.1 404"));
    assert!(get(g.http, "/api/v1/device-tables/values").starts_with("HTTP/1.1 400"));
    // A page that listens hears of the next frame.
    let mut live = TcpStream::connect(g.http).unwrap();
    live.set_read_timeout(Some(Duration::from_secs(20)))
        .unwrap();
    live.write_all(b"GET /live/devices HTTP/1.1\r\nHost: x\r\n\r\n")
        .unwrap();
    let document = r#"{"mn":"LAB-1","readings":[{"code":"a21026","span":"hour","time":"2026-03-01T08:00:00+08:00","value":"7.5","unit":"mg/m3","reviewed":true}]}"#;
    assert!(post(g.http, "/api/v1/readings", None, document).contains("401"));
    assert!(post(g.http, "/api/v1/readings", Some(TOKEN), document).contains("201 Created"));
    assert!(post(g.http, "/api/v1/readings", Some(TOKEN), "{}").contains("422"));
    let mut heard = String::new();
    let mut bytes = [0; 4096];
    while !heard.contains("LAB-1") {
        let n = live.read(&mut bytes).unwrap();
        assert!(n > 0, "{heard}");
        heard.push_str(&String::from_utf8_lossy(&bytes[..n]));
    }
    // The proof, by the command line, against the root that the page shows.
    let proof = lake.join("proof.json");
    std::fs::write(
        &proof,
        ok(lake, &["gateway", "prove", "--mn", MN, "--qn", &qn]),
    )
    .unwrap();
    let parsed: serde_json::Value =
        serde_json::from_slice(&std::fs::read(&proof).unwrap()).unwrap();
    let root = parsed["day"]["root"].as_str().unwrap().to_owned();
    assert!(get(g.http, "/api/v1/roots").contains(&root));
    assert!(
        ok(
            lake,
            &[
                "gateway",
                "verify",
                proof.to_str().unwrap(),
                "--root",
                &root
            ]
        )
        .contains("stands under the root")
    );
    assert!(
        !miyun(
            lake,
            &[
                "gateway",
                "verify",
                proof.to_str().unwrap(),
                "--root",
                &"0".repeat(64)
            ]
        )
        .status
        .success()
    );
    // Killed at once, then started again: the lake gets everything, once.
    drop(g);
    let g = start(lake);
    hour(g.hj212, 4, 4, "10", "N");
    let rows = || {
        let out = miyun(
            lake,
            &[
                "sql",
                "select value, flag from observation where indicator = 'SO2-stack' and subject = 'linxi/outlet-7' order by time",
                "--format",
                "csv",
            ],
        );
        String::from_utf8(out.stdout).unwrap()
    };
    wait("the lake", || rows().lines().count() == 6);
    let all = rows();
    for want in [
        "10.000000,good",
        "12.500000,good",
        "15.500000,good",
        "25.500000,good",
        "99.000000,invalid",
    ] {
        assert!(all.contains(want), "{all}");
    }
    ok(lake, &["gateway", "replay"]);
    std::thread::sleep(Duration::from_secs(3));
    assert_eq!(rows(), all, "read again, nothing is doubled");
}

/// Sends a minute report of SO2 and waits for 9014.
fn minute(to: SocketAddr, n: i64, hours_ago: i64, minute: i8, flag: &str) {
    let at = local(hours_ago * 60)
        .with()
        .minute(minute)
        .second(0)
        .subsec_nanosecond(0)
        .build()
        .unwrap();
    let f = Message::new("31", 2051, MN)
        .qn(Qn::new(local(0)).plus_ms(n))
        .pw("123456")
        .ack(true)
        .region(Region::new().item("DataTime", Stamp(at)).factor(
            "a21026",
            &[("Avg", &"25"), ("ZsAvg", &"25"), ("Flag", &flag)],
        ))
        .encode_whole(&DeviceProfile::default())
        .unwrap();
    let mut s = TcpStream::connect(to).unwrap();
    s.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    s.write_all(&f).unwrap();
    assert!(s.read(&mut [0; 512]).unwrap() > 0);
}

/// Sends a condition mark of the outlet and waits for 9014.
fn mark(to: SocketAddr, n: i64, hours_ago: i64, says: &str) {
    let f = Message::new("45", 2011, MN)
        .qn(Qn::new(local(0)).plus_ms(n))
        .pw("123456")
        .ack(true)
        .region(
            Region::new()
                .item("DataTime", Stamp(local(hours_ago * 60)))
                .factor("p99101", &[("Rtd", &says)]),
        )
        .encode_whole(&DeviceProfile::default())
        .unwrap();
    let mut s = TcpStream::connect(to).unwrap();
    s.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    s.write_all(&f).unwrap();
    assert!(s.read(&mut [0; 512]).unwrap() > 0);
}

/// A figure of the plan: value as text, and its assessment.
fn planned(lake: &Path, plan: &str, indicator: &str) -> (String, serde_json::Value) {
    let text = ok(
        lake,
        &["plan", "status", "--plan", plan, "--format", "json"],
    );
    let status: serde_json::Value = serde_json::from_str(&text).unwrap();
    let measures = status["measures"].as_array().unwrap();
    let found = measures
        .iter()
        .flat_map(|m| m["indicators"].as_array().unwrap())
        .find(|i| i["indicator"]["indicator"] == indicator)
        .unwrap_or_else(|| panic!("{indicator}: {text}"));
    let assessment = found["figure"]["assessment"].clone();
    let value = assessment["value"].as_str().unwrap_or("").to_owned();
    (value, assessment)
}

#[test]
fn what_the_live_state_never_knew_is_listed_and_reached() {
    let dir = tempfile::tempdir().unwrap();
    let lake = dir.path();
    let mut csv = String::from("station,indicator,time,value,unit,flag\n");
    for h in 0..24 {
        csv.push_str(&format!(
            "outlet-7,SO2-stack,2026-01-01T{h:02}:00+08:00,{h},mg/m3,\n"
        ));
    }
    let file = lake.join("history.csv");
    std::fs::write(&file, csv).unwrap();
    let file = file.to_str().unwrap();
    ok(
        lake,
        &[
            "import",
            file,
            "--city",
            "linxi",
            "--interval",
            "hour-begin",
        ],
    );
    let set = [
        "gateway",
        "set",
        MN,
        "status=accepted",
        "subject=linxi/outlet-7",
    ];
    let set = [
        &set[..],
        &[
            "unit.a21026=mg/m3",
            "indicator.a21026=SO2-stack",
            "--by",
            "test",
        ],
    ]
    .concat();
    ok(lake, &set);
    let g = start(lake);
    let stream = format!("Datastreams('{MN}:a21026:ZsAvg:hour')");
    for list in [
        "Datastreams".to_owned(),
        format!("Things('{MN}')/Datastreams"),
    ] {
        let text = get(g.http, &format!("/sta/v1.1/{list}"));
        assert!(text.contains(&stream), "{text}");
    }
    assert!(get(g.http, "/sta/v1.1/ObservedProperties").contains("\"a21026\""));
    assert!(get(g.http, &format!("/sta/v1.1/{stream}")).starts_with("HTTP/1.1 200"));
    let filter = "$filter=phenomenonTime%20lt%202026-01-01T00:00:00Z&$count=true&$top=3";
    let text = get(g.http, &format!("/sta/v1.1/{stream}/Observations?{filter}"));
    assert!(
        text.contains("\"@iot.count\":8") && text.contains("\"result\":7"),
        "{text}"
    );
    let other = format!("/sta/v1.1/Datastreams('{MN}:a21002:ZsAvg:hour')");
    assert!(get(g.http, &other).starts_with("HTTP/1.1 404"));
}

#[test]
fn the_plan_of_beijing_has_figures_once_its_outlets_send() {
    let dir = tempfile::tempdir().unwrap();
    let lake = dir.path();
    let names = ["outlets-online", "data-capture", "exceedance-hours"];
    for name in names {
        assert!(planned(lake, "beijing-2024", name).1.is_null(), "{name}");
    }
    for (mn, outlet) in [
        (MN, "subject=beijing/outlet-1"),
        ("OTHER", "subject=beijing/outlet-2"),
    ] {
        let set = [
            "gateway",
            "set",
            mn,
            "status=accepted",
            outlet,
            "unit.a21026=mg/m3",
        ];
        let set = [&set[..], &["indicator.a21026=SO2-stack", "--by", "test"]].concat();
        ok(lake, &set);
    }
    let g = start_in(lake, &["--city", "beijing", "--jurisdiction", "CN/11"]);
    hour(g.hj212, 1, 2, "25.5", "N");
    hour(g.hj212, 2, 1, "15.5", "N");
    wait("the lake", || {
        planned(lake, "beijing-2024", names[1]).0 == "100"
    });
    let (online, why) = planned(lake, "beijing-2024", names[0]);
    assert_eq!(online, "50");
    assert!(
        why.to_string().contains("beijing/outlet-2: not on line"),
        "{why}"
    );
    assert!(!why.to_string().contains("simulated"));
    let said = ok(lake, &["why", why["id"].as_str().unwrap()]);
    assert!(
        said.contains("beijing/outlet-2: not on line") && said.contains("have this digest today"),
        "{said}"
    );
    // The rulebook has no limit of Beijing's outlets, and the plan does not make one up.
    let (value, why) = planned(lake, "beijing-2024", names[2]);
    assert!(
        value.is_empty() && why.to_string().contains("no limit is known"),
        "{why}"
    );
}

#[test]
fn an_hour_of_a_stack_takes_45_valid_minutes() {
    let dir = tempfile::tempdir().unwrap();
    let lake = dir.path();
    let set = [
        "gateway",
        "set",
        MN,
        "status=accepted",
        "subject=linxi/outlet-7",
        "unit.a21026=mg/m3",
        "indicator.a21026=SO2-stack",
        "minute-interval=10",
        "--by",
        "test",
    ];
    ok(lake, &set);
    let bad = miyun(
        lake,
        &["gateway", "set", MN, "minute-interval=7", "--by", "test"],
    );
    assert!(
        !bad.status.success() && String::from_utf8_lossy(&bad.stderr).contains("divide an hour")
    );
    let g = start(lake);
    // Three hours above the permit's 20 mg/m3: five reports of ten minutes, four of them and one in
    // maintenance, none at all.
    for m in 0..5 {
        minute(g.hj212, i64::from(m), 3, m * 10, "N");
        minute(
            g.hj212,
            100 + i64::from(m),
            2,
            m * 10,
            if m == 4 { "M" } else { "N" },
        );
    }
    for (n, hours_ago) in [(200, 3), (201, 2), (202, 1)] {
        hour(g.hj212, n, hours_ago, "25.5", "N");
    }
    let device = || get(g.http, &format!("/api/v1/devices/{MN}"));
    wait("three hours", || {
        device().matches("\"needed\":45").count() >= 3
    });
    let text = device();
    assert!(text.contains("\"exceedance_hours\":1"), "{text}");
    for valid in ["\"valid\":50", "\"valid\":40", "\"valid\":0"] {
        assert!(text.contains(valid), "{valid}: {text}");
    }
    let page = get(g.http, "/en/outlets/linxi/outlet-7");
    assert!(
        page.contains("too few valid minutes") && page.contains("50/45") && page.contains("D.2.2")
    );
    // The plan counts by the same rule.
    let above = || planned(lake, "linxi-sim", "exceedance-hours");
    wait("the plan", || above().0 == "1");
    assert!(above().1.to_string().contains("fewer valid minutes than"));
    // A report sent again with another flag counts as it was sent last.
    minute(g.hj212, 300, 2, 40, "N");
    wait("the second hour", || {
        device().contains("\"exceedance_hours\":2")
    });
    wait("the plan", || above().0 == "2");
    // Start-up is marked: the last hour is for a person to judge, here and there.
    mark(g.hj212, 400, 2, "St");
    let judged = || device().matches("\"needs-judgement\"").count();
    wait("the mark", || judged() == 1);
    wait("the plan", || above().0 == "1");
    assert!(above().1.to_string().contains("a person decides"));
}
