//! Read models: SQL copies for search and for other programs, on SQLite or PostgreSQL. They hold
//! nothing that the journal does not; losing one means rebuilding it.

mod rows;

use sqlx::any::{AnyPoolOptions, AnyRow};
use sqlx::{AnyPool, Row as _};

use crate::Error;
use rows::TABLES;
pub use rows::{Row, Snapshot, Value, rows};

/// A retirement as the public search finds it.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Found {
    /// Request id, number of the certificate.
    pub id: String,
    /// Record.
    pub record: i64,
    /// When.
    pub at: String,
    /// Who retired.
    pub party: String,
    /// What.
    pub asset: String,
    /// Tonnes.
    pub amount: String,
    /// Which serials.
    pub serials: String,
    /// For whom.
    pub beneficiary: String,
    /// Why.
    pub reason: String,
    /// Where.
    pub jurisdiction: String,
}

/// A SQL read model.
#[derive(Debug, Clone)]
pub struct ReadModel {
    pool: AnyPool,
}

fn failed(what: &str) -> impl Fn(sqlx::Error) -> Error + '_ {
    move |e| Error::Storage {
        what: format!("read model, {what}"),
        reason: e.to_string(),
    }
}

impl ReadModel {
    /// Opens `sqlite://file?mode=rwc` or `postgres://...` and makes its tables.
    ///
    /// # Errors
    /// [`Error::Storage`].
    pub async fn open(url: &str) -> Result<Self, Error> {
        sqlx::any::install_default_drivers();
        let sqlite = url.starts_with("sqlite:");
        let pool = AnyPoolOptions::new()
            .max_connections(if sqlite { 1 } else { 4 })
            .acquire_timeout(std::time::Duration::from_secs(10))
            .connect(url)
            .await
            .map_err(failed("connect"))?;
        let model = Self { pool };
        model.tables().await?;
        Ok(model)
    }

    async fn tables(&self) -> Result<(), Error> {
        for t in &TABLES {
            let columns: Vec<String> = t
                .columns
                .iter()
                .map(|(n, ty)| format!("{n} {ty} NOT NULL"))
                .collect();
            let key: Vec<&str> = t.columns[..t.key].iter().map(|c| c.0).collect();
            let sql = format!(
                "CREATE TABLE IF NOT EXISTS {} ({}, PRIMARY KEY ({}))",
                t.name,
                columns.join(", "),
                key.join(", ")
            );
            sqlx::query(sqlx::AssertSqlSafe(sql))
                .execute(&self.pool)
                .await
                .map_err(failed("create table"))?;
        }
        Ok(())
    }

    /// The last record that it holds, `None` if it is empty.
    ///
    /// # Errors
    /// [`Error::Storage`].
    pub async fn position(&self) -> Result<Option<u64>, Error> {
        let row: Option<AnyRow> = sqlx::query("SELECT record FROM registry_position WHERE id = 1")
            .fetch_optional(&self.pool)
            .await
            .map_err(failed("position"))?;
        row.map(|r| r.try_get::<i64, _>(0))
            .transpose()
            .map(|n| n.and_then(|n| u64::try_from(n).ok()))
            .map_err(failed("position"))
    }

    /// Writes rows in one transaction.
    ///
    /// # Errors
    /// [`Error::Storage`]; nothing is written then.
    pub async fn write(&self, rows: &[Row]) -> Result<(), Error> {
        let mut tx = self.pool.begin().await.map_err(failed("begin"))?;
        for row in rows {
            let t = &TABLES[row.table];
            let names: Vec<&str> = t.columns.iter().map(|c| c.0).collect();
            let marks: Vec<String> = (1..=names.len()).map(|n| format!("${n}")).collect();
            let set: Vec<String> = names[t.key..]
                .iter()
                .map(|n| format!("{n} = excluded.{n}"))
                .collect();
            let sql = format!(
                "INSERT INTO {} ({}) VALUES ({}) ON CONFLICT ({}) DO UPDATE SET {}",
                t.name,
                names.join(", "),
                marks.join(", "),
                names[..t.key].join(", "),
                set.join(", ")
            );
            let mut q = sqlx::query(sqlx::AssertSqlSafe(sql));
            for v in &row.values {
                q = match v {
                    Value::Int(n) => q.bind(*n),
                    Value::Text(t) => q.bind(t.clone()),
                };
            }
            q.execute(&mut *tx).await.map_err(failed(t.name))?;
        }
        tx.commit().await.map_err(failed("commit"))
    }

    /// Empties it and writes everything that the model holds.
    ///
    /// # Errors
    /// [`Error::Storage`].
    pub async fn rebuild(&self, model: &Snapshot) -> Result<usize, Error> {
        for t in &TABLES {
            sqlx::query(sqlx::AssertSqlSafe(format!(
                "DROP TABLE IF EXISTS {}",
                t.name
            )))
            .execute(&self.pool)
            .await
            .map_err(failed("drop"))?;
        }
        self.tables().await?;
        for part in model.0.chunks(500) {
            self.write(part).await?;
        }
        Ok(model.0.len())
    }

    /// Number of rows of each table, for checks.
    ///
    /// # Errors
    /// [`Error::Storage`].
    pub async fn counts(&self) -> Result<Vec<(&'static str, i64)>, Error> {
        let mut out = Vec::new();
        for t in &TABLES {
            let row: AnyRow = sqlx::query(sqlx::AssertSqlSafe(format!(
                "SELECT COUNT(*) FROM {}",
                t.name
            )))
            .fetch_one(&self.pool)
            .await
            .map_err(failed(t.name))?;
            out.push((t.name, row.try_get(0).map_err(failed(t.name))?));
        }
        Ok(out)
    }

    /// Retirements whose text holds `words`, newest first; `page` from 0. Only those of the first
    /// `records` records count, if that is given.
    ///
    /// # Errors
    /// [`Error::Storage`].
    pub async fn retirements(
        &self,
        words: &str,
        records: Option<u64>,
        page: u32,
        size: u32,
    ) -> Result<(Vec<Found>, i64), Error> {
        let mut pattern = String::from("%");
        for c in words.to_lowercase().chars().take(100) {
            if ['%', '_', '!'].contains(&c) {
                pattern.push('!');
            }
            pattern.push(c);
        }
        pattern.push('%');
        let at = failed("retirements");
        let below = records.map_or(i64::MAX, |n| i64::try_from(n).unwrap_or(i64::MAX));
        let total: AnyRow = sqlx::query(
            "SELECT COUNT(*) FROM registry_retirement WHERE words LIKE $1 ESCAPE '!' AND record < $2",
        )
        .bind(pattern.clone())
        .bind(below)
        .fetch_one(&self.pool)
        .await
        .map_err(&at)?;
        let rows: Vec<AnyRow> = sqlx::query(
            "SELECT id, record, at, party, asset, amount, serials, beneficiary, reason, jurisdiction \
             FROM registry_retirement WHERE words LIKE $1 ESCAPE '!' AND record < $2 \
             ORDER BY record DESC LIMIT $3 OFFSET $4",
        )
        .bind(pattern)
        .bind(below)
        .bind(i64::from(size))
        .bind(i64::from(page) * i64::from(size))
        .fetch_all(&self.pool)
        .await
        .map_err(&at)?;
        let found = rows
            .iter()
            .map(|r| {
                Ok(Found {
                    id: r.try_get(0)?,
                    record: r.try_get(1)?,
                    at: r.try_get(2)?,
                    party: r.try_get(3)?,
                    asset: r.try_get(4)?,
                    amount: r.try_get(5)?,
                    serials: r.try_get(6)?,
                    beneficiary: r.try_get(7)?,
                    reason: r.try_get(8)?,
                    jurisdiction: r.try_get(9)?,
                })
            })
            .collect::<Result<Vec<_>, sqlx::Error>>()
            .map_err(&at)?;
        Ok((found, total.try_get(0).map_err(&at)?))
    }
}
