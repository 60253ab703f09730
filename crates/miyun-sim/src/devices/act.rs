//! What a device does, in order of time.

use jiff::ToSpan;
use jiff::civil::DateTime;
use serde::Serialize;

use super::fleet::{Device, Fault, Kind};
use crate::Random;

/// A silent device falls silent after so many seconds.
const SILENT_AFTER_S: i64 = 20 * 3_600;
/// What stacks convert to a reference oxygen of 6 % from the 8.1 % that they measure, and how.
const CONVERTED: [&str; 3] = ["a21026", "a21002", "a34013"];
const CONVERT: (i64, i64) = (1_500, 1_290);

/// One thing that a device does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Act {
    /// It sends a report.
    Send(Report),
    /// It sends bytes that are no frame.
    Noise(Vec<u8>),
    /// It drops the connection and opens another.
    Reconnect,
}

/// What a report is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ReportKind {
    /// The logger was started.
    Restarted,
    /// Values of an instant.
    RealTime,
    /// Means of minutes.
    Minute,
    /// Means of an hour.
    Hour,
    /// Means of a day.
    Day,
}

/// What happens to the bytes of a report on their way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Spoil {
    /// A digit of the check changes.
    WrongCrc,
    /// The last bytes get lost.
    Cut,
    /// It is sent twice.
    Twice,
    /// CR LF is left out.
    NoCrLf,
}

/// Values of one factor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Reading {
    /// Factor code.
    pub code: &'static str,
    /// Attribute (`Rtd`, `Min`, `Avg`, `Max`, `Cou`, `Data`) and value as printed.
    pub values: Vec<(&'static str, String)>,
    /// Data flag.
    pub flag: char,
}

/// One report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    /// What it is about.
    pub kind: ReportKind,
    /// Instant of real-time values; start of the interval of all others. In the device's clock.
    pub data_time: DateTime,
    /// When the device sends it, in its clock.
    pub sent_at: DateTime,
    /// Sent late for a time that was missed.
    pub back_fill: bool,
    /// Values.
    pub readings: Vec<Reading>,
    /// What happens to it on its way.
    pub spoil: Option<Spoil>,
}

/// The acts of one device: `(seconds since the start, act)`, without end.
#[derive(Debug, Clone)]
pub struct Acts {
    device: Device,
    start: DateTime,
    random: Random,
    /// Second of the next real-time report.
    second: i64,
    reports: u64,
    /// Drift of each factor in thousandths of its usual value.
    drift: Vec<i64>,
    /// What was missed and waits to be filled in.
    missed: Vec<Report>,
    waiting: std::collections::VecDeque<(i64, Act)>,
}

impl Acts {
    pub(super) fn new(device: Device, start: DateTime, mut random: Random) -> Self {
        let drift = vec![0; device.kind.factors().len()];
        // Devices do not report in step.
        let phase = (random.uniform() * device.rtd_s as f64) as i64;
        let mut acts = Self {
            device,
            start,
            random,
            second: phase,
            reports: 0,
            drift,
            missed: Vec::new(),
            waiting: std::collections::VecDeque::new(),
        };
        let report = acts.report(ReportKind::Restarted, acts.second, 0);
        acts.waiting.push_back((acts.second, Act::Send(report)));
        acts
    }

    fn pick(&mut self, n: i64) -> i64 {
        (self.random.uniform() * n as f64) as i64
    }

    /// The clock of the device `seconds` after the start.
    fn clock(&self, seconds: i64) -> DateTime {
        self.start
            .checked_add((seconds + self.device.clock_ahead_s).seconds())
            .unwrap_or(self.start)
    }

    /// A report of the interval of `minutes` that ends at `seconds`.
    fn report(&mut self, kind: ReportKind, seconds: i64, minutes: i64) -> Report {
        let sent_at = self.clock(seconds);
        let data_time = sent_at.checked_sub(minutes.minutes()).unwrap_or(sent_at);
        let readings = if kind == ReportKind::Restarted {
            Vec::new()
        } else {
            self.readings(kind, minutes, data_time)
        };
        Report {
            kind,
            data_time,
            sent_at,
            back_fill: false,
            readings,
            spoil: None,
        }
    }

    fn readings(&mut self, kind: ReportKind, minutes: i64, at: DateTime) -> Vec<Reading> {
        let fault = self.device.fault;
        let stuck = fault == Some(Fault::Stuck) && self.reports > 20;
        // Maintenance, calibration and a fault come in turns of twelve reports.
        let flag = match (fault, self.reports / 12 % 8) {
            (Some(Fault::Flags), 3) => 'M',
            (Some(Fault::Flags), 5) => 'C',
            (Some(Fault::Flags), 6) => 'D',
            _ => 'N',
        };
        let factors = self.device.kind.factors();
        let mut out = Vec::with_capacity(factors.len());
        for (k, (code, usual, _)) in factors.iter().enumerate() {
            if !(stuck && k == 0) {
                let step = self.pick(61) - 30;
                self.drift[k] = (self.drift[k] * 9 / 10 + step).clamp(-600, 900);
            }
            let falters = fault == Some(Fault::Exceeds) && (9..12).contains(&at.hour());
            let times = if falters && *code == "a21002" { 2 } else { 1 };
            let value = usual * (1000 + self.drift[k]) / 1000 * times;
            let converts = self.device.kind == Kind::Stack && CONVERTED.contains(code);
            let zs = |v: i64| printed(v * CONVERT.0 / CONVERT.1);
            let spread = usual * 4 / 100;
            let mut values = match kind {
                ReportKind::RealTime => vec![("Rtd", printed(value))],
                _ if self.device.kind.system() == "23" => vec![("Data", printed(value))],
                _ => {
                    let mut v = vec![
                        ("Min", printed(value - spread)),
                        ("Avg", printed(value)),
                        ("Max", printed(value + spread)),
                    ];
                    if k == 0 {
                        v.insert(0, ("Cou", printed(value * minutes / 10)));
                    }
                    v
                }
            };
            if converts {
                values.extend(match kind {
                    ReportKind::RealTime => vec![("ZsRtd", zs(value))],
                    _ => vec![
                        ("ZsMin", zs(value - spread)),
                        ("ZsAvg", zs(value)),
                        ("ZsMax", zs(value + spread)),
                    ],
                });
            }
            out.push(Reading { code, values, flag });
        }
        out
    }

    /// Fills `waiting` with what the device does at its next second.
    fn advance(&mut self) {
        let now = self.second;
        let (rtd, minute) = (self.device.rtd_s, self.device.minutes * 60);
        let passed = |every: i64| now / every != (now - rtd) / every && now >= every;
        let (from, until) = self.device.history;
        let mut reports = match now < until {
            true => Vec::new(),
            false => vec![self.report(ReportKind::RealTime, now, 0)],
        };
        let on_the = |r: &mut Report, seconds: i64, minutes: i64, clock: DateTime| {
            // Interval data carry the start of a whole interval.
            let whole = clock.checked_sub((seconds).seconds()).unwrap_or(clock);
            r.data_time = whole.checked_sub(minutes.minutes()).unwrap_or(whole);
        };
        for (kind, every, minutes) in [
            (ReportKind::Minute, minute, self.device.minutes),
            (ReportKind::Hour, 3600, 60),
            (ReportKind::Day, 86_400, 1440),
        ] {
            if passed(every) {
                let mut r = self.report(kind, now, minutes);
                // A wrong clock shows in the label; one that is off by seconds closes whole minutes.
                let off = self.device.clock_ahead_s;
                let clock = match off.abs() > 60 {
                    true => self.clock(now),
                    false => self.clock(now - off),
                };
                on_the(&mut r, now % every, minutes, clock);
                reports.push(r);
            }
        }
        self.second += rtd;
        if now < from {
            return;
        }
        let fault = self.device.fault;
        for mut r in reports {
            r.back_fill = now < until;
            if fault == Some(Fault::LowCapture) && r.data_time.hour() % 5 >= 2 {
                continue;
            }
            self.reports += 1;
            let n = self.reports;
            match fault {
                Some(Fault::WrongCrc) if n.is_multiple_of(10) => r.spoil = Some(Spoil::WrongCrc),
                Some(Fault::CutFrames) if n.is_multiple_of(9) => r.spoil = Some(Spoil::Cut),
                Some(Fault::Duplicates) if n.is_multiple_of(5) => r.spoil = Some(Spoil::Twice),
                Some(Fault::NoCrLf) => r.spoil = Some(Spoil::NoCrLf),
                Some(Fault::Garbage) if n.is_multiple_of(7) => {
                    let bytes = (0..5 + self.pick(36))
                        .map(|_| self.pick(256) as u8)
                        .collect();
                    self.waiting.push_back((now, Act::Noise(bytes)));
                }
                Some(Fault::Reconnect) if n.is_multiple_of(20) => {
                    self.waiting.push_back((now, Act::Reconnect));
                }
                // Ten reports are missed of every forty, then sent after newer ones.
                Some(Fault::BackFill) if n % 40 >= 20 && n % 40 < 30 => {
                    r.back_fill = true;
                    self.missed.push(r);
                    continue;
                }
                _ => {}
            }
            let back = !self.missed.is_empty();
            self.waiting.push_back((now, Act::Send(r)));
            if back {
                let sent_at = self.clock(now);
                for mut late in self.missed.drain(..) {
                    late.sent_at = sent_at;
                    self.waiting.push_back((now, Act::Send(late)));
                }
            }
        }
    }
}

impl Iterator for Acts {
    type Item = (i64, Act);

    fn next(&mut self) -> Option<Self::Item> {
        while self.waiting.is_empty() {
            if self.device.fault == Some(Fault::Silent) && self.second >= SILENT_AFTER_S {
                return None;
            }
            self.advance();
        }
        self.waiting.pop_front()
    }
}

/// Thousandths as a decimal with up to three places.
fn printed(thousandths: i64) -> String {
    let sign = if thousandths < 0 { "-" } else { "" };
    let (whole, part) = (thousandths.abs() / 1000, thousandths.abs() % 1000);
    if thousandths.abs() >= 10_000 {
        format!("{sign}{whole}.{}", part / 100)
    } else {
        format!("{sign}{whole}.{part:03}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::devices::{Fleet, Kind};

    fn device(fault: Option<Fault>) -> Device {
        let mut d = Fleet::new(3, 200)
            .devices
            .into_iter()
            .find(|d| d.kind == Kind::Stack && d.fault.is_none())
            .unwrap();
        d.fault = fault;
        d
    }

    fn day(d: &Device) -> Vec<(i64, Act)> {
        d.acts(DateTime::constant(2026, 3, 1, 0, 0, 0, 0))
            .take_while(|(s, _)| *s < 86_400 + 60)
            .collect()
    }

    fn sent(acts: &[(i64, Act)], kind: ReportKind) -> Vec<Report> {
        acts.iter()
            .filter_map(|(_, a)| match a {
                Act::Send(r) if r.kind == kind => Some(r.clone()),
                _ => None,
            })
            .collect()
    }

    #[test]
    fn a_day_has_its_reports() {
        let d = device(None);
        let acts = day(&d);
        assert_eq!(acts, day(&d));
        assert!(acts.windows(2).all(|w| w[0].0 <= w[1].0));
        assert_eq!(sent(&acts, ReportKind::Restarted).len(), 1);
        assert!((2880..=2882).contains(&sent(&acts, ReportKind::RealTime).len()));
        let minutes = sent(&acts, ReportKind::Minute);
        assert_eq!(minutes.len(), 144);
        assert_eq!(minutes[0].data_time.to_string(), "2026-03-01T00:00:00");
        assert_eq!(minutes[1].data_time.to_string(), "2026-03-01T00:10:00");
        let hours = sent(&acts, ReportKind::Hour);
        assert_eq!(hours.len(), 24);
        assert_eq!(hours[23].data_time.to_string(), "2026-03-01T23:00:00");
        assert_eq!(
            sent(&acts, ReportKind::Day)[0].data_time.to_string(),
            "2026-03-01T00:00:00"
        );
    }

    #[test]
    fn every_fault_shows() {
        let count = |fault, f: fn(&Act) -> bool| {
            day(&device(Some(fault)))
                .iter()
                .filter(|(_, a)| f(a))
                .count()
        };
        let spoil = |fault, f: fn(&Act) -> bool| assert!(count(fault, f) > 100, "{fault:?}");
        spoil(
            Fault::WrongCrc,
            |a| matches!(a, Act::Send(r) if r.spoil == Some(Spoil::WrongCrc)),
        );
        spoil(
            Fault::CutFrames,
            |a| matches!(a, Act::Send(r) if r.spoil == Some(Spoil::Cut)),
        );
        spoil(
            Fault::Duplicates,
            |a| matches!(a, Act::Send(r) if r.spoil == Some(Spoil::Twice)),
        );
        spoil(
            Fault::NoCrLf,
            |a| matches!(a, Act::Send(r) if r.spoil == Some(Spoil::NoCrLf)),
        );
        spoil(Fault::Garbage, |a| matches!(a, Act::Noise(_)));
        spoil(Fault::Reconnect, |a| matches!(a, Act::Reconnect));
        spoil(
            Fault::Flags,
            |a| matches!(a, Act::Send(r) if r.readings.iter().any(|x| x.flag == 'C')),
        );
        spoil(
            Fault::BackFill,
            |a| matches!(a, Act::Send(r) if r.back_fill),
        );
        let stuck = sent(&day(&device(Some(Fault::Stuck))), ReportKind::RealTime);
        let first: Vec<_> = stuck
            .iter()
            .skip(100)
            .map(|r| &r.readings[0].values)
            .collect();
        assert!(first.windows(2).all(|w| w[0] == w[1]));
        let moving = &stuck[100].readings[1].values;
        assert!(stuck.iter().any(|r| &r.readings[1].values != moving));
    }

    #[test]
    fn a_city_has_outlets_that_exceed_lose_data_and_fall_silent() {
        let fleet = Fleet::of_a_city(1, 24);
        let of = |fault| {
            let found = fleet.devices.iter().find(|d| d.fault == Some(fault));
            let mut d = found.unwrap().clone();
            d.history = (0, 86_400);
            d
        };
        let hours = |d: &Device| sent(&day(d), ReportKind::Hour);
        let nox = |r: &Report| -> f64 {
            let of = r.readings.iter().find(|x| x.code == "a21002").unwrap();
            let zs = of.values.iter().find(|v| v.0 == "ZsAvg").unwrap();
            zs.1.parse().unwrap()
        };
        let over: Vec<i8> = hours(&of(Fault::Exceeds))
            .iter()
            .filter(|r| nox(r) > 50.0)
            .map(|r| r.data_time.hour())
            .collect();
        assert_eq!(over, [9, 10, 11]);
        assert_eq!(hours(&of(Fault::LowCapture)).len(), 10);
        let start = DateTime::constant(2026, 3, 1, 0, 0, 0, 0);
        let last = of(Fault::Silent).acts(start).last().unwrap().0;
        assert!((19 * 3_600..20 * 3_600).contains(&last), "{last}");
    }

    #[test]
    fn history_has_means_alone_and_begins_where_it_is_told() {
        let mut d = device(None);
        d.history = (7_200, 14_400);
        let acts = day(&d);
        let first = sent(&acts, ReportKind::Hour);
        assert!(first[0].data_time.hour() >= 1 && first[0].back_fill);
        let real_time = sent(&acts, ReportKind::RealTime);
        let from = DateTime::constant(2026, 3, 1, 3, 59, 0, 0);
        assert!(
            real_time
                .iter()
                .all(|r| r.data_time >= from && !r.back_fill)
        );
        assert!(sent(&acts, ReportKind::Minute).len() > 100);
    }

    #[test]
    fn what_was_missed_comes_after_what_is_new() {
        let acts = day(&device(Some(Fault::BackFill)));
        let late = acts
            .iter()
            .position(|(_, a)| matches!(a, Act::Send(r) if r.back_fill))
            .unwrap();
        let Act::Send(new) = &acts[late - 1].1 else {
            panic!("a report")
        };
        let Act::Send(old) = &acts[late].1 else {
            panic!("a report")
        };
        assert!(!new.back_fill && old.data_time < new.data_time);
    }
}
