//! Parquet files as evidence: the columns of the long layout, from any program.

use bytes::Bytes;
use datafusion::arrow::util::display::{ArrayFormatter, FormatOptions};
use datafusion::parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use miyun_import::{Declared, FILE_BYTES_MAX, Layout, Parsed, Words, read_csv};

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
    // The library's decoders assert on some damaged pages instead of returning an error.
    let text = std::panic::catch_unwind(|| rows(name, bytes)).unwrap_or_else(|_| {
        let reason = "the file is damaged; write it again";
        Err(LakeError::parquet(std::path::Path::new(name), reason))
    })?;
    Ok(read_csv(name, &text, Layout::Long, declared, words)?)
}

/// The rows as lines of the long layout.
fn rows(name: &str, bytes: &[u8]) -> Result<Vec<u8>, LakeError> {
    let fail = |e: &dyn std::fmt::Display| LakeError::parquet(std::path::Path::new(name), e);
    let reader = ParquetRecordBatchReaderBuilder::try_new(Bytes::copy_from_slice(bytes))
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
        // A few bytes of Parquet can stand for any number of rows.
        if text.len() > FILE_BYTES_MAX {
            return Err(fail(&format!(
                "more than {FILE_BYTES_MAX} bytes when unpacked; split the file"
            )));
        }
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use datafusion::arrow::array::{RecordBatch, StringArray};
    use datafusion::parquet::arrow::ArrowWriter;
    use proptest::prelude::*;

    use super::*;

    fn file() -> Vec<u8> {
        let cells = ["dongsi", "PM2.5", "2016-01-01T00:00+08:00", "35.5", "ug/m3"];
        let columns = COLUMNS.iter().zip(cells).map(|(name, cell)| {
            let column = StringArray::from(vec![cell; 50]);
            (*name, Arc::new(column) as Arc<_>)
        });
        let batch = RecordBatch::try_from_iter(columns).unwrap();
        let mut bytes = Vec::new();
        let mut writer = ArrowWriter::try_new(&mut bytes, batch.schema(), None).unwrap();
        writer.write(&batch).unwrap();
        writer.close().unwrap();
        bytes
    }

    fn read(bytes: &[u8]) -> Result<Parsed, LakeError> {
        let mut words = Words::default();
        words
            .indicators
            .insert("PM2.5".into(), "ug/m3".parse().unwrap());
        words
            .units
            .insert("ug/m3".into(), "mass-concentration".into());
        let declared = Declared {
            interval: Some(miyun_core::IntervalLabel::HourEnd),
            ..Declared::default()
        };
        read_parquet("x.parquet", bytes, &declared, &words)
    }

    #[test]
    fn a_file_of_another_program_is_read() {
        let p = read(&file()).unwrap();
        assert_eq!((p.rows, p.series.len()), (50, 1));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]

        #[test]
        fn no_mutilated_file_makes_it_panic(
            at in any::<prop::sample::Index>(),
            cut in 0usize..30,
            graft in proptest::collection::vec(any::<u8>(), 0..8),
        ) {
            let mut bytes = file();
            let from = at.index(bytes.len());
            let to = (from + cut).min(bytes.len());
            bytes.splice(from..to, graft);
            let _ = read(&bytes);
        }
    }
}
