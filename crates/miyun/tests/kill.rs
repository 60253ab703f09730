//! A kill at any moment during an import leaves the old state or the new one.
#![cfg(unix)]

use std::fmt::Write as _;
use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use miyun_core::{Date, SubjectId};
use miyun_lake::{Lake, Request, SubjectHours};

/// How long kills go on, and how many there are at most.
const BUDGET: Duration = Duration::from_secs(8);
const KILLS_MAX: usize = 60;
const DAYS: usize = 40;

/// SplitMix64.
struct Random(u64);

impl Random {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % n
    }
}

/// Hours of `stations` stations over the turn of a year, so that an import has two parts.
fn csv(path: &Path, stations: usize, add: usize) {
    let mut text = String::from("station,indicator,time,value,unit,flag\n");
    let first: jiff::civil::DateTime = "2015-12-12T00:00".parse().unwrap();
    for s in 0..stations {
        for indicator in ["PM2.5", "NO2", "O3"] {
            for h in 0..DAYS * 24 {
                let at = first + jiff::Span::new().hours(i64::try_from(h).unwrap());
                let value = (h * 7 + s * 13) % 180 + add;
                let flag = if h % 97 == 3 { "invalid" } else { "good" };
                writeln!(text, "s{s},{indicator},{at},{value},ug/m3,{flag}").unwrap();
            }
        }
    }
    fs::write(path, text).unwrap();
}

fn import(lake: &Path, file: &Path) -> Command {
    let mut c = Command::new(env!("CARGO_BIN_EXE_miyun"));
    c.arg("--lake").arg(lake).arg("import").arg(file);
    c.args([
        "--city",
        "kill",
        "--interval",
        "hour-begin",
        "--tz",
        "+08:00",
    ]);
    c.stdout(Stdio::null()).stderr(Stdio::null());
    c
}

/// What a reader sees: imports, and every hour of every series.
fn state(lake: &Path) -> (usize, Vec<SubjectHours>) {
    let lake = Lake::open(lake).unwrap();
    let none: [SubjectId; 0] = [];
    let hours = lake
        .hours(&Request {
            subjects: &none,
            first_day: Date::constant(2015, 12, 12),
            days: DAYS,
            ..Request::default()
        })
        .unwrap();
    (lake.commits().len(), hours)
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

fn files(dir: &Path) -> Vec<PathBuf> {
    let mut out = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            out.extend(files(&path));
        } else {
            out.push(path);
        }
    }
    out
}

/// `miyun lake compact`.
fn compact(lake: &Path) -> Command {
    let mut c = Command::new(env!("CARGO_BIN_EXE_miyun"));
    c.arg("--lake").arg(lake).args(["lake", "compact"]);
    c.stdout(Stdio::null()).stderr(Stdio::null());
    c
}

fn seed() -> u64 {
    match std::env::var("MIYUN_SEED") {
        Ok(text) => text.parse().expect("MIYUN_SEED is a number"),
        Err(_) => SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(1, |d| u64::from(d.subsec_nanos())),
    }
}

#[test]
fn a_killed_merge_changes_nothing_that_is_seen() {
    let seed = seed();
    println!("seed {seed}; repeat with MIYUN_SEED={seed}");
    let mut random = Random(seed);
    let dir = tempfile::tempdir().unwrap();
    let base = dir.path().join("base");
    for k in 0..3 {
        let file = dir.path().join(format!("{k}.csv"));
        csv(&file, 2 + k, k);
        assert!(import(&base, &file).status().unwrap().success());
    }
    let (_, seen) = state(&base);
    let whole = dir.path().join("whole");
    copy(&base, &whole);
    let start = Instant::now();
    assert!(compact(&whole).status().unwrap().success());
    let takes = u64::try_from(start.elapsed().as_micros()).unwrap();
    assert_eq!(state(&whole), (1, seen.clone()));
    let (mut killed, mut merged) = (0, 0);
    let start = Instant::now();
    let mut trials = 0;
    while trials < KILLS_MAX && start.elapsed() < BUDGET {
        let lake = dir.path().join(format!("trial-{trials}"));
        trials += 1;
        copy(&base, &lake);
        let mut child = compact(&lake).spawn().unwrap();
        std::thread::sleep(Duration::from_micros(random.below(takes * 21 / 20 + 1)));
        child.kill().unwrap();
        killed += usize::from(child.wait().unwrap().signal() == Some(9));
        let (commits, now) = state(&lake);
        assert!(
            now == seen && (commits == 1 || commits == 3),
            "seed {seed}, trial {trials}: {commits} commits, other hours"
        );
        merged += usize::from(commits == 1);
        assert!(compact(&lake).status().unwrap().success());
        assert!(
            state(&lake) == (1, seen.clone()),
            "seed {seed}, trial {trials}: after a second merge"
        );
        let strays = files(&lake);
        assert!(
            strays
                .iter()
                .all(|p| p.extension().is_none_or(|e| e != "tmp")),
            "seed {seed}, trial {trials}: {strays:?}"
        );
        fs::remove_dir_all(&lake).unwrap();
    }
    println!("{trials} merges, {killed} killed; {merged} had merged");
    assert!(killed > 0, "no merge was killed before it ended");
}

#[test]
fn a_killed_import_leaves_the_old_state_or_the_new_one() {
    let seed = seed();
    println!("seed {seed}; repeat with MIYUN_SEED={seed}");
    let mut random = Random(seed);
    let dir = tempfile::tempdir().unwrap();
    let (a, b) = (dir.path().join("a.csv"), dir.path().join("b.csv"));
    // The second file corrects the stations of the first and brings two more.
    csv(&a, 2, 5);
    csv(&b, 4, 6);
    let base = dir.path().join("base");
    assert!(import(&base, &a).status().unwrap().success());
    let old = state(&base);
    let whole = dir.path().join("whole");
    copy(&base, &whole);
    let start = Instant::now();
    assert!(import(&whole, &b).status().unwrap().success());
    let takes = start.elapsed();
    let new = state(&whole);
    assert_ne!(old, new);

    let (mut killed, mut was_old, mut was_new) = (0, 0, 0);
    let start = Instant::now();
    let mut trials = 0;
    while trials < KILLS_MAX && start.elapsed() < BUDGET {
        let lake = dir.path().join(format!("trial-{trials}"));
        trials += 1;
        copy(&base, &lake);
        let mut child = import(&lake, &b).spawn().unwrap();
        let most = u64::try_from(takes.as_micros()).unwrap() * 21 / 20 + 1;
        std::thread::sleep(Duration::from_micros(random.below(most)));
        child.kill().unwrap();
        let status = child.wait().unwrap();
        killed += usize::from(status.signal() == Some(9));
        let seen = state(&lake);
        if seen == old {
            was_old += 1;
        } else {
            assert!(
                seen == new,
                "seed {seed}, trial {trials}: the lake shows neither the old nor the new state, {} imports",
                seen.0
            );
            was_new += 1;
        }
        // What was left behind is swept, and the import then says what it would have said.
        assert!(import(&lake, &b).status().unwrap().success());
        assert!(
            state(&lake) == new,
            "seed {seed}, trial {trials}: after a second import"
        );
        let strays: Vec<_> = files(&lake)
            .into_iter()
            .filter(|p| p.extension().is_some_and(|e| e == "tmp"))
            .collect();
        assert!(strays.is_empty(), "seed {seed}, trial {trials}: {strays:?}");
        fs::remove_dir_all(&lake).unwrap();
    }
    println!(
        "{trials} imports of {} ms, {killed} killed; {was_old} old, {was_new} new",
        takes.as_millis()
    );
    assert!(killed > 0, "no import was killed before it ended");
}
