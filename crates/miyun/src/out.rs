//! What commands print: a table for people, JSON or CSV for programs. Results go to standard
//! output, everything else to standard error.

use std::io::{self, IsTerminal, Write};

use anyhow::Result;
use clap::ValueEnum;
use comfy_table::{CellAlignment, ContentArrangement, Table, presets};
use serde::Serialize;

/// How results are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people.
    Table,
    /// One JSON document.
    Json,
    /// Comma-separated values with a header (RFC 4180).
    Csv,
}

/// Rows with a header; a column whose name ends in `#` is a number and stands right.
pub struct Rows {
    header: Vec<&'static str>,
    rows: Vec<Vec<String>>,
}

impl Rows {
    /// An empty table.
    pub fn new(header: &[&'static str]) -> Self {
        Self {
            header: header.to_vec(),
            rows: Vec::new(),
        }
    }

    /// Adds a row; it must have as many cells as the header.
    pub fn push(&mut self, row: Vec<String>) {
        debug_assert_eq!(row.len(), self.header.len());
        self.rows.push(row);
    }

    fn names(&self) -> Vec<&'static str> {
        self.header
            .iter()
            .map(|h| h.trim_end_matches('#'))
            .collect()
    }

    /// The rows as an aligned table.
    pub fn table(&self) -> String {
        let mut table = Table::new();
        table
            .load_preset(presets::UTF8_HORIZONTAL_ONLY)
            .set_content_arrangement(ContentArrangement::Dynamic);
        if !io::stdout().is_terminal() {
            table.set_content_arrangement(ContentArrangement::Disabled);
        }
        table.set_header(self.names());
        for row in &self.rows {
            table.add_row(row);
        }
        for (i, _) in self
            .header
            .iter()
            .enumerate()
            .filter(|(_, h)| h.ends_with('#'))
        {
            if let Some(column) = table.column_mut(i) {
                column.set_cell_alignment(CellAlignment::Right);
            }
        }
        table.to_string()
    }

    /// The rows as CSV.
    pub fn csv(&self) -> Result<String> {
        let mut writer = csv::Writer::from_writer(Vec::new());
        writer.write_record(self.names())?;
        for row in &self.rows {
            writer.write_record(row)?;
        }
        Ok(String::from_utf8(writer.into_inner()?)?)
    }
}

/// Prints `value` as JSON, or `rows` as table or CSV.
pub fn print(format: Format, value: &impl Serialize, rows: impl FnOnce() -> Rows) -> Result<()> {
    let text = match format {
        Format::Table => rows().table() + "\n",
        Format::Json => serde_json::to_string_pretty(value)? + "\n",
        Format::Csv => rows().csv()?,
    };
    line(&text)
}

/// Writes `text` to standard output; a reader that has gone away (`| head`) is not an error.
pub fn line(text: &str) -> Result<()> {
    match io::stdout().lock().write_all(text.as_bytes()) {
        Err(e) if e.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        other => Ok(other?),
    }
}

/// An option as text, empty if absent.
pub fn opt(value: Option<impl ToString>) -> String {
    value.map(|v| v.to_string()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn csv_quotes_and_drops_the_number_mark() {
        let mut rows = Rows::new(&["name", "value#"]);
        rows.push(vec!["a,b".into(), "1.0".into()]);
        assert_eq!(rows.csv().unwrap(), "name,value\n\"a,b\",1.0\n");
        assert!(rows.table().contains("1.0"));
    }
}
