//! The command line as a user meets it: help, exit codes, and the road from a file to a why.

use std::path::Path;
use std::process::{Command, Output};

fn miyun(folder: &Path, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_miyun"))
        .current_dir(folder)
        .env_remove("MIYUN_LAKE")
        .args(args)
        .output()
        .unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Standard output of a command that must succeed.
fn ok(folder: &Path, args: &[&str]) -> String {
    let out = miyun(folder, args);
    assert!(
        out.status.success(),
        "{args:?}: {}{}",
        text(&out.stdout),
        text(&out.stderr)
    );
    text(&out.stdout)
}

fn json(folder: &Path, args: &[&str]) -> serde_json::Value {
    let mut args = args.to_vec();
    args.extend(["--format", "json"]);
    serde_json::from_str(&ok(folder, &args)).unwrap()
}

/// Hours of one winter month at two stations in the long layout, with one bad row.
fn month() -> String {
    let mut out = String::from("station,indicator,time,value,unit,flag\n");
    for (k, station) in ["east", "west"].iter().enumerate() {
        for day in 1..=31 {
            for hour in 0..24 {
                for (indicator, value, unit) in [
                    ("PM2.5", 40 + day + 2 * k, "ug/m3"),
                    ("PM10", 70 + day, "ug/m3"),
                    ("SO2", 5, "ug/m3"),
                    ("NO2", 40, "ug/m3"),
                    ("CO", 1, "mg/m3"),
                    ("O3", 30, "ug/m3"),
                ] {
                    out.push_str(&format!(
                        "{station},{indicator},2026-01-{day:02}T{hour:02}:00+08:00,{value},{unit},\n"
                    ));
                }
            }
        }
    }
    out.push_str("east,PM2.5,2026-01-05T99:00+08:00,1,ug/m3,\n");
    out
}

#[test]
fn every_command_explains_itself_with_an_example() {
    let folder = tempfile::tempdir().unwrap();
    let mut open = vec![Vec::<String>::new()];
    let mut leaves = 0;
    while let Some(path) = open.pop() {
        let mut args: Vec<&str> = path.iter().map(String::as_str).collect();
        args.push("--help");
        let help = ok(folder.path(), &args);
        let mut below = Vec::new();
        if let Some((_, list)) = help.split_once("\nCommands:\n") {
            let names = list
                .lines()
                .take_while(|l| l.starts_with("  ") || l.is_empty())
                .filter(|l| l.starts_with("  ") && !l.starts_with("   "))
                .filter_map(|l| l.split_whitespace().next())
                .filter(|n| *n != "help");
            below.extend(names.map(|n| {
                let mut p = path.clone();
                p.push(n.to_owned());
                p
            }));
        }
        if below.is_empty() {
            leaves += 1;
            // What a command asks of a device is shown by the command above it.
            let above = match path.split_last() {
                Some((_, up)) if up.len() > 1 => {
                    let mut args: Vec<&str> = up.iter().map(String::as_str).collect();
                    args.push("--help");
                    ok(folder.path(), &args)
                }
                _ => String::new(),
            };
            assert!(
                help.contains("Example") || above.contains("Example"),
                "miyun {path:?} --help:\n{help}"
            );
        }
        open.extend(below);
    }
    assert!(leaves >= 15, "only {leaves} commands found");
}

#[test]
fn exit_codes_and_messages_say_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let out = miyun(at, &["air", "evaluate", "--period", "yesterday"]);
    assert_eq!(out.status.code(), Some(2));
    let out = miyun(at, &["why", "a-0000"]);
    assert_eq!(out.status.code(), Some(1));
    assert!(text(&out.stderr).contains("PLACE:INDICATOR:STATISTIC:DATE"));
    let out = miyun(at, &["plan", "status", "--plan", "nowhere"]);
    assert_eq!(out.status.code(), Some(1));
    assert!(text(&out.stderr).contains("beijing-2024"));
    std::fs::write(
        at.join("bare.csv"),
        "station,indicator,time,value\na,PM2.5,2026-01-01T00:00,3\n",
    )
    .unwrap();
    let out = miyun(at, &["import", "bare.csv", "--city", "x"]);
    assert_eq!(out.status.code(), Some(1));
    let asks = text(&out.stderr);
    for what in ["--interval", "--tz", "--unit"] {
        assert!(asks.contains(what), "{asks}");
    }
    std::fs::write(at.join("bad.toml"), "[instrument]\nid = \"X\"\n").unwrap();
    let out = miyun(at, &["rulebook", "check", "bad.toml"]);
    assert_eq!(out.status.code(), Some(1));
    assert!(text(&out.stdout).contains("bad.toml:1:"));
}

#[test]
fn from_a_file_to_a_figure_and_its_why() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    std::fs::write(at.join("month.csv"), month()).unwrap();
    let import = [
        "import",
        "month.csv",
        "--city",
        "mycity",
        "--interval",
        "hour-begin",
    ];
    let first = miyun(at, &import);
    assert!(first.status.success(), "{}", text(&first.stderr));
    assert!(
        text(&first.stderr).contains("month.csv:8930"),
        "{}",
        text(&first.stderr)
    );
    let again = json(at, &import);
    assert_eq!(
        (again["files_new"].as_u64(), again["values_new"].as_u64()),
        (Some(0), Some(0))
    );

    // January 2026 is judged by GB 3095-2012 (daily limit 75), March would be by 2026.
    let report = at.join("r.html");
    let all = json(
        at,
        &[
            "air",
            "evaluate",
            "--period",
            "2026-01",
            "--report",
            report.to_str().unwrap(),
        ],
    );
    let mean = all
        .as_array()
        .unwrap()
        .iter()
        .find(|a| {
            a["subject"] == "mycity" && a["indicator"] == "PM2.5" && a["statistic"] == "annual-mean"
        })
        .unwrap();
    // Mean over 31 days of 40 + day + 1 (two stations, 0 and 2 apart).
    assert_eq!(
        mean["value_unrounded"].as_str().unwrap().parse::<f64>(),
        Ok(57.0)
    );
    assert_eq!(mean["sufficiency"]["valid"], false);
    let html = std::fs::read_to_string(report).unwrap();
    assert!(html.contains("57") && !html.contains("http-equiv"));

    let why = ok(at, &["why", mean["id"].as_str().unwrap()]);
    for part in [
        "derivation",
        "rules",
        "CN/GB-3095-2012",
        "blake3",
        "month.csv:",
        "method",
    ] {
        assert!(why.contains(part), "no {part} in\n{why}");
    }
    let day = json(
        at,
        &[
            "why",
            "mycity/east:PM2.5:daily-mean:2026-01-31",
            "--edition",
            "2026",
        ],
    );
    assert_eq!(day["assessment"]["verdict"], "exceeded");
    assert_eq!(day["rows_total"], 24);

    let flips = ok(at, &["replay", "--rules", "2026", "--period", "2026-01"]);
    assert!(flips.contains("2026-01-31"), "{flips}");
    let sql = ok(
        at,
        &[
            "sql",
            "select count(*) as n from observation",
            "--format",
            "csv",
        ],
    );
    assert_eq!(sql, format!("n\n{}\n", 2 * 6 * 31 * 24));
    let status = json(at, &["plan", "status", "--on", "2026-01-31"]);
    assert_eq!(status["coverage"]["judged"], 0, "Beijing has no data here");
}
