//! Opening a store: which database, its settings, its schema.

use std::borrow::Cow;
use std::str::FromStr;
use std::time::Duration;

use sqlx::any::{AnyConnectOptions, AnyPoolOptions};
use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::{Any, AnyPool, AssertSqlSafe, Executor, SqlSafeStr, Transaction};

use crate::StoreError;

/// Which database a store is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Backend {
    /// One file beside the lake.
    Sqlite,
    /// A server.
    Postgres,
}

/// The records. Cheap to clone; all clones share one pool of connections.
#[derive(Debug, Clone)]
pub struct Store {
    pub(crate) pool: AnyPool,
    backend: Backend,
}

/// Version, name, text for both; a part that differs follows as SQLite's and PostgreSQL's text.
const MIGRATIONS: [(i64, &str, &str, &str); 6] = {
    const PEOPLE: &str = include_str!("../migrations/0001-people.sql");
    const PUBLICATION: &str = include_str!("../migrations/0002-publication.sql");
    const JOBS: &str = include_str!("../migrations/0003-jobs.sql");
    const PICTURES: &str = include_str!("../migrations/0005-pictures.sql");
    [
        (1, "people", PEOPLE, PEOPLE),
        (2, "publication", PUBLICATION, PUBLICATION),
        (3, "jobs", JOBS, JOBS),
        (
            4,
            "search",
            include_str!("../migrations/0004-search.sqlite.sql"),
            include_str!("../migrations/0004-search.postgres.sql"),
        ),
        (5, "pictures", PICTURES, PICTURES),
        (
            6,
            "shown",
            include_str!("../migrations/0006-shown.sqlite.sql"),
            include_str!("../migrations/0006-shown.postgres.sql"),
        ),
    ]
};

fn migrator(backend: Backend) -> Migrator {
    Migrator::with_migrations(
        MIGRATIONS
            .iter()
            .map(|(version, name, sqlite, postgres)| {
                let sql = match backend {
                    Backend::Sqlite => (*sqlite).to_owned(),
                    Backend::Postgres => postgres.replace(" BLOB ", " BYTEA "),
                };
                Migration::new(
                    *version,
                    Cow::Borrowed(*name),
                    MigrationType::Simple,
                    AssertSqlSafe(sql).into_sql_str(),
                    false,
                )
            })
            .collect(),
    )
}

impl Store {
    /// Opens the store at `url` (`sqlite:FILE`, `postgres://USER@HOST/NAME`) and brings its schema
    /// up to date. A missing SQLite file is made.
    ///
    /// # Errors
    /// [`StoreError`] if the URL names no database, it cannot be reached, or its schema is of a
    /// later program.
    pub async fn open(url: &str) -> Result<Self, StoreError> {
        let backend = match url.split_once(':') {
            Some(("sqlite", _)) => Backend::Sqlite,
            Some(("postgres" | "postgresql", _)) => Backend::Postgres,
            _ => return Err(StoreError::Url(without_password(url))),
        };
        let memory = url.contains(":memory:");
        let full = if backend == Backend::Sqlite && !url.contains('?') {
            format!("{url}?mode=rwc")
        } else {
            url.to_owned()
        };
        sqlx::any::install_default_drivers();
        let options = AnyConnectOptions::from_str(&full)
            .map_err(|_| StoreError::Url(without_password(url)))?;
        let mut pool = AnyPoolOptions::new()
            .max_connections(8)
            .acquire_timeout(Duration::from_secs(10));
        if memory {
            // Each connection would be a database of its own.
            pool = pool
                .max_connections(1)
                .min_connections(1)
                .idle_timeout(None)
                .max_lifetime(None);
        }
        if backend == Backend::Sqlite {
            pool = pool.after_connect(|connection, _| {
                Box::pin(async move {
                    connection
                        .execute(
                            "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; \
                             PRAGMA foreign_keys = ON; PRAGMA busy_timeout = 10000;",
                        )
                        .await?;
                    Ok(())
                })
            });
        }
        let pool = pool.connect_with(options).await?;
        migrator(backend).run(&pool).await?;
        let store = Self { pool, backend };
        // A migration may have emptied what lists and search are made of.
        let row = sqlx::query("SELECT COUNT(*) AS n FROM article_shown")
            .fetch_one(&store.pool)
            .await?;
        if crate::row::R("article_shown", &row).int("n")? == 0 {
            store.reindex_articles().await?;
        }
        Ok(store)
    }

    /// A store that lives as long as the program, for tests and demonstrations.
    ///
    /// # Errors
    /// [`StoreError`] as [`Store::open`].
    pub async fn memory() -> Result<Self, StoreError> {
        Self::open("sqlite::memory:").await
    }

    /// Which database this is.
    #[must_use]
    pub fn backend(&self) -> Backend {
        self.backend
    }

    /// Asks the database for an answer.
    ///
    /// # Errors
    /// [`StoreError`] if there is none.
    pub async fn ping(&self) -> Result<(), StoreError> {
        sqlx::query("SELECT 1").execute(&self.pool).await?;
        Ok(())
    }

    /// Version of the schema.
    ///
    /// # Errors
    /// [`StoreError`] if the database does not answer.
    pub async fn schema_version(&self) -> Result<i64, StoreError> {
        let row = sqlx::query("SELECT MAX(version) AS version FROM _sqlx_migrations")
            .fetch_one(&self.pool)
            .await?;
        crate::row::R("_sqlx_migrations", &row).int("version")
    }

    /// Checks the database's own structure; returns what is wrong, in its words.
    ///
    /// # Errors
    /// [`StoreError`] if the check cannot run.
    pub async fn integrity(&self) -> Result<Vec<String>, StoreError> {
        if self.backend == Backend::Postgres {
            self.ping().await?;
            return Ok(Vec::new());
        }
        let rows = sqlx::query("PRAGMA quick_check(20)")
            .fetch_all(&self.pool)
            .await?;
        let mut out = Vec::new();
        for row in &rows {
            let text = crate::row::R("sqlite", row).text("quick_check")?;
            if text != "ok" {
                out.push(text);
            }
        }
        Ok(out)
    }

    /// Closes every connection; SQLite then has one file again.
    pub async fn close(&self) {
        self.pool.close().await;
    }

    /// A transaction that will write. SQLite takes its one write lock at once, so that it never
    /// fails later for having read first.
    pub(crate) async fn begin(&self) -> Result<Transaction<'static, Any>, StoreError> {
        Ok(match self.backend {
            Backend::Sqlite => self.pool.begin_with("BEGIN IMMEDIATE").await?,
            Backend::Postgres => self.pool.begin().await?,
        })
    }

    /// Makes transactions that name the same `what` wait for each other.
    pub(crate) async fn serialize(
        &self,
        tx: &mut Transaction<'static, Any>,
        what: i64,
    ) -> Result<(), StoreError> {
        if self.backend == Backend::Postgres {
            sqlx::query("SELECT CAST(pg_advisory_xact_lock($1) AS TEXT)")
                .bind(0x6d69_7975_6e00 + what)
                .execute(&mut **tx)
                .await?;
        }
        Ok(())
    }
}

/// A URL for messages: what stands between `:` and `@` is left out.
fn without_password(url: &str) -> String {
    match (url.find("://"), url.rfind('@')) {
        (Some(a), Some(b)) if a + 3 < b => match url[a + 3..b].find(':') {
            Some(colon) => format!("{}:…{}", &url[..a + 3 + colon], &url[b..]),
            None => url.to_owned(),
        },
        _ => url.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_hold_no_password() {
        assert_eq!(
            without_password("postgres://miyun:secret@db/records"),
            "postgres://miyun:…@db/records"
        );
        assert_eq!(without_password("sqlite:x.db"), "sqlite:x.db");
    }
}
