//! Parquet files as evidence: the columns of the long layout, from any program.

use std::io::{Seek, Write};

use datafusion::arrow::util::display::{ArrayFormatter, FormatOptions};
use datafusion::parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use miyun_import::{Declared, Layout, Parsed, Words, read_csv};

use crate::LakeError;

const COLUMNS: [&str; 6] = ["station", "indicator", "time", "value", "unit", "flag"];

/// Reads a Parquet file with the columns of the long layout; rows go through the same reader as
/// CSV, so that the same things are asked for and the same problems are found. Lines are row
/// numbers plus one.
///
/// # Errors
/// [`LakeError`] if the bytes are no Parquet file or required properties are missing.
pub fn read_parquet(
    name: &str,
    bytes: &[u8],
    declared: &Declared,
    words: &Words,
) -> Result<Parsed, LakeError> {
    let fail = |e: &dyn std::fmt::Display| LakeError::parquet(std::path::Path::new(name), e);
    // An unlinked temporary file: the reader wants something it can seek in and own.
    let mut file = temporary().map_err(|e| fail(&e))?;
    file.write_all(bytes)
        .and_then(|()| file.rewind())
        .map_err(|e| fail(&e))?;
    let reader = ParquetRecordBatchReaderBuilder::try_new(file)
        .and_then(|b| b.build())
        .map_err(|e| fail(&e))?;
    let mut text = COLUMNS.join(",").into_bytes();
    text.push(b'\n');
    let options = FormatOptions::default().with_null("");
    for batch in reader {
        let batch = batch.map_err(|e| fail(&e))?;
        let mut columns = Vec::new();
        for name in COLUMNS {
            let array = batch.column_by_name(name);
            columns.push(
                array
                    .map(|a| ArrayFormatter::try_new(a.as_ref(), &options))
                    .transpose()
                    .map_err(|e| fail(&e))?,
            );
        }
        for i in 0..batch.num_rows() {
            for (k, column) in columns.iter().enumerate() {
                if k > 0 {
                    text.push(b',');
                }
                if let Some(c) = column {
                    let cell = c.value(i).to_string();
                    let quoted = cell.contains([',', '"', '\n', '\r', '#']);
                    text.extend(
                        if quoted {
                            format!("\"{}\"", cell.replace('"', "\"\""))
                        } else {
                            cell
                        }
                        .bytes(),
                    );
                }
            }
            text.push(b'\n');
        }
    }
    Ok(read_csv(name, &text, Layout::Long, declared, words)?)
}

fn temporary() -> std::io::Result<std::fs::File> {
    let path = std::env::temp_dir().join(format!(
        "miyun-{}-{:p}.parquet",
        std::process::id(),
        &COLUMNS
    ));
    let file = std::fs::File::options()
        .read(true)
        .write(true)
        .create_new(true)
        .open(&path)?;
    std::fs::remove_file(&path)?;
    Ok(file)
}
