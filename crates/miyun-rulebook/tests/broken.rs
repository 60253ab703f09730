//! A corpus of broken rule files: each shows the message that its name promises, at its place.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;

use miyun_core::Problem;
use miyun_rulebook::{EMBEDDED, Rulebook};

const GOOD: &str = include_str!("broken/good.toml");

/// Problems of `files` under the vocabulary of the program.
fn problems(files: &[(&str, &str)]) -> Vec<Problem> {
    let words = EMBEDDED.iter().filter(|(n, _)| n.contains("vocabulary"));
    Rulebook::from_files(words.copied().chain(files.iter().copied())).1
}

/// Every file of the corpus, sorted: name and text.
fn corpus() -> Vec<(String, String)> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/broken");
    let mut out: Vec<(String, String)> = std::fs::read_dir(dir)
        .unwrap()
        .map(|e| e.unwrap().path())
        .filter(|p| p.extension().is_some_and(|e| e == "toml"))
        .filter(|p| p.file_stem().is_some_and(|s| s != "good"))
        .map(|p| {
            let name = p.file_name().unwrap().to_string_lossy().into_owned();
            (name, std::fs::read_to_string(p).unwrap())
        })
        .collect();
    out.sort();
    out
}

/// Broken pairs of files: what can only be wrong between two.
fn pairs() -> Vec<(&'static str, [String; 2])> {
    let named = |id: &str, from: &str, until: &str, more: &str| {
        GOOD.replace("CN/TEST-1", id).replacen(
            "in_force     = { from = 2020-02-01 }",
            &format!("in_force     = {{ from = {from}{until} }}\n{more}"),
            1,
        )
    };
    let new = || {
        named(
            "CN/TEST-1",
            "2020-02-01",
            "",
            "supersedes = [\"CN/TEST-0\"]",
        )
    };
    vec![
        (
            "time-gap",
            [
                named("CN/TEST-0", "2010-01-01", ", until = 2020-01-15", ""),
                new(),
            ],
        ),
        (
            "time-overlap",
            [
                named("CN/TEST-0", "2010-01-01", ", until = 2020-02-15", ""),
                new(),
            ],
        ),
        (
            "supersession-loop",
            [
                named(
                    "CN/TEST-0",
                    "2010-01-01",
                    ", until = 2020-01-31",
                    "supersedes = [\"CN/TEST-1\"]",
                ),
                new(),
            ],
        ),
        ("duplicate-id", [GOOD.to_owned(), GOOD.to_owned()]),
    ]
}

#[test]
fn the_file_they_were_broken_from_is_good() {
    let found = problems(&[("good.toml", GOOD)]);
    assert!(found.is_empty(), "{found:?}");
}

#[test]
fn each_broken_file_gives_its_message_where_it_is_broken() {
    let mut shown = String::new();
    for (name, text) in corpus() {
        let code = name.split('.').next().unwrap();
        let found = problems(&[(&name, &text)]);
        let p = found
            .iter()
            .find(|p| p.code == code)
            .unwrap_or_else(|| panic!("{name}: {found:#?}"));
        assert!(p.line > 0 && p.column > 0, "{p}");
        assert!(!p.reason.is_empty() && !p.fix.is_empty(), "{p}");
        for p in &found {
            writeln!(shown, "{p}").unwrap();
        }
    }
    for (code, [old, new]) in pairs() {
        let found = problems(&[("old.toml", &old), ("new.toml", &new)]);
        assert!(found.iter().any(|p| p.code == code), "{code}: {found:#?}");
        for p in &found {
            writeln!(shown, "{p}").unwrap();
        }
    }
    insta::assert_snapshot!(shown);
}

/// Codes that the loader's sources can give are all shown by the corpus.
#[test]
fn no_message_is_left_unshown() {
    let mut shown: BTreeSet<String> = corpus()
        .iter()
        .map(|(n, _)| n.split('.').next().unwrap().to_owned())
        .collect();
    shown.extend(pairs().iter().map(|(c, _)| (*c).to_owned()));
    let mut left = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src")];
    while let Some(path) = left.pop() {
        if path.is_dir() {
            left.extend(std::fs::read_dir(path).unwrap().map(|f| f.unwrap().path()));
            continue;
        }
        let text = std::fs::read_to_string(&path).unwrap();
        for call in ["problem(", "report_unknown("] {
            for (at, _) in text.match_indices(call) {
                let rest: String = text[at..].chars().take(160).collect();
                let Some(code) = rest.split('"').nth(1) else {
                    continue;
                };
                let kebab =
                    code.contains('-') && code.chars().all(|c| c.is_ascii_lowercase() || c == '-');
                assert!(
                    !kebab || shown.contains(code),
                    "{}: no broken file shows {code:?}",
                    path.display()
                );
            }
        }
    }
}
