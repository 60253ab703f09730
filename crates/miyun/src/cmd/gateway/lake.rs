//! Brings what the frame log holds into the lake: readings of confirmed devices become observations.
//!
//! A run reads the log from its cursor, writes one commit, then moves the cursor. A crash between the
//! two repeats the run, and the lake stores no value twice.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use anyhow::Result;
use miyun_core::observation::Flag;
use miyun_core::subject::SubjectKind;
use miyun_core::{IntervalLabel, JurisdictionId, Series, Subject, SubjectId, Text, UnitId};
use miyun_gateway::log::{Position, Reader};
use miyun_gateway::reading::{Interpreter, Reading, Said, Span};
use miyun_gateway::registry::Device;
use miyun_gateway::relay::{read_cursor, write_cursor};
use miyun_gateway::server::Follow;
use miyun_import::{Parsed, Problems, SeriesRows};
use miyun_lake::{ImportFile, Lake, Merging};
use miyun_rulebook::Rulebook;
use miyun_web::devices::judge::unit_of;
use miyun_web::devices::stored;

use super::beside::{Counted, Touched};

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
    /// Preliminary values that came after a reviewed one; their frames stay in the log.
    pub outranked: u64,
    /// More is waiting.
    pub more: bool,
}

/// Moves what is new into the lake, as far as the live state has read: hours are judged by the same
/// minutes here and there. `registered` is the version of the registry that the run before saw.
pub fn compact(
    dir: &Path,
    lake: &Path,
    follow: &Follow,
    book: &'static Rulebook,
    place: &Place,
    registered: &mut u64,
) -> Result<Done> {
    let from = read_cursor(dir, CURSOR)?;
    let end = follow.progress.end().min(follow.state.read_to());
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
                sorter.marks(&device, &said);
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
    let touched = std::mem::take(&mut sorter.touched);
    let zone = f64::from(follow.utc_offset_minutes) / 60.0;
    let declared = format!("hour-begin, UTC{zone:+}");
    // The range and the root of its last batch stand for every byte of it: batches are chained.
    let range = [format!("{from:?}{to:?}").as_bytes(), &root].concat();
    let place_of = format!(
        "{}:{} to {}:{}",
        from.segment, from.offset, to.segment, to.offset
    );
    if sorter.count > 0 {
        let (mut preliminary, mut reviewed) = (Vec::new(), Vec::new());
        for ((was_reviewed, ..), rows) in sorter.rows {
            match was_reviewed {
                true => reviewed.push(rows),
                false => preliminary.push(rows),
            }
        }
        // Reviewed values last: of one label in one run they hold.
        let files = [(false, preliminary), (true, reviewed)]
            .into_iter()
            .filter(|(_, series)| !series.is_empty())
            .map(|(reviewed, series)| {
                let (kind, mark) = if reviewed {
                    ("reviewed readings", "reviewed")
                } else {
                    ("frames", "")
                };
                let digest = blake3::hash(&[&range, mark.as_bytes()].concat());
                file(
                    format!("{kind} {place_of}"),
                    digest,
                    &declared,
                    reviewed,
                    series,
                )
            })
            .collect();
        let mut lake = Lake::open(lake)?;
        let known = lake.subjects();
        let subjects: Vec<Subject> = sorter
            .subjects
            .into_values()
            .filter(|s| !known.iter().any(|k| k.id == s.id))
            .collect();
        let report = lake.import(files, subjects, &|i| medium(book, i), &crate::cmd::now())?;
        (done.new, done.revised, done.known, done.outranked) = (
            report.values_new,
            report.values_revised,
            report.values_known,
            report.values_outranked,
        );
    }
    beside(lake, follow, book, touched, registered, |series, said| {
        let digest = blake3::hash(&[&range, said.as_bytes()].concat());
        file(
            format!("counts, frames {place_of}"),
            digest,
            &declared,
            false,
            series,
        )
    })?;
    write_cursor(dir, CURSOR, to)?;
    Ok(done)
}

/// Stores what the hours that a run touched are judged by.
fn beside(
    lake: &Path,
    follow: &Follow,
    book: &'static Rulebook,
    mut touched: Touched,
    registered: &mut u64,
    file: impl FnOnce(Vec<SeriesRows>, String) -> ImportFile,
) -> Result<()> {
    let version = follow.registry.version();
    if *registered != version {
        touched.all(follow);
    }
    let mut lake = Lake::open(lake)?;
    let counted = touched.count(&lake, follow, book)?;
    if !counted.is_empty() {
        let said = format!("{counted:?}");
        let series = series(counted, follow.utc_offset_minutes)?;
        let medium = |i: &str| medium(book, i);
        lake.import(
            vec![file(series, said)],
            Vec::new(),
            &medium,
            &crate::cmd::now(),
        )?;
    }
    *registered = version;
    Ok(())
}

fn series(counted: Vec<Counted>, utc_offset_minutes: i32) -> Result<Vec<SeriesRows>> {
    let mut all: BTreeMap<(SubjectId, String), SeriesRows> = BTreeMap::new();
    for (subject, name, unit, label_s, value) in counted {
        let rows = match all.entry((subject.clone(), name.clone())) {
            Entry::Occupied(e) => e.into_mut(),
            Entry::Vacant(e) => e.insert(empty(Series {
                subject,
                indicator: name.parse()?,
                unit: UnitId::new(unit)?,
                interval: IntervalLabel::HourBegin,
                utc_offset_minutes: i16::try_from(utc_offset_minutes)?,
            })),
        };
        rows.label_s.push(label_s);
        rows.value.push(value);
        rows.flag.push(Flag::Good);
        rows.line.push(1);
    }
    Ok(all.into_values().collect())
}

fn empty(series: Series) -> SeriesRows {
    SeriesRows {
        series,
        label_s: Vec::new(),
        value: Vec::new(),
        flag: Vec::new(),
        line: Vec::new(),
    }
}

fn file(
    name: String,
    digest: blake3::Hash,
    declared: &str,
    reviewed: bool,
    series: Vec<SeriesRows>,
) -> ImportFile {
    ImportFile {
        name,
        digest: digest.to_hex().to_string(),
        declared: declared.to_owned(),
        reviewed,
        parsed: Parsed {
            rows: series.iter().map(|s| s.len() as u64).sum(),
            series,
            stations: Vec::new(),
            problems: Problems::default(),
        },
    }
}

/// Merges small commits, one run of them at a time, so that imports by others get their turn.
pub fn merge(lake: &Path, merging: Merging) -> Result<()> {
    if let Some(m) = Lake::open(lake)?.merge(merging)? {
        tracing::info!(
            "lake: commits {} to {} are one, {} rows",
            m.first,
            m.last,
            m.rows
        );
    }
    Ok(())
}

/// Partition of an indicator; what no rule names is kept by span.
fn medium(book: &Rulebook, indicator: &str) -> String {
    match indicator.rsplit_once('/') {
        Some(_) if stored::judges_hours(indicator) => "device-hour".into(),
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
    /// By whether they were reviewed, subject, indicator and unit.
    rows: BTreeMap<(bool, SubjectId, String, String), SeriesRows>,
    subjects: HashMap<SubjectId, Subject>,
    touched: Touched,
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
            touched: Touched::default(),
            count: 0,
        }
    }

    fn marks(&mut self, device: &Device, said: &Said) {
        let Some(at_s) = said.time_s.filter(|_| !said.marks.is_empty()) else {
            return;
        };
        if let Some(subject) = stored::subject(device, at_s.saturating_mul(1_000)) {
            self.touched.marks(subject, at_s, &said.marks);
        }
    }

    fn take(&mut self, device: &Device, st: &str, r: &Reading, line: u64) {
        let at_ms = r.label_s.saturating_mul(1_000);
        let mean = matches!(r.attribute.as_str(), "Avg" | "ZsAvg");
        if mean && matches!(r.span, Span::Minute | Span::Hour) {
            self.touched.mean(device, st, &r.code, r.label_s);
        }
        let Some(subject) = stored::subject(device, at_ms) else {
            return;
        };
        let sent = r
            .unit
            .clone()
            .map(|u| (u, false))
            .or_else(|| unit_of(self.book, device, &r.code, at_ms));
        let (sent, assumed) = sent.unwrap_or_else(|| ("1".into(), true));
        let (name, unit, micro) = stored::stored(self.book, device, r, &sent);
        let mut flag = stored::flag(self.book, r.flag);
        // Nobody has said in which unit the device sends: what rests on the default is doubtful.
        if assumed && flag == Flag::Good && sent == "ng/m3" {
            flag = Flag::Suspect;
        }
        let (Ok(indicator), Ok(unit_id)) = (name.parse(), UnitId::new(&unit)) else {
            return;
        };
        let rows = self
            .rows
            .entry((r.reviewed, subject.clone(), name, unit))
            .or_insert_with(|| {
                empty(Series {
                    subject: subject.clone(),
                    indicator,
                    unit: unit_id,
                    interval: IntervalLabel::HourBegin,
                    utc_offset_minutes: self.offset,
                })
            });
        // Said again. Another value of the label is a revision: both are kept, the later one holds.
        let last = (rows.label_s.last(), rows.value.last(), rows.flag.last());
        if last == (Some(&r.label_s), Some(&micro), Some(&flag)) {
            return;
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
