//! Readers of messy files: bytes in, rows and problems out. No I/O, and no row ever aborts a file.
//!
//! A label and a number mean nothing until three properties are known: which end of the hour the
//! label names, in which time zone, and in which unit. What neither the file nor its layout says
//! must be [`Declared`]; what is missing is asked for by name and nothing is read.

mod long;
mod number;
mod prsa;
mod sink;

use std::collections::BTreeMap;
use std::io::Read;

use miyun_core::observation::{Flag, IntervalLabel};
use miyun_core::{Problem, Series, SubjectId, UnitId};

pub use long::offset_minutes as utc_offset_minutes;
pub use number::steps;
pub use sink::{PROBLEMS_MAX, Problems};

/// Largest file read, unpacked, in bytes.
pub const FILE_BYTES_MAX: usize = 1 << 30;

/// How a file is laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// Columns `year, month, day, hour`, one column per indicator, `station` (the UCI "Beijing
    /// multi-site air quality" files). The data set states Beijing time and its units; it does not
    /// state which end of the hour a label names.
    Prsa,
    /// One row per value: `station, indicator, time, value` and optionally `unit, flag`.
    Long,
}

/// What the user says of a file that the file does not say itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Declared {
    /// Which end of the hour a label names.
    pub interval: Option<IntervalLabel>,
    /// Offset of the labels' clock from UTC, in minutes.
    pub utc_offset_minutes: Option<i16>,
    /// Unit by indicator.
    pub units: BTreeMap<String, UnitId>,
    /// Put before station names to make subject ids, for example `beijing/`.
    pub subject_prefix: String,
}

/// What a reader may expect: canonical unit by indicator, dimension by unit.
#[derive(Debug, Clone, Default)]
pub struct Words {
    /// Canonical unit of each known indicator.
    pub indicators: BTreeMap<String, UnitId>,
    /// Dimension of each known unit.
    pub units: BTreeMap<String, String>,
}

impl Words {
    /// True if values of `unit` can become values of the indicator's canonical unit.
    #[must_use]
    pub fn convertible(&self, indicator: &str, unit: &str) -> bool {
        let dimension = |u: &str| self.units.get(u).map(String::as_str);
        let (Some(from), Some(to)) = (
            dimension(unit),
            self.indicators
                .get(indicator)
                .and_then(|u| dimension(u.as_str())),
        ) else {
            return false;
        };
        use miyun_core::unit::{MASS_CONCENTRATION, VOLUME_FRACTION};
        from == to
            || [from, to]
                .iter()
                .all(|d| [MASS_CONCENTRATION, VOLUME_FRACTION].contains(d))
    }
}

/// Values of one series, column by column, in the order of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeriesRows {
    /// What they are values of.
    pub series: Series,
    /// Labels as instants, seconds since 1970 UTC.
    pub label_s: Vec<i64>,
    /// Values in 10^-6 of the series' unit.
    pub value: Vec<i64>,
    /// Flags.
    pub flag: Vec<Flag>,
    /// Lines of the file, from 1.
    pub line: Vec<u32>,
}

impl SeriesRows {
    pub(crate) fn new(series: Series) -> Self {
        Self {
            series,
            label_s: Vec::new(),
            value: Vec::new(),
            flag: Vec::new(),
            line: Vec::new(),
        }
    }

    pub(crate) fn push(&mut self, label_s: i64, value: i64, flag: Flag, line: u64) {
        self.label_s.push(label_s);
        self.value.push(value);
        self.flag.push(flag);
        self.line.push(u32::try_from(line).unwrap_or(u32::MAX));
    }

    /// How many values.
    #[must_use]
    pub fn len(&self) -> usize {
        self.value.len()
    }

    /// True if there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.value.is_empty()
    }
}

/// A station named in a file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Station {
    /// As the file writes it.
    pub name: String,
    /// The id made of it.
    pub subject: SubjectId,
}

/// What a file says.
#[derive(Debug, Clone, Default)]
pub struct Parsed {
    /// Values by series.
    pub series: Vec<SeriesRows>,
    /// Stations in order of appearance.
    pub stations: Vec<Station>,
    /// Data rows seen, good and bad.
    pub rows: u64,
    /// What was wrong, with how many more were not kept.
    pub problems: Problems,
}

/// Why a file could not be read at all.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// Required properties that neither the file nor the user stated.
    #[error("{file}: {}", asks.join("; "))]
    Undeclared {
        /// The file.
        file: String,
        /// What to say, by name.
        asks: Vec<String>,
    },
    /// The header lacks columns of the layout.
    #[error("{file}:1: the layout needs the columns {missing}; found: {found}")]
    Header {
        /// The file.
        file: String,
        /// What is missing.
        missing: String,
        /// What is there.
        found: String,
    },
    /// The file is too large or does not unpack.
    #[error("{file}: {reason}")]
    Unpack {
        /// The file.
        file: String,
        /// Why.
        reason: String,
    },
    /// No header has the columns of a known layout.
    #[error(
        "{file}:1: no known layout has these columns: {found}; known layouts: prsa (year, month, day, hour, station, ...) and long (station, indicator, time, value)"
    )]
    Layout {
        /// The file.
        file: String,
        /// What is there.
        found: String,
    },
}

/// Unpacks gzip by its magic number; other bytes come back as they are.
///
/// # Errors
/// [`ReadError::Unpack`] if the stream is damaged or larger than [`FILE_BYTES_MAX`].
pub fn unpack(file: &str, bytes: Vec<u8>) -> Result<Vec<u8>, ReadError> {
    let fail = |reason: String| ReadError::Unpack {
        file: file.to_owned(),
        reason,
    };
    if !bytes.starts_with(&[0x1f, 0x8b]) {
        return if bytes.len() <= FILE_BYTES_MAX {
            Ok(bytes)
        } else {
            Err(fail(format!(
                "larger than {FILE_BYTES_MAX} bytes; split it"
            )))
        };
    }
    let mut out = Vec::with_capacity(bytes.len().saturating_mul(4).min(64 << 20));
    let mut reader =
        flate2::read::MultiGzDecoder::new(bytes.as_slice()).take(FILE_BYTES_MAX as u64 + 1);
    reader
        .read_to_end(&mut out)
        .map_err(|e| fail(format!("gzip stream is damaged: {e}")))?;
    if out.len() > FILE_BYTES_MAX {
        return Err(fail(format!(
            "unpacks to more than {FILE_BYTES_MAX} bytes; split it"
        )));
    }
    Ok(out)
}

/// The layout that the header of `bytes` fits.
///
/// # Errors
/// [`ReadError::Layout`] if none does.
pub fn detect(file: &str, bytes: &[u8]) -> Result<Layout, ReadError> {
    let header = header(bytes);
    let has = |names: &[&str]| names.iter().all(|n| header.iter().any(|h| h == n));
    if has(&["year", "month", "day", "hour", "station"]) {
        Ok(Layout::Prsa)
    } else if has(&["station", "indicator", "time", "value"]) {
        Ok(Layout::Long)
    } else {
        Err(ReadError::Layout {
            file: file.to_owned(),
            found: header.join(", "),
        })
    }
}

fn header(bytes: &[u8]) -> Vec<String> {
    let mut reader = reader(bytes);
    reader
        .byte_headers()
        .map(|h| {
            h.iter()
                .map(|f| String::from_utf8_lossy(trim(f)).into_owned())
                .collect()
        })
        .unwrap_or_default()
}

/// Reads a CSV file.
///
/// # Errors
/// [`ReadError`] if the file as a whole cannot be read: undeclared properties, missing columns.
/// Anything wrong with a row is a [`Problem`] of the result instead.
pub fn read_csv(
    file: &str,
    bytes: &[u8],
    layout: Layout,
    declared: &Declared,
    words: &Words,
) -> Result<Parsed, ReadError> {
    match layout {
        Layout::Prsa => prsa::read(file, bytes, declared, words),
        Layout::Long => long::read(file, bytes, declared, words),
    }
}

/// The bytes without a byte order mark.
pub(crate) fn without_bom(bytes: &[u8]) -> &[u8] {
    bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes)
}

/// The line of a record. After `\r\n` the csv reader places a record at the `\n`, one line early.
pub(crate) fn line_of(bytes: &[u8], record: &csv::ByteRecord) -> u64 {
    record.position().map_or(0, |p| {
        let at = usize::try_from(p.byte()).unwrap_or(usize::MAX);
        p.line() + u64::from(bytes.get(at) == Some(&b'\n'))
    })
}

pub(crate) fn reader(bytes: &[u8]) -> csv::Reader<&[u8]> {
    let bytes = without_bom(bytes);
    csv::ReaderBuilder::new()
        .flexible(true)
        .comment(Some(b'#'))
        .from_reader(bytes)
}

pub(crate) fn trim(field: &[u8]) -> &[u8] {
    field.trim_ascii()
}

/// A station name as the last part of a subject id: lower case, blanks to hyphens.
pub(crate) fn subject(prefix: &str, name: &str) -> Option<SubjectId> {
    let slug: String = name
        .trim()
        .chars()
        .map(|c| {
            if c.is_whitespace() {
                '-'
            } else {
                c.to_ascii_lowercase()
            }
        })
        .collect();
    if slug.is_empty() {
        return None;
    }
    let id = if slug.starts_with(prefix) {
        slug
    } else {
        format!("{prefix}{slug}")
    };
    SubjectId::new(&id).ok()
}

pub(crate) fn problem(
    file: &str,
    line: u64,
    field: &str,
    code: &str,
    reason: String,
    fix: &str,
) -> Problem {
    Problem {
        severity: miyun_core::Severity::Error,
        code: code.into(),
        file: file.into(),
        line,
        column: 0,
        field: field.into(),
        reason,
        fix: fix.into(),
    }
}
