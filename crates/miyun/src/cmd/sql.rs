use std::path::Path;

use anyhow::Result;
use clap::Args;
use miyun_lake::Lake;
use miyun_rulebook::Rulebook;

use crate::out::{Format, line};

/// Query the lake in SQL, with Miyun's statistics as functions.
///
/// Tables: observation, series, subject, import, finding, assessment. Functions beyond standard SQL:
/// round_half_even(value, places), percentile_hj663(value, p), iaqi(indicator, statistic, value, edition).
///
/// Example: miyun sql "select subject, avg(value) from observation where indicator = 'PM2.5' group by 1"
#[derive(Args)]
pub struct Sql {
    /// One query; nothing else is allowed.
    query: String,
    /// How to print.
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
}

impl Sql {
    pub fn run(self, lake: &Path) -> Result<()> {
        let lake = Lake::open(lake)?;
        let functions = miyun_assess::sql_functions(Rulebook::embedded())?;
        let table = tokio::runtime::Runtime::new()?.block_on(lake.sql(&self.query, &functions))?;
        let text = match self.format {
            Format::Json => {
                let rows: Vec<serde_json::Map<String, serde_json::Value>> = table
                    .rows
                    .iter()
                    .map(|r| {
                        table
                            .columns
                            .iter()
                            .cloned()
                            .zip(r.iter().map(|c| serde_json::json!(c)))
                            .collect()
                    })
                    .collect();
                serde_json::to_string_pretty(&rows)? + "\n"
            }
            Format::Csv => {
                let mut w = csv::Writer::from_writer(Vec::new());
                w.write_record(&table.columns)?;
                for r in &table.rows {
                    w.write_record(r.iter().map(|c| c.as_deref().unwrap_or("")))?;
                }
                String::from_utf8(w.into_inner()?)?
            }
            Format::Table => {
                let mut t = comfy_table::Table::new();
                t.load_preset(comfy_table::presets::UTF8_HORIZONTAL_ONLY)
                    .set_header(&table.columns);
                for r in &table.rows {
                    t.add_row(r.iter().map(|c| c.as_deref().unwrap_or("NULL")));
                }
                format!("{t}\n{} rows\n", table.rows.len())
            }
        };
        line(&text)
    }
}
