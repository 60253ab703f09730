//! Parquet parts: writing sorted runs, reading columns of a row group.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use datafusion::arrow::array::{
    Array, ArrayRef, AsArray, Decimal128Array, DictionaryArray, Int32Array, RecordBatch,
    StringArray, TimestampMillisecondArray, UInt32Array,
};
use datafusion::arrow::datatypes::{
    DataType, Decimal128Type, Field, Int32Type, Schema, SchemaRef, TimeUnit,
    TimestampMillisecondType, UInt32Type,
};
use datafusion::parquet::arrow::arrow_reader::{
    ParquetRecordBatchReaderBuilder, RowSelection, RowSelector,
};
use datafusion::parquet::arrow::{ArrowWriter, ProjectionMask};
use datafusion::parquet::basic::{Compression, Encoding};
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

/// Values of one series from one file, sorted by label.
pub(crate) struct Run {
    /// Position in the commit's series.
    pub series: usize,
    /// Position in the commit's files.
    pub file: usize,
    pub label_s: Vec<i64>,
    pub value: Vec<i64>,
    pub flag: Vec<Flag>,
    pub line: Vec<u32>,
}

fn dictionary() -> DataType {
    DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8))
}

/// Columns of every part, in order.
pub(crate) fn schema() -> SchemaRef {
    let scale = i8::try_from(VALUE_SCALE).unwrap_or(6);
    Arc::new(Schema::new(vec![
        Field::new("subject", dictionary(), false),
        Field::new("indicator", dictionary(), false),
        Field::new(
            "time",
            DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into())),
            false,
        ),
        Field::new("interval", dictionary(), false),
        Field::new("value", DataType::Decimal128(PRECISION, scale), false),
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
            .write(&batch(&series[run.series], &origins[run.file], run).map_err(|e| fail(&e))?)
            .map_err(|e| fail(&e))?;
        info.spans.push(Span {
            series: run.series,
            file: run.file,
            group,
            start: in_group,
            rows: run.value.len(),
            first_s: run.label_s.first().copied().unwrap_or(0),
            last_s: run.label_s.last().copied().unwrap_or(0),
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
    origin: &str,
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
    let flag_keys: Int32Array = run.flag.iter().map(|f| *f as i32).collect();
    let scale = i8::try_from(VALUE_SCALE).unwrap_or(6);
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
                    .with_precision_and_scale(PRECISION, scale)?,
            ),
            constant(series.unit.as_str())?,
            Arc::new(DictionaryArray::<Int32Type>::try_new(
                flag_keys,
                Arc::new(flags),
            )?),
            constant(origin)?,
            Arc::new(UInt32Array::from(run.line.clone())),
        ],
    )
}

/// Columns of some rows of one row group.
#[derive(Default)]
pub(crate) struct Columns {
    pub label_s: Vec<i64>,
    pub value: Vec<i64>,
    /// Empty unless asked for.
    pub flag: Vec<Flag>,
    /// Empty unless asked for.
    pub line: Vec<u32>,
    /// Empty unless asked for.
    pub origin: Vec<String>,
}

/// Reads the rows `range` of a row group. `flags` and `lines` say whether those columns are wanted.
pub(crate) fn read(
    root: &Path,
    path: &str,
    group: usize,
    range: std::ops::Range<usize>,
    flags: bool,
    lines: bool,
) -> Result<Columns, LakeError> {
    let full = root.join(path);
    let file = File::open(&full).map_err(|e| LakeError::io(&full, e))?;
    let fail = |e: &dyn std::fmt::Display| LakeError::parquet(&full, e);
    let builder = ParquetRecordBatchReaderBuilder::try_new(file).map_err(|e| fail(&e))?;
    let mut wanted = vec!["time", "value"];
    if flags {
        wanted.push("flag");
    }
    if lines {
        wanted.extend(["line", "origin"]);
    }
    let mask = ProjectionMask::columns(builder.parquet_schema(), wanted.iter().copied());
    let selection = RowSelection::from(vec![
        RowSelector::skip(range.start),
        RowSelector::select(range.len()),
    ]);
    let reader = builder
        .with_row_groups(vec![group])
        .with_projection(mask)
        .with_row_selection(selection)
        .with_batch_size(1 << 16)
        .build()
        .map_err(|e| fail(&e))?;
    let mut out = Columns {
        label_s: Vec::with_capacity(range.len()),
        value: Vec::with_capacity(range.len()),
        ..Columns::default()
    };
    for batch in reader {
        let batch = batch.map_err(|e| fail(&e))?;
        let column = |name: &str| {
            batch
                .column_by_name(name)
                .ok_or_else(|| fail(&format!("no column {name}")))
        };
        let times = column("time")?
            .as_primitive_opt::<TimestampMillisecondType>()
            .ok_or_else(|| fail(&"time is no timestamp"))?;
        let values = column("value")?
            .as_primitive_opt::<Decimal128Type>()
            .ok_or_else(|| fail(&"value is no decimal"))?;
        out.label_s
            .extend(times.values().iter().map(|t| t.div_euclid(1_000)));
        out.value.extend(values.values().iter().map(|v| *v as i64));
        if flags {
            out.flag
                .extend(texts(column("flag")?).map(|f| f.parse().unwrap_or(Flag::Suspect)));
        }
        if lines {
            let l = column("line")?
                .as_primitive_opt::<UInt32Type>()
                .ok_or_else(|| fail(&"line is no number"))?;
            out.line.extend(l.values().iter().copied());
            out.origin
                .extend(texts(column("origin")?).map(str::to_owned));
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
