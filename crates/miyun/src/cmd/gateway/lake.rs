//! Brings what the frame log holds into the lake: readings of confirmed devices become observations.
//!
//! A run reads the log from its cursor, writes one commit, then moves the cursor. A crash between the
//! two repeats the run, and the lake stores no value twice.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use anyhow::Result;
use miyun_core::observation::Flag;
use miyun_core::subject::SubjectKind;
use miyun_core::{
    Decimal, IntervalLabel, JurisdictionId, Series, Subject, SubjectId, Text, UnitId, unit,
};
use miyun_gateway::log::{Position, Reader};
use miyun_gateway::reading::{Interpreter, Reading, Span};
use miyun_gateway::registry::{Device, Property};
use miyun_gateway::relay::{read_cursor, write_cursor};
use miyun_gateway::server::Follow;
use miyun_import::{Parsed, Problems, SeriesRows};
use miyun_lake::{ImportFile, Lake};
use miyun_rulebook::Rulebook;
use miyun_web::devices::judge::unit_of;

/// Name of the lake's cursor.
pub const CURSOR: &str = "lake";
/// Readings of one commit.
const READINGS_MAX: usize = 2_000_000;

/// Where the outlets lie.
#[derive(Debug, Clone)]
pub struct Place {
    /// The city that they are part of.
    pub city: SubjectId,
    /// Where they lie in law.
    pub jurisdiction: JurisdictionId,
    /// A simulator made them.
    pub simulated: bool,
}

/// What a run did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Done {
    /// Records read.
    pub records: u64,
    /// Records of devices that nobody has confirmed.
    pub unconfirmed: u64,
    /// Values new in the lake.
    pub new: u64,
    /// Values stored beside an earlier different one.
    pub revised: u64,
    /// Values that were there.
    pub known: u64,
    /// More is waiting.
    pub more: bool,
}

/// Moves what is new into the lake.
pub fn compact(
    dir: &Path,
    lake: &Path,
    follow: &Follow,
    book: &'static Rulebook,
    place: &Place,
) -> Result<Done> {
    let from = read_cursor(dir, CURSOR)?;
    let end = follow.progress.end();
    let mut reader = Reader::at(&follow.log, from);
    let mut interpreter = Interpreter::new(follow.utc_offset_minutes);
    let mut sorter = Sorter::new(book, follow.utc_offset_minutes, place);
    let mut done = Done::default();
    let mut last: Option<(Position, [u8; 32])> = None;
    while let Some(batch) = reader.next(end)? {
        for r in batch.records() {
            done.records += 1;
            let Some(device) = follow.registry.device(r.device) else {
                continue;
            };
            if !device.accepted(i64::MAX) {
                done.unconfirmed += 1;
                continue;
            }
            if let Some(said) = interpreter.read(&r, &device, follow.registry.version()) {
                for reading in &said.readings {
                    sorter.take(&device, &said.st, reading, done.records);
                }
            }
        }
        last = Some((batch.end, batch.head.root));
        if sorter.count >= READINGS_MAX {
            done.more = true;
            break;
        }
    }
    let Some((to, root)) = last else {
        return Ok(done);
    };
    if sorter.count > 0 {
        let file = ImportFile {
            name: format!(
                "frames {}:{} to {}:{}",
                from.segment, from.offset, to.segment, to.offset
            ),
            // The range and the root of its last batch stand for every byte of it: batches are chained.
            digest: blake3::hash(&[format!("{from:?}{to:?}").as_bytes(), &root].concat())
                .to_hex()
                .to_string(),
            declared: format!(
                "hour-begin, UTC{:+}",
                f64::from(follow.utc_offset_minutes) / 60.0
            ),
            parsed: Parsed {
                series: sorter.rows.into_values().collect(),
                stations: Vec::new(),
                rows: sorter.count as u64,
                problems: Problems::default(),
            },
        };
        let now = jiff::Timestamp::now()
            .strftime("%Y-%m-%dT%H:%M:%SZ")
            .to_string();
        let mut lake = Lake::open(lake)?;
        let known = lake.subjects();
        let subjects: Vec<Subject> = sorter
            .subjects
            .into_values()
            .filter(|s| !known.iter().any(|k| k.id == s.id))
            .collect();
        let report = lake.import(vec![file], subjects, &|i| medium(book, i), &now)?;
        (done.new, done.revised, done.known) = (
            report.values_new,
            report.values_revised,
            report.values_known,
        );
    }
    write_cursor(dir, CURSOR, to)?;
    Ok(done)
}

/// Partition of an indicator; what no rule names is kept by span.
fn medium(book: &Rulebook, indicator: &str) -> String {
    match indicator.rsplit_once('/') {
        Some((_, span)) if book.vocabulary().indicator(indicator).is_none() => {
            format!("device-{span}")
        }
        _ => miyun_assess::medium(book, indicator),
    }
}

/// Readings by series.
struct Sorter<'a> {
    book: &'static Rulebook,
    offset: i16,
    place: &'a Place,
    rows: BTreeMap<(SubjectId, String, String), SeriesRows>,
    subjects: HashMap<SubjectId, Subject>,
    count: usize,
}

impl<'a> Sorter<'a> {
    fn new(book: &'static Rulebook, utc_offset_minutes: i32, place: &'a Place) -> Self {
        Self {
            book,
            offset: i16::try_from(utc_offset_minutes).unwrap_or(480),
            place,
            rows: BTreeMap::new(),
            subjects: HashMap::new(),
            count: 0,
        }
    }

    fn take(&mut self, device: &Device, st: &str, r: &Reading, line: u64) {
        let at_ms = r.label_s.saturating_mul(1_000);
        // A device that nobody placed measures a subject of its own.
        let subject = device
            .at(&Property::Subject, at_ms)
            .or(device.last(&Property::Subject))
            .and_then(|s| s.parse::<SubjectId>().ok())
            .or_else(|| SubjectId::new(&format!("device/{}", device.mn)).ok());
        let Some(subject) = subject else {
            return;
        };
        let sent = r
            .unit
            .clone()
            .map(|u| (u, false))
            .or_else(|| unit_of(self.book, device, &r.code, at_ms));
        let (sent, assumed) = sent.unwrap_or_else(|| ("1".into(), true));
        let (name, unit, micro) = self.name(device, r, &sent);
        let mut flag = flag(self.book, r.flag);
        // Nobody has said in which unit the device sends: what rests on the default is doubtful.
        if assumed && flag == Flag::Good && sent == "ng/m3" {
            flag = Flag::Suspect;
        }
        let (Some(micro), Ok(indicator), Ok(unit_id)) = (micro, name.parse(), UnitId::new(&unit))
        else {
            return;
        };
        let rows = self
            .rows
            .entry((subject.clone(), name, unit))
            .or_insert_with(|| SeriesRows {
                series: Series {
                    subject: subject.clone(),
                    indicator,
                    unit: unit_id,
                    interval: IntervalLabel::HourBegin,
                    utc_offset_minutes: self.offset,
                },
                label_s: Vec::new(),
                value: Vec::new(),
                flag: Vec::new(),
                line: Vec::new(),
            });
        // The last word of a run counts: a resent hour with another value is a correction.
        if rows.label_s.last() == Some(&r.label_s) {
            rows.label_s.pop();
            rows.value.pop();
            rows.flag.pop();
            rows.line.pop();
            self.count -= 1;
        }
        rows.label_s.push(r.label_s);
        rows.value.push(micro);
        rows.flag.push(flag);
        rows.line.push(u32::try_from(line).unwrap_or(u32::MAX));
        self.count += 1;
        if !self.subjects.contains_key(&subject) {
            let s = self.subject(&subject, st);
            self.subjects.insert(subject, s);
        }
    }

    /// Indicator, unit and value as stored: hour means of registered indicators in the rulebook's
    /// unit, everything else under the factor's own name in the unit of the device.
    fn name(&self, device: &Device, r: &Reading, sent: &str) -> (String, String, Option<i64>) {
        let words = self.book.vocabulary();
        let own = (
            format!("{}-{}/{}", r.code, r.attribute, r.span.as_str()),
            sent.to_owned(),
            Some(r.micro),
        );
        // Converted values of stacks are what limits speak of; others have only their mean.
        let stack = device
            .last(&Property::Indicator(r.code.clone()))
            .is_some_and(|i| i.ends_with("-stack"));
        let mean = if stack { "ZsAvg" } else { "Avg" };
        if r.span != Span::Hour || r.attribute != mean {
            return own;
        }
        let Some(known) = device
            .last(&Property::Indicator(r.code.clone()))
            .and_then(|i| words.indicator(i))
        else {
            return own;
        };
        let converted = words
            .unit(sent)
            .zip(words.unit(known.unit.as_str()))
            .and_then(|(a, b)| {
                let c = unit::convert(Decimal::new(r.micro, 6), a, b, None, None).ok()?;
                i64::try_from((c * Decimal::from(1_000_000)).round().mantissa()).ok()
            });
        match converted {
            Some(m) => (known.id.to_string(), known.unit.to_string(), Some(m)),
            None => own,
        }
    }

    fn subject(&self, id: &SubjectId, st: &str) -> Subject {
        let name = id.as_str().rsplit('/').next().unwrap_or(id.as_str());
        let station = matches!(st, "21" | "22" | "23" | "24");
        let (zh, en) = if self.place.simulated {
            ("（模拟）", " (simulated)")
        } else {
            ("", "")
        };
        Subject {
            id: id.clone(),
            kind: if station {
                SubjectKind::Station
            } else {
                SubjectKind::Outlet
            },
            name: Text::new(format!("{name}{zh}"), format!("{name}{en}")),
            jurisdiction: self.place.jurisdiction.clone(),
            // A station counts in the city's means only once its place table says so: a micro sensor
            // must not change the city's air.
            part_of: (!station).then(|| self.place.city.clone()),
            district: None,
            lon_deg: None,
            lat_deg: None,
            zone_class: None,
            control: false,
            simulated: self.place.simulated,
        }
    }
}

/// What a data flag means for statistics (2017 table 8, as the rulebook has it).
fn flag(book: &Rulebook, f: char) -> Flag {
    match book
        .vocabulary()
        .hj212
        .named("Flag", f.encode_utf8(&mut [0; 4]))
        .map(|n| n.usable.as_str())
    {
        Some("yes") => Flag::Good,
        Some("no") => Flag::Invalid,
        _ => Flag::Suspect,
    }
}
