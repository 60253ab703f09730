//! From a file to findings: on import, on demand, in SQL, under a figure, in the report.

use std::fs;
use std::path::Path;
use std::process::Command;

use miyun_core::Date;
use serde_json::Value;

fn miyun(lake: &Path, args: &[&str]) -> String {
    let out = Command::new(env!("CARGO_BIN_EXE_miyun"))
        .arg("--lake")
        .arg(lake)
        .args(args)
        .output()
        .unwrap();
    assert!(
        out.status.success(),
        "miyun {args:?}: {}",
        String::from_utf8_lossy(&out.stderr)
    );
    String::from_utf8(out.stdout).unwrap()
}

fn json(lake: &Path, args: &[&str]) -> Value {
    serde_json::from_str(&miyun(lake, args)).unwrap()
}

/// Findings of a kind in the counts of an import.
fn count(report: &Value, kind: &str) -> u64 {
    report["findings"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|c| c["kind"] == kind)
        .map(|c| c["fault"].as_u64().unwrap() + c["doubt"].as_u64().unwrap())
        .sum()
}

#[test]
fn planted_flaws_reach_the_import_report_sql_why_and_the_page() {
    let dir = tempfile::tempdir().unwrap();
    let (lake, file) = (dir.path().join("lake"), dir.path().join("linxi.csv"));
    let city = miyun_sim::city(1, Date::constant(2025, 1, 1), 130);
    fs::write(&file, city.csv()).unwrap();
    let import = [
        "import",
        file.to_str().unwrap(),
        "--city",
        "linxi",
        "--interval",
        "hour-begin",
        "--format",
        "json",
    ];
    let first = json(&lake, &import);
    for kind in ["gap", "stuck", "copied", "unit", "clock-shift"] {
        assert!(count(&first, kind) >= 1, "{kind}: {first}");
    }
    assert!(first["findings_new"].as_u64().unwrap() >= 5);
    assert_eq!(first["files_new"], 1);
    let log = || {
        let mut files: Vec<_> = fs::read_dir(lake.join("findings"))
            .unwrap()
            .map(|e| e.unwrap().file_name())
            .collect();
        files.sort();
        files
    };
    let before = log();
    assert_eq!(before.len(), 1);

    // The same file again, and a look on demand, change nothing.
    let again = json(&lake, &import);
    assert_eq!(again["findings"], first["findings"]);
    assert_eq!(again["findings_new"], 0);
    let found = json(&lake, &["forensics", "--notes", "--format", "json"]);
    assert_eq!(log(), before);
    let unit = found
        .as_array()
        .unwrap()
        .iter()
        .find(|f| f["kind"] == "unit")
        .unwrap();
    assert_eq!(unit["subject"], "linxi/beihu");
    let csv = miyun(&lake, &["forensics", "--kind", "unit", "--format", "csv"]);
    assert_eq!(csv.lines().count(), 2, "{csv}");
    let table = miyun(&lake, &["forensics", "--period", "2025-01-20..2025-01-21"]);
    assert!(!table.contains("linxi/beihu"), "{table}");

    // In SQL.
    let rows = json(
        &lake,
        &[
            "sql",
            "select subject, hours, version from finding where kind = 'stuck' and withdrawn_at is null",
            "--format",
            "json",
        ],
    );
    assert_eq!(rows[0]["subject"], "linxi/gangtie");
    assert_eq!(rows[0]["hours"], "48");

    // Under a figure that rests on the doubted hours, and not under another.
    let flaw = city.flaws.iter().find(|f| f.kind == "stuck").unwrap();
    let day = city
        .first_day
        .saturating_add(jiff::Span::new().days((flaw.hours.0 / 24) as i64));
    let why = |place: &str, day: Date| {
        miyun(
            &lake,
            &[
                "why",
                &format!("{place}:PM2.5:daily-mean:{day}"),
                "--edition",
                "2012",
            ],
        )
    };
    let doubted = why("linxi/gangtie", day);
    assert!(
        doubted.contains("doubts about the evidence") && doubted.contains("stuck linxi/gangtie"),
        "{doubted}"
    );
    assert!(!why("linxi/xueyuan", Date::constant(2025, 1, 20)).contains("doubts about"));

    // In the report, in both languages.
    let report = dir.path().join("report.html");
    for (lang, words) in [("en", "Doubts about the data"), ("zh", "数据疑点")] {
        miyun(
            &lake,
            &[
                "air",
                "evaluate",
                "--period",
                "2025-01-01..2025-05-10",
                "--interval",
                "hour-begin",
                "--lang",
                lang,
                "--report",
                report.to_str().unwrap(),
            ],
        );
        assert!(fs::read_to_string(&report).unwrap().contains(words));
    }
    assert_eq!(log(), before);
    // Labels read another way are a what-if and leave no trace.
    miyun(
        &lake,
        &[
            "air",
            "evaluate",
            "--period",
            "2025-01-01..2025-05-10",
            "--interval",
            "hour-end",
            "--report",
            report.to_str().unwrap(),
        ],
    );
    assert_eq!(log(), before);
}

#[test]
fn a_revision_withdraws_what_no_longer_holds() {
    let dir = tempfile::tempdir().unwrap();
    let lake = dir.path().join("lake");
    let city = miyun_sim::city(2, Date::constant(2025, 1, 1), 60);
    let mut flawed = city.clone();
    // Two days of one value of ozone at the first station, later sent anew.
    let value = flawed.values[0][3][492];
    flawed.values[0][3][492..540].fill(value);
    for (name, city) in [("first.csv", &flawed), ("revised.csv", &city)] {
        let file = dir.path().join(name);
        fs::write(&file, city.csv()).unwrap();
        let report = json(
            &lake,
            &[
                "import",
                file.to_str().unwrap(),
                "--city",
                "linxi",
                "--interval",
                "hour-begin",
                "--format",
                "json",
            ],
        );
        assert_eq!(
            count(&report, "stuck"),
            u64::from(name == "first.csv"),
            "{report}"
        );
    }
    let rows = json(
        &lake,
        &[
            "sql",
            "select indicator, withdrawn_at is not null as gone from finding where kind = 'stuck'",
            "--format",
            "json",
        ],
    );
    assert_eq!(rows.as_array().unwrap().len(), 1);
    assert_eq!(rows[0]["indicator"], "O3");
    assert_eq!(rows[0]["gone"], "true");
}
