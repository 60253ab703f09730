//! Frames per second and core: miyun-hj212 against the HJ 212 parsers that registries offer, on
//! the same frames in the same run. `cargo run --release [SECONDS]` in this folder.

use std::hint::black_box;
use std::path::Path;
use std::time::{Duration, Instant};

use miyun_hj212::sm4::{Key, Keys};
use miyun_hj212::{CrcDialect, DeviceProfile, Edition, Event, Framer, Message, Qn, Region, crc};

/// CPU time of this thread: other work on the machine does not count.
fn cpu() -> Duration {
    // /proc gives nanoseconds of run time as its first number.
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let ns = text.split(' ').next().and_then(|t| t.parse().ok());
    ns.map_or_else(wall, Duration::from_nanos)
}

fn wall() -> Duration {
    static START: std::sync::OnceLock<Instant> = std::sync::OnceLock::new();
    START.get_or_init(Instant::now).elapsed()
}

/// Frames per CPU second of `run`, which works through `frames` frames a call: the median of five.
fn rate(frames: usize, seconds: f64, mut run: impl FnMut()) -> f64 {
    run();
    let mut rates: Vec<f64> = (0..5)
        .map(|_| {
            let (start, mut rounds) = (cpu(), 0u32);
            let wall_start = Instant::now();
            while wall_start.elapsed().as_secs_f64() < seconds / 5.0 {
                run();
                rounds += 1;
            }
            f64::from(rounds) * frames as f64 / (cpu() - start).as_secs_f64()
        })
        .collect();
    rates.sort_by(f64::total_cmp);
    rates[2]
}

/// Frames as loggers send them: real-time, minute and hour data of two to six factors.
fn sample() -> Vec<Message> {
    let gas = [
        "a21026", "a21002", "a34013", "a19001", "a01012", "a01013", "a01011",
    ];
    (0..89)
        .map(|k| {
            let n = 2 + k % 5;
            let mut region = Region::new().item("DataTime", format!("2026112508{:02}00", k % 60));
            for (f, code) in gas.iter().take(n).enumerate() {
                let v = |d: usize| format!("{}.{}", 10 + (k * 7 + f * 13 + d) % 90, (k + d) % 10);
                region = if k % 3 != 0 {
                    region.factor(code, &[("Rtd", &v(0)), ("ZsRtd", &v(1)), ("Flag", &'N')])
                } else {
                    region.factor(
                        code,
                        &[
                            ("Min", &v(0)),
                            ("Avg", &v(1)),
                            ("Max", &v(2)),
                            ("Flag", &'N'),
                        ],
                    )
                };
            }
            Message::new(
                "31",
                if k % 3 != 0 { 2011 } else { 2051 },
                &format!("{k:024X}"),
            )
            .qn(Qn::parse(&format!("202611250801{:02}{k:03}", k % 60)).expect("a time"))
            .ack(true)
            .region(region)
        })
        .collect()
}

/// Takes every frame of `stream`, reads every number; the count of frames and a sum of numbers.
fn ours(stream: &[u8], framer: &mut Framer, profile: &DeviceProfile, check: bool) -> (usize, i64) {
    let (mut frames, mut sum) = (0, 0i64);
    for chunk in stream.chunks(16 * 1024) {
        framer.push(chunk);
        while let Some(event) = framer.next(profile) {
            if let Event::Frame(f) = event {
                frames += 1;
                black_box((f.mn(), f.qn(), f.cn_number(), f.flag()));
                if check {
                    black_box(f.check());
                }
                for item in f.items() {
                    if let Some(n) = item.number() {
                        sum = sum.wrapping_add(n.micro().unwrap_or(0));
                    }
                }
            }
        }
    }
    (frames, sum)
}

fn shared() -> Vec<Vec<u8>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../../shared/data/sensing/hj212/visible/frames.jsonl");
    let Ok(text) = std::fs::read_to_string(path) else {
        return Vec::new();
    };
    text.lines()
        .filter_map(|l| serde_json::from_str::<serde_json::Value>(l).ok())
        .filter(|v| v["expected"]["accept_default_listener"] == true)
        .filter(|v| v["sm4_key_hex"].is_null())
        .filter_map(|v| hex::decode(v["raw_hex"].as_str()?).ok())
        .collect()
}

fn main() {
    wall();
    let seconds: f64 = std::env::args()
        .nth(1)
        .and_then(|t| t.parse().ok())
        .unwrap_or(3.0);
    let plain = DeviceProfile::of(Edition::E2025);
    let mut keyed = plain.clone();
    keyed.keys = Keys::one(Key::new(*b"0123456789abcdef"));
    let messages = sample();
    let encode = |p: &DeviceProfile| -> Vec<Vec<u8>> {
        messages
            .iter()
            .map(|m| m.encode_whole(p).expect("it fits"))
            .collect()
    };
    let (frames, sealed) = (encode(&plain), encode(&keyed));
    let mean = frames.iter().map(Vec::len).sum::<usize>() / frames.len();
    let (stream, sealed_stream) = (frames.concat().repeat(20), sealed.concat().repeat(20));
    let n = frames.len() * 20;
    println!(
        "{} frames, mean {mean} bytes; frames per CPU second of one thread, median of 5\n",
        frames.len()
    );
    let mut framer = Framer::new();
    let (count, _) = ours(&stream, &mut framer, &plain, false);
    assert_eq!(count, n);
    let us = rate(n, seconds, || {
        black_box(ours(&stream, &mut framer, &plain, false));
    });
    if std::env::args().any(|a| a == "--only-ours") {
        println!("{us:.0}");
        return;
    }
    let say = |name: &str, r: f64| println!("{name:<58} {r:>12.0}  {:>8.2}", r / us);
    println!("{:<58} {:>12}  {:>8}", "", "frames/s", "ratio");
    say("miyun-hj212: stream, head, items, exact numbers", us);
    say(
        "  the same with all findings of the region",
        rate(n, seconds, || {
            black_box(ours(&stream, &mut framer, &plain, true));
        }),
    );
    let (count, _) = ours(&sealed_stream, &mut framer, &keyed, false);
    assert_eq!(count, n);
    say(
        "  the same, SM4 region",
        rate(n, seconds, || {
            black_box(ours(&sealed_stream, &mut framer, &keyed, false));
        }),
    );
    let texts: Vec<String> = frames
        .iter()
        .map(|f| String::from_utf8(f.clone()).expect("ASCII"))
        .collect();
    say(
        "crate a 0.1.1: parse_frame on one text (no stream)",
        rate(frames.len(), seconds, || {
            for t in &texts {
                black_box(a::parse_frame(black_box(t)).expect("a frame"));
            }
        }),
    );
    say(
        "crate a 0.1.1: Framer, then parse_frame",
        rate(n, seconds, || {
            let mut peer = a::Framer::new();
            for chunk in stream.chunks(16 * 1024) {
                peer.push(chunk);
                while let Some(f) = peer.next_frame() {
                    let text = String::from_utf8(f).expect("ASCII");
                    black_box(a::parse_frame(&text).expect("a frame"));
                }
            }
        }),
    );
    let public = shared();
    if public.is_empty() {
        println!("\nshared vectors are not there: the mixed frames are skipped");
    } else {
        let profile = DeviceProfile::default();
        let stream = public.concat().repeat(10);
        let n = public.len() * 10;
        let mean = public.iter().map(Vec::len).sum::<usize>() / public.len();
        println!(
            "\nshared vectors: {} accepted frames, mean {mean} bytes",
            public.len()
        );
        say(
            "miyun-hj212: stream, head, items, exact numbers",
            rate(n, seconds, || {
                black_box(ours(&stream, &mut framer, &profile, false));
            }),
        );
        let texts: Vec<String> = public
            .iter()
            .filter_map(|f| String::from_utf8(f.clone()).ok())
            .collect();
        let read = texts.iter().filter(|t| a::parse_frame(t).is_ok()).count();
        say(
            &format!("crate a 0.1.1: parse_frame (reads {read} of them)"),
            rate(texts.len(), seconds, || {
                for t in &texts {
                    let _ = black_box(a::parse_frame(black_box(t)));
                }
            }),
        );
    }
    // The worst stream found: headers that all claim to end at the same place, with digits there.
    let mut trap = Vec::new();
    while trap.len() + 6 < 9_990 {
        let left = 9_990 - trap.len() - 6;
        trap.extend_from_slice(format!("##{left:04}").as_bytes());
    }
    trap.resize(9_988, b'x');
    trap[9_950..9_956].copy_from_slice(b";CP=&&");
    trap.extend_from_slice(b"&&ABCD");
    let hostile = trap.repeat(4);
    let lenient = DeviceProfile::lenient();
    let calls = rate(1, seconds, || {
        let mut framer = Framer::new();
        for chunk in hostile.chunks(16 * 1024) {
            framer.push(chunk);
            while let Some(e) = framer.next(&lenient) {
                black_box(matches!(e, Event::Frame(_)));
            }
        }
    });
    let rate_mb = calls * hostile.len() as f64 / 1e6;
    println!("\nhostile headers that share one end: {rate_mb:.1} MB/s/core");
    println!("\nthe check alone, 299 bytes:");
    let segment = vec![b'7'; 299];
    say(
        "miyun-hj212 folded",
        rate(1000, seconds / 3.0, || {
            for _ in 0..1000 {
                black_box(crc::hj212(black_box(&segment)));
            }
        }),
    );
    say(
        "miyun-hj212 MODBUS dialect",
        rate(1000, seconds / 3.0, || {
            for _ in 0..1000 {
                black_box(CrcDialect::ModbusLowFirst.of(black_box(&segment)));
            }
        }),
    );
    say(
        "crate a 0.1.1",
        rate(1000, seconds / 3.0, || {
            for _ in 0..1000 {
                black_box(a::crc16_ansi(black_box(&segment)));
            }
        }),
    );
}
