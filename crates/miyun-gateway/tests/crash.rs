//! kill -9 of the real process under load, and torn tails: no acknowledged frame is lost, none is
//! doubled.

mod common;

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use common::{Logger, frame, mn, qn, settings};
use miyun_gateway::log::{Position, Reader, segments};
use miyun_gateway::server::paths;
use miyun_gateway::{Gateway, Settings};

const FOLDER: &str = "MIYUN_CRASH_TEST_FOLDER";

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
    let running = Gateway::open(Path::new(&dir), s).unwrap().start().unwrap();
    println!("listening {}", running.addresses()[0]);
    std::io::stdout().flush().unwrap();
    loop {
        std::thread::sleep(Duration::from_secs(1));
    }
}

/// The caller kills it and waits.
#[expect(clippy::zombie_processes)]
fn receiver(dir: &Path) -> (Child, std::net::SocketAddr) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "receiver_process", "--nocapture"])
        .env(FOLDER, dir)
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

fn next(state: &mut u64) -> u64 {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    *state
}

#[test]
fn nothing_acknowledged_is_lost_and_nothing_is_doubled() {
    let seed = std::env::var("SEED")
        .ok()
        .and_then(|s| s.parse().ok())
        .unwrap_or(20_260_301u64);
    println!("seed {seed}");
    let mut random = seed;
    let dir = tempfile::tempdir().unwrap();
    let acknowledged: Arc<Mutex<Vec<Vec<u8>>>> = Arc::default();
    let mut unanswered: Vec<Vec<u8>> = Vec::new();
    for round in 0..5u64 {
        let (mut child, address) = receiver(dir.path());
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
        std::thread::sleep(Duration::from_millis(300 + next(&mut random) % 900));
        child.kill().unwrap();
        child.wait().unwrap();
        stop.store(true, Ordering::Relaxed);
        for l in loggers {
            unanswered.extend(l.join().unwrap());
        }
        // A torn write: part of a batch that never became whole.
        if let Some((_, path)) = segments(&paths::log(dir.path())).unwrap().last() {
            let bytes = std::fs::read(path).unwrap();
            let from = (next(&mut random) as usize) % bytes.len();
            let n = (next(&mut random) as usize) % 400;
            let mut torn = b"BTCH".to_vec();
            torn.extend(&bytes[from..(from + n).min(bytes.len())]);
            let mut file = std::fs::OpenOptions::new().append(true).open(path).unwrap();
            file.write_all(&torn[..1 + (next(&mut random) as usize) % torn.len()])
                .unwrap();
        }
        check(dir.path(), &acknowledged.lock().unwrap());
    }
    assert!(acknowledged.lock().unwrap().len() > 50, "there was no load");
}

fn check(dir: &Path, acknowledged: &[Vec<u8>]) {
    let gateway = Gateway::open(dir, settings()).unwrap();
    let cut = gateway.recovery().cut.clone();
    drop(gateway);
    let mut times: HashMap<Vec<u8>, u32> = HashMap::new();
    let log = paths::log(dir);
    let last = segments(&log).unwrap().last().unwrap().clone();
    let end = Position {
        segment: last.0,
        offset: std::fs::metadata(last.1).unwrap().len(),
    };
    let mut reader = Reader::at(&log, Position::default());
    while let Some(b) = reader.next(end).unwrap() {
        for r in b.records() {
            *times.entry(r.frame.to_vec()).or_default() += 1;
        }
    }
    for f in acknowledged {
        assert_eq!(
            times.get(f),
            Some(&1),
            "{} (cut: {cut:?})",
            String::from_utf8_lossy(f)
        );
    }
    assert!(times.values().all(|n| *n == 1), "a frame is stored twice");
}
