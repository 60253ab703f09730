//! Readings out of stored records: factor, statistic, instant, value, flag. The device's dated
//! properties say in which unit and by which clock; nothing is guessed from the frame.

use std::collections::HashMap;
use std::hash::BuildHasherDefault;
use std::ops::Range;

use jiff::civil::DateTime;
use miyun_hj212::{DeviceProfile, Findings, Frame, Stamp, decode};
use serde::{Deserialize, Serialize};

use crate::log::{Kind, Record};
use crate::registry::{Device, Property};
use crate::seen::AsIs;

/// Over what a reading was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Span {
    /// At a moment (2011).
    RealTime,
    /// Some minutes from the label on (2051).
    Minute,
    /// The hour from the label on (2061).
    Hour,
    /// The day from the label on (2031).
    Day,
}

impl Span {
    /// The span of a command.
    #[must_use]
    pub fn of(cn: u16) -> Option<Self> {
        Some(match cn {
            miyun_hj212::cn::REAL_TIME => Self::RealTime,
            miyun_hj212::cn::MINUTE => Self::Minute,
            miyun_hj212::cn::HOUR => Self::Hour,
            miyun_hj212::cn::DAY => Self::Day,
            _ => return None,
        })
    }

    /// The word used in names.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::RealTime => "real-time",
            Self::Minute => "minute",
            Self::Hour => "hour",
            Self::Day => "day",
        }
    }
}

/// One value of one factor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reading {
    /// Factor code.
    pub code: String,
    /// `Rtd`, `Avg`, `ZsAvg`, `Min`, `Max`, `Cou`, ...
    pub attribute: String,
    /// Over what.
    pub span: Span,
    /// True time of the label, seconds since 1970 UTC.
    pub label_s: i64,
    /// Value in 10^-6 of the unit.
    pub micro: i64,
    /// Unit if the sender named it; else the device's dated property holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit: Option<String>,
    /// Data flag as sent, `N` if none was.
    pub flag: char,
    /// A person reviewed it.
    #[serde(default)]
    pub reviewed: bool,
}

/// What a record says.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Said {
    /// Command code; 0 for a document.
    pub cn: u16,
    /// System code.
    pub st: String,
    /// Its DataTime in true time, seconds since 1970 UTC.
    pub time_s: Option<i64>,
    /// Readings.
    pub readings: Vec<Reading>,
    /// What it breaks of the standard.
    pub findings: Findings,
    /// Condition marks of 2025 (ST 45): factor and value as sent.
    pub marks: Vec<(String, String)>,
}

/// A document of another door.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Document {
    /// The device.
    pub mn: String,
    /// Readings.
    pub readings: Vec<DocumentReading>,
}

/// A reading as JSON writes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DocumentReading {
    /// Factor code.
    pub code: String,
    /// `Rtd`, `Avg`, ...; by the span if absent.
    #[serde(default)]
    pub attribute: Option<String>,
    /// `real-time`, `minute`, `hour`, `day`.
    pub span: Span,
    /// Instant with offset, RFC 3339; of an interval its beginning.
    pub time: String,
    /// Value as text or number.
    pub value: serde_json::Value,
    /// Unit.
    #[serde(default)]
    pub unit: Option<String>,
    /// Data flag, `N` if absent.
    #[serde(default)]
    pub flag: Option<char>,
    /// True if a person reviewed it.
    #[serde(default)]
    pub reviewed: bool,
}

/// Most readings of one document.
const READINGS_MAX: usize = 5_000;

impl Document {
    /// Reads and checks a document.
    ///
    /// # Errors
    /// What is wrong, with the reading's number.
    pub fn read(bytes: &[u8]) -> Result<(Self, Vec<Reading>), String> {
        let d: Self = serde_json::from_slice(bytes).map_err(|e| e.to_string())?;
        if !crate::registry::good_mn(&d.mn) {
            return Err(format!(
                "mn {:?}: 1 to 64 printable characters without ; = & ,",
                d.mn
            ));
        }
        if d.readings.is_empty() || d.readings.len() > READINGS_MAX {
            return Err(format!("readings: write 1 to {READINGS_MAX}"));
        }
        let readings = d
            .readings
            .iter()
            .enumerate()
            .map(|(i, r)| r.read().map_err(|e| format!("readings[{i}]: {e}")))
            .collect::<Result<_, _>>()?;
        Ok((d, readings))
    }
}

impl DocumentReading {
    fn read(&self) -> Result<Reading, String> {
        let code_ok = (1..=32).contains(&self.code.len())
            && self.code.bytes().all(|b| b.is_ascii_alphanumeric());
        if !code_ok {
            return Err(format!("code {:?}: letters and digits", self.code));
        }
        let text = match &self.value {
            serde_json::Value::String(s) => s.clone(),
            serde_json::Value::Number(n) => n.to_string(),
            other => return Err(format!("value {other}: write a number")),
        };
        let micro = miyun_hj212::Number::parse(&text)
            .and_then(miyun_hj212::Number::micro)
            .ok_or_else(|| format!("value {text:?} is no number with at most 6 decimals"))?;
        let at: jiff::Timestamp = self
            .time
            .parse()
            .map_err(|_| format!("time {:?}: write 2026-03-01T08:00:00+08:00", self.time))?;
        let default = if self.span == Span::RealTime {
            "Rtd"
        } else {
            "Avg"
        };
        let attribute = self.attribute.clone().unwrap_or_else(|| default.into());
        if attribute.is_empty()
            || attribute.len() > 16
            || !attribute.bytes().all(|b| b.is_ascii_alphanumeric())
        {
            return Err(format!(
                "attribute {attribute:?}: Rtd, Avg, Min, Max, ZsAvg, ..."
            ));
        }
        Ok(Reading {
            code: self.code.clone(),
            attribute,
            span: self.span,
            label_s: at.as_second(),
            micro,
            unit: self.unit.clone(),
            flag: self.flag.unwrap_or('N'),
            reviewed: self.reviewed,
        })
    }
}

/// Reads records, with the profile of the device at the time it was received.
#[derive(Debug)]
pub struct Interpreter {
    utc_offset_minutes: i32,
    plain: Vec<u8>,
    /// Profiles of devices.
    profiles: HashMap<u64, Known, BuildHasherDefault<AsIs>>,
}

/// A profile, and how long it may be used.
#[derive(Debug)]
struct Known {
    profile: DeviceProfile,
    /// Version of the registry that it was made of.
    version: u64,
    /// When it holds.
    holds: Range<i64>,
}

/// Profiles kept at once.
const PROFILES_MAX: usize = 50_000;

impl Interpreter {
    /// An interpreter in a zone.
    #[must_use]
    pub fn new(utc_offset_minutes: i32) -> Self {
        Self {
            utc_offset_minutes,
            plain: Vec::new(),
            profiles: HashMap::default(),
        }
    }

    /// What a record says; `None` if it cannot be read under what is registered of the device.
    /// `version` is the registry's.
    pub fn read(&mut self, r: &Record<'_>, device: &Device, version: u64) -> Option<Said> {
        if r.kind == Kind::Document {
            let (_, readings) = Document::read(r.frame).ok()?;
            return Some(Said {
                time_s: readings.iter().map(|r| r.label_s).max(),
                readings,
                ..Said::default()
            });
        }
        if self.profiles.len() >= PROFILES_MAX && !self.profiles.contains_key(&r.device) {
            self.profiles.clear();
        }
        // Dialect and keys hold for what was sent then, but a person's later word about the past
        // (`from_ms` before) counts.
        let fresh = || Known {
            profile: device.profile(r.received_ms),
            version,
            holds: device.profile_holds(r.received_ms),
        };
        let known = self.profiles.entry(r.device).or_insert_with(fresh);
        if known.version != version || !known.holds.contains(&r.received_ms) {
            *known = fresh();
        }
        let frame = decode(r.frame, &known.profile, &mut self.plain).ok()?;
        Some(said(&frame, device, self.utc_offset_minutes, r.received_ms))
    }
}

fn said(f: &Frame<'_>, device: &Device, utc_offset_minutes: i32, received_ms: i64) -> Said {
    let offset_s: i64 = device
        .at(&Property::ClockOffset, received_ms)
        .and_then(|o| o.parse().ok())
        .unwrap_or(0);
    let true_s = |at: DateTime| local_s(at, utc_offset_minutes).map(|s| s - offset_s);
    let cn = f.cn_number().unwrap_or(0);
    let time_s = f.data_time().and_then(|Stamp(at)| true_s(at));
    let mut out = Said {
        cn,
        st: f.st().unwrap_or("").to_owned(),
        time_s,
        findings: f.findings.and(f.check()),
        ..Said::default()
    };
    let (Some(span), Some(label_s)) = (Span::of(cn), time_s) else {
        return out;
    };
    let marks = out.st == "45";
    // The flag stands behind the values of its factor, in the same group.
    let mut open: Vec<usize> = Vec::new();
    let mut last: (u16, &str) = (u16::MAX, "");
    for item in f.items() {
        let Some((code, attribute)) = item.split() else {
            continue;
        };
        if (item.group, code) != last {
            open.clear();
            last = (item.group, code);
        }
        if attribute == "Flag" {
            let flag = item.value.and_then(|v| v.chars().next()).unwrap_or('N');
            for i in &open {
                out.readings[*i].flag = flag;
            }
            continue;
        }
        if marks && attribute != "EFlag" {
            out.marks
                .push((code.to_owned(), item.value.unwrap_or("").to_owned()));
        }
        let Some(micro) = item.number().and_then(miyun_hj212::Number::micro) else {
            continue;
        };
        if matches!(attribute, "EFlag" | "SampleTime") {
            continue;
        }
        open.push(out.readings.len());
        out.readings.push(Reading {
            code: code.to_owned(),
            attribute: attribute.to_owned(),
            span,
            label_s,
            micro,
            unit: None,
            flag: 'N',
            reviewed: false,
        });
    }
    out
}

/// Seconds since 1970 UTC of a local time.
#[must_use]
pub fn local_s(at: DateTime, utc_offset_minutes: i32) -> Option<i64> {
    let days = i64::from((at.date() - jiff::civil::date(1970, 1, 1)).get_days());
    let seconds =
        i64::from(at.hour()) * 3_600 + i64::from(at.minute()) * 60 + i64::from(at.second());
    Some(days * 86_400 + seconds - i64::from(utc_offset_minutes) * 60)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::merkle::sha256;
    use crate::registry::Registry;

    fn record<'a>(frame: &'a [u8], raw: &'a mut Vec<u8>, kind: Kind) -> Record<'a> {
        crate::log::put_record(raw, kind, 0, 1, 1_700_000_000_000, &sha256(frame), frame);
        crate::log::Records(raw).next().unwrap()
    }

    #[test]
    fn values_flags_and_the_devices_clock() {
        let dir = tempfile::tempdir().unwrap();
        let reg = Registry::open(&dir.path().join("d"), 9).unwrap();
        reg.set(
            "li",
            1,
            &[(
                "M1".into(),
                Property::ClockOffset,
                "120".into(),
                0,
                String::new(),
            )],
        )
        .unwrap();
        let text = "QN=20240101120000000;ST=31;CN=2061;PW=1;MN=M1;Flag=5;CP=&&DataTime=20240101110200;a21026-Avg=12.5,a21026-ZsAvg=13,a21026-Flag=D;a19001-Avg=8.10&&";
        let mut frame = format!("##{:04}{text}", text.len()).into_bytes();
        frame.extend(format!("{:04X}", miyun_hj212::CrcDialect::Hj212.of(text.as_bytes())).bytes());
        let mut raw = Vec::new();
        let r = record(&frame, &mut raw, Kind::Frame);
        let d = reg.find("M1").unwrap();
        let said = Interpreter::new(480).read(&r, &d, 1).unwrap();
        // 11:02:00 at UTC+8 on a clock two minutes fast is 03:00:00 UTC.
        assert_eq!(said.time_s, Some(1_704_078_000));
        let short: Vec<_> = said
            .readings
            .iter()
            .map(|r| {
                (
                    r.code.as_str(),
                    r.attribute.as_str(),
                    r.micro,
                    r.flag,
                    r.span,
                )
            })
            .collect();
        assert_eq!(
            short,
            [
                ("a21026", "Avg", 12_500_000, 'D', Span::Hour),
                ("a21026", "ZsAvg", 13_000_000, 'D', Span::Hour),
                ("a19001", "Avg", 8_100_000, 'N', Span::Hour),
            ]
        );
    }

    #[test]
    fn a_document_says_the_same_and_errors_name_the_place() {
        let good = br#"{"mn":"M1","readings":[{"code":"a34004","span":"hour","time":"2026-03-01T08:00:00+08:00","value":"35.20","unit":"ug/m3","reviewed":true}]}"#;
        let (_, r) = Document::read(good).unwrap();
        assert_eq!(
            (r[0].micro, r[0].label_s, r[0].reviewed),
            (35_200_000, 1_772_323_200, true)
        );
        for (bad, word) in [
            (
                r#"{"mn":"M1","readings":[{"code":"a","span":"hour","time":"2026-03-01","value":1}]}"#,
                "readings[0]: time",
            ),
            (r#"{"mn":"M;1","readings":[]}"#, "mn"),
            (
                r#"{"mn":"M1","readings":[{"code":"a","span":"hour","time":"2026-03-01T08:00:00Z","value":"x"}]}"#,
                "value",
            ),
        ] {
            let e = Document::read(bad.as_bytes()).unwrap_err();
            assert!(e.contains(word), "{e}");
        }
    }
}
