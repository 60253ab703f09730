//! Small tables as Parquet, for downloads.

use std::path::Path;
use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, BooleanArray, Decimal128Array, Int64Array, StringArray};
use datafusion::arrow::datatypes::{DataType, Field, Schema};
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::parquet::arrow::ArrowWriter;
use datafusion::parquet::basic::Compression;
use datafusion::parquet::file::properties::WriterProperties;
use miyun_core::Decimal;

use crate::LakeError;

/// A column with its values; all columns of a table have the same length.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OutColumn {
    /// Texts.
    Text(Vec<Option<String>>),
    /// Whole numbers.
    Int(Vec<Option<i64>>),
    /// Decimals, stored with six places (`decimal128(18, 6)`).
    Decimal(Vec<Option<Decimal>>),
    /// Truths.
    Bool(Vec<Option<bool>>),
}

/// Most digits, and digits after the point, of a decimal column.
const DECIMAL: (u8, i8) = (18, 6);

impl OutColumn {
    fn array(&self) -> Result<ArrayRef, LakeError> {
        Ok(match self {
            Self::Text(v) => Arc::new(StringArray::from(v.clone())),
            Self::Int(v) => Arc::new(Int64Array::from(v.clone())),
            Self::Bool(v) => Arc::new(BooleanArray::from(v.clone())),
            Self::Decimal(v) => {
                let scaled = v.iter().map(|d| {
                    d.map(|d| {
                        let mut d = miyun_core::round(d, 6, miyun_core::Rounding::HalfEven);
                        d.rescale(6);
                        d.mantissa()
                    })
                });
                let array = scaled
                    .collect::<Decimal128Array>()
                    .with_precision_and_scale(DECIMAL.0, DECIMAL.1)
                    .map_err(|e| LakeError::parquet(Path::new("table"), e))?;
                Arc::new(array)
            }
        })
    }

    fn data_type(&self) -> DataType {
        match self {
            Self::Text(_) => DataType::Utf8,
            Self::Int(_) => DataType::Int64,
            Self::Bool(_) => DataType::Boolean,
            Self::Decimal(_) => DataType::Decimal128(DECIMAL.0, DECIMAL.1),
        }
    }
}

/// The table as the bytes of a Parquet file.
///
/// # Errors
/// [`LakeError::Parquet`] if the columns differ in length or a decimal has more than 12 digits
/// before the point.
pub fn write_table(columns: &[(String, OutColumn)]) -> Result<Vec<u8>, LakeError> {
    let fail = |e: &dyn std::fmt::Display| LakeError::parquet(Path::new("table"), e);
    let fields: Vec<Field> = columns
        .iter()
        .map(|(name, c)| Field::new(name, c.data_type(), true))
        .collect();
    let schema = Arc::new(Schema::new(fields));
    let arrays = columns
        .iter()
        .map(|(_, c)| c.array())
        .collect::<Result<Vec<_>, _>>()?;
    let batch = RecordBatch::try_new(Arc::clone(&schema), arrays).map_err(|e| fail(&e))?;
    let properties = WriterProperties::builder()
        .set_compression(Compression::LZ4_RAW)
        .build();
    let mut buffer = Vec::new();
    let mut writer =
        ArrowWriter::try_new(&mut buffer, schema, Some(properties)).map_err(|e| fail(&e))?;
    writer.write(&batch).map_err(|e| fail(&e))?;
    writer.close().map_err(|e| fail(&e))?;
    Ok(buffer)
}

#[cfg(test)]
mod tests {
    use datafusion::parquet::file::reader::{FileReader, SerializedFileReader};

    use super::*;

    #[test]
    fn a_table_reads_back() {
        let columns = [
            (
                "place".to_owned(),
                OutColumn::Text(vec![Some("东四".into()), None]),
            ),
            (
                "value".to_owned(),
                OutColumn::Decimal(vec![Some("34.6".parse().unwrap()), None]),
            ),
            ("days".to_owned(), OutColumn::Int(vec![None, Some(-3)])),
        ];
        let bytes = write_table(&columns).unwrap();
        let path = std::env::temp_dir().join(format!("miyun-table-{}.parquet", std::process::id()));
        std::fs::write(&path, bytes).unwrap();
        let reader = SerializedFileReader::new(std::fs::File::open(&path).unwrap()).unwrap();
        std::fs::remove_file(&path).unwrap();
        let rows: Vec<String> = reader
            .get_row_iter(None)
            .unwrap()
            .map(|r| r.unwrap().to_string())
            .collect();
        assert_eq!(
            rows,
            [
                "{place: \"东四\", value: 34.600000, days: null}",
                "{place: null, value: null, days: -3}"
            ]
        );
        let uneven = [
            ("a".to_owned(), OutColumn::Int(vec![None])),
            ("b".to_owned(), OutColumn::Int(vec![])),
        ];
        assert!(write_table(&uneven).is_err());
    }
}
