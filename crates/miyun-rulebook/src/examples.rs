//! Worked examples beside the law: Markdown with fenced tables that tests run.

use serde::Serialize;

/// What an example exercises: the word after the fence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ExampleKind {
    /// A value against a limit: `date | jurisdiction | class | indicator | statistic | value | verdict | limit | instrument`.
    Limit,
    /// A concentration and its sub-index: `edition | indicator | statistic | value | index`.
    Index,
}

/// One row of an example table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Example {
    /// File it stands in.
    pub file: String,
    /// Line, from 1.
    pub line: usize,
    /// What it exercises.
    pub kind: ExampleKind,
    /// Cells by column name, in the order of the header.
    pub cells: Vec<(String, String)>,
}

impl Example {
    /// The cell of `column`, empty if absent.
    #[must_use]
    pub fn get(&self, column: &str) -> &str {
        self.cells
            .iter()
            .find(|(c, _)| c == column)
            .map_or("", |(_, v)| v.as_str())
    }
}

/// The examples of a Markdown file: rows of blocks fenced with ```` ```limit ```` or ```` ```index ````.
#[must_use]
pub fn examples(file: &str, text: &str) -> Vec<Example> {
    let mut out = Vec::new();
    let mut kind = None;
    let mut header: Vec<String> = Vec::new();
    for (n, line) in text.lines().enumerate() {
        match line.trim() {
            "```limit" => kind = Some(ExampleKind::Limit),
            "```index" => kind = Some(ExampleKind::Index),
            "```" => {
                kind = None;
                header.clear();
            }
            row if !row.is_empty() => {
                let Some(kind) = kind else { continue };
                let cells: Vec<String> = row.split('|').map(|c| c.trim().to_owned()).collect();
                if header.is_empty() {
                    header = cells;
                } else {
                    out.push(Example {
                        file: file.into(),
                        line: n + 1,
                        kind,
                        cells: header.iter().cloned().zip(cells).collect(),
                    });
                }
            }
            _ => {}
        }
    }
    out
}
