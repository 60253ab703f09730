//! SQL over the lake: its tables, and Miyun's statistics as functions.

use std::sync::Arc;

use datafusion::arrow::array::{
    Array, ArrayRef, AsArray, Decimal128Array, Float64Array, Int64Array, StringArray,
};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Decimal128Type, Field, Int64Type, Schema};
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::arrow::util::display::{ArrayFormatter, FormatOptions};
use datafusion::common::{DataFusionError, Result as DfResult, ScalarValue};
use datafusion::datasource::MemTable;
use datafusion::execution::context::{SQLOptions, SessionConfig, SessionContext};
use datafusion::logical_expr::{Accumulator, ColumnarValue, Volatility, create_udaf, create_udf};
use datafusion::prelude::ParquetReadOptions;

use crate::{Lake, LakeError};

/// Sub-index of a concentration: indicator, statistic, value as text, edition; `None` where the
/// edition gives none.
pub type IndexFunction = Arc<dyn Fn(&str, &str, &str, &str) -> Option<u16> + Send + Sync>;

/// What the binder brings: functions that need rules. Registered by one call, so that another
/// engine on the same plan could host them.
#[derive(Clone)]
pub struct Functions {
    /// `iaqi(indicator, statistic, value, edition)`.
    pub iaqi: IndexFunction,
}

/// A result as text, with its column names.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct SqlTable {
    /// Column names.
    pub columns: Vec<String>,
    /// Rows; `None` is NULL.
    pub rows: Vec<Vec<Option<String>>>,
}

fn df(e: impl std::fmt::Display) -> LakeError {
    LakeError::Query(e.to_string())
}

impl Lake {
    /// Runs one query. Tables: `observation`, `series`, `subject`, `import`, `finding`, and
    /// `assessment` once there are assessments.
    ///
    /// # Errors
    /// [`LakeError::ReadOnly`] for anything that is not a query, [`LakeError::Query`] with the
    /// engine's message otherwise.
    pub async fn sql(&self, query: &str, functions: &Functions) -> Result<SqlTable, LakeError> {
        let context =
            SessionContext::new_with_config(SessionConfig::new().with_target_partitions(2));
        self.register(&context).await?;
        register_functions(&context, functions);
        let options = SQLOptions::new()
            .with_allow_ddl(false)
            .with_allow_dml(false)
            .with_allow_statements(false);
        let frame = context
            .sql_with_options(query, options)
            .await
            .map_err(|e| {
                let text = e.to_string();
                if text.contains("not supported: ") {
                    LakeError::ReadOnly(text)
                } else {
                    df(text)
                }
            })?;
        let columns = frame
            .schema()
            .fields()
            .iter()
            .map(|f| f.name().clone())
            .collect();
        let batches = frame.collect().await.map_err(df)?;
        Ok(SqlTable {
            columns,
            rows: texts(&batches)?,
        })
    }

    async fn register(&self, context: &SessionContext) -> Result<(), LakeError> {
        let parts: Vec<String> = self
            .commits()
            .iter()
            .flat_map(|c| &c.parts)
            .map(|p| self.root().join(&p.path).display().to_string())
            .collect();
        if parts.is_empty() {
            let empty = MemTable::try_new(crate::part::schema(), vec![vec![]]).map_err(df)?;
            context
                .register_table("observation", Arc::new(empty))
                .map_err(df)?;
        } else {
            let frame = context
                .read_parquet(parts, ParquetReadOptions::default())
                .await
                .map_err(df)?;
            context
                .register_table("observation", frame.into_view())
                .map_err(df)?;
        }
        let assessments = self.root().join("assessments");
        let any = std::fs::read_dir(&assessments)
            .map_err(|e| LakeError::io(&assessments, e))?
            .flatten()
            .any(|e| e.path().extension().is_some_and(|x| x == "parquet"));
        if any {
            context
                .register_parquet(
                    "assessment",
                    assessments.display().to_string(),
                    ParquetReadOptions::default(),
                )
                .await
                .map_err(df)?;
        }
        context
            .register_batch("finding", self.finding_batch()?)
            .map_err(df)?;
        for (name, columns, rows) in self.tables() {
            context
                .register_batch(name, text_batch(&columns, &rows)?)
                .map_err(df)?;
        }
        Ok(())
    }

    /// Small tables made from the commits.
    #[allow(clippy::type_complexity)]
    fn tables(&self) -> Vec<(&'static str, Vec<&'static str>, Vec<Vec<String>>)> {
        let opt = |v: Option<f64>| v.map_or(String::new(), |v| v.to_string());
        let subjects = self.subjects();
        let subjects = subjects.iter().map(|s| {
            vec![
                s.id.to_string(),
                s.name.zh.clone(),
                s.name.en.clone(),
                s.jurisdiction.to_string(),
                s.part_of
                    .as_ref()
                    .map(ToString::to_string)
                    .unwrap_or_default(),
                opt(s.lon_deg),
                opt(s.lat_deg),
                s.control.to_string(),
                s.simulated.to_string(),
            ]
        });
        let series = self.series();
        let series = series.iter().map(|s| {
            vec![
                s.subject.to_string(),
                s.indicator.to_string(),
                s.unit.to_string(),
                s.interval.as_str().to_owned(),
                s.utc_offset_minutes.to_string(),
            ]
        });
        let imports = self.commits().iter().flat_map(|c| {
            c.files.iter().map(|f| {
                let (sequence, recorded_at) = c.recorded(f);
                vec![
                    sequence.to_string(),
                    recorded_at.to_owned(),
                    f.name.clone(),
                    f.digest.clone(),
                    f.declared.clone(),
                    f.rows.to_string(),
                    f.values.to_string(),
                    f.problems.to_string(),
                ]
            })
        });
        vec![
            (
                "subject",
                vec![
                    "id",
                    "name_zh",
                    "name_en",
                    "jurisdiction",
                    "part_of",
                    "lon_deg",
                    "lat_deg",
                    "control",
                    "simulated",
                ],
                subjects.collect(),
            ),
            (
                "series",
                vec![
                    "subject",
                    "indicator",
                    "unit",
                    "interval",
                    "utc_offset_minutes",
                ],
                series.collect(),
            ),
            (
                "import",
                vec![
                    "sequence",
                    "recorded_at",
                    "file",
                    "digest",
                    "declared",
                    "rows",
                    "values",
                    "problems",
                ],
                imports.collect(),
            ),
        ]
    }
}

fn text_batch(columns: &[&str], rows: &[Vec<String>]) -> Result<RecordBatch, LakeError> {
    let schema = Arc::new(Schema::new(
        columns
            .iter()
            .map(|c| Field::new(*c, DataType::Utf8, false))
            .collect::<Vec<_>>(),
    ));
    let arrays: Vec<ArrayRef> = (0..columns.len())
        .map(|i| {
            Arc::new(
                rows.iter()
                    .map(|r| Some(r[i].as_str()))
                    .collect::<StringArray>(),
            ) as ArrayRef
        })
        .collect();
    RecordBatch::try_new(schema, arrays).map_err(df)
}

fn texts(batches: &[RecordBatch]) -> Result<Vec<Vec<Option<String>>>, LakeError> {
    let options = FormatOptions::default();
    let mut out = Vec::new();
    for batch in batches {
        let columns: Vec<ArrayFormatter<'_>> = batch
            .columns()
            .iter()
            .map(|c| ArrayFormatter::try_new(c.as_ref(), &options))
            .collect::<Result<_, _>>()
            .map_err(df)?;
        for i in 0..batch.num_rows() {
            out.push(
                batch
                    .columns()
                    .iter()
                    .zip(&columns)
                    .map(|(a, f)| (!a.is_null(i)).then(|| f.value(i).to_string()))
                    .collect(),
            );
        }
    }
    Ok(out)
}

const VALUE: DataType = DataType::Decimal128(18, 6);

fn register_functions(context: &SessionContext, functions: &Functions) {
    context.register_udf(create_udf(
        "round_half_even",
        vec![VALUE, DataType::Int64],
        VALUE,
        Volatility::Immutable,
        Arc::new(round_half_even),
    ));
    let iaqi = Arc::clone(&functions.iaqi);
    context.register_udf(create_udf(
        "iaqi",
        vec![DataType::Utf8, DataType::Utf8, VALUE, DataType::Utf8],
        DataType::Int64,
        Volatility::Immutable,
        Arc::new(move |args: &[ColumnarValue]| index(args, &iaqi)),
    ));
    context.register_udaf(create_udaf(
        "percentile_hj663",
        vec![VALUE, DataType::Float64],
        Arc::new(DataType::Float64),
        Volatility::Immutable,
        Arc::new(|_| Ok(Box::new(Percentile::default()) as Box<dyn Accumulator>)),
        Arc::new(vec![
            DataType::List(Arc::new(Field::new_list_field(DataType::Float64, true))),
            DataType::Float64,
        ]),
    ));
}

fn arrays(args: &[ColumnarValue]) -> DfResult<Vec<ArrayRef>> {
    ColumnarValue::values_to_arrays(args)
}

/// `round_half_even(value, places)`: GB/T 8170 on the stored decimal.
fn round_half_even(args: &[ColumnarValue]) -> DfResult<ColumnarValue> {
    let a = arrays(args)?;
    let (values, places) = (
        a[0].as_primitive::<Decimal128Type>(),
        a[1].as_primitive::<Int64Type>(),
    );
    let rounded = values.iter().zip(places.iter()).map(|(v, p)| {
        let decimal = miyun_core::Decimal::try_from_i128_with_scale(v?, 6).ok()?;
        let mut r = miyun_core::round(
            decimal,
            u32::try_from(p?.clamp(0, 6)).ok()?,
            miyun_core::Rounding::HalfEven,
        );
        r.rescale(6);
        Some(r.mantissa())
    });
    let out = rounded
        .collect::<Decimal128Array>()
        .with_precision_and_scale(18, 6)?;
    Ok(ColumnarValue::Array(Arc::new(out)))
}

fn index(args: &[ColumnarValue], iaqi: &IndexFunction) -> DfResult<ColumnarValue> {
    let a = arrays(args)?;
    let text = |i: usize| cast(&a[i], &DataType::Utf8);
    let (indicator, statistic, edition) = (text(0)?, text(1)?, text(3)?);
    let (indicator, statistic, edition) = (
        indicator.as_string::<i32>(),
        statistic.as_string::<i32>(),
        edition.as_string::<i32>(),
    );
    let values = a[2].as_primitive::<Decimal128Type>();
    let out: Int64Array = (0..values.len())
        .map(|i| {
            if values.is_null(i)
                || indicator.is_null(i)
                || statistic.is_null(i)
                || edition.is_null(i)
            {
                return None;
            }
            let value = miyun_core::Decimal::try_from_i128_with_scale(values.value(i), 6)
                .ok()?
                .to_string();
            iaqi(
                indicator.value(i),
                statistic.value(i),
                &value,
                edition.value(i),
            )
            .map(i64::from)
        })
        .collect();
    Ok(ColumnarValue::Array(Arc::new(out)))
}

/// `percentile_hj663(value, p)`: k = 1 + (n - 1) p / 100, linear between neighbours (HJ 663 A.6).
#[derive(Debug, Default)]
struct Percentile {
    values: Vec<f64>,
    p: Option<f64>,
}

impl Accumulator for Percentile {
    fn update_batch(&mut self, values: &[ArrayRef]) -> DfResult<()> {
        let v = cast(&values[0], &DataType::Float64)?;
        self.values.extend(
            v.as_primitive::<datafusion::arrow::datatypes::Float64Type>()
                .iter()
                .flatten(),
        );
        if let Some(p) = values[1]
            .as_any()
            .downcast_ref::<Float64Array>()
            .and_then(|p| p.iter().flatten().next())
        {
            self.p = Some(p);
        }
        Ok(())
    }

    fn evaluate(&mut self) -> DfResult<ScalarValue> {
        let p = self.p.unwrap_or(50.0);
        if !(0.0..=100.0).contains(&p) {
            return Err(DataFusionError::Execution(format!(
                "percentile {p} is not between 0 and 100"
            )));
        }
        self.values.sort_by(f64::total_cmp);
        let n = self.values.len();
        if n == 0 {
            return Ok(ScalarValue::Float64(None));
        }
        let k = (n - 1) as f64 * p / 100.0;
        let s = k.floor() as usize;
        let next = self.values[(s + 1).min(n - 1)];
        Ok(ScalarValue::Float64(Some(
            self.values[s] + (next - self.values[s]) * (k - s as f64),
        )))
    }

    fn size(&self) -> usize {
        size_of_val(self) + self.values.capacity() * 8
    }

    fn state(&mut self) -> DfResult<Vec<ScalarValue>> {
        let values: Vec<ScalarValue> = self
            .values
            .iter()
            .map(|v| ScalarValue::Float64(Some(*v)))
            .collect();
        Ok(vec![
            ScalarValue::List(ScalarValue::new_list_nullable(&values, &DataType::Float64)),
            ScalarValue::Float64(self.p),
        ])
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> DfResult<()> {
        for list in states[0].as_list::<i32>().iter().flatten() {
            self.values.extend(
                list.as_primitive::<datafusion::arrow::datatypes::Float64Type>()
                    .iter()
                    .flatten(),
            );
        }
        if let Some(p) = states[1]
            .as_primitive::<datafusion::arrow::datatypes::Float64Type>()
            .iter()
            .flatten()
            .next()
        {
            self.p = Some(p);
        }
        Ok(())
    }
}
