//! Live state: what each device said last, when, how late, what it breaks, and which share of its
//! data came, hour by hour. Held in memory and made anew from the log when the gateway starts.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use miyun_hj212::finding::FindingCode;
use serde::Serialize;

use crate::GatewayError;
use crate::hearing::Hearing;
use crate::log::{Kind, Position, Reader, Record, segments};
use crate::reading::{Interpreter, Reading, Said, Span};
use crate::registry::{Idea, Property, Registry};

/// Hours that are kept.
pub const HOURS: usize = 48;
/// Values kept per device.
const VALUES_MAX: usize = 200;
/// Hour values kept per factor.
const HOUR_VALUES_MAX: usize = HOURS;

/// The last value of a factor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Last {
    /// Value in 10^-6 of the unit.
    pub micro: i64,
    /// Label, seconds since 1970 UTC.
    pub label_s: i64,
    /// Flag as sent.
    pub flag: char,
    /// Unit if the sender named it.
    pub unit: Option<String>,
}

/// An hour mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct HourMean {
    /// Value in 10^-6 of the unit.
    pub micro: i64,
    /// Flag as sent.
    pub flag: char,
    /// A person reviewed it; what is preliminary does not replace it.
    pub reviewed: bool,
}

/// State of one device.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct DeviceState {
    /// When it was last heard, milliseconds since 1970 UTC.
    pub seen_ms: i64,
    /// System code that it sends.
    pub st: String,
    /// Label of its last new data, seconds.
    pub data_s: i64,
    /// Milliseconds from label to arrival of the last real-time frame; negative if its clock is fast.
    pub lag_ms: i64,
    /// Frames of the last hours.
    pub frames: u64,
    /// Candidates in quarantine.
    pub quarantined: u64,
    /// Findings of its frames, counted.
    pub findings: BTreeMap<&'static str, u64>,
    /// Last values by factor, attribute and span.
    pub values: BTreeMap<(String, String, Span), Last>,
    /// Minutes in which data of an hour fell: hour number (seconds / 3600) and one bit a minute.
    pub minutes: BTreeMap<i64, u64>,
    /// Hour values by factor and attribute: label and value.
    pub hours: BTreeMap<(String, String), BTreeMap<i64, HourMean>>,
    /// Minute reports by factor and hour number: the minutes at which one begins, a bit each, by
    /// the flag of its mean.
    pub minute_means: BTreeMap<String, BTreeMap<i64, BTreeMap<char, u64>>>,
    /// Condition marks: from label on, as sent.
    pub marks: BTreeMap<i64, Vec<(String, String)>>,
    /// Lags of the last real-time frames, for learning the clock.
    #[serde(skip)]
    lags: Vec<i64>,
    /// Version bits seen, counted.
    #[serde(skip)]
    versions: [u64; 3],
}

impl DeviceState {
    /// Share of the minutes of an hour in which data fell, 0 to 1; `interval_min` is how often the
    /// device reports.
    #[must_use]
    pub fn share(&self, hour: i64, interval_min: u32) -> f64 {
        let bits = self.minutes.get(&hour).map_or(0, |b| b.count_ones());
        let expected = (60 / interval_min.clamp(1, 60)).max(1);
        (f64::from(bits) / f64::from(expected)).min(1.0)
    }

    /// Minute reports of a factor in the hour that begins at `label_s`, of those whose flag `usable`
    /// accepts.
    #[must_use]
    pub fn minute_reports(&self, code: &str, label_s: i64, usable: impl Fn(char) -> bool) -> u32 {
        let hour = label_s.div_euclid(3_600);
        let flags = self.minute_means.get(code).and_then(|h| h.get(&hour));
        flags.map_or(0, |flags| {
            let good = flags.iter().filter(|(f, _)| usable(**f));
            good.map(|(_, bits)| bits.count_ones()).sum()
        })
    }

    /// The distance between its minute reports, if it is the same in nine of ten cases.
    fn minutes_apart(&self) -> Option<(u32, u64)> {
        let mut apart = [0u64; 61];
        for hours in self.minute_means.values() {
            for flags in hours.values() {
                let bits = flags.values().fold(0, |all, b| all | b);
                let at: Vec<usize> = (0..60).filter(|k| bits >> k & 1 == 1).collect();
                for pair in at.windows(2) {
                    apart[pair[1] - pair[0]] += 1;
                }
            }
        }
        let total: u64 = apart.iter().sum();
        let (minutes, n) = (1u32..).zip(&apart[1..]).max_by_key(|(_, n)| **n)?;
        let clear = *n >= LEARN_AFTER && *n * 10 >= total * 9 && 60 % minutes == 0;
        clear.then_some((minutes, *n))
    }

    /// Every how many minutes it reports, by the densest hour.
    #[must_use]
    pub fn interval_min(&self) -> u32 {
        let most = self
            .minutes
            .values()
            .map(|b| b.count_ones())
            .max()
            .unwrap_or(0);
        match most {
            0 | 1 => 60,
            2..=3 => 30,
            4..=5 => 15,
            6..=8 => 10,
            9..=14 => 5,
            15..=29 => 3,
            _ => 1,
        }
    }

    /// `minutes`: over how many its minute reports go, as far as that is registered.
    fn take(&mut self, r: &Record<'_>, said: Option<&Said>, minutes: Option<u32>) {
        self.seen_ms = self.seen_ms.max(r.received_ms);
        self.frames += 1;
        let Some(said) = said else {
            self.quarantined += 1;
            return;
        };
        // What it says of itself, of electricity and of conditions (91, 44, 45) is not what it measures.
        let measures = !matches!(said.st.as_str(), "" | "91" | "44" | "45");
        if measures || self.st.is_empty() {
            self.st.clone_from(&said.st);
        }
        for code in said.findings.iter() {
            *self.findings.entry(code.as_str()).or_default() += 1;
        }
        let Some(time_s) = said.time_s else {
            return;
        };
        let hour = r.received_ms.div_euclid(3_600_000);
        let oldest = hour - HOURS as i64;
        if time_s.div_euclid(3_600) > oldest && time_s.div_euclid(3_600) <= hour + 1 {
            let minute = time_s.rem_euclid(3_600) / 60;
            // A minute report stands for all its minutes.
            let over = match said.cn {
                miyun_hj212::cn::MINUTE => minutes.unwrap_or(1).clamp(1, 60),
                _ => 1,
            };
            let bits = (u64::MAX >> (64 - over)) << minute & (u64::MAX >> 4);
            *self.minutes.entry(time_s.div_euclid(3_600)).or_default() |= bits;
            while self.minutes.len() > HOURS {
                self.minutes.pop_first();
            }
        }
        if said.cn == miyun_hj212::cn::REAL_TIME && r.flags & crate::log::BACKFILL == 0 {
            self.lag_ms = r.received_ms - time_s * 1_000;
            if self.lags.len() >= 64 {
                self.lags.remove(0);
            }
            self.lags.push(self.lag_ms);
        }
        self.data_s = self.data_s.max(time_s);
        // A mark holds until another comes.
        let before = self.marks.range(..time_s).next_back().map(|(_, m)| m);
        if !said.marks.is_empty() && before != Some(&said.marks) {
            self.marks.insert(time_s, said.marks.clone());
            while self.marks.len() > 256 {
                self.marks.pop_first();
            }
        }
        for reading in &said.readings {
            self.value(reading);
        }
    }

    fn value(&mut self, v: &Reading) {
        let key = (v.code.clone(), v.attribute.clone(), v.span);
        let newer = self.values.get(&key).is_none_or(|l| l.label_s <= v.label_s);
        if newer && (self.values.len() < VALUES_MAX || self.values.contains_key(&key)) {
            self.values.insert(
                key,
                Last {
                    micro: v.micro,
                    label_s: v.label_s,
                    flag: v.flag,
                    unit: v.unit.clone(),
                },
            );
        }
        if v.span == Span::Minute && matches!(v.attribute.as_str(), "Avg" | "ZsAvg") {
            let known = self.minute_means.contains_key(&v.code);
            if known || self.minute_means.len() < VALUES_MAX {
                let hours = self.minute_means.entry(v.code.clone()).or_default();
                let minutes = hours.entry(v.label_s.div_euclid(3_600)).or_default();
                let bit = 1 << (v.label_s.rem_euclid(3_600) / 60);
                // What was sent again with another flag counts as it was sent last.
                minutes.values_mut().for_each(|bits| *bits &= !bit);
                *minutes.entry(v.flag).or_default() |= bit;
                while hours.len() > HOURS {
                    hours.pop_first();
                }
            }
        }
        if v.span == Span::Hour && matches!(v.attribute.as_str(), "Avg" | "ZsAvg") {
            let key = (v.code.clone(), v.attribute.clone());
            if self.hours.len() < VALUES_MAX || self.hours.contains_key(&key) {
                let hours = self.hours.entry(key).or_default();
                let held = hours.get(&v.label_s).is_some_and(|h| h.reviewed);
                if v.reviewed || !held {
                    let mean = HourMean {
                        micro: v.micro,
                        flag: v.flag,
                        reviewed: v.reviewed,
                    };
                    hours.insert(v.label_s, mean);
                }
                while hours.len() > HOUR_VALUES_MAX {
                    hours.pop_first();
                }
            }
        }
    }
}

/// States of all devices, and a version that grows with each change.
#[derive(Debug, Default)]
pub struct State {
    devices: RwLock<HashMap<u64, DeviceState>>,
    version: AtomicU64,
    /// Version at which each device changed last.
    changed: RwLock<HashMap<u64, u64>>,
    /// How far the log was read.
    read: Mutex<Position>,
}

impl State {
    /// Grows with each batch taken in.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.version.load(Ordering::Acquire)
    }

    /// State of a device.
    #[must_use]
    pub fn device(&self, number: u64) -> Option<DeviceState> {
        self.devices
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&number)
            .cloned()
    }

    /// Calls `f` with the states of all devices.
    pub fn with<T>(&self, f: impl FnOnce(&HashMap<u64, DeviceState>) -> T) -> T {
        f(&self.devices.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Devices that changed after `version`.
    #[must_use]
    pub fn since(&self, version: u64) -> Vec<u64> {
        self.changed
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .iter()
            .filter(|(_, v)| **v > version)
            .map(|(d, _)| *d)
            .collect()
    }

    /// How far the log was read: the frames of the last [`HOURS`] hours before it are taken in.
    #[must_use]
    pub fn read_to(&self) -> Position {
        *self.read.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn reached(&self, at: Position) {
        *self.read.lock().unwrap_or_else(PoisonError::into_inner) = at;
    }

    /// Reads on to the end of the log; for when nobody [`follow`]s it any more.
    ///
    /// # Errors
    /// [`GatewayError`] if the log cannot be read.
    pub fn catch_up(&self, running: &crate::server::Follow) -> Result<(), GatewayError> {
        let mut reader = Reader::at(&running.log, self.read_to());
        let mut interpreter = Interpreter::new(running.utc_offset_minutes);
        while let Some(batch) = reader.next(running.progress.end())? {
            self.take(batch.records(), &running.registry, &mut interpreter);
            self.reached(batch.end);
        }
        Ok(())
    }

    /// Takes records of a batch.
    pub fn take<'a>(
        &self,
        records: impl Iterator<Item = Record<'a>>,
        registry: &Registry,
        interpreter: &mut Interpreter,
    ) {
        let next = self.version() + 1;
        let version = registry.version();
        let mut touched = Vec::new();
        {
            let mut all = self.devices.write().unwrap_or_else(PoisonError::into_inner);
            for r in records {
                let Some(device) = registry.device(r.device) else {
                    continue;
                };
                let said = interpreter.read(&r, &device, version);
                if let Some(v) = said
                    .as_ref()
                    .filter(|_| r.kind == Kind::Frame)
                    .and_then(|_| version_bits(r.frame))
                {
                    let d = all.entry(r.device).or_default();
                    if let Some(n) = d.versions.get_mut(usize::from(v)) {
                        *n += 1;
                    }
                }
                let minutes = device.minute_interval(r.received_ms);
                let state = all.entry(r.device).or_default();
                state.take(&r, said.as_ref(), minutes);
                touched.push(r.device);
            }
        }
        let mut changed = self.changed.write().unwrap_or_else(PoisonError::into_inner);
        for d in touched {
            changed.insert(d, next);
        }
        drop(changed);
        self.version.store(next, Ordering::Release);
    }

    /// The state that the frames received until a moment gave: of those in the log before `end`, the
    /// last [`HOURS`] hours up to it.
    ///
    /// # Errors
    /// [`GatewayError`] if the log cannot be read.
    pub fn as_known(
        log: &Path,
        end: Position,
        registry: &Registry,
        until_ms: i64,
        utc_offset_minutes: i32,
    ) -> Result<Self, GatewayError> {
        let state = Self::default();
        let mut interpreter = Interpreter::new(utc_offset_minutes);
        let mut reader = Reader::at(log, start_of_hours(log, until_ms)?);
        while let Some(batch) = reader.next(end)? {
            let until = |r: &Record<'_>| r.received_ms <= until_ms;
            if !batch.records().any(|r| until(&r)) {
                break;
            }
            state.take(batch.records().filter(until), registry, &mut interpreter);
        }
        Ok(state)
    }

    /// Proposes what was learnt of the devices: edition, dialect of the check, clock, minute reports.
    ///
    /// # Errors
    /// [`GatewayError`] if a proposal cannot be written.
    pub fn learn(
        &self,
        registry: &Registry,
        hearing: &Hearing,
        now_ms: i64,
    ) -> Result<usize, GatewayError> {
        let failures = hearing.failures();
        let mut ideas: Vec<(u64, Property, String, String)> = Vec::new();
        for (device, f) in &failures {
            for (dialect, n) in f.dialects.iter().filter(|(_, n)| *n >= LEARN_AFTER) {
                let good = self.with(|s| s.get(device).map_or(0, |d| d.frames - d.quarantined));
                let value = if good > 0 {
                    format!("hj212+{}", dialect.as_str())
                } else {
                    dialect.as_str().to_owned()
                };
                ideas.push((
                    *device,
                    Property::Crc,
                    value,
                    format!("{n} candidates fit this check"),
                ));
            }
        }
        self.with(|all| {
            for (device, d) in all {
                let total: u64 = d.versions.iter().sum();
                for (edition, n) in ["2005", "2017", "2025"].iter().zip(d.versions) {
                    if total >= 2 * LEARN_AFTER && n == total {
                        ideas.push((
                            *device,
                            Property::Edition,
                            (*edition).to_owned(),
                            format!("the version bits of {n} of {total} frames"),
                        ));
                    }
                }
                if let Some((minutes, n)) = d.minutes_apart() {
                    ideas.push((
                        *device,
                        Property::MinuteInterval,
                        minutes.to_string(),
                        format!("{n} minute reports were {minutes} min apart"),
                    ));
                }
                if d.lags.len() >= 32 {
                    let mut lags = d.lags.clone();
                    lags.sort_unstable();
                    let (low, middle, high) = (
                        lags[lags.len() / 10],
                        lags[lags.len() / 2],
                        lags[lags.len() * 9 / 10],
                    );
                    // A clock that is off: the lag is large, and the same for all frames.
                    if middle.abs() > CLOCK_OFF_MS && high - low < CLOCK_OFF_MS / 2 {
                        ideas.push((
                            *device,
                            Property::ClockOffset,
                            (-middle / 1_000).to_string(),
                            format!(
                                "{} frames were labelled {} s before they came, all alike",
                                lags.len(),
                                middle / 1_000
                            ),
                        ));
                    }
                }
            }
        });
        let mut asked = HashSet::new();
        let open = ideas
            .into_iter()
            .filter_map(|(device, property, value, why)| {
                let d = registry.device(device)?;
                // One open question a property; a new one after a person has spoken.
                let closed = d.proposals.iter().any(|p| p.property == property)
                    || d.last(&property).is_some();
                (!closed && asked.insert((device, property.clone()))).then(|| Idea {
                    mn: d.mn.clone(),
                    property,
                    value,
                    why,
                })
            });
        registry.propose(now_ms, open.collect())
    }
}

/// Alike things after which something counts as learnt.
const LEARN_AFTER: u64 = 10;
/// A label this far from arrival hints at a wrong clock.
const CLOCK_OFF_MS: i64 = 120_000;

fn version_bits(frame: &[u8]) -> Option<u8> {
    let head = frame.get(..frame.len().min(256))?;
    let at = head.windows(6).position(|w| w == b";Flag=")?;
    let digits: Vec<u8> = head[at + 6..]
        .iter()
        .copied()
        .take_while(u8::is_ascii_digit)
        .take(3)
        .collect();
    let n: u16 = std::str::from_utf8(&digits).ok()?.parse().ok()?;
    u8::try_from(n >> 2).ok()
}

/// Where to begin reading so that the last [`HOURS`] hours are seen.
///
/// # Errors
/// [`GatewayError`] if the log cannot be read.
pub fn start_of_hours(log: &Path, now_ms: i64) -> Result<Position, GatewayError> {
    let wanted = now_ms - HOURS as i64 * 3_600_000;
    let mut from = Position::default();
    for (segment, _) in segments(log)? {
        let at = Position { segment, offset: 0 };
        if let Some(t) = crate::log::first_time(log, at)?
            && t <= wanted
        {
            from = at;
        }
    }
    Ok(from)
}

/// Follows the log for ever (until `stop`), keeping the state and making proposals.
pub fn follow(
    state: &Arc<State>,
    running: &crate::server::Follow,
    from: Position,
    stop: &std::sync::atomic::AtomicBool,
) {
    let mut interpreter = Interpreter::new(running.utc_offset_minutes);
    let mut reader = Reader::at(&running.log, from);
    state.reached(from);
    let mut learnt = std::time::Instant::now();
    while !stop.load(Ordering::Acquire) {
        let end = running
            .progress
            .wait_beyond(reader.position(), Duration::from_millis(500));
        loop {
            match reader.next(end) {
                Ok(Some(batch)) => {
                    state.take(batch.records(), &running.registry, &mut interpreter);
                    state.reached(batch.end);
                }
                Ok(None) => break,
                Err(e) => {
                    tracing::error!("live state: {e}");
                    std::thread::sleep(Duration::from_secs(5));
                    break;
                }
            }
            if stop.load(Ordering::Acquire) {
                return;
            }
        }
        if learnt.elapsed() > Duration::from_secs(2) {
            learnt = std::time::Instant::now();
            let done = running.registry.refresh().and_then(|()| {
                state.learn(&running.registry, &running.hearing, running.clock.now_ms())
            });
            if let Err(e) = done {
                tracing::error!("{e}");
            }
        }
    }
}

/// What a finding's code says; `None` if the code is unknown.
#[must_use]
pub fn finding(code: &str) -> Option<FindingCode> {
    FindingCode::ALL
        .iter()
        .copied()
        .find(|c| c.as_str() == code)
}
