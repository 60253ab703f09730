//! Tables laid out as printed: `|`-separated rows in a text block, every cell with its place.

use std::ops::Range;

use toml_edit::Item;

use crate::page::{Page, kind, nearest};

/// One cell and where it stands in the file.
#[derive(Debug, Clone)]
pub(crate) struct Cell {
    pub text: String,
    pub span: Range<usize>,
}

/// A header and rows of equal length.
#[derive(Debug, Clone, Default)]
pub(crate) struct Grid {
    pub header: Vec<Cell>,
    pub rows: Vec<Vec<Cell>>,
}

impl Grid {
    /// Reads the block `item`; rows with a wrong number of cells are reported and left out.
    pub fn read(page: &mut Page<'_>, item: &Item, path: &str) -> Option<Self> {
        let (Some(_), Some(span)) = (item.as_str(), item.span()) else {
            page.problem(
                "wrong-type",
                item.span(),
                path,
                format!("expected a text block of rows, found {}", kind(item)),
                "write rows = '''...''' with cells separated by |",
            );
            return None;
        };
        let raw = page.text.get(span.clone()).unwrap_or("");
        if !raw.starts_with("'''") {
            page.problem(
                "wrong-type",
                Some(span),
                path,
                "rows must be a literal block",
                "write rows = '''...''' so that every cell keeps its place",
            );
            return None;
        }
        let body = span.start + 3..span.end.saturating_sub(3).max(span.start + 3);
        let mut grid = Self::default();
        let mut at = body.start;
        for line in page.text.get(body).unwrap_or("").split('\n') {
            let start = at;
            at += line.len() + 1;
            if line.trim().is_empty() {
                continue;
            }
            let cells = cells(line, start);
            if grid.header.is_empty() {
                grid.header = cells;
            } else if cells.len() == grid.header.len() {
                grid.rows.push(cells);
            } else {
                let reason = format!(
                    "this row has {} cells, the header has {}",
                    cells.len(),
                    grid.header.len()
                );
                page.problem(
                    "column-count",
                    Some(start..at),
                    path,
                    reason,
                    "separate cells with |; write - for an empty one",
                );
            }
        }
        if grid.rows.is_empty() {
            page.problem(
                "empty-table",
                Some(span),
                path,
                "the table has no rows",
                "add a header line and at least one row",
            );
            return None;
        }
        Some(grid)
    }

    /// Positions of the columns `names`; reports what is missing and what is not known.
    pub fn columns<const N: usize>(
        &self,
        page: &mut Page<'_>,
        path: &str,
        names: [&str; N],
        optional: &[&str],
    ) -> Option<[Option<usize>; N]> {
        let mut found = [None; N];
        let mut known: Vec<&str> = names.to_vec();
        for n in optional.iter().copied().chain(["note", "verified"]) {
            if !known.contains(&n) {
                known.push(n);
            }
        }
        for (i, h) in self.header.iter().enumerate() {
            match names.iter().position(|n| *n == h.text) {
                Some(k) => found[k] = Some(i),
                None if known.contains(&h.text.as_str()) => {}
                None => {
                    let hint = nearest(&h.text, &known)
                        .map_or(String::new(), |n| format!("did you mean {n:?}? "));
                    page.problem(
                        "bad-column",
                        Some(h.span.clone()),
                        path,
                        format!("unknown column {:?}", h.text),
                        format!("{hint}known columns: {}", known.join(", ")),
                    );
                }
            }
        }
        let mut ok = true;
        for (k, name) in names.iter().enumerate() {
            if found[k].is_none() && !optional.contains(name) {
                let span = self.header.first().map(|h| h.span.clone());
                page.problem(
                    "bad-column",
                    span,
                    path,
                    format!("column {name:?} is missing"),
                    format!("needed columns: {}", names.join(", ")),
                );
                ok = false;
            }
        }
        ok.then_some(found)
    }

    /// Position of a column, `None` if absent.
    pub fn column(&self, name: &str) -> Option<usize> {
        self.header.iter().position(|h| h.text == name)
    }
}

fn cells(line: &str, start: usize) -> Vec<Cell> {
    let mut at = start;
    line.trim_end_matches('\r')
        .split('|')
        .map(|part| {
            let lead = part.len() - part.trim_start().len();
            let text = part.trim();
            let span = at + lead..at + lead + text.len();
            at += part.len() + 1;
            Cell {
                text: text.to_owned(),
                span,
            }
        })
        .collect()
}
