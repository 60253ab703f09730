//! kill -9 of the real process under load, on a disk that fills up, tears writes and fails syncs, by a
//! clock that jumps, all at random moments: no acknowledged frame is lost, none is doubled, time
//! never goes back.

mod common;

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use common::faults::{Faulty, Random, jumping};
use common::{Logger, frame, mn, qn, settings};
use miyun_gateway::log::{Position, Reader, segments, whole};
use miyun_gateway::server::paths;
use miyun_gateway::{Gateway, Settings};

const FOLDER: &str = "MIYUN_CRASH_TEST_FOLDER";
/// Seed of the faults in the receiver's process.
const FAULTS: &str = "MIYUN_CRASH_TEST_FAULTS";

/// Not a test of its own: the process that is killed. It runs when the environment names a folder.
#[test]
fn receiver_process() {
    let Ok(dir) = std::env::var(FOLDER) else {
        return;
    };
    let s = Settings {
        segment_bytes: 64 << 10,
        ..settings()
    };
    let seed: u64 = std::env::var(FAULTS).unwrap().parse().unwrap();
    // Opening may meet a fault too; a supervisor starts it again.
    let gateway = (seed..)
        .find_map(|s2| Gateway::open_on(Path::new(&dir), s.clone(), Box::new(Faulty::new(s2))).ok())
        .unwrap();
    let running = gateway.with_wall(Box::new(jumping(seed))).start().unwrap();
    println!("listening {}", running.addresses()[0]);
    std::io::stdout().flush().unwrap();
    loop {
        std::thread::sleep(Duration::from_secs(1));
    }
}

/// The caller kills it and waits.
#[expect(clippy::zombie_processes)]
fn receiver(dir: &Path, faults: u64) -> (Child, std::net::SocketAddr) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "receiver_process", "--nocapture"])
        .env(FOLDER, dir)
        .env(FAULTS, faults.to_string())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let out = BufReader::new(child.stdout.take().unwrap());
    for line in out.lines() {
        // The test harness writes its own words on the same line.
        if let Some((_, address)) = line.unwrap().split_once("listening ") {
            return (child, address.trim().parse().unwrap());
        }
    }
    panic!("the receiver did not start");
}

#[test]
fn nothing_acknowledged_is_lost_and_nothing_is_doubled() {
    let seed = match std::env::var("MIYUN_SEED") {
        Ok(text) => text.parse().expect("MIYUN_SEED is a number"),
        Err(_) => miyun_gateway::clock::wall_ms().unsigned_abs(),
    };
    println!("seed {seed}; repeat with MIYUN_SEED={seed}");
    let random = Random::new(seed);
    let dir = tempfile::tempdir().unwrap();
    let acknowledged: Arc<Mutex<Vec<Vec<u8>>>> = Arc::default();
    let mut unanswered: Vec<Vec<u8>> = Vec::new();
    for round in 0..5u64 {
        let (mut child, address) = receiver(dir.path(), random.below(1 << 40));
        let stop = Arc::new(AtomicBool::new(false));
        let resend = Arc::new(Mutex::new(std::mem::take(&mut unanswered)));
        let loggers: Vec<_> = (0..6u32)
            .map(|k| {
                let (acks, stop, resend) = (
                    Arc::clone(&acknowledged),
                    Arc::clone(&stop),
                    Arc::clone(&resend),
                );
                std::thread::spawn(move || {
                    let mut l = Logger::connect(address);
                    let mut n = round * 1_000_000;
                    let mut open = Vec::new();
                    while !stop.load(Ordering::Relaxed) {
                        // What the last receiver did not answer is sent again first.
                        let f = resend.lock().unwrap().pop().unwrap_or_else(|| {
                            n += 1;
                            frame(&mn(k), &qn(n), n)
                        });
                        let q = String::from_utf8_lossy(&f)[9..26].to_owned();
                        if l.send(&f, &q) {
                            acks.lock().unwrap().push(f[..f.len() - 2].to_vec());
                        } else {
                            open.push(f);
                            break;
                        }
                    }
                    open
                })
            })
            .collect();
        std::thread::sleep(Duration::from_millis(300 + random.below(1_500)));
        child.kill().unwrap();
        child.wait().unwrap();
        stop.store(true, Ordering::Relaxed);
        for l in loggers {
            unanswered.extend(l.join().unwrap());
        }
        // A torn write: part of a batch that never became whole.
        let log = paths::log(dir.path());
        let end = whole(&log).unwrap();
        if let Some((_, path)) = segments(&log).unwrap().last() {
            let bytes = std::fs::read(path).unwrap();
            let from = random.below(end.offset.max(1)) as usize;
            let n = random.below(400) as usize;
            let mut torn = b"BTCH".to_vec();
            torn.extend(&bytes[from.min(bytes.len())..(from + n).min(bytes.len())]);
            torn.truncate(1 + random.below(torn.len() as u64) as usize);
            let file = std::fs::OpenOptions::new().write(true).open(path).unwrap();
            file.write_all_at(&torn, end.offset).unwrap();
        }
        let all = acknowledged.lock().unwrap();
        check(dir.path(), &all, &format!("seed {seed}, round {round}"));
    }
    assert!(acknowledged.lock().unwrap().len() > 50, "there was no load");
}

fn check(dir: &Path, acknowledged: &[Vec<u8>], when: &str) {
    let gateway = Gateway::open(dir, settings()).unwrap();
    let cut = gateway.recovery().cut.clone();
    drop(gateway);
    let mut times: HashMap<Vec<u8>, u32> = HashMap::new();
    let log = paths::log(dir);
    let end = whole(&log).unwrap();
    let mut reader = Reader::at(&log, Position::default());
    let mut time_ms = i64::MIN;
    while let Some(b) = reader.next(end).unwrap() {
        assert!(b.head.time_ms >= time_ms, "{when}: time went back");
        time_ms = b.head.time_ms;
        for r in b.records() {
            *times.entry(r.frame.to_vec()).or_default() += 1;
        }
    }
    for f in acknowledged {
        assert_eq!(
            times.get(f),
            Some(&1),
            "{when}: {} (cut: {cut:?})",
            String::from_utf8_lossy(f)
        );
    }
    assert!(
        times.values().all(|n| *n == 1),
        "{when}: a frame is stored twice"
    );
}
