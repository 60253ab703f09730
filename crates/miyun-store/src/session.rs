//! Sessions and sign-ins under way. Only digests of secrets are stored.

use std::time::Duration;

use jiff::Timestamp;

use crate::people::{Grant, Person};
use crate::row::{R, stamp};
use crate::{PersonId, Store, StoreError};

/// A session to begin.
#[derive(Debug, Clone)]
pub struct NewSession<'a> {
    /// Digest of the secret in the cookie.
    pub digest: &'a str,
    /// Who.
    pub person: &'a PersonId,
    /// When it ends whatever happens.
    pub expires_at: Timestamp,
    /// From where.
    pub address: &'a str,
    /// With what.
    pub agent: &'a str,
}

/// A session in force.
#[derive(Debug, Clone)]
pub struct Session {
    /// Digest of the secret.
    pub digest: String,
    /// Who.
    pub person: Person,
    /// What the person may be.
    pub grants: Vec<Grant>,
    /// When it began.
    pub created_at: Timestamp,
    /// When it ends whatever happens.
    pub expires_at: Timestamp,
}

/// A sign-in at another provider that is under way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignIn {
    /// Digest of the state that must come back.
    pub state: String,
    /// What the id token must hold.
    pub nonce: String,
    /// Secret of the code exchange (PKCE).
    pub verifier: String,
    /// Where to go afterwards.
    pub back: String,
    /// Until when it may come back.
    pub expires_at: Timestamp,
}

/// How often `seen_at` is written at most: a page view is no reason to write a row.
const SEEN_EVERY: Duration = Duration::from_secs(60);

impl Store {
    /// Begins a session.
    ///
    /// # Errors
    /// [`StoreError`] if the database fails.
    pub async fn begin_session(
        &self,
        new: NewSession<'_>,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        let agent: String = new.agent.chars().take(300).collect();
        sqlx::query(
            "INSERT INTO session (digest, person, created_at, seen_at, expires_at, address, agent) \
             VALUES ($1, $2, $3, $3, $4, $5, $6)",
        )
        .bind(new.digest)
        .bind(new.person.as_str())
        .bind(stamp(at))
        .bind(stamp(new.expires_at))
        .bind(new.address)
        .bind(agent)
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// The session with that digest if it is in force at `at`: not ended, not past its end, not
    /// idle for longer than `idle`, its account open.
    ///
    /// # Errors
    /// [`StoreError`] if the database fails.
    pub async fn session(
        &self,
        digest: &str,
        idle: Duration,
        at: Timestamp,
    ) -> Result<Option<Session>, StoreError> {
        let row = sqlx::query("SELECT * FROM session WHERE digest = $1 AND ended_at IS NULL")
            .bind(digest)
            .fetch_optional(&self.pool)
            .await?;
        let Some(row) = row else { return Ok(None) };
        let r = R("session", &row);
        let (seen, expires): (Timestamp, Timestamp) = (r.parse("seen_at")?, r.parse("expires_at")?);
        let age = at.duration_since(seen).unsigned_abs();
        if at >= expires || (at > seen && age >= idle) {
            return Ok(None);
        }
        let Some(person) = self.person(&r.parse("person")?).await? else {
            return Ok(None);
        };
        if person.disabled_at.is_some() {
            return Ok(None);
        }
        if at > seen && age >= SEEN_EVERY.min(idle / 4) {
            sqlx::query("UPDATE session SET seen_at = $2 WHERE digest = $1")
                .bind(digest)
                .bind(stamp(at))
                .execute(&self.pool)
                .await?;
        }
        Ok(Some(Session {
            digest: digest.to_owned(),
            grants: self.grants(&person.id, at, at).await?,
            person,
            created_at: r.parse("created_at")?,
            expires_at: expires,
        }))
    }

    /// Ends a session.
    ///
    /// # Errors
    /// [`StoreError`] if the database fails.
    pub async fn end_session(&self, digest: &str, at: Timestamp) -> Result<(), StoreError> {
        sqlx::query("UPDATE session SET ended_at = $2 WHERE digest = $1 AND ended_at IS NULL")
            .bind(digest)
            .bind(stamp(at))
            .execute(&self.pool)
            .await?;
        Ok(())
    }

    /// Removes sessions and sign-ins that ended before `at`.
    ///
    /// # Errors
    /// [`StoreError`] if the database fails.
    pub async fn sweep_sessions(&self, at: Timestamp) -> Result<u64, StoreError> {
        let sessions = sqlx::query("DELETE FROM session WHERE expires_at < $1 OR ended_at < $1")
            .bind(stamp(at))
            .execute(&self.pool)
            .await?;
        let sign_ins = sqlx::query("DELETE FROM sign_in WHERE expires_at < $1")
            .bind(stamp(at))
            .execute(&self.pool)
            .await?;
        Ok(sessions.rows_affected() + sign_ins.rows_affected())
    }

    /// Remembers a sign-in that went to another provider.
    ///
    /// # Errors
    /// [`StoreError`] if the database fails.
    pub async fn begin_sign_in(&self, s: &SignIn) -> Result<(), StoreError> {
        sqlx::query(
            "INSERT INTO sign_in (state, nonce, verifier, back, expires_at) VALUES ($1, $2, $3, $4, $5)",
        )
        .bind(&s.state)
        .bind(&s.nonce)
        .bind(&s.verifier)
        .bind(&s.back)
        .bind(stamp(s.expires_at))
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// Takes a sign-in that came back; it can come back once.
    ///
    /// # Errors
    /// [`StoreError`] if the database fails.
    pub async fn take_sign_in(
        &self,
        state: &str,
        at: Timestamp,
    ) -> Result<Option<SignIn>, StoreError> {
        let mut tx = self.begin().await?;
        let row = sqlx::query("DELETE FROM sign_in WHERE state = $1 RETURNING *")
            .bind(state)
            .fetch_optional(&mut *tx)
            .await?;
        tx.commit().await?;
        let Some(row) = row else { return Ok(None) };
        let r = R("sign_in", &row);
        let found = SignIn {
            state: r.text("state")?,
            nonce: r.text("nonce")?,
            verifier: r.text("verifier")?,
            back: r.text("back")?,
            expires_at: r.parse("expires_at")?,
        };
        Ok(Some(found).filter(|s| s.expires_at > at))
    }
}
