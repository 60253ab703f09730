//! Backup of the records as JSON lines, one file a table, the same from both databases: a backup
//! of SQLite can be restored into PostgreSQL and the other way round.

use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::Path;

use serde_json::{Map, Value};
use sqlx::any::AnyRow;
use sqlx::{AssertSqlSafe, Column, Row, ValueRef};

use crate::store::Backend;
use crate::{Store, StoreError};

/// Tables of a backup, in the order in which they can be filled, each with the columns that order
/// its rows. What lists and search are made of is left out: it is made again.
pub const TABLES: [(&str, &str); 18] = [
    ("person", "id"),
    ("identity", "issuer, subject"),
    ("role_grant", "id"),
    ("session", "digest"),
    ("sign_in", "state"),
    ("api_key", "id"),
    ("audit", "seq"),
    ("proposal", "id"),
    ("figure", "id"),
    ("media", "id"),
    ("article", "id"),
    ("article_version", "article, version"),
    ("article_like", "article, person"),
    ("visitor_like", "article, token"),
    ("visitor_prefix", "article, prefix, day"),
    ("collection", "id"),
    ("collection_item", "collection, article"),
    ("job", "id"),
];

/// What was written or read.
#[derive(Debug, Clone, PartialEq, Eq, Default, serde::Serialize)]
pub struct RecordsReport {
    /// Version of the schema.
    pub schema: i64,
    /// Rows by table.
    pub rows: Vec<(String, u64)>,
}

/// Rows read at a time; files are large, so few of them.
fn page(table: &str) -> i64 {
    if table == "media" { 8 } else { 1_000 }
}

fn fail(path: &Path, reason: impl std::fmt::Display) -> StoreError {
    StoreError::Backup {
        path: path.to_owned(),
        reason: reason.to_string(),
    }
}

fn object(row: &AnyRow) -> Result<Value, StoreError> {
    let mut out = Map::new();
    for column in row.columns() {
        let (i, raw) = (column.ordinal(), row.try_get_raw(column.ordinal())?);
        let value = if raw.is_null() {
            Value::Null
        } else if let Ok(t) = row.try_get::<String, _>(i) {
            Value::String(t)
        } else if let Ok(n) = row.try_get::<i64, _>(i) {
            Value::from(n)
        } else {
            let bytes: Vec<u8> = row.try_get(i)?;
            let hex: String = bytes.iter().map(|b| format!("{b:02x}")).collect();
            Value::Object(Map::from_iter([("hex".to_owned(), Value::String(hex))]))
        };
        out.insert(column.name().to_owned(), value);
    }
    Ok(Value::Object(out))
}

fn bytes(hex: &str) -> Option<Vec<u8>> {
    (0..hex.len())
        .step_by(2)
        .map(|i| u8::from_str_radix(hex.get(i..i + 2)?, 16).ok())
        .collect()
}

impl Store {
    /// Writes every record, as of one moment, to `<table>.jsonl` files in `dir`.
    ///
    /// # Errors
    /// [`StoreError`] if a table cannot be read or a file not be written.
    pub async fn backup(&self, dir: &Path) -> Result<RecordsReport, StoreError> {
        let mut report = RecordsReport {
            schema: self.schema_version().await?,
            rows: Vec::new(),
        };
        let mut tx = match self.backend() {
            Backend::Sqlite => self.pool.begin().await?,
            Backend::Postgres => {
                self.pool
                    .begin_with("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
                    .await?
            }
        };
        for (table, order) in TABLES {
            let path = dir.join(format!("{table}.jsonl"));
            let file = File::create(&path).map_err(|e| fail(&path, e))?;
            let mut out = BufWriter::new(file);
            let (mut n, step) = (0i64, page(table));
            loop {
                let rows = sqlx::query(AssertSqlSafe(format!(
                    "SELECT * FROM {table} ORDER BY {order} LIMIT $1 OFFSET $2"
                )))
                .bind(step)
                .bind(n)
                .fetch_all(&mut *tx)
                .await?;
                for row in &rows {
                    writeln!(out, "{}", object(row)?).map_err(|e| fail(&path, e))?;
                }
                n += i64::try_from(rows.len()).unwrap_or(step);
                if (rows.len() as i64) < step {
                    break;
                }
            }
            let file = out.into_inner().map_err(|e| fail(&path, e))?;
            file.sync_all().map_err(|e| fail(&path, e))?;
            report
                .rows
                .push((table.to_owned(), u64::try_from(n).unwrap_or(0)));
        }
        tx.commit().await?;
        Ok(report)
    }

    /// Fills an empty store from the files that [`Store::backup`] wrote, all or nothing.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] if the store is not empty; [`StoreError::Backup`] naming file and
    /// line of what cannot be read.
    pub async fn restore(&self, dir: &Path) -> Result<RecordsReport, StoreError> {
        let mut tx = self.begin().await?;
        for (table, _) in TABLES {
            let row = sqlx::query(AssertSqlSafe(format!("SELECT COUNT(*) AS n FROM {table}")))
                .fetch_one(&mut *tx)
                .await?;
            if crate::row::R("restore", &row).int("n")? > 0 {
                return Err(StoreError::Conflict(format!(
                    "the records are not empty ({table} has rows): restore into an empty store"
                )));
            }
        }
        let mut report = RecordsReport::default();
        for (table, _) in TABLES {
            let path = dir.join(format!("{table}.jsonl"));
            let file = File::open(&path).map_err(|e| fail(&path, e))?;
            let mut n = 0u64;
            for (k, line) in BufReader::new(file).lines().enumerate() {
                let bad = |reason: String| fail(&path, format!("line {}: {reason}", k + 1));
                let line = line.map_err(|e| bad(e.to_string()))?;
                let mut row: Map<String, Value> =
                    serde_json::from_str(&line).map_err(|e| bad(e.to_string()))?;
                // What is not given is null, whatever the type of the column.
                row.retain(|_, v| !v.is_null());
                // Names of columns become part of the statement: only plain words may.
                if let Some(c) = row
                    .keys()
                    .find(|c| !c.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'))
                {
                    return Err(bad(format!("{c:?} is no column")));
                }
                let names = row.keys().cloned().collect::<Vec<_>>().join(", ");
                let marks = (1..=row.len())
                    .map(|i| format!("${i}"))
                    .collect::<Vec<_>>()
                    .join(", ");
                let mut insert = sqlx::query(AssertSqlSafe(format!(
                    "INSERT INTO {table} ({names}) VALUES ({marks})"
                )));
                for value in row.values() {
                    insert = match value {
                        Value::String(t) => insert.bind(t.clone()),
                        Value::Number(n) => insert.bind(n.as_i64()),
                        Value::Object(o) => {
                            let hex = o.get("hex").and_then(Value::as_str);
                            let b = hex.and_then(bytes).ok_or_else(|| bad("bad bytes".into()))?;
                            insert.bind(b)
                        }
                        other => return Err(bad(format!("unexpected {other}"))),
                    };
                }
                insert
                    .execute(&mut *tx)
                    .await
                    .map_err(|e| bad(e.to_string()))?;
                n += 1;
            }
            report.rows.push((table.to_owned(), n));
        }
        tx.commit().await?;
        self.reindex_articles().await?;
        report.schema = self.schema_version().await?;
        Ok(report)
    }
}
