//! Read models: SQL copies for search and for other programs, on SQLite or PostgreSQL. They hold
//! nothing that the journal does not; losing one means rebuilding it.

use sqlx::any::{AnyPoolOptions, AnyRow};
use sqlx::{AnyPool, Row as _};

use crate::Error;
use crate::fold::Filing;
use crate::model::{Line, Model, Party, Retired};
use crate::request::Ask;
use crate::time;

/// A value of a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// A number.
    Int(i64),
    /// A text. Amounts are texts: 64 unsigned bits fit no SQL integer.
    Text(String),
}

impl From<&str> for Value {
    fn from(t: &str) -> Self {
        Self::Text(t.to_owned())
    }
}

impl From<String> for Value {
    fn from(t: String) -> Self {
        Self::Text(t)
    }
}

fn int(n: u64) -> Value {
    Value::Int(i64::try_from(n).unwrap_or(i64::MAX))
}

/// A row to be written: replaces the one with the same key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    table: usize,
    values: Vec<Value>,
}

struct Table {
    name: &'static str,
    /// Columns with types; the first `key` are the primary key.
    columns: &'static [(&'static str, &'static str)],
    key: usize,
}

const TABLES: [Table; 6] = [
    Table {
        name: "registry_position",
        columns: &[("id", "BIGINT"), ("record", "BIGINT")],
        key: 1,
    },
    Table {
        name: "registry_request",
        columns: &[
            ("id", "TEXT"),
            ("record", "BIGINT"),
            ("at", "TEXT"),
            ("signer", "TEXT"),
            ("asks", "TEXT"),
            ("rule", "TEXT"),
        ],
        key: 1,
    },
    Table {
        name: "registry_party",
        columns: &[
            ("id", "TEXT"),
            ("role", "TEXT"),
            ("name_zh", "TEXT"),
            ("name_en", "TEXT"),
            ("related_group", "TEXT"),
            ("frozen", "BIGINT"),
        ],
        key: 1,
    },
    Table {
        name: "registry_movement",
        columns: &[
            ("record", "BIGINT"),
            ("step", "BIGINT"),
            ("at", "TEXT"),
            ("request", "TEXT"),
            ("what", "TEXT"),
            ("debit", "BIGINT"),
            ("credit", "BIGINT"),
            ("debit_party", "TEXT"),
            ("credit_party", "TEXT"),
            ("asset", "TEXT"),
            ("amount", "TEXT"),
            ("serials", "TEXT"),
            ("rule", "TEXT"),
            ("posted", "BIGINT"),
        ],
        key: 2,
    },
    Table {
        name: "registry_retirement",
        columns: &[
            ("id", "TEXT"),
            ("record", "BIGINT"),
            ("at", "TEXT"),
            ("party", "TEXT"),
            ("asset", "TEXT"),
            ("amount", "TEXT"),
            ("serials", "TEXT"),
            ("beneficiary", "TEXT"),
            ("reason", "TEXT"),
            ("jurisdiction", "TEXT"),
            ("note", "TEXT"),
            ("rule", "TEXT"),
            ("words", "TEXT"),
        ],
        key: 1,
    },
    Table {
        name: "registry_entry",
        columns: &[
            ("record", "BIGINT"),
            ("party", "TEXT"),
            ("compliance_year", "BIGINT"),
            ("what", "TEXT"),
            ("tonnes", "TEXT"),
            ("at", "TEXT"),
        ],
        key: 1,
    },
];

fn serials(list: &[[u64; 2]]) -> String {
    list.iter()
        .map(|[a, b]| format!("{a}-{b}"))
        .collect::<Vec<_>>()
        .join(" ")
}

fn movement(model: &Model, l: &Line) -> Row {
    let party = |id| model.account_key(id).map_or("", |k| k.party.as_str());
    Row {
        table: 3,
        values: vec![
            int(l.record),
            int(l.step.into()),
            time::text(l.at).into(),
            l.request.as_str().into(),
            l.what.as_str().into(),
            int(l.debit.0),
            int(l.credit.0),
            party(l.debit).into(),
            party(l.credit).into(),
            model
                .account_key(l.debit)
                .map_or("", |k| k.asset.as_str())
                .into(),
            l.amount.to_string().into(),
            serials(&l.serials).into(),
            l.rule.as_str().into(),
            Value::Int(l.posted.into()),
        ],
    }
}

fn party(p: &Party) -> Row {
    Row {
        table: 2,
        values: vec![
            p.id.as_str().into(),
            p.role.word().into(),
            p.name.zh.as_str().into(),
            p.name.en.as_str().into(),
            p.group.as_str().into(),
            Value::Int(p.frozen.into()),
        ],
    }
}

fn retirement(r: &Retired) -> Row {
    let reason = serde_json::to_value(r.retirement.reason)
        .ok()
        .and_then(|v| v.as_str().map(str::to_owned))
        .unwrap_or_default();
    let words = format!(
        "{} {} {} {} {}",
        r.retirement.beneficiary, r.party, r.asset, r.retirement.jurisdiction, r.retirement.note
    )
    .to_lowercase();
    Row {
        table: 4,
        values: vec![
            r.id.as_str().into(),
            int(r.record),
            time::text(r.at).into(),
            r.party.as_str().into(),
            r.asset.as_str().into(),
            r.amount.to_string().into(),
            serials(&r.serials).into(),
            r.retirement.beneficiary.as_str().into(),
            reason.into(),
            r.retirement.jurisdiction.as_str().into(),
            r.retirement.note.as_str().into(),
            r.rule.as_str().into(),
            words.into(),
        ],
    }
}

/// The rows that a record adds or changes.
#[must_use]
pub fn rows(record: u64, at: miyun_ledger::Time, filing: &Filing, model: &Model) -> Vec<Row> {
    let mut out = vec![Row {
        table: 0,
        values: vec![Value::Int(1), int(record)],
    }];
    let Ok(request) = filing.envelope.open() else {
        return out;
    };
    let asks = serde_json::to_value(&request.ask)
        .ok()
        .and_then(|v| v.get("do").and_then(|d| d.as_str().map(str::to_owned)))
        .unwrap_or_default();
    out.push(Row {
        table: 1,
        values: vec![
            request.id.as_str().into(),
            int(record),
            time::text(at).into(),
            filing.envelope.by.as_str().into(),
            asks.into(),
            filing.out.rule.as_str().into(),
        ],
    });
    let lines = model.lines();
    let first = lines.partition_point(|l| l.record < record);
    out.extend(
        lines
            .iter()
            .skip(first)
            .take_while(|l| l.record == record)
            .map(|l| movement(model, l)),
    );
    let entry = |who: &str, year: i16, what: &str, tonnes: &str| Row {
        table: 5,
        values: vec![
            int(record),
            who.into(),
            Value::Int(year.into()),
            what.into(),
            tonnes.into(),
            filing.out.civil.to_string().into(),
        ],
    };
    let signer = filing.envelope.signer().map_or("", |(p, _)| p);
    match &request.ask {
        Ask::Found { authority: id, .. }
        | Ask::RegisterParty { party: id, .. }
        | Ask::Freeze { party: id, .. } => out.extend(model.party(id).ok().map(party)),
        Ask::Retire { .. } => out.extend(model.retirement(&request.id).ok().map(retirement)),
        Ask::ReportEmissions {
            party,
            year,
            tonnes,
        } => out.push(entry(party, *year, "verified", &tonnes.0)),
        Ask::Surrender { amount, year, .. } => {
            out.push(entry(signer, *year, "surrendered", &amount.0));
        }
        Ask::UseOffset { amount, year, .. } => {
            out.push(entry(signer, *year, "offset", &amount.0));
        }
        _ => {}
    }
    out
}

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

    /// Retirements whose text holds `words`, newest first; `page` from 0.
    ///
    /// # Errors
    /// [`Error::Storage`].
    pub async fn retirements(
        &self,
        words: &str,
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
        let total: AnyRow =
            sqlx::query("SELECT COUNT(*) FROM registry_retirement WHERE words LIKE $1 ESCAPE '!'")
                .bind(pattern.clone())
                .fetch_one(&self.pool)
                .await
                .map_err(&at)?;
        let rows: Vec<AnyRow> = sqlx::query(
            "SELECT id, record, at, party, asset, amount, serials, beneficiary, reason, jurisdiction \
             FROM registry_retirement WHERE words LIKE $1 ESCAPE '!' \
             ORDER BY record DESC LIMIT $2 OFFSET $3",
        )
        .bind(pattern)
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

/// All rows of a model at one moment.
#[derive(Debug, Clone)]
pub struct Snapshot(Vec<Row>);

impl Snapshot {
    /// The rows of a model.
    #[must_use]
    pub fn of(model: &Model) -> Self {
        let mut out: Vec<Row> = model
            .filings()
            .flat_map(|(record, at, f)| rows(record, at, f, model))
            .collect();
        // One position, the last.
        let last = out.iter().rposition(|r| r.table == 0);
        let mut n = 0;
        out.retain(|r| {
            let keep = r.table != 0 || Some(n) == last;
            n += 1;
            keep
        });
        Self(out)
    }
}
