//! People and their roles.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sqlx::any::AnyRow;
use sqlx::{Any, Transaction};

use crate::row::{R, stamp};
use crate::{GrantId, PersonId, Store, StoreError};

/// What a person is to the platform. A visitor has no grant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Analyst or officer of the bureau.
    Officer,
    /// Environment manager of an enterprise; the scope names it.
    Enterprise,
    /// Verifier; the scope names what is assigned.
    Verifier,
    /// Operator of the exchange.
    Exchange,
    /// Keeps users, roles, layers, jobs.
    Admin,
}

impl Role {
    /// Every role that can be granted.
    pub const ALL: [Self; 5] = [
        Self::Officer,
        Self::Enterprise,
        Self::Verifier,
        Self::Exchange,
        Self::Admin,
    ];

    /// Its word in the records.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Officer => "officer",
            Self::Enterprise => "enterprise",
            Self::Verifier => "verifier",
            Self::Exchange => "exchange",
            Self::Admin => "admin",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Role {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|r| r.as_str() == text)
            .ok_or_else(|| {
                format!("{text:?} is no role: officer, enterprise, verifier, exchange or admin")
            })
    }
}

/// A role given to a person for a time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Grant {
    /// Its id.
    pub id: GrantId,
    /// The role.
    pub role: Role,
    /// What it is limited to: an enterprise, an assignment. Empty: not limited.
    pub scope: String,
    /// Since when it holds.
    pub valid_from: Timestamp,
    /// Until when, if it ends.
    pub valid_until: Option<Timestamp>,
    /// Since when the records say so.
    pub recorded_at: Timestamp,
    /// Who recorded it.
    pub recorded_by: String,
    /// When the records stopped saying so.
    pub superseded_at: Option<Timestamp>,
}

/// A person who signs in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Person {
    /// Id.
    pub id: PersonId,
    /// Name to sign in with.
    pub login: String,
    /// Name to be shown.
    pub name: String,
    /// Address for messages, may be empty.
    pub email: String,
    /// Hash of the password (PHC text); `None`: signs in elsewhere.
    #[serde(skip)]
    pub password: Option<String>,
    /// When the account was made.
    pub created_at: Timestamp,
    /// When it was closed.
    pub disabled_at: Option<Timestamp>,
}

/// A person to add.
#[derive(Debug, Clone)]
pub struct NewPerson {
    /// Name to sign in with; stored in lower case.
    pub login: String,
    /// Name to be shown.
    pub name: String,
    /// Address for messages, may be empty.
    pub email: String,
    /// Hash of the password (PHC text).
    pub password: Option<String>,
}

/// Longest login in bytes.
const LOGIN_LEN_MAX: usize = 100;

fn login(text: &str) -> Result<String, StoreError> {
    let text = text.trim().to_lowercase();
    let fits = (1..=LOGIN_LEN_MAX).contains(&text.len())
        && text
            .chars()
            .all(|c| c.is_alphanumeric() || "._-@+".contains(c));
    if fits {
        Ok(text)
    } else {
        Err(StoreError::Conflict(format!(
            "a login has 1 to {LOGIN_LEN_MAX} bytes of letters, digits and . _ - @ +"
        )))
    }
}

fn person(row: &AnyRow) -> Result<Person, StoreError> {
    let r = R("person", row);
    Ok(Person {
        id: r.parse("id")?,
        login: r.text("login")?,
        name: r.text("name")?,
        email: r.text("email")?,
        password: r.opt("password")?,
        created_at: r.parse("created_at")?,
        disabled_at: r.parse_opt("disabled_at")?,
    })
}

fn grant(row: &AnyRow) -> Result<Grant, StoreError> {
    let r = R("role_grant", row);
    Ok(Grant {
        id: r.parse("id")?,
        role: r.parse("role")?,
        scope: r.text("scope")?,
        valid_from: r.parse("valid_from")?,
        valid_until: r.parse_opt("valid_until")?,
        recorded_at: r.parse("recorded_at")?,
        recorded_by: r.text("recorded_by")?,
        superseded_at: r.parse_opt("superseded_at")?,
    })
}

/// Writes a grant in a transaction.
pub(crate) async fn grant_in(
    tx: &mut Transaction<'static, Any>,
    id: &PersonId,
    (role, scope): (Role, &str),
    valid: (Timestamp, Option<Timestamp>),
    by: &str,
    at: Timestamp,
) -> Result<GrantId, StoreError> {
    if matches!(role, Role::Enterprise | Role::Verifier) && scope.trim().is_empty() {
        return Err(StoreError::Conflict(format!(
            "role {role} needs a scope: the enterprise or assignment it is for"
        )));
    }
    let there = sqlx::query("SELECT 1 AS one FROM person WHERE id = $1")
        .bind(id.as_str())
        .fetch_optional(&mut **tx)
        .await?;
    if there.is_none() {
        return Err(StoreError::not_found("person", id));
    }
    let grant = GrantId::new(at);
    sqlx::query(
        "INSERT INTO role_grant (id, person, role, scope, valid_from, valid_until, recorded_at, recorded_by) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
    )
    .bind(grant.as_str())
    .bind(id.as_str())
    .bind(role.as_str())
    .bind(scope.trim())
    .bind(stamp(valid.0))
    .bind(valid.1.map(stamp))
    .bind(stamp(at))
    .bind(by)
    .execute(&mut **tx)
    .await?;
    Ok(grant)
}

impl Store {
    /// Adds a person; returns the id.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] if the login is taken or badly formed.
    pub async fn add_person(&self, new: &NewPerson, at: Timestamp) -> Result<PersonId, StoreError> {
        let id = PersonId::new(at);
        let login = login(&new.login)?;
        let name: String = new.name.trim().chars().take(200).collect();
        let done = sqlx::query(
            "INSERT INTO person (id, login, name, email, password, created_at) \
             VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (login) DO NOTHING",
        )
        .bind(id.as_str())
        .bind(&login)
        .bind(if name.is_empty() { &login } else { &name })
        .bind(&new.email)
        .bind(&new.password)
        .bind(stamp(at))
        .execute(&self.pool)
        .await?;
        if done.rows_affected() == 0 {
            return Err(StoreError::Conflict(format!("login {login:?} is taken")));
        }
        Ok(id)
    }

    /// The person with that id.
    ///
    /// # Errors
    /// [`StoreError`] if the database fails.
    pub async fn person(&self, id: &PersonId) -> Result<Option<Person>, StoreError> {
        let row = sqlx::query("SELECT * FROM person WHERE id = $1")
            .bind(id.as_str())
            .fetch_optional(&self.pool)
            .await?;
        row.as_ref().map(person).transpose()
    }

    /// The person with that login.
    ///
    /// # Errors
    /// [`StoreError`] if the database fails.
    pub async fn person_by_login(&self, name: &str) -> Result<Option<Person>, StoreError> {
        let Ok(login) = login(name) else {
            return Ok(None);
        };
        let row = sqlx::query("SELECT * FROM person WHERE login = $1")
            .bind(login)
            .fetch_optional(&self.pool)
            .await?;
        row.as_ref().map(person).transpose()
    }

    /// The person whom another provider knows as `subject`.
    ///
    /// # Errors
    /// [`StoreError`] if the database fails.
    pub async fn person_by_identity(
        &self,
        issuer: &str,
        subject: &str,
    ) -> Result<Option<Person>, StoreError> {
        let row = sqlx::query(
            "SELECT p.* FROM person p JOIN identity i ON i.person = p.id \
             WHERE i.issuer = $1 AND i.subject = $2",
        )
        .bind(issuer)
        .bind(subject)
        .fetch_optional(&self.pool)
        .await?;
        row.as_ref().map(person).transpose()
    }

    /// Lets a person sign in through another provider.
    ///
    /// # Errors
    /// [`StoreError`] if that identity belongs to somebody already.
    pub async fn link_identity(
        &self,
        id: &PersonId,
        issuer: &str,
        subject: &str,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        sqlx::query(
            "INSERT INTO identity (issuer, subject, person, linked_at) VALUES ($1, $2, $3, $4)",
        )
        .bind(issuer)
        .bind(subject)
        .bind(id.as_str())
        .bind(stamp(at))
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// Everyone, by login; one page of at most `per_page`, from 1. Also how many there are.
    ///
    /// # Errors
    /// [`StoreError`] if the database fails.
    pub async fn people(&self, page: u32, per_page: u32) -> Result<(u64, Vec<Person>), StoreError> {
        let total = sqlx::query("SELECT COUNT(*) AS n FROM person")
            .fetch_one(&self.pool)
            .await?;
        let rows = sqlx::query("SELECT * FROM person ORDER BY login LIMIT $1 OFFSET $2")
            .bind(i64::from(per_page))
            .bind(i64::from(page.saturating_sub(1)) * i64::from(per_page))
            .fetch_all(&self.pool)
            .await?;
        Ok((
            R("person", &total).number("n")?,
            rows.iter().map(person).collect::<Result<_, _>>()?,
        ))
    }

    /// Sets the hash of a password and ends every session of the person.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] if there is no such person.
    pub async fn set_password(
        &self,
        id: &PersonId,
        hash: &str,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        let done = sqlx::query("UPDATE person SET password = $2 WHERE id = $1")
            .bind(id.as_str())
            .bind(hash)
            .execute(&mut *tx)
            .await?;
        if done.rows_affected() == 0 {
            return Err(StoreError::not_found("person", id));
        }
        sqlx::query("UPDATE session SET ended_at = $2 WHERE person = $1 AND ended_at IS NULL")
            .bind(id.as_str())
            .bind(stamp(at))
            .execute(&mut *tx)
            .await?;
        tx.commit().await?;
        Ok(())
    }

    /// Closes an account: its sessions end and its keys are revoked; its deeds stay.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] if there is no such person.
    pub async fn disable_person(&self, id: &PersonId, at: Timestamp) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        let done = sqlx::query("UPDATE person SET disabled_at = $2 WHERE id = $1")
            .bind(id.as_str())
            .bind(stamp(at))
            .execute(&mut *tx)
            .await?;
        if done.rows_affected() == 0 {
            return Err(StoreError::not_found("person", id));
        }
        for sql in [
            "UPDATE session SET ended_at = $2 WHERE person = $1 AND ended_at IS NULL",
            "UPDATE api_key SET revoked_at = $2 WHERE person = $1 AND revoked_at IS NULL",
        ] {
            sqlx::query(sql)
                .bind(id.as_str())
                .bind(stamp(at))
                .execute(&mut *tx)
                .await?;
        }
        tx.commit().await?;
        Ok(())
    }

    /// Gives a role; returns the grant's id.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] if an enterprise or verifier has no scope.
    pub async fn grant_role(
        &self,
        id: &PersonId,
        role: Role,
        scope: &str,
        valid: (Timestamp, Option<Timestamp>),
        by: &str,
        at: Timestamp,
    ) -> Result<GrantId, StoreError> {
        let mut tx = self.begin().await?;
        let done = grant_in(&mut tx, id, (role, scope), valid, by, at).await?;
        tx.commit().await?;
        Ok(done)
    }

    /// Takes a role back from now on; that it was held stays on record.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] if there is no such grant in force.
    pub async fn revoke_role(
        &self,
        person: &PersonId,
        grant: &GrantId,
        by: &str,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        let done = sqlx::query(
            "UPDATE role_grant SET superseded_at = $3, superseded_by = $4 \
             WHERE id = $1 AND person = $2 AND superseded_at IS NULL",
        )
        .bind(grant.as_str())
        .bind(person.as_str())
        .bind(stamp(at))
        .bind(by)
        .execute(&self.pool)
        .await?;
        if done.rows_affected() == 0 {
            return Err(StoreError::not_found("grant", grant));
        }
        Ok(())
    }

    /// Roles a person holds at `valid`, as the records knew at `known`.
    ///
    /// # Errors
    /// [`StoreError`] if the database fails.
    pub async fn grants(
        &self,
        id: &PersonId,
        valid: Timestamp,
        known: Timestamp,
    ) -> Result<Vec<Grant>, StoreError> {
        let rows = sqlx::query(
            "SELECT * FROM role_grant WHERE person = $1 \
             AND valid_from <= $2 AND (valid_until IS NULL OR valid_until > $2) \
             AND recorded_at <= $3 AND (superseded_at IS NULL OR superseded_at > $3) ORDER BY id",
        )
        .bind(id.as_str())
        .bind(stamp(valid))
        .bind(stamp(known))
        .fetch_all(&self.pool)
        .await?;
        rows.iter().map(grant).collect()
    }

    /// Every grant a person ever had, newest first.
    ///
    /// # Errors
    /// [`StoreError`] if the database fails.
    pub async fn grant_history(&self, id: &PersonId) -> Result<Vec<Grant>, StoreError> {
        let rows = sqlx::query("SELECT * FROM role_grant WHERE person = $1 ORDER BY id DESC")
            .bind(id.as_str())
            .fetch_all(&self.pool)
            .await?;
        rows.iter().map(grant).collect()
    }
}
