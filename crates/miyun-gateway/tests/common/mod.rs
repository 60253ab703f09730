//! A logger for tests: sends frames, waits for answers.
#![allow(dead_code)]

pub mod faults;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::time::Duration;

use miyun_gateway::log::{Position, Reader};
use miyun_gateway::server::paths;
use miyun_gateway::{Gateway, Running, Settings};
use miyun_hj212::{DeviceProfile, Event, Framer, Message, Qn, Region, Stamp};

/// How long a test waits for what must come: long enough for a machine on which it starves.
pub const PATIENCE: Duration = Duration::from_secs(180);

pub fn settings() -> Settings {
    Settings {
        listen: vec![SocketAddr::from(([127, 0, 0, 1], 0))],
        ..Settings::default()
    }
}

pub fn start(dir: &Path) -> Running {
    Gateway::open(dir, settings()).unwrap().start().unwrap()
}

/// MN of logger `k`.
pub fn mn(k: u32) -> String {
    format!("{k:024X}")
}

/// Request number `n`, all different.
pub fn qn(n: u64) -> String {
    Qn::parse("20260301000000000")
        .unwrap()
        .plus_ms(n as i64)
        .to_string()
}

/// A frame of new data.
pub fn frame(mn: &str, qn: &str, value: u64) -> Vec<u8> {
    let now = jiff::tz::TimeZone::fixed(jiff::tz::offset(8)).to_datetime(jiff::Timestamp::now());
    frame_at(mn, qn, value, Stamp(now))
}

pub fn frame_at(mn: &str, qn: &str, value: u64, at: Stamp) -> Vec<u8> {
    Message::new("31", 2011, mn)
        .qn(Qn::parse(qn).unwrap())
        .pw("123456")
        .ack(true)
        .region(
            Region::new()
                .item("DataTime", at)
                .factor("a21026", &[("Rtd", &value), ("Flag", &"N")]),
        )
        .encode_whole(&DeviceProfile::default())
        .unwrap()
}

pub struct Logger {
    pub stream: TcpStream,
    framer: Framer,
    ready: std::collections::VecDeque<(String, String, String)>,
}

impl Logger {
    pub fn connect(to: SocketAddr) -> Self {
        let stream = TcpStream::connect(to).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        Self {
            stream,
            framer: Framer::new(),
            ready: Default::default(),
        }
    }

    /// Command, request number and region of the next answer; `None` if the gateway closes or says
    /// nothing in time.
    pub fn answer(&mut self) -> Option<(String, String, String)> {
        let mut bytes = [0; 4096];
        loop {
            if let Some(a) = self.ready.pop_front() {
                return Some(a);
            }
            let n = self.stream.read(&mut bytes).ok().filter(|n| *n > 0)?;
            self.framer.push(&bytes[..n]);
            while let Some(e) = self.framer.next(&DeviceProfile::default()) {
                if let Event::Frame(f) = e {
                    let t = |x: Option<&str>| x.unwrap_or("").to_owned();
                    self.ready
                        .push_back((t(f.cn()), t(f.qn()), f.region().to_owned()));
                }
            }
        }
    }

    /// Sends a frame and waits for its 9014; false if none comes.
    pub fn send(&mut self, frame: &[u8], qn: &str) -> bool {
        self.stream.write_all(frame).is_ok()
            && self
                .answer()
                .is_some_and(|(cn, q, _)| cn == "9014" && q == qn)
    }
}

/// All frames in the log of a stopped or running gateway.
pub fn stored(dir: &Path, end: Position) -> Vec<Vec<u8>> {
    let mut reader = Reader::at(&paths::log(dir), Position::default());
    let mut out = Vec::new();
    while let Some(b) = reader.next(end).unwrap() {
        out.extend(b.records().map(|r| r.frame.to_vec()));
    }
    out
}
