//! The audit log: append-only, each entry chained to the one before by its digest.

use jiff::Timestamp;
use serde::Serialize;
use sqlx::any::AnyRow;

use crate::row::{R, stamp};
use crate::{Store, StoreError};

/// Something that was done.
#[derive(Debug, Clone, Default)]
pub struct Deed<'a> {
    /// Who: the id of a person, `key:` and the id of a key, `system`, `command line`.
    pub actor: &'a str,
    /// What, in kebab case: `sign-in`, `article-publish`.
    pub action: &'a str,
    /// On what: `article/01J…`.
    pub object: &'a str,
    /// More, as JSON or words.
    pub detail: &'a str,
    /// Id of the request.
    pub request: &'a str,
    /// Address it came from.
    pub address: &'a str,
}

/// An entry of the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AuditEntry {
    /// Order, from 1 without a gap.
    pub seq: u64,
    /// When.
    pub at: Timestamp,
    /// Who.
    pub actor: String,
    /// What.
    pub action: String,
    /// On what.
    pub object: String,
    /// More.
    pub detail: String,
    /// Id of the request.
    pub request: String,
    /// Address it came from.
    pub address: String,
    /// Digest of this entry and, through it, of all before.
    pub digest: String,
}

/// Which entries.
#[derive(Debug, Clone, Default)]
pub struct AuditQuery {
    /// Only of this actor.
    pub actor: Option<String>,
    /// Only this action.
    pub action: Option<String>,
    /// Only on this object.
    pub object: Option<String>,
    /// Entries before this one; 0 for the newest.
    pub before: u64,
    /// At most so many, up to 500.
    pub limit: u32,
}

/// The first entry that does not fit the one before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Broken {
    /// Its order.
    pub seq: u64,
    /// What is wrong.
    pub reason: String,
}

const FIELDS: [&str; 7] = [
    "at", "actor", "action", "object", "detail", "request", "address",
];

fn digest(previous: &str, seq: i64, fields: [&str; 7]) -> String {
    let mut h = blake3::Hasher::new();
    h.update(previous.as_bytes());
    h.update(&seq.to_le_bytes());
    for f in fields {
        h.update(&(f.len() as u64).to_le_bytes());
        h.update(f.as_bytes());
    }
    h.finalize().to_hex().to_string()
}

fn entry(row: &AnyRow) -> Result<AuditEntry, StoreError> {
    let r = R("audit", row);
    Ok(AuditEntry {
        seq: r.number("seq")?,
        at: r.parse("at")?,
        actor: r.text("actor")?,
        action: r.text("action")?,
        object: r.text("object")?,
        detail: r.text("detail")?,
        request: r.text("request")?,
        address: r.text("address")?,
        digest: r.text("digest")?,
    })
}

impl Store {
    /// Writes an entry.
    ///
    /// # Errors
    /// [`StoreError`] if it could not be written; who asked must then be refused.
    pub async fn audit(&self, deed: &Deed<'_>, at: Timestamp) -> Result<u64, StoreError> {
        let mut tx = self.begin().await?;
        self.serialize(&mut tx, 1).await?;
        let last = sqlx::query("SELECT seq, digest FROM audit ORDER BY seq DESC LIMIT 1")
            .fetch_optional(&mut *tx)
            .await?;
        let (seq, previous) = match &last {
            Some(row) => {
                let r = R("audit", row);
                (r.int("seq")? + 1, r.text("digest")?)
            }
            None => (1, String::new()),
        };
        let at = stamp(at);
        // PostgreSQL's texts hold no NUL, and nobody needs a novel here.
        let plain = |t: &str| t.chars().filter(|c| *c != '\0').take(4_000).collect();
        let texts: [String; 6] = [
            deed.actor,
            deed.action,
            deed.object,
            deed.detail,
            deed.request,
            deed.address,
        ]
        .map(plain);
        let [actor, action, object, detail, request, address] = &texts;
        let fields = [&at, actor, action, object, detail, request, address].map(String::as_str);
        let this = digest(&previous, seq, fields);
        let mut insert = sqlx::query(
            "INSERT INTO audit (seq, at, actor, action, object, detail, request, address, previous, digest) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
        )
        .bind(seq);
        for f in fields {
            insert = insert.bind(f.to_owned());
        }
        insert.bind(&previous).bind(&this).execute(&mut *tx).await?;
        tx.commit().await?;
        Ok(u64::try_from(seq).unwrap_or(0))
    }

    /// Entries, newest first.
    ///
    /// # Errors
    /// [`StoreError`] if the database fails.
    pub async fn audit_entries(&self, q: &AuditQuery) -> Result<Vec<AuditEntry>, StoreError> {
        let before = if q.before == 0 {
            i64::MAX
        } else {
            crate::row::signed(q.before)
        };
        let rows = sqlx::query(
            "SELECT * FROM audit WHERE seq < $1 AND ($2 = '' OR actor = $2) AND ($3 = '' OR action = $3) \
             AND ($4 = '' OR object = $4) ORDER BY seq DESC LIMIT $5",
        )
        .bind(before)
        .bind(q.actor.clone().unwrap_or_default())
        .bind(q.action.clone().unwrap_or_default())
        .bind(q.object.clone().unwrap_or_default())
        .bind(i64::from(q.limit.clamp(1, 500)))
        .fetch_all(&self.pool)
        .await?;
        rows.iter().map(entry).collect()
    }

    /// Recomputes the chain; `None` if every entry fits the one before.
    ///
    /// # Errors
    /// [`StoreError`] if the database fails.
    pub async fn audit_check(&self) -> Result<Option<Broken>, StoreError> {
        let (mut previous, mut expected) = (String::new(), 1i64);
        loop {
            let rows = sqlx::query("SELECT * FROM audit WHERE seq >= $1 ORDER BY seq LIMIT 1000")
                .bind(expected)
                .fetch_all(&self.pool)
                .await?;
            if rows.is_empty() {
                return Ok(None);
            }
            for row in &rows {
                let r = R("audit", row);
                let seq = r.int("seq")?;
                let broken = |reason: &str| {
                    Ok(Some(Broken {
                        seq: u64::try_from(seq).unwrap_or(0),
                        reason: reason.into(),
                    }))
                };
                if seq != expected {
                    return broken("an entry before this one is missing");
                }
                let mut texts = Vec::with_capacity(FIELDS.len());
                for f in FIELDS {
                    texts.push(r.text(f)?);
                }
                let fields = std::array::from_fn(|i| texts[i].as_str());
                let digest = digest(&previous, seq, fields);
                if digest != r.text("digest")? || previous != r.text("previous")? {
                    return broken("the entry is not what was written");
                }
                (previous, expected) = (digest, seq + 1);
            }
        }
    }
}
