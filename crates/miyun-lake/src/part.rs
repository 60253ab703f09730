//! Parquet parts: writing sorted runs, reading columns of a row group.

use std::fs::File;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use datafusion::arrow::array::{
    Array, ArrayRef, AsArray, Decimal128Array, DictionaryArray, Int32Array, RecordBatch,
    StringArray, TimestampMillisecondArray, UInt32Array,
};
use datafusion::arrow::datatypes::{
    DataType, Decimal64Type, Field, Int32Type, Schema, SchemaRef, TimeUnit,
    TimestampMillisecondType, UInt32Type,
};
use datafusion::parquet::arrow::arrow_reader::{
    ArrowReaderOptions, ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder, RowSelection,
};
use datafusion::parquet::arrow::{ArrowWriter, ProjectionMask};
use datafusion::parquet::basic::{Compression, Encoding};
use datafusion::parquet::file::metadata::PageIndexPolicy;
use datafusion::parquet::file::properties::{EnabledStatistics, WriterProperties};
use datafusion::parquet::schema::types::ColumnPath;
use miyun_core::Series;
use miyun_core::observation::{Flag, VALUE_SCALE};

use crate::LakeError;
use crate::commit::{PartInfo, Span};

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
        .set_statistics_enabled(EnabledStatistics::Chunk)
        .set_max_row_group_row_count(Some(GROUP_ROWS * 4));
    for column in ["time", "line"] {
        let path = ColumnPath::from(column);
        p = p
            .set_column_dictionary_enabled(path.clone(), false)
            .set_column_encoding(path, Encoding::DELTA_BINARY_PACKED);
    }
    // Nobody looks for rows by these; their least and greatest values would only cost time.
    for column in ["interval", "unit", "flag", "origin", "line"] {
        p = p.set_column_statistics_enabled(ColumnPath::from(column), EnabledStatistics::None);
    }
    p.build()
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
    let fail = |e: &dyn std::fmt::Display| LakeError::parquet(&full, e);
    let mut writer =
        ArrowWriter::try_new(file, schema(), Some(properties())).map_err(|e| fail(&e))?;
    let mut info = PartInfo {
        path: path.to_owned(),
        rows: 0,
        spans: Vec::new(),
    };
    let (mut group, mut in_group) = (0, 0);
    for (k, run) in runs.iter().enumerate() {
        let new_subject = k > 0 && series[runs[k - 1].series].subject != series[run.series].subject;
        if new_subject && in_group >= GROUP_ROWS {
            writer.flush().map_err(|e| fail(&e))?;
            (group, in_group) = (group + 1, 0);
        }
        writer
            .write(&batch(&series[run.series], origins, run).map_err(|e| fail(&e))?)
            .map_err(|e| fail(&e))?;
        info.spans.push(Span {
            series: run.series,
            file: run.file,
            mixed: !run.origin.is_empty(),
            group,
            start: in_group,
            rows: run.value.len(),
            first_s: run.label_s.iter().min().copied().unwrap_or(0),
            last_s: run.label_s.iter().max().copied().unwrap_or(0),
            usable: run.flag.iter().all(|f| f.usable()),
        });
        in_group += run.value.len();
        info.rows += run.value.len() as u64;
    }
    writer.close().map_err(|e| fail(&e))?;
    sync.sync_all().map_err(|e| LakeError::io(&temporary, e))?;
    std::fs::rename(&temporary, &full).map_err(|e| LakeError::io(&full, e))?;
    crate::commit::sync_dir(full.parent().unwrap_or(root))?;
    Ok(info)
}

fn batch(
    series: &Series,
    origins: &[String],
    run: &Run,
) -> Result<RecordBatch, datafusion::arrow::error::ArrowError> {
    let n = run.value.len();
    let constant = |text: &str| -> Result<ArrayRef, datafusion::arrow::error::ArrowError> {
        let keys = Int32Array::from(vec![0; n]);
        Ok(Arc::new(DictionaryArray::<Int32Type>::try_new(
            keys,
            Arc::new(StringArray::from(vec![text])),
        )?))
    };
    let flags: StringArray = [
        Flag::Good,
        Flag::BelowDetection,
        Flag::Invalid,
        Flag::Suspect,
    ]
    .iter()
    .map(|f| Some(f.as_str()))
    .collect();
    let origin: ArrayRef = if run.origin.is_empty() {
        constant(&origins[run.file])?
    } else {
        Arc::new(
            run.origin
                .iter()
                .map(|k| Some(origins[*k].as_str()))
                .collect::<DictionaryArray<Int32Type>>(),
        )
    };
    let flag_keys: Int32Array = run.flag.iter().map(|f| *f as i32).collect();
    RecordBatch::try_new(
        schema(),
        vec![
            constant(series.subject.as_str())?,
            constant(series.indicator.as_str())?,
            Arc::new(
                TimestampMillisecondArray::from_iter_values(run.label_s.iter().map(|s| s * 1_000))
                    .with_timezone("UTC"),
            ),
            constant(series.interval.as_str())?,
            Arc::new(
                Decimal128Array::from_iter_values(run.value.iter().map(|v| i128::from(*v)))
                    .with_precision_and_scale(PRECISION, VALUE_DIGITS)?,
            ),
            constant(series.unit.as_str())?,
            Arc::new(DictionaryArray::<Int32Type>::try_new(
                flag_keys,
                Arc::new(flags),
            )?),
            origin,
            Arc::new(UInt32Array::from(run.line.clone())),
        ],
    )
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
