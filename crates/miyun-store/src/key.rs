//! API keys: a secret that stands for a person, limited to scopes and a time.

use jiff::Timestamp;
use serde::Serialize;
use sqlx::any::AnyRow;

use crate::people::{Grant, Person};
use crate::row::{R, stamp};
use crate::{KeyId, PersonId, Store, StoreError};

/// An API key as its owner sees it; the secret is never stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ApiKey {
    /// Id.
    pub id: KeyId,
    /// Owner.
    pub person: PersonId,
    /// What it is for, in the owner's words.
    pub name: String,
    /// What it may be used for.
    pub scopes: Vec<String>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it ends.
    pub expires_at: Timestamp,
    /// When it was revoked.
    pub revoked_at: Option<Timestamp>,
}

/// A key to make.
#[derive(Debug, Clone)]
pub struct NewKey<'a> {
    /// Owner.
    pub person: &'a PersonId,
    /// What it is for.
    pub name: &'a str,
    /// Digest of the secret.
    pub digest: &'a str,
    /// What it may be used for.
    pub scopes: &'a [String],
    /// When it ends.
    pub expires_at: Timestamp,
}

/// Whom a key stands for.
#[derive(Debug, Clone)]
pub struct KeyOwner {
    /// The key.
    pub key: ApiKey,
    /// Its owner.
    pub person: Person,
    /// The owner's roles.
    pub grants: Vec<Grant>,
}

fn key(row: &AnyRow) -> Result<ApiKey, StoreError> {
    let r = R("api_key", row);
    Ok(ApiKey {
        id: r.parse("id")?,
        person: r.parse("person")?,
        name: r.text("name")?,
        scopes: r
            .text("scopes")?
            .split_whitespace()
            .map(str::to_owned)
            .collect(),
        created_at: r.parse("created_at")?,
        expires_at: r.parse("expires_at")?,
        revoked_at: r.parse_opt("revoked_at")?,
    })
}

impl Store {
    /// Makes a key.
    ///
    /// # Errors
    /// [`StoreError`] if the database fails.
    pub async fn add_key(&self, new: NewKey<'_>, at: Timestamp) -> Result<KeyId, StoreError> {
        let id = KeyId::new(at);
        sqlx::query(
            "INSERT INTO api_key (id, person, name, digest, scopes, created_at, expires_at) \
             VALUES ($1, $2, $3, $4, $5, $6, $7)",
        )
        .bind(id.as_str())
        .bind(new.person.as_str())
        .bind(new.name)
        .bind(new.digest)
        .bind(new.scopes.join(" "))
        .bind(stamp(at))
        .bind(stamp(new.expires_at))
        .execute(&self.pool)
        .await?;
        Ok(id)
    }

    /// Whom a secret stands for, if its key is in force and its owner's account open.
    ///
    /// # Errors
    /// [`StoreError`] if the database fails.
    pub async fn key_owner(
        &self,
        digest: &str,
        at: Timestamp,
    ) -> Result<Option<KeyOwner>, StoreError> {
        let row = sqlx::query(
            "SELECT * FROM api_key WHERE digest = $1 AND revoked_at IS NULL AND expires_at > $2",
        )
        .bind(digest)
        .bind(stamp(at))
        .fetch_optional(&self.pool)
        .await?;
        let Some(row) = row else { return Ok(None) };
        let key = key(&row)?;
        let Some(person) = self.person(&key.person).await? else {
            return Ok(None);
        };
        if person.disabled_at.is_some() {
            return Ok(None);
        }
        let grants = self.grants(&person.id, at, at).await?;
        Ok(Some(KeyOwner {
            key,
            person,
            grants,
        }))
    }

    /// Keys of a person, newest first.
    ///
    /// # Errors
    /// [`StoreError`] if the database fails.
    pub async fn keys(&self, person: &PersonId) -> Result<Vec<ApiKey>, StoreError> {
        let rows = sqlx::query("SELECT * FROM api_key WHERE person = $1 ORDER BY id DESC")
            .bind(person.as_str())
            .fetch_all(&self.pool)
            .await?;
        rows.iter().map(key).collect()
    }

    /// Revokes a key of that person.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] if the person has no such key in force.
    pub async fn revoke_key(
        &self,
        person: &PersonId,
        id: &KeyId,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        let done = sqlx::query(
            "UPDATE api_key SET revoked_at = $3 WHERE id = $1 AND person = $2 AND revoked_at IS NULL",
        )
        .bind(id.as_str())
        .bind(person.as_str())
        .bind(stamp(at))
        .execute(&self.pool)
        .await?;
        if done.rows_affected() == 0 {
            return Err(StoreError::not_found("key", id));
        }
        Ok(())
    }
}
