//! Senders that do harm never stall honest ones, and memory stays bounded.

mod common;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use common::{Logger, frame, mn, qn, settings, start};
use miyun_gateway::log::{Kind, Position, Reader};
use miyun_gateway::registry::number_of;
use miyun_gateway::server::paths;
use miyun_gateway::{Gateway, Property};
use miyun_hj212::sm4::{Key, Keys};
use miyun_hj212::{DeviceProfile, Edition, Message, Qn, Region, Stamp};

/// Honest loggers send while `harm` runs; each frame must be answered soon.
fn honest_beside(to: SocketAddr, frames: u64) -> Duration {
    let mut l = Logger::connect(to);
    let mut worst = Duration::ZERO;
    for i in 0..frames {
        let t = Instant::now();
        assert!(
            l.send(&frame(&mn(77), &qn(i), i), &qn(i)),
            "frame {i} was not answered"
        );
        worst = worst.max(t.elapsed());
        std::thread::sleep(Duration::from_millis(5));
    }
    worst
}

fn harm(stop: &Arc<AtomicBool>, f: impl Fn() + Send + 'static) -> std::thread::JoinHandle<()> {
    let stop = Arc::clone(stop);
    std::thread::spawn(move || {
        while !stop.load(Ordering::Relaxed) {
            f();
        }
    })
}

#[test]
fn garbage_floods_endless_frames_and_slow_senders() {
    let dir = tempfile::tempdir().unwrap();
    let running = start(dir.path());
    let to = running.addresses()[0];
    let stop = Arc::new(AtomicBool::new(false));
    let garbage: Vec<u8> = (0..64_000u32)
        .map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8)
        .collect();
    let heads = b"##0999QN=1;MN=".repeat(4_000);
    let lies = b"##9999##9998##0001".repeat(3_000);
    let mut threads = vec![
        // Garbage without end.
        harm(&stop, move || {
            if let Ok(mut s) = TcpStream::connect(to) {
                for _ in 0..100 {
                    if s.write_all(&garbage).is_err() {
                        break;
                    }
                }
            }
        }),
        // Frames that begin and never end.
        harm(&stop, move || {
            if let Ok(mut s) = TcpStream::connect(to) {
                while s.write_all(&heads).is_ok() {}
            }
        }),
        harm(&stop, move || {
            if let Ok(mut s) = TcpStream::connect(to) {
                while s.write_all(&lies).is_ok() {}
            }
        }),
        // Connections opened and left.
        harm(&stop, move || {
            for _ in 0..50 {
                let _ = TcpStream::connect(to);
            }
            std::thread::sleep(Duration::from_millis(20));
        }),
    ];
    // A byte a time, many of them.
    let mut slow: Vec<TcpStream> = (0..50)
        .filter_map(|_| TcpStream::connect(to).ok())
        .collect();
    let s2 = Arc::clone(&stop);
    threads.push(std::thread::spawn(move || {
        let f = frame(&mn(5), &qn(5), 5);
        for b in f.iter().cycle() {
            if s2.load(Ordering::Relaxed) {
                return;
            }
            for s in &mut slow {
                let _ = s.write_all(&[*b]);
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }));
    let worst = honest_beside(to, 100);
    stop.store(true, Ordering::Relaxed);
    for t in threads {
        t.join().unwrap();
    }
    assert!(worst < Duration::from_secs(5), "{worst:?}");
    assert!(running.stats().now().turned_away > 0);
}

/// An encrypted frame of 2025.
fn sealed(mn: &str, qn: &str, key: &str) -> Vec<u8> {
    let profile = DeviceProfile {
        edition: Some(Edition::E2025),
        keys: Keys::one(Key::parse(key).unwrap()),
        ..DeviceProfile::default()
    };
    let now = jiff::tz::TimeZone::fixed(jiff::tz::offset(8)).to_datetime(jiff::Timestamp::now());
    Message::new("31", 2011, mn)
        .qn(Qn::parse(qn).unwrap())
        .pw("123456")
        .ack(true)
        .region(
            Region::new()
                .item("DataTime", Stamp(now))
                .factor("a21026", &[("Rtd", &"12.5"), ("Flag", &"N")]),
        )
        .encode_whole(&profile)
        .unwrap()
}

#[test]
fn wrong_keys_stall_nobody_and_are_never_data() {
    const GOOD: &str = "0123456789ABCDEFFEDCBA9876543210";
    const WRONG: &str = "00000000000000000000000000000001";
    let dir = tempfile::tempdir().unwrap();
    let running = start(dir.path());
    let to = running.addresses()[0];
    let set = |k: u32, p: Property, v: &str| (mn(k), p, v.to_owned(), 0, String::new());
    running
        .registry()
        .set(
            "li",
            1,
            &[
                set(1, Property::Edition, "2025"),
                set(1, Property::Key, GOOD),
                set(2, Property::Edition, "2025"),
                set(2, Property::Key, GOOD),
            ],
        )
        .unwrap();
    let stop = Arc::new(AtomicBool::new(false));
    // Four senders with a wrong key, two of them under the name of an honest device, and one that
    // encrypts though no key of it is registered.
    let floods: Vec<_> = [2, 2, 1, 1, 3]
        .into_iter()
        .map(|k| {
            let many: Vec<u8> = (0..300u64)
                .flat_map(|i| sealed(&mn(k), &qn(900_000 + i), WRONG))
                .collect();
            harm(&stop, move || {
                if let Ok(mut s) = TcpStream::connect(to) {
                    while s.write_all(&many).is_ok() {}
                }
            })
        })
        .collect();
    let encrypted = std::thread::spawn(move || {
        let mut l = Logger::connect(to);
        let mut worst = Duration::ZERO;
        for i in 0..60 {
            let t = Instant::now();
            assert!(l.send(&sealed(&mn(1), &qn(i), GOOD), &qn(i)), "frame {i}");
            worst = worst.max(t.elapsed());
            std::thread::sleep(Duration::from_millis(5));
        }
        worst
    });
    let plain = honest_beside(to, 60);
    let encrypted = encrypted.join().unwrap();
    stop.store(true, Ordering::Relaxed);
    for f in floods {
        f.join().unwrap();
    }
    let worst = plain.max(encrypted);
    assert!(worst < Duration::from_secs(5), "{worst:?}");
    let stats = running.stats().now();
    assert!(stats.quarantined > 0 && stats.turned_away > 0, "{stats:?}");
    // Honest frames are data, each once; nothing of the others is.
    let mut data = std::collections::BTreeMap::new();
    let mut reader = Reader::at(&paths::log(dir.path()), Position::default());
    while let Some(b) = reader.next(running.progress().end()).unwrap() {
        for r in b.records().filter(|r| r.kind == Kind::Frame) {
            *data.entry(r.device).or_insert(0) += 1;
        }
    }
    let (one, honest) = (number_of(&mn(1)), number_of(&mn(77)));
    assert_eq!(data, [(one, 60), (honest, 60)].into_iter().collect());
}

#[test]
fn one_who_never_reads_answers_is_not_read_either() {
    let dir = tempfile::tempdir().unwrap();
    let running = start(dir.path());
    let to = running.addresses()[0];
    let flood = std::thread::spawn(move || {
        let mut s = TcpStream::connect(to).unwrap();
        s.set_write_timeout(Some(Duration::from_secs(3))).unwrap();
        let f = frame(&mn(8), &qn(1), 1);
        // The same frame for ever: answered each time, stored once.
        let many = f.repeat(200);
        let mut sent = 0u64;
        while s.write_all(&many).is_ok() {
            sent += 200;
            if sent > 5_000_000 {
                return false;
            }
        }
        true
    });
    let worst = honest_beside(to, 60);
    assert!(
        flood.join().unwrap(),
        "it could send for ever without reading"
    );
    assert!(worst < Duration::from_secs(5), "{worst:?}");
    assert_eq!(running.stats().now().frames, 61);
}

#[test]
fn a_full_house_makes_room_for_those_who_speak() {
    let dir = tempfile::tempdir().unwrap();
    let mut s = settings();
    s.readers = 1;
    s.limits.connections = 20;
    let running = Gateway::open(dir.path(), s).unwrap().start().unwrap();
    let to = running.addresses()[0];
    let mut proven = Logger::connect(to);
    assert!(proven.send(&frame(&mn(1), &qn(0), 0), &qn(0)));
    let silent: Vec<TcpStream> = (0..40)
        .filter_map(|_| TcpStream::connect(to).ok())
        .collect();
    std::thread::sleep(Duration::from_millis(300));
    assert!(
        running.open_connections() <= 21,
        "{}",
        running.open_connections()
    );
    let mut late = Logger::connect(to);
    assert!(late.send(&frame(&mn(2), &qn(0), 0), &qn(0)));
    assert!(
        proven.send(&frame(&mn(1), &qn(1), 0), &qn(1)),
        "who has proved itself stays"
    );
    drop(silent);
}

#[test]
fn one_address_does_not_take_all_places() {
    let dir = tempfile::tempdir().unwrap();
    let mut s = settings();
    s.limits.connections_per_address = 5;
    let running = Gateway::open(dir.path(), s).unwrap().start().unwrap();
    let held: Vec<TcpStream> = (0..10)
        .map(|_| TcpStream::connect(running.addresses()[0]).unwrap())
        .collect();
    std::thread::sleep(Duration::from_millis(300));
    let closed = held
        .iter()
        .filter(|s| {
            s.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
            let mut s: &TcpStream = s;
            matches!(s.read(&mut [0; 1]), Ok(0))
        })
        .count();
    assert_eq!(closed, 5);
}

#[test]
fn packets_that_never_become_whole_cost_no_memory() {
    let dir = tempfile::tempdir().unwrap();
    let running = start(dir.path());
    let mut l = Logger::connect(running.addresses()[0]);
    // The first packets of ten thousand messages of 9,999 packets each: stored one by one, nothing is
    // kept together in memory.
    for round in 0..10u64 {
        let mut bytes = Vec::new();
        for i in 0..200u64 {
            let n = round * 200 + i;
            let text = format!(
                "QN={};ST=31;CN=2011;PW=123456;MN={};Flag=7;PNUM=9999;PNO=1;CP=&&DataTime=20260301000000&&",
                qn(n),
                mn(6)
            );
            let check = miyun_hj212::CrcDialect::Hj212.of(text.as_bytes());
            bytes.extend(format!("##{:04}{text}{check:04X}\r\n", text.len()).bytes());
        }
        l.stream.write_all(&bytes).unwrap();
        for _ in 0..200 {
            assert_eq!(l.answer().unwrap().0, "9014");
        }
    }
    assert_eq!(running.stats().now().frames, 2_000);
}

#[test]
fn strangers_beyond_the_bound_are_refused_by_name() {
    let dir = tempfile::tempdir().unwrap();
    let mut s = settings();
    s.limits.unconfirmed_devices = 3;
    let running = Gateway::open(dir.path(), s).unwrap().start().unwrap();
    let mut l = Logger::connect(running.addresses()[0]);
    for k in 0..3 {
        assert!(l.send(&frame(&mn(k), &qn(1), 1), &qn(1)));
    }
    l.stream.write_all(&frame(&mn(3), &qn(2), 1)).unwrap();
    let (cn, _, region) = l.answer().unwrap();
    assert_eq!((cn.as_str(), region.as_str()), ("9011", "QnRtn=4"));
    assert!(
        l.send(&frame(&mn(1), &qn(3), 1), &qn(3)),
        "those known are served"
    );
}
