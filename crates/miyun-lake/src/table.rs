//! Results as Parquet, for downloads and for those who go on with Arrow, DuckDB or pandas.

use std::path::Path;
use std::sync::Arc;

use datafusion::arrow::array::{
    ArrayRef, BooleanArray, Date32Array, Decimal128Array, DictionaryArray, Int64Array, RecordBatch,
    StringArray,
};
use datafusion::arrow::datatypes::{Field, Int32Type, Schema};
use datafusion::parquet::arrow::ArrowWriter;
use datafusion::parquet::basic::Compression;
use datafusion::parquet::file::properties::WriterProperties;
use miyun_core::observation::VALUE_SCALE;
use miyun_core::{Decimal, Rounding};

use crate::LakeError;

/// Cells of a column; `None` is NULL.
#[derive(Debug, Clone, PartialEq)]
pub enum Cells {
    /// Words that come again, stored once each.
    Word(Vec<Option<String>>),
    /// Texts.
    Text(Vec<Option<String>>),
    /// Integers.
    Integer(Vec<Option<i64>>),
    /// Decimals in 10^-6 (`decimal128(18, 6)`).
    Decimal(Vec<Option<i64>>),
    /// Days since 1970-01-01.
    Date(Vec<i32>),
    /// Yes or no.
    Truth(Vec<Option<bool>>),
}

impl Cells {
    /// Decimals, rounded to six places.
    ///
    /// # Errors
    /// [`LakeError::Parquet`] if one has more than 12 digits before the point.
    pub fn decimals(values: impl IntoIterator<Item = Option<Decimal>>) -> Result<Self, LakeError> {
        let steps = |d: Decimal| {
            let mut d = miyun_core::round(d, VALUE_SCALE, Rounding::HalfEven);
            d.rescale(VALUE_SCALE);
            i64::try_from(d.mantissa())
                .ok()
                .filter(|n| n.unsigned_abs() < 10u64.pow(DIGITS.into()))
                .ok_or_else(|| LakeError::parquet(Path::new("table"), format!("{d} is too large")))
        };
        let cells = values.into_iter().map(|d| d.map(steps).transpose());
        Ok(Self::Decimal(cells.collect::<Result<_, _>>()?))
    }
}

/// Most digits of a decimal column.
const DIGITS: u8 = 18;

/// A named column.
#[derive(Debug, Clone, PartialEq)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// Its cells.
    pub cells: Cells,
}

fn array(cells: &Cells) -> Result<ArrayRef, datafusion::arrow::error::ArrowError> {
    Ok(match cells {
        Cells::Word(v) => Arc::new(
            v.iter()
                .map(Option::as_deref)
                .collect::<DictionaryArray<Int32Type>>(),
        ),
        Cells::Text(v) => Arc::new(StringArray::from(v.clone())),
        Cells::Integer(v) => Arc::new(v.iter().copied().collect::<Int64Array>()),
        Cells::Decimal(v) => Arc::new(
            v.iter()
                .map(|x| x.map(i128::from))
                .collect::<Decimal128Array>()
                .with_precision_and_scale(DIGITS, VALUE_SCALE as i8)?,
        ),
        Cells::Date(v) => Arc::new(Date32Array::from(v.clone())),
        Cells::Truth(v) => Arc::new(BooleanArray::from(v.clone())),
    })
}

/// The table as the bytes of a Parquet file. All columns must have the same length.
///
/// # Errors
/// [`LakeError::Parquet`] if the columns do not fit each other.
pub fn parquet(columns: &[Column]) -> Result<Vec<u8>, LakeError> {
    let fail = |e: &dyn std::fmt::Display| LakeError::parquet(Path::new("table"), e);
    let arrays: Vec<ArrayRef> = columns
        .iter()
        .map(|c| array(&c.cells))
        .collect::<Result<_, _>>()
        .map_err(|e| fail(&e))?;
    let fields: Vec<Field> = columns
        .iter()
        .zip(&arrays)
        .map(|(c, a)| Field::new(&c.name, a.data_type().clone(), true))
        .collect();
    let schema = Arc::new(Schema::new(fields));
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

/// Writes a table to `path`, whole or not at all.
///
/// # Errors
/// As [`parquet`], and [`LakeError::Io`] if the file cannot be written.
pub fn write_columns(path: &Path, columns: &[Column]) -> Result<(), LakeError> {
    let bytes = parquet(columns)?;
    let whole = std::path::absolute(path).map_err(|e| LakeError::io(path, e))?;
    crate::commit::write_whole(&whole, &bytes)
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::array::{Array, AsArray};
    use datafusion::arrow::datatypes::Decimal128Type;
    use datafusion::parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

    use super::*;

    #[test]
    fn a_table_comes_back_with_its_gaps() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("t.parquet");
        let column = |name: &str, cells| Column {
            name: name.into(),
            cells,
        };
        write_columns(
            &path,
            &[
                column("place", Cells::Word(vec![Some("a".into()), None])),
                column("value", Cells::Decimal(vec![None, Some(1_500_000)])),
                column("day", Cells::Date(vec![0, 1])),
                column("valid", Cells::Truth(vec![Some(true), None])),
                column("name", Cells::Text(vec![Some("东四".into()), None])),
                column("n", Cells::Integer(vec![Some(3), None])),
            ],
        )
        .unwrap();
        let file = std::fs::File::open(&path).unwrap();
        let mut reader = ParquetRecordBatchReaderBuilder::try_new(file)
            .unwrap()
            .build()
            .unwrap();
        let batch = reader.next().unwrap().unwrap();
        let value = batch["value"].as_primitive::<Decimal128Type>();
        assert!(value.is_null(0));
        assert_eq!(value.value_as_string(1), "1.500000");
        assert!(batch["place"].is_null(1) || batch["place"].as_any_dictionary().keys().is_null(1));
        assert_eq!(batch["name"].as_string::<i32>().value(0), "东四");
        assert!(batch["valid"].is_null(1));
        assert_eq!(batch.num_rows(), 2);
    }

    #[test]
    fn decimals_keep_six_places_and_refuse_what_does_not_fit() {
        let d = |t: &str| Some(t.parse::<Decimal>().unwrap());
        let cells = Cells::decimals([d("34.6"), None, d("-0.0000005"), d("999999999999.5")]);
        let steps = vec![
            Some(34_600_000),
            None,
            Some(0),
            Some(999_999_999_999_500_000),
        ];
        assert_eq!(cells.unwrap(), Cells::Decimal(steps));
        assert!(Cells::decimals([d("1000000000000")]).is_err());
    }

    #[test]
    fn columns_of_different_length_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("t.parquet");
        let bad = [
            Column {
                name: "a".into(),
                cells: Cells::Truth(vec![Some(true)]),
            },
            Column {
                name: "b".into(),
                cells: Cells::Date(vec![1, 2]),
            },
        ];
        assert!(write_columns(&path, &bad).is_err());
        assert!(!path.exists());
    }
}
