//! The log of assessments: one Parquet file per run, never changed, found again by id.

use std::fs;
use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, BooleanArray, RecordBatch, StringArray};
use datafusion::arrow::datatypes::{DataType, Field, Schema};
use datafusion::parquet::arrow::ArrowWriter;
use datafusion::parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use datafusion::parquet::basic::Compression;
use datafusion::parquet::file::properties::WriterProperties;
use miyun_core::Assessment;

use crate::{Lake, LakeError};

/// What a run was.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct RunInfo {
    /// Digest of the run, its file name.
    pub run: String,
    /// When it was recorded, RFC 3339 UTC.
    pub recorded_at: String,
}

const TEXTS: [&str; 14] = [
    "id",
    "subject",
    "indicator",
    "statistic",
    "period",
    "value",
    "value_unrounded",
    "unit",
    "verdict",
    "limit",
    "margin",
    "exceedance",
    "recorded_at",
    "document",
];

impl Lake {
    /// Appends the assessments of a run; a run that is already there is not written again.
    /// Returns true if it was new.
    ///
    /// # Errors
    /// [`LakeError`] if the file cannot be written; nothing is visible then.
    pub fn put_assessments(
        &self,
        run: &RunInfo,
        assessments: &[Assessment],
    ) -> Result<bool, LakeError> {
        let path = self
            .root
            .join("assessments")
            .join(format!("{}.parquet", run.run));
        if path.exists() || assessments.is_empty() {
            return Ok(false);
        }
        let fail = |e: &dyn std::fmt::Display| LakeError::parquet(&path, e);
        let mut fields: Vec<Field> = TEXTS
            .iter()
            .map(|n| Field::new(*n, DataType::Utf8, true))
            .collect();
        fields.push(Field::new("valid", DataType::Boolean, false));
        let schema = Arc::new(Schema::new(fields));
        let mut columns: Vec<Vec<Option<String>>> =
            vec![Vec::with_capacity(assessments.len()); TEXTS.len()];
        for a in assessments {
            let document = serde_json::to_string(a).map_err(|e| fail(&e))?;
            let cells = [
                Some(a.id.to_string()),
                Some(a.subject.to_string()),
                Some(a.indicator.to_string()),
                Some(a.statistic.to_string()),
                Some(a.period.to_string()),
                a.value.map(|v| v.to_string()),
                a.value_unrounded.map(|v| v.to_string()),
                Some(a.unit.to_string()),
                Some(a.verdict.to_string()),
                a.limit.map(|v| v.to_string()),
                a.margin.map(|v| v.to_string()),
                a.exceedance.map(|v| v.to_string()),
                Some(run.recorded_at.clone()),
                Some(document),
            ];
            for (column, cell) in columns.iter_mut().zip(cells) {
                column.push(cell);
            }
        }
        let mut arrays: Vec<ArrayRef> = columns
            .into_iter()
            .map(|c| Arc::new(StringArray::from(c)) as ArrayRef)
            .collect();
        arrays.push(Arc::new(BooleanArray::from(
            assessments
                .iter()
                .map(|a| a.sufficiency.valid)
                .collect::<Vec<_>>(),
        )));
        let batch = RecordBatch::try_new(Arc::clone(&schema), arrays).map_err(|e| fail(&e))?;
        let properties = WriterProperties::builder()
            .set_compression(Compression::LZ4_RAW)
            .build();
        let mut buffer = Vec::new();
        let mut writer =
            ArrowWriter::try_new(&mut buffer, schema, Some(properties)).map_err(|e| fail(&e))?;
        writer.write(&batch).map_err(|e| fail(&e))?;
        writer.close().map_err(|e| fail(&e))?;
        crate::commit::write_whole(&path, &buffer)?;
        Ok(true)
    }

    /// Assessments whose id is `id` or begins with it, with the time at which each was recorded.
    ///
    /// # Errors
    /// [`LakeError`] if a file of the log cannot be read.
    pub fn find_assessments(&self, id: &str) -> Result<Vec<(Assessment, String)>, LakeError> {
        let dir = self.root.join("assessments");
        let mut files: Vec<_> = fs::read_dir(&dir)
            .map_err(|e| LakeError::io(&dir, e))?
            .flatten()
            .map(|e| e.path())
            .filter(|p| p.extension().is_some_and(|e| e == "parquet"))
            .collect();
        files.sort();
        let mut out: Vec<(Assessment, String)> = Vec::new();
        for path in files {
            let fail = |e: &dyn std::fmt::Display| LakeError::parquet(&path, e);
            let file = fs::File::open(&path).map_err(|e| LakeError::io(&path, e))?;
            let reader = ParquetRecordBatchReaderBuilder::try_new(file)
                .and_then(|b| b.build())
                .map_err(|e| fail(&e))?;
            for batch in reader {
                let batch = batch.map_err(|e| fail(&e))?;
                let text = |name: &str| {
                    batch
                        .column_by_name(name)
                        .and_then(|c| c.as_string_opt::<i32>())
                        .ok_or_else(|| fail(&format!("no column {name}")))
                };
                let (ids, documents, recorded) =
                    (text("id")?, text("document")?, text("recorded_at")?);
                for i in (0..ids.len()).filter(|i| ids.value(*i).starts_with(id)) {
                    let a: Assessment =
                        serde_json::from_str(documents.value(i)).map_err(|e| fail(&e))?;
                    if !out.iter().any(|(o, _)| o.id == a.id) {
                        out.push((a, recorded.value(i).to_owned()));
                    }
                }
            }
        }
        Ok(out)
    }
}
