//! One rule file with its problems: typed access to TOML that says where and how to mend.

use std::ops::Range;

use miyun_core::text::Text;
use miyun_core::{Date, Decimal, Problem, Severity};
use toml_edit::{Item, TableLike};

/// A file being read. Every accessor records a [`Problem`] with line and column when it must
/// return nothing.
pub struct Page<'a> {
    /// Name of the file.
    pub name: &'a str,
    /// Its text.
    pub text: &'a str,
    /// What was found wrong so far.
    pub problems: Vec<Problem>,
}

impl<'a> Page<'a> {
    /// A file without problems yet.
    #[must_use]
    pub fn new(name: &'a str, text: &'a str) -> Self {
        Self {
            name,
            text,
            problems: Vec::new(),
        }
    }

    /// Line and column (in characters, from 1) of a byte offset.
    pub fn place(&self, offset: usize) -> (u64, u64) {
        let before = self
            .text
            .get(..offset.min(self.text.len()))
            .unwrap_or(self.text);
        let line_start = before.rfind('\n').map_or(0, |i| i + 1);
        let line = before.matches('\n').count() + 1;
        (line as u64, before[line_start..].chars().count() as u64 + 1)
    }

    /// Records a problem at `span`.
    pub fn problem(
        &mut self,
        code: &str,
        span: Option<Range<usize>>,
        field: &str,
        reason: impl Into<String>,
        fix: impl Into<String>,
    ) {
        let (line, column) = span.map_or((0, 0), |s| self.place(s.start));
        self.problems.push(Problem {
            severity: Severity::Error,
            code: code.into(),
            file: self.name.into(),
            line,
            column,
            field: field.into(),
            reason: reason.into(),
            fix: fix.into(),
        });
    }

    /// Reports keys outside `known`.
    pub fn known_keys(&mut self, table: &dyn TableLike, path: &str, known: &[&str]) {
        for (key, item) in table.iter() {
            if !known.contains(&key) {
                let span = table
                    .key(key)
                    .and_then(toml_edit::Key::span)
                    .or_else(|| item.span());
                let fix = match nearest(key, known) {
                    Some(n) => format!("did you mean {n:?}? known keys: {}", known.join(", ")),
                    None => format!("known keys: {}", known.join(", ")),
                };
                self.problem(
                    "unknown-key",
                    span,
                    &join(path, key),
                    format!("unknown key {key:?}"),
                    fix,
                );
            }
        }
    }

    /// A required item.
    pub fn need<'t>(
        &mut self,
        table: &'t dyn TableLike,
        path: &str,
        key: &str,
        span: Option<Range<usize>>,
    ) -> Option<&'t Item> {
        let found = table.get(key);
        if found.is_none() {
            self.problem(
                "missing-key",
                span,
                &join(path, key),
                format!("{key:?} is missing"),
                format!("add {key} = ..."),
            );
        }
        found
    }

    /// A text value.
    pub fn text(&mut self, item: &Item, path: &str) -> Option<String> {
        match item.as_str() {
            Some(s) => Some(s.to_owned()),
            None => {
                if item.is_integer() || item.is_float() {
                    self.problem(
                        "bare-number",
                        item.span(),
                        path,
                        format!(
                            "a number of the law is written as text, found {}",
                            kind(item)
                        ),
                        "put it in quotes exactly as printed, for example \"1.0\"",
                    );
                } else {
                    self.problem(
                        "wrong-type",
                        item.span(),
                        path,
                        format!("expected text, found {}", kind(item)),
                        "put it in quotes",
                    );
                }
                None
            }
        }
    }

    /// A required text.
    pub fn need_text(
        &mut self,
        table: &dyn TableLike,
        path: &str,
        key: &str,
        span: Option<Range<usize>>,
    ) -> Option<String> {
        let item = self.need(table, path, key, span)?;
        self.text(item, &join(path, key))
    }

    /// An optional text, empty if absent.
    pub fn opt_text(&mut self, table: &dyn TableLike, path: &str, key: &str) -> String {
        table
            .get(key)
            .and_then(|i| self.text(i, &join(path, key)))
            .unwrap_or_default()
    }

    /// A required Chinese and English text.
    pub fn need_both(
        &mut self,
        table: &dyn TableLike,
        path: &str,
        key: &str,
        span: Option<Range<usize>>,
    ) -> Option<Text> {
        let item = self.need(table, path, key, span)?;
        self.both(item, &join(path, key))
    }

    /// A Chinese and English text.
    pub fn both(&mut self, item: &Item, path: &str) -> Option<Text> {
        let Some(table) = item.as_table_like() else {
            self.problem(
                "wrong-type",
                item.span(),
                path,
                format!(
                    "expected {{ zh = \"...\", en = \"...\" }}, found {}",
                    kind(item)
                ),
                "give both languages",
            );
            return None;
        };
        self.known_keys(table, path, &["zh", "en"]);
        let span = item.span();
        let zh = self.need_text(table, path, "zh", span.clone());
        let en = self.need_text(table, path, "en", span);
        Some(Text { zh: zh?, en: en? })
    }

    /// A date.
    pub fn date(&mut self, item: &Item, path: &str) -> Option<Date> {
        let parsed = item
            .as_datetime()
            .and_then(|d| d.date)
            .filter(|_| item.as_datetime().is_some_and(|d| d.time.is_none()));
        let date = parsed.and_then(|d| {
            Date::new(
                i16::try_from(d.year).ok()?,
                i8::try_from(d.month).ok()?,
                i8::try_from(d.day).ok()?,
            )
            .ok()
        });
        if date.is_none() {
            self.problem(
                "bad-date",
                item.span(),
                path,
                format!("expected a date, found {}", kind(item)),
                "write it as 2026-03-01, without quotes",
            );
        }
        date
    }

    /// An optional date.
    pub fn opt_date(&mut self, table: &dyn TableLike, path: &str, key: &str) -> Option<Date> {
        table.get(key).and_then(|i| self.date(i, &join(path, key)))
    }

    /// An optional boolean.
    pub fn opt_bool(
        &mut self,
        table: &dyn TableLike,
        path: &str,
        key: &str,
        default: bool,
    ) -> bool {
        match table.get(key) {
            None => default,
            Some(item) => item.as_bool().unwrap_or_else(|| {
                self.problem(
                    "wrong-type",
                    item.span(),
                    &join(path, key),
                    format!("expected true or false, found {}", kind(item)),
                    "write true or false without quotes",
                );
                default
            }),
        }
    }

    /// A list of texts, empty if absent; one text counts as a list of one.
    pub fn texts(
        &mut self,
        table: &dyn TableLike,
        path: &str,
        key: &str,
    ) -> Vec<(String, Option<Range<usize>>)> {
        let Some(item) = table.get(key) else {
            return Vec::new();
        };
        if let Some(s) = item.as_str() {
            return vec![(s.to_owned(), item.span())];
        }
        let Some(array) = item.as_array() else {
            self.problem(
                "wrong-type",
                item.span(),
                &join(path, key),
                format!("expected a list of texts, found {}", kind(item)),
                "write [\"...\", \"...\"]",
            );
            return Vec::new();
        };
        let mut out = Vec::new();
        for v in array.iter() {
            match v.as_str() {
                Some(s) => out.push((s.to_owned(), v.span())),
                None => self.problem(
                    "wrong-type",
                    v.span(),
                    &join(path, key),
                    "expected text in the list",
                    "put it in quotes",
                ),
            }
        }
        out
    }

    /// An id of type `T`.
    pub fn id<T: std::str::FromStr<Err = miyun_core::IdError>>(
        &mut self,
        text: &str,
        span: Option<Range<usize>>,
        path: &str,
    ) -> Option<T> {
        match text.parse() {
            Ok(id) => Some(id),
            Err(e) => {
                self.problem(
                    "bad-id",
                    span,
                    path,
                    format!("{text:?} is not an id: {e}"),
                    "use letters, digits and . - / without spaces",
                );
                None
            }
        }
    }

    /// A decimal as printed.
    pub fn decimal(
        &mut self,
        text: &str,
        span: Option<Range<usize>>,
        path: &str,
    ) -> Option<Decimal> {
        let plain = text
            .bytes()
            .all(|b| b.is_ascii_digit() || b == b'.' || b == b'-')
            && text.bytes().any(|b| b.is_ascii_digit());
        let value = text.parse::<Decimal>().ok().filter(|_| plain);
        if value.is_none() {
            self.problem(
                "not-a-decimal",
                span,
                path,
                format!("{text:?} is not a decimal number"),
                "write digits with at most one point, for example 0.0025; use - for an empty cell",
            );
        }
        value
    }
}

/// `path.key`.
pub fn join(path: &str, key: &str) -> String {
    if path.is_empty() {
        key.to_owned()
    } else {
        format!("{path}.{key}")
    }
}

/// What an item is, in words.
pub fn kind(item: &Item) -> String {
    let text = item.to_string();
    let shown: String = text.trim().chars().take(40).collect();
    format!("{} {shown}", item.type_name())
}

/// The known word closest to `word`, if any is close.
pub fn nearest<'k>(word: &str, known: &[&'k str]) -> Option<&'k str> {
    known
        .iter()
        .map(|k| (distance(word, k), *k))
        .filter(|(d, k)| *d <= 2.max(k.len() / 3))
        .min_by_key(|(d, _)| *d)
        .map(|(_, k)| k)
}

/// Levenshtein distance, by rows.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().take(64).collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().take(64).enumerate() {
        let mut left = i + 1;
        for (j, y) in b.iter().enumerate() {
            let next = (row[j] + usize::from(x != *y))
                .min(left + 1)
                .min(row[j + 1] + 1);
            row[j] = left;
            left = next;
        }
        row[b.len()] = left;
    }
    row[b.len()]
}
