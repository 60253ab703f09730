//! The log of findings about data: small Parquet files, never changed, one for each look that
//! changed something.
//!
//! A look at a city says all that holds now. What it says for the first time is appended as
//! `found`, what it no longer says (a gap was filled, a value revised) as `withdrawn`; nothing is
//! removed. A look that says the same again writes nothing.

use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use datafusion::arrow::array::{
    ArrayRef, AsArray, Float64Array, Int64Array, RecordBatch, StringArray,
    TimestampMillisecondArray,
};
use datafusion::arrow::datatypes::{
    DataType, Field, Float64Type, Int64Type, Schema, SchemaRef, TimeUnit, TimestampMillisecondType,
};
use datafusion::parquet::arrow::ArrowWriter;
use datafusion::parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use datafusion::parquet::basic::Compression;
use datafusion::parquet::file::properties::WriterProperties;
use miyun_core::{MethodVersion, SubjectId, Text};

use crate::{Lake, LakeError};

/// One doubt about some hours of the data, as it is kept.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct FindingRow {
    /// Its id, the digest of what it says of which hours by which method.
    pub id: String,
    /// What was looked at as a whole, for example the city.
    pub scope: String,
    /// What kind of doubt.
    pub kind: String,
    /// Whom it concerns.
    pub subject: String,
    /// Which indicator; empty for all of the subject.
    pub indicator: String,
    /// Beginning of the first hour, seconds since 1970 UTC.
    pub first_s: i64,
    /// Beginning of the last hour.
    pub last_s: i64,
    /// The labels' clock, minutes from UTC, to say the hours as the sender would.
    pub utc_offset_minutes: i16,
    /// How much it weighs: `note`, `doubt`, `fault`.
    pub weight: String,
    /// How many times the threshold.
    pub score: f64,
    /// Why, in words with numbers.
    pub reason: Text,
    /// The method.
    pub method: MethodVersion,
    /// Its parameters, JSON.
    pub parameters: String,
    /// When it was recorded, RFC 3339 UTC.
    pub recorded_at: String,
    /// When it was withdrawn, if it no longer holds.
    pub withdrawn_at: Option<String>,
}

/// What a look changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize)]
pub struct FindingsReport {
    /// Findings that hold now.
    pub holding: u64,
    /// Of these, recorded for the first time.
    pub new: u64,
    /// Earlier findings that no longer hold.
    pub withdrawn: u64,
}

const TEXTS: [&str; 13] = [
    "id",
    "event",
    "scope",
    "kind",
    "subject",
    "indicator",
    "weight",
    "reason_zh",
    "reason_en",
    "method",
    "version",
    "parameters",
    "recorded_at",
];

fn time() -> DataType {
    DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into()))
}

fn schema(last: &str) -> SchemaRef {
    let mut fields: Vec<Field> = TEXTS
        .iter()
        .map(|n| Field::new(*n, DataType::Utf8, false))
        .collect();
    fields.push(Field::new("first", time(), false));
    fields.push(Field::new("last", time(), false));
    fields.push(Field::new("hours", DataType::Int64, false));
    fields.push(Field::new("utc_offset_minutes", DataType::Int64, false));
    fields.push(Field::new("score", DataType::Float64, false));
    if !last.is_empty() {
        fields.push(Field::new(last, DataType::Utf8, true));
    }
    Arc::new(Schema::new(fields))
}

fn columns<'r>(rows: &[(&'r FindingRow, &'r str)]) -> Vec<ArrayRef> {
    let text = |of: &dyn Fn(&'r FindingRow, &'r str) -> &'r str| -> ArrayRef {
        Arc::new(StringArray::from_iter_values(
            rows.iter().map(|(r, event)| of(r, event)),
        ))
    };
    let ms = |of: &dyn Fn(&FindingRow) -> i64| -> ArrayRef {
        Arc::new(
            TimestampMillisecondArray::from_iter_values(rows.iter().map(|(r, _)| of(r) * 1_000))
                .with_timezone("UTC"),
        )
    };
    vec![
        text(&|r, _| &r.id),
        text(&|_, event| event),
        text(&|r, _| &r.scope),
        text(&|r, _| &r.kind),
        text(&|r, _| &r.subject),
        text(&|r, _| &r.indicator),
        text(&|r, _| &r.weight),
        text(&|r, _| &r.reason.zh),
        text(&|r, _| &r.reason.en),
        text(&|r, _| &r.method.name),
        text(&|r, _| &r.method.version),
        text(&|r, _| &r.parameters),
        text(&|r, _| &r.recorded_at),
        ms(&|r| r.first_s),
        ms(&|r| r.last_s),
        Arc::new(
            rows.iter()
                .map(|(r, _)| Some((r.last_s - r.first_s) / 3_600 + 1))
                .collect::<Int64Array>(),
        ),
        Arc::new(
            rows.iter()
                .map(|(r, _)| Some(i64::from(r.utc_offset_minutes)))
                .collect::<Int64Array>(),
        ),
        Arc::new(
            rows.iter()
                .map(|(r, _)| Some(r.score))
                .collect::<Float64Array>(),
        ),
    ]
}

impl Lake {
    fn finding_files(&self) -> Result<Vec<PathBuf>, LakeError> {
        let dir = self.root.join("findings");
        let mut files: Vec<PathBuf> = match fs::read_dir(&dir) {
            Ok(entries) => entries
                .flatten()
                .map(|e| e.path())
                .filter(|p| p.extension().is_some_and(|e| e == "parquet"))
                .collect(),
            // A lake of before, into which nobody has looked yet.
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Vec::new(),
            Err(e) => return Err(LakeError::io(&dir, e)),
        };
        files.sort();
        Ok(files)
    }

    /// Every finding ever recorded, oldest first, those that no longer hold with the time of their
    /// withdrawal.
    ///
    /// # Errors
    /// [`LakeError`] if a file of the log cannot be read.
    pub fn findings(&self) -> Result<Vec<FindingRow>, LakeError> {
        let mut out: Vec<FindingRow> = Vec::new();
        let mut at: BTreeMap<String, usize> = BTreeMap::new();
        for path in self.finding_files()? {
            for (row, event) in read(&path)? {
                match (at.get(&row.id), event.as_str()) {
                    (Some(k), "withdrawn") => out[*k].withdrawn_at = Some(row.recorded_at),
                    // Found again after a withdrawal: it holds as first recorded.
                    (Some(k), _) => out[*k].withdrawn_at = None,
                    (None, _) => {
                        at.insert(row.id.clone(), out.len());
                        out.push(row);
                    }
                }
            }
        }
        Ok(out)
    }

    /// Records what a look at the whole of `scope` says now: what is new is appended, what no
    /// longer holds is marked as withdrawn. `recorded_at` of the rows is replaced by `now`.
    ///
    /// # Errors
    /// [`LakeError`] if the log cannot be read or written; it is then as before.
    pub fn put_findings(
        &self,
        scope: &SubjectId,
        rows: &[FindingRow],
        now: &str,
    ) -> Result<FindingsReport, LakeError> {
        let dir = self.root.join("findings");
        fs::create_dir_all(&dir).map_err(|e| LakeError::io(&dir, e))?;
        let _lock = self.lock()?;
        let before = self.findings()?;
        let holding: HashSet<&str> = before
            .iter()
            .filter(|f| f.withdrawn_at.is_none() && f.scope == scope.as_str())
            .map(|f| f.id.as_str())
            .collect();
        let said: HashSet<&str> = rows.iter().map(|r| r.id.as_str()).collect();
        let stamped = |r: &FindingRow| FindingRow {
            recorded_at: now.to_owned(),
            scope: scope.to_string(),
            withdrawn_at: None,
            ..r.clone()
        };
        let mut seen = HashSet::new();
        let new: Vec<FindingRow> = rows
            .iter()
            .filter(|r| !holding.contains(r.id.as_str()) && seen.insert(r.id.as_str()))
            .map(stamped)
            .collect();
        let gone: Vec<FindingRow> = before
            .iter()
            .filter(|f| holding.contains(f.id.as_str()) && !said.contains(f.id.as_str()))
            .map(stamped)
            .collect();
        let report = FindingsReport {
            holding: said.len() as u64,
            new: new.len() as u64,
            withdrawn: gone.len() as u64,
        };
        if new.is_empty() && gone.is_empty() {
            return Ok(report);
        }
        let events: Vec<(&FindingRow, &str)> = new
            .iter()
            .map(|r| (r, "found"))
            .chain(gone.iter().map(|r| (r, "withdrawn")))
            .collect();
        let digest = events.iter().fold(blake3::Hasher::new(), |mut h, (r, e)| {
            h.update(r.id.as_bytes()).update(e.as_bytes());
            h
        });
        let path = dir.join(format!(
            "{:06}-{}.parquet",
            self.finding_files()?.len() + 1,
            &digest.finalize().to_hex()[..12]
        ));
        write(&path, &events)?;
        Ok(report)
    }

    /// The table `finding` of SQL: one row for each finding, with the time of its withdrawal.
    pub(crate) fn finding_batch(&self) -> Result<RecordBatch, LakeError> {
        let rows = self.findings()?;
        let held: Vec<(&FindingRow, &str)> = rows.iter().map(|r| (r, "found")).collect();
        let mut columns = columns(&held);
        columns.push(Arc::new(
            rows.iter()
                .map(|r| r.withdrawn_at.as_deref())
                .collect::<StringArray>(),
        ));
        let batch = RecordBatch::try_new(schema("withdrawn_at"), columns)
            .map_err(|e| LakeError::Query(e.to_string()))?;
        // Whether a row is an event of finding or of withdrawing matters to the files only.
        let kept: Vec<usize> = (0..batch.num_columns()).filter(|c| *c != 1).collect();
        batch
            .project(&kept)
            .map_err(|e| LakeError::Query(e.to_string()))
    }
}

fn write(path: &std::path::Path, events: &[(&FindingRow, &str)]) -> Result<(), LakeError> {
    let fail = |e: &dyn std::fmt::Display| LakeError::parquet(path, e);
    let batch = RecordBatch::try_new(schema(""), columns(events)).map_err(|e| fail(&e))?;
    let properties = WriterProperties::builder()
        .set_compression(Compression::LZ4_RAW)
        .build();
    let mut buffer = Vec::new();
    let mut writer =
        ArrowWriter::try_new(&mut buffer, schema(""), Some(properties)).map_err(|e| fail(&e))?;
    writer.write(&batch).map_err(|e| fail(&e))?;
    writer.close().map_err(|e| fail(&e))?;
    crate::commit::write_whole(path, &buffer)
}

fn read(path: &PathBuf) -> Result<Vec<(FindingRow, String)>, LakeError> {
    let fail = |e: &dyn std::fmt::Display| LakeError::parquet(path, e);
    let file = fs::File::open(path).map_err(|e| LakeError::io(path, e))?;
    let reader = ParquetRecordBatchReaderBuilder::try_new(file)
        .and_then(|b| b.build())
        .map_err(|e| fail(&e))?;
    let mut out = Vec::new();
    for batch in reader {
        let batch = batch.map_err(|e| fail(&e))?;
        let column = |name: &str| {
            batch
                .column_by_name(name)
                .ok_or_else(|| fail(&format!("no column {name}")))
        };
        let mut texts = Vec::new();
        for name in TEXTS {
            texts.push(
                column(name)?
                    .as_string_opt::<i32>()
                    .ok_or_else(|| fail(&format!("{name} is no text")))?,
            );
        }
        let ms = |name: &str| {
            column(name)?
                .as_primitive_opt::<TimestampMillisecondType>()
                .ok_or_else(|| fail(&format!("{name} is no time")))
        };
        let (first, last) = (ms("first")?, ms("last")?);
        let offset = column("utc_offset_minutes")?
            .as_primitive_opt::<Int64Type>()
            .ok_or_else(|| fail(&"utc_offset_minutes is no number"))?;
        let score = column("score")?
            .as_primitive_opt::<Float64Type>()
            .ok_or_else(|| fail(&"score is no number"))?;
        for i in 0..batch.num_rows() {
            let text = |name: &str| {
                let k = TEXTS.iter().position(|t| *t == name).unwrap_or(0);
                texts[k].value(i).to_owned()
            };
            out.push((
                FindingRow {
                    id: text("id"),
                    scope: text("scope"),
                    kind: text("kind"),
                    subject: text("subject"),
                    indicator: text("indicator"),
                    first_s: first.value(i).div_euclid(1_000),
                    last_s: last.value(i).div_euclid(1_000),
                    utc_offset_minutes: i16::try_from(offset.value(i)).unwrap_or(0),
                    weight: text("weight"),
                    score: score.value(i),
                    reason: Text::new(text("reason_zh"), text("reason_en")),
                    method: MethodVersion {
                        name: text("method"),
                        version: text("version"),
                    },
                    parameters: text("parameters"),
                    recorded_at: text("recorded_at"),
                    withdrawn_at: None,
                },
                text("event"),
            ));
        }
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(id: &str, first: i64) -> FindingRow {
        FindingRow {
            id: id.into(),
            scope: String::new(),
            kind: "gap".into(),
            subject: "linxi/hexi".into(),
            indicator: "O3".into(),
            first_s: first,
            last_s: first + 7_200,
            utc_offset_minutes: 480,
            weight: "note".into(),
            score: 1.25,
            reason: Text::new("缺", "no value for 3 hours"),
            method: MethodVersion {
                name: "miyun-forensics/gap".into(),
                version: "1".into(),
            },
            parameters: "{}".into(),
            recorded_at: String::new(),
            withdrawn_at: None,
        }
    }

    #[test]
    fn a_look_is_recorded_once_and_what_is_gone_is_withdrawn_not_removed() {
        let dir = tempfile::tempdir().unwrap();
        let lake = Lake::open(dir.path()).unwrap();
        let city: SubjectId = "linxi".parse().unwrap();
        assert!(lake.findings().unwrap().is_empty());
        let both = [row("f-1", 0), row("f-2", 86_400)];
        let r = lake
            .put_findings(&city, &both, "2026-01-01T00:00:00Z")
            .unwrap();
        assert_eq!((r.holding, r.new, r.withdrawn), (2, 2, 0));
        // The same again: nothing is written.
        let r = lake
            .put_findings(&city, &both, "2026-01-02T00:00:00Z")
            .unwrap();
        assert_eq!((r.holding, r.new, r.withdrawn), (2, 0, 0));
        assert_eq!(lake.finding_files().unwrap().len(), 1);
        // One is gone, then back.
        lake.put_findings(&city, &both[..1], "2026-01-03T00:00:00Z")
            .unwrap();
        let all = lake.findings().unwrap();
        assert_eq!(all.len(), 2);
        assert_eq!(all[0].recorded_at, "2026-01-01T00:00:00Z");
        assert_eq!(all[0].score, 1.25);
        assert_eq!(all[1].withdrawn_at.as_deref(), Some("2026-01-03T00:00:00Z"));
        lake.put_findings(&city, &both, "2026-01-04T00:00:00Z")
            .unwrap();
        assert!(
            lake.findings()
                .unwrap()
                .iter()
                .all(|f| f.withdrawn_at.is_none())
        );
        // Another city is another scope.
        let other: SubjectId = "beijing".parse().unwrap();
        lake.put_findings(&other, &[row("f-3", 0)], "2026-01-05T00:00:00Z")
            .unwrap();
        assert_eq!(lake.findings().unwrap().len(), 3);
    }

    #[test]
    fn findings_are_a_table_of_sql() {
        let dir = tempfile::tempdir().unwrap();
        let lake = Lake::open(dir.path()).unwrap();
        let functions = crate::Functions {
            iaqi: Arc::new(|_, _, _, _| None),
        };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        let query = "select kind, count(*), max(hours) from finding where withdrawn_at is null group by kind";
        let empty = runtime.block_on(lake.sql(query, &functions)).unwrap();
        assert!(empty.rows.is_empty());
        lake.put_findings(
            &"linxi".parse().unwrap(),
            &[row("f-1", 0)],
            "2026-01-01T00:00:00Z",
        )
        .unwrap();
        let one = runtime.block_on(lake.sql(query, &functions)).unwrap();
        assert_eq!(
            one.rows,
            [[Some("gap".into()), Some("1".into()), Some("3".into())]]
        );
    }
}
