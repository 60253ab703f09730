//! Parquet parts: writing sorted runs, reading columns of a row group.

use std::fs::File;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use datafusion::arrow::array::{
    Array, ArrayRef, AsArray, Decimal128Array, RecordBatch, StringArray, TimestampMillisecondArray,
    UInt32Array,
};
use datafusion::arrow::datatypes::{
    DataType, Decimal64Type, Field, Int32Type, Schema, SchemaRef, TimeUnit,
    TimestampMillisecondType, UInt32Type,
};
use datafusion::parquet::arrow::arrow_reader::{
    ArrowReaderOptions, ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder, RowSelection,
};
use datafusion::parquet::arrow::arrow_writer::{
    ArrowColumnWriter, ArrowRowGroupWriterFactory, compute_leaves,
};
use datafusion::parquet::arrow::{ArrowWriter, ProjectionMask};
use datafusion::parquet::basic::{Compression, Encoding};
use datafusion::parquet::errors::ParquetError;
use datafusion::parquet::file::metadata::PageIndexPolicy;
use datafusion::parquet::file::properties::{EnabledStatistics, WriterProperties};
use datafusion::parquet::file::writer::SerializedFileWriter;
use datafusion::parquet::schema::types::ColumnPath;
use miyun_core::Series;
use miyun_core::observation::{Flag, VALUE_SCALE};

use crate::LakeError;
use crate::commit::{PartInfo, Span};
use crate::words::Words;

/// Rows after which a row group ends at the next change of subject.
pub(crate) const GROUP_ROWS: usize = 1 << 19;
/// Digits of the stored decimal; with six decimals it fits an INT64 on disk.
const PRECISION: u8 = 18;
/// [`VALUE_SCALE`] as Arrow counts it.
const VALUE_DIGITS: i8 = VALUE_SCALE as i8;
/// Rows decoded at a time: two columns of them stay in a core's cache.
const BATCH_ROWS: usize = 1 << 14;

/// Values of one series from one file, sorted by label; or from several files that were merged,
/// sorted by hour, file and label.
pub(crate) struct Run {
    /// Position in the commit's series.
    pub series: usize,
    /// Position in the commit's files.
    pub file: usize,
    pub label_s: Vec<i64>,
    pub value: Vec<i64>,
    pub flag: Vec<Flag>,
    pub line: Vec<u32>,
    /// Position in the commit's files of each row; empty if all came from `file`.
    pub origin: Vec<usize>,
}

fn dictionary() -> DataType {
    DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8))
}

/// Columns of every part, in order.
pub(crate) fn schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("subject", dictionary(), false),
        Field::new("indicator", dictionary(), false),
        Field::new(
            "time",
            DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into())),
            false,
        ),
        Field::new("interval", dictionary(), false),
        Field::new(
            "value",
            DataType::Decimal128(PRECISION, VALUE_DIGITS),
            false,
        ),
        Field::new("unit", dictionary(), false),
        Field::new("flag", dictionary(), false),
        Field::new("origin", dictionary(), false),
        Field::new("line", DataType::UInt32, false),
    ]))
}

fn properties() -> WriterProperties {
    let mut p = WriterProperties::builder()
        .set_compression(Compression::LZ4_RAW)
        .set_statistics_enabled(EnabledStatistics::Chunk);
    for column in ["time", "line"] {
        let path = ColumnPath::from(column);
        p = p
            .set_column_dictionary_enabled(path.clone(), false)
            .set_column_encoding(path, Encoding::DELTA_BINARY_PACKED);
    }
    // Nobody looks for rows by it; least and greatest values would only cost time.
    p.set_column_statistics_enabled(ColumnPath::from("line"), EnabledStatistics::None)
        .build()
}

/// Writes `runs` (sorted by subject, indicator, then file) and says where each stands. The file is
/// synced; it becomes visible only by a commit.
pub(crate) fn write(
    root: &Path,
    path: &str,
    series: &[Series],
    origins: &[String],
    runs: &[Run],
) -> Result<PartInfo, LakeError> {
    let full = root.join(path);
    if let Some(dir) = full.parent() {
        std::fs::create_dir_all(dir).map_err(|e| LakeError::io(dir, e))?;
    }
    let temporary = full.with_extension("tmp");
    let file = File::create(&temporary).map_err(|e| LakeError::io(&temporary, e))?;
    let sync = file.try_clone().map_err(|e| LakeError::io(&temporary, e))?;
    let fail = |e: ParquetError| LakeError::parquet(&full, e);
    let (mut writer, columns) = ArrowWriter::try_new(file, schema(), Some(properties()))
        .and_then(ArrowWriter::into_serialized_writer)
        .map_err(fail)?;
    let mut info = PartInfo {
        path: path.to_owned(),
        rows: 0,
        spans: Vec::new(),
    };
    // A row group ends at a change of subject.
    let mut same: &[Run] = runs;
    let mut group = 0;
    while !same.is_empty() {
        let mut rows = 0;
        let end = same
            .iter()
            .enumerate()
            .position(|(k, run)| {
                let new = k > 0 && series[same[k - 1].series].subject != series[run.series].subject;
                let full = new && rows >= GROUP_ROWS;
                rows += run.value.len();
                full
            })
            .unwrap_or(same.len());
        let mut open = Group::new(&columns, group).map_err(fail)?;
        for run in &same[..end] {
            info.spans.push(Span {
                series: run.series,
                file: run.file,
                mixed: !run.origin.is_empty(),
                group,
                start: open.rows,
                rows: run.value.len(),
                first_s: run.label_s.iter().min().copied().unwrap_or(0),
                last_s: run.label_s.iter().max().copied().unwrap_or(0),
                usable: run.flag.iter().all(|f| f.usable()),
            });
            open.push(&series[run.series], origins, run).map_err(fail)?;
        }
        info.rows += open.rows as u64;
        open.close(&mut writer).map_err(fail)?;
        same = &same[end..];
        group += 1;
    }
    writer.close().map_err(fail)?;
    sync.sync_all().map_err(|e| LakeError::io(&temporary, e))?;
    std::fs::rename(&temporary, &full).map_err(|e| LakeError::io(&full, e))?;
    crate::commit::sync_dir(full.parent().unwrap_or(root))?;
    Ok(info)
}

/// One row group being written: columns of numbers by the library, columns of words as runs.
struct Group {
    schema: SchemaRef,
    numbers: Vec<Option<ArrowColumnWriter>>,
    words: Vec<Words>,
    rows: usize,
}

impl Group {
    fn new(columns: &ArrowRowGroupWriterFactory, group: usize) -> Result<Self, ParquetError> {
        let schema = schema();
        let numbers = columns.create_column_writers(group)?;
        Ok(Self {
            words: schema.fields().iter().map(|_| Words::default()).collect(),
            numbers: (schema.fields().iter().zip(numbers))
                .map(|(field, writer)| (*field.data_type() != dictionary()).then_some(writer))
                .collect(),
            schema,
            rows: 0,
        })
    }

    fn push(&mut self, series: &Series, origins: &[String], run: &Run) -> Result<(), ParquetError> {
        let n = u32::try_from(run.value.len()).map_err(|e| ParquetError::General(e.to_string()))?;
        let time = run.label_s.iter().map(|s| s * 1_000);
        let value = run.value.iter().map(|v| i128::from(*v));
        for (k, field) in self.schema.fields().iter().enumerate() {
            let array: ArrayRef = match field.name().as_str() {
                "time" => Arc::new(
                    TimestampMillisecondArray::from_iter_values(time.clone()).with_timezone("UTC"),
                ),
                "value" => Arc::new(
                    Decimal128Array::from_iter_values(value.clone())
                        .with_precision_and_scale(PRECISION, VALUE_DIGITS)?,
                ),
                "line" => Arc::new(UInt32Array::from(run.line.clone())),
                "flag" => {
                    for same in run.flag.chunk_by(|a, b| a == b) {
                        self.words[k].push(same[0].as_str(), same.len() as u32);
                    }
                    continue;
                }
                "origin" if !run.origin.is_empty() => {
                    for same in run.origin.chunk_by(|a, b| a == b) {
                        self.words[k].push(&origins[same[0]], same.len() as u32);
                    }
                    continue;
                }
                name => {
                    let word = match name {
                        "subject" => series.subject.as_str(),
                        "indicator" => series.indicator.as_str(),
                        "interval" => series.interval.as_str(),
                        "unit" => series.unit.as_str(),
                        _ => &origins[run.file],
                    };
                    self.words[k].push(word, n);
                    continue;
                }
            };
            if let Some(writer) = &mut self.numbers[k] {
                for leaf in compute_leaves(field, &array)? {
                    writer.write(&leaf)?;
                }
            }
        }
        self.rows += run.value.len();
        Ok(())
    }

    fn close(self, file: &mut SerializedFileWriter<File>) -> Result<(), ParquetError> {
        let columns = file.schema_descr().columns().to_vec();
        let mut out = file.next_row_group()?;
        for ((numbers, words), column) in self.numbers.into_iter().zip(self.words).zip(columns) {
            match numbers {
                Some(writer) => writer.close()?.append_to_row_group(&mut out)?,
                None => {
                    let (bytes, close) = words.chunk(column)?;
                    out.append_column(&Bytes::from(bytes), close)?;
                }
            }
        }
        out.close()?;
        Ok(())
    }
}

/// Rows of one run, borrowed from a decoded batch.
pub(crate) struct Rows<'a> {
    /// Labels in milliseconds since 1970.
    pub time_ms: &'a [i64],
    /// Values in 10^-6 of the unit.
    pub value: &'a [i64],
    /// If flags were asked for: which words let a value be used, and per row its word.
    pub usable: Option<(&'a [bool], &'a [i32])>,
    /// If files were asked for: positions of the files, and per row which of them.
    pub files: Option<(&'a [usize], &'a [i32])>,
}

impl Rows<'_> {
    /// Row `i` alone.
    pub fn row(&self, i: usize) -> Rows<'_> {
        Rows {
            time_ms: &self.time_ms[i..=i],
            value: &self.value[i..=i],
            usable: self.usable.map(|(w, keys)| (w, &keys[i..=i])),
            files: self.files.map(|(w, keys)| (w, &keys[i..=i])),
        }
    }

    /// Position of the file that row `i` came from, if files were asked for.
    pub fn file(&self, i: usize) -> Option<usize> {
        let (words, keys) = self.files?;
        words.get(usize::try_from(keys[i]).ok()?).copied()
    }

    /// Whether the value of row `i` may be used; true if flags were not asked for.
    pub fn usable(&self, i: usize) -> bool {
        self.usable.is_none_or(|(words, keys)| {
            let word = usize::try_from(keys[i]).ok().and_then(|k| words.get(k));
            word.copied().unwrap_or(true)
        })
    }
}

/// Calls `each` with the rows of every one of `ranges` (increasing, apart, inside row group
/// `group`), in pieces and in order: the range's position and a piece of its rows. Values come as
/// the integers that the file holds, pages without wanted rows are skipped. Rows say their files if
/// `file_of` gives the position of the file with a digest.
pub(crate) fn visit(
    root: &Path,
    path: &str,
    group: usize,
    ranges: &[Range<usize>],
    flags: bool,
    file_of: Option<&dyn Fn(&str) -> usize>,
    mut each: impl FnMut(usize, &Rows<'_>),
) -> Result<(), LakeError> {
    let full = root.join(path);
    let mut wanted = vec!["time", "value"];
    if flags {
        wanted.push("flag");
    }
    if file_of.is_some() {
        wanted.push("origin");
    }
    let (mut k, mut done) = (0, 0);
    for batch in open(&full, group, ranges, &wanted)? {
        let batch = batch.map_err(|e| LakeError::parquet(&full, e))?;
        let (times, values) = numbers(&full, &batch)?;
        let flag = if flags {
            let (words, keys) = flag_words(&full, column(&full, &batch, "flag")?)?;
            let usable: Vec<bool> = words.iter().map(|w| w.usable()).collect();
            Some((usable, keys)).filter(|(usable, _)| usable.contains(&false))
        } else {
            None
        };
        let origins = match file_of {
            Some(file_of) => {
                let (words, keys) = words(&full, column(&full, &batch, "origin")?)?;
                let files: Vec<usize> = (0..words.len()).map(|w| file_of(words.value(w))).collect();
                Some((files, keys))
            }
            None => None,
        };
        let mut at = 0;
        while at < batch.num_rows() {
            while ranges.get(k).is_some_and(|r| done == r.len()) {
                (k, done) = (k + 1, 0);
            }
            let Some(range) = ranges.get(k) else {
                return Err(LakeError::parquet(
                    &full,
                    "more rows than the commit says; restore the file from a backup",
                ));
            };
            let n = (range.len() - done).min(batch.num_rows() - at);
            each(
                k,
                &Rows {
                    time_ms: &times[at..at + n],
                    value: &values[at..at + n],
                    usable: flag
                        .as_ref()
                        .map(|(w, keys)| (w.as_slice(), &keys[at..at + n])),
                    files: origins
                        .as_ref()
                        .map(|(w, keys)| (w.as_slice(), &keys[at..at + n])),
                },
            );
            (at, done) = (at + n, done + n);
        }
    }
    Ok(())
}

/// A reader of some rows and columns of a row group.
fn open(
    full: &Path,
    group: usize,
    ranges: &[Range<usize>],
    columns: &[&str],
) -> Result<ParquetRecordBatchReader, LakeError> {
    let file = File::open(full).map_err(|e| LakeError::io(full, e))?;
    let fail = |e: &dyn std::fmt::Display| LakeError::parquet(full, e);
    // Decimals of 18 digits are INT64 in the file; read as such they need no conversion.
    let mut fields: Vec<Field> = schema().fields().iter().map(|f| (**f).clone()).collect();
    for f in fields.iter_mut().filter(|f| f.name() == "value") {
        f.set_data_type(DataType::Decimal64(PRECISION, VALUE_DIGITS));
    }
    let options = ArrowReaderOptions::new()
        .with_schema(Arc::new(Schema::new(fields)))
        .with_offset_index_policy(PageIndexPolicy::Optional);
    let builder = ParquetRecordBatchReaderBuilder::try_new_with_options(file, options)
        .map_err(|e| fail(&e))?;
    let rows = builder
        .metadata()
        .row_groups()
        .get(group)
        .and_then(|g| usize::try_from(g.num_rows()).ok())
        .filter(|n| ranges.last().is_none_or(|r| r.end <= *n))
        .ok_or_else(|| fail(&"fewer rows than the commit says; restore the file from a backup"))?;
    let mask = ProjectionMask::columns(builder.parquet_schema(), columns.iter().copied());
    builder
        .with_row_groups(vec![group])
        .with_projection(mask)
        .with_row_selection(RowSelection::from_consecutive_ranges(
            ranges.iter().cloned(),
            rows,
        ))
        .with_batch_size(BATCH_ROWS)
        .build()
        .map_err(|e| fail(&e))
}

fn column<'a>(full: &Path, batch: &'a RecordBatch, name: &str) -> Result<&'a ArrayRef, LakeError> {
    batch
        .column_by_name(name)
        .ok_or_else(|| LakeError::parquet(full, format!("no column {name}")))
}

/// Labels and values of a batch.
fn numbers<'a>(full: &Path, batch: &'a RecordBatch) -> Result<(&'a [i64], &'a [i64]), LakeError> {
    let times = column(full, batch, "time")?
        .as_primitive_opt::<TimestampMillisecondType>()
        .ok_or_else(|| LakeError::parquet(full, "time is no timestamp"))?;
    let values = column(full, batch, "value")?
        .as_primitive_opt::<Decimal64Type>()
        .ok_or_else(|| LakeError::parquet(full, "value is no decimal"))?;
    Ok((times.values(), values.values()))
}

/// Words of a column of words, and which of them each row has.
fn words<'a>(full: &Path, array: &'a ArrayRef) -> Result<(&'a StringArray, &'a [i32]), LakeError> {
    let fail = || LakeError::parquet(full, "a column is no dictionary of words");
    let d = array.as_dictionary_opt::<Int32Type>().ok_or_else(fail)?;
    let words = d.values().as_string_opt::<i32>().ok_or_else(fail)?;
    Ok((words, d.keys().values()))
}

/// Words of a flag column, and which of them each row has.
fn flag_words<'a>(full: &Path, array: &'a ArrayRef) -> Result<(Vec<Flag>, &'a [i32]), LakeError> {
    let (words, keys) = words(full, array)?;
    let flags = (0..words.len()).map(|i| words.value(i).parse().unwrap_or(Flag::Suspect));
    Ok((flags.collect(), keys))
}

/// Columns of some rows of one row group.
#[derive(Default)]
pub(crate) struct Columns {
    pub label_s: Vec<i64>,
    pub value: Vec<i64>,
    pub flag: Vec<Flag>,
    /// Empty unless asked for.
    pub line: Vec<u32>,
    /// Empty unless asked for.
    pub origin: Vec<String>,
}

/// Reads the rows `range` of a row group; `lines` says whether lines and origins are wanted.
pub(crate) fn read(
    root: &Path,
    path: &str,
    group: usize,
    range: Range<usize>,
    lines: bool,
) -> Result<Columns, LakeError> {
    let full = root.join(path);
    let mut wanted = vec!["time", "value", "flag"];
    if lines {
        wanted.extend(["line", "origin"]);
    }
    let mut out = Columns {
        label_s: Vec::with_capacity(range.len()),
        value: Vec::with_capacity(range.len()),
        ..Columns::default()
    };
    for batch in open(&full, group, &[range], &wanted)? {
        let batch = batch.map_err(|e| LakeError::parquet(&full, e))?;
        let (times, values) = numbers(&full, &batch)?;
        out.label_s
            .extend(times.iter().map(|t| t.div_euclid(1_000)));
        out.value.extend(values);
        let (words, keys) = flag_words(&full, column(&full, &batch, "flag")?)?;
        let word = |k: &i32| usize::try_from(*k).ok().and_then(|k| words.get(k));
        out.flag.extend(
            keys.iter()
                .map(|k| word(k).copied().unwrap_or(Flag::Suspect)),
        );
        if lines {
            let l = column(&full, &batch, "line")?
                .as_primitive_opt::<UInt32Type>()
                .ok_or_else(|| LakeError::parquet(&full, "line is no number"))?;
            out.line.extend(l.values().iter().copied());
            out.origin
                .extend(texts(column(&full, &batch, "origin")?).map(str::to_owned));
        }
    }
    Ok(out)
}

/// Texts of a dictionary or plain column.
fn texts(array: &ArrayRef) -> Box<dyn Iterator<Item = &str> + '_> {
    if let Some(d) = array.as_dictionary_opt::<Int32Type>()
        && let Some(words) = d.values().as_string_opt::<i32>()
    {
        return Box::new(
            d.keys()
                .values()
                .iter()
                .map(move |k| words.value(usize::try_from(*k).unwrap_or(0))),
        );
    }
    match array.as_string_opt::<i32>() {
        Some(s) => Box::new((0..s.len()).map(move |i| s.value(i))),
        None => Box::new(std::iter::empty()),
    }
}
