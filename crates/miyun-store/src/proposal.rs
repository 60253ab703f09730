//! Four eyes: what one person proposes, another decides.

use jiff::Timestamp;
use miyun_core::Assessment;
use serde::{Deserialize, Serialize};
use sqlx::any::AnyRow;

use crate::people::{Role, grant_in};
use crate::row::{R, stamp};
use crate::{FigureKey, PersonId, ProposalId, Store, StoreError};

/// What became of a proposal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Decision {
    /// It took effect.
    Approved,
    /// It did not.
    Rejected,
}

impl std::str::FromStr for Decision {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "approved" => Ok(Self::Approved),
            "rejected" => Ok(Self::Rejected),
            other => Err(format!("{other:?} is no decision")),
        }
    }
}

/// Something that waits for a second person, or did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Proposal {
    /// Id.
    pub id: ProposalId,
    /// What kind: `figure`, `role`.
    pub kind: String,
    /// On what.
    pub object: String,
    /// What would be done, as JSON.
    pub payload: serde_json::Value,
    /// Why.
    pub reason: String,
    /// Who proposed it.
    pub proposed_by: PersonId,
    /// When.
    pub proposed_at: Timestamp,
    /// What became of it.
    pub decision: Option<Decision>,
    /// Who decided.
    pub decided_by: Option<PersonId>,
    /// When.
    pub decided_at: Option<Timestamp>,
    /// Words of who decided.
    pub note: String,
}

/// What a decision brings about.
#[derive(Debug, Clone)]
pub enum Effect {
    /// Nothing here.
    None,
    /// A figure is published or corrected.
    Publish(FigureKey, Box<Assessment>),
    /// A person gets a role without a scope.
    Grant(PersonId, Role),
}

/// A proposal to make.
#[derive(Debug, Clone)]
pub struct NewProposal<'a> {
    /// What kind.
    pub kind: &'a str,
    /// On what.
    pub object: &'a str,
    /// What would be done.
    pub payload: &'a serde_json::Value,
    /// Why.
    pub reason: &'a str,
    /// Who proposes it.
    pub by: &'a PersonId,
}

fn proposal(row: &AnyRow) -> Result<Proposal, StoreError> {
    let r = R("proposal", row);
    Ok(Proposal {
        id: r.parse("id")?,
        kind: r.text("kind")?,
        object: r.text("object")?,
        payload: r.json("payload")?,
        reason: r.text("reason")?,
        proposed_by: r.parse("proposed_by")?,
        proposed_at: r.parse("proposed_at")?,
        decision: r.parse_opt("decision")?,
        decided_by: r.parse_opt("decided_by")?,
        decided_at: r.parse_opt("decided_at")?,
        note: r.text("note")?,
    })
}

impl Store {
    /// Writes a proposal.
    ///
    /// # Errors
    /// [`StoreError`] if the database fails.
    pub async fn propose(
        &self,
        new: NewProposal<'_>,
        at: Timestamp,
    ) -> Result<ProposalId, StoreError> {
        let id = ProposalId::new(at);
        sqlx::query(
            "INSERT INTO proposal (id, kind, object, payload, reason, proposed_by, proposed_at, note) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, '')",
        )
        .bind(id.as_str())
        .bind(new.kind)
        .bind(new.object)
        .bind(new.payload.to_string())
        .bind(new.reason)
        .bind(new.by.as_str())
        .bind(stamp(at))
        .execute(&self.pool)
        .await?;
        Ok(id)
    }

    /// A proposal.
    ///
    /// # Errors
    /// [`StoreError`] if the database fails.
    pub async fn proposal(&self, id: &ProposalId) -> Result<Option<Proposal>, StoreError> {
        let row = sqlx::query("SELECT * FROM proposal WHERE id = $1")
            .bind(id.as_str())
            .fetch_optional(&self.pool)
            .await?;
        row.as_ref().map(proposal).transpose()
    }

    /// Proposals, newest first; only those that wait if `open`.
    ///
    /// # Errors
    /// [`StoreError`] if the database fails.
    pub async fn proposals(&self, open: bool, limit: u32) -> Result<Vec<Proposal>, StoreError> {
        let rows = sqlx::query(
            "SELECT * FROM proposal WHERE ($1 = 0 OR decision IS NULL) ORDER BY id DESC LIMIT $2",
        )
        .bind(i64::from(open))
        .bind(i64::from(limit.clamp(1, 500)))
        .fetch_all(&self.pool)
        .await?;
        rows.iter().map(proposal).collect()
    }

    /// Decides a proposal once; `effect` takes place with the decision or not at all. Returns the
    /// proposal as decided.
    ///
    /// # Errors
    /// [`StoreError::FourEyes`] if `by` proposed it, [`StoreError::Conflict`] if it is decided or
    /// its effect is refused.
    pub async fn decide(
        &self,
        id: &ProposalId,
        decision: Decision,
        effect: &Effect,
        by: &PersonId,
        note: &str,
        at: Timestamp,
    ) -> Result<Proposal, StoreError> {
        let found = self
            .proposal(id)
            .await?
            .ok_or_else(|| StoreError::not_found("proposal", id))?;
        if found.proposed_by == *by {
            return Err(StoreError::FourEyes(format!("proposal {id}")));
        }
        let word = match decision {
            Decision::Approved => "approved",
            Decision::Rejected => "rejected",
        };
        let mut tx = self.begin().await?;
        let done = sqlx::query(
            "UPDATE proposal SET decision = $2, decided_by = $3, decided_at = $4, note = $5 \
             WHERE id = $1 AND decision IS NULL",
        )
        .bind(id.as_str())
        .bind(word)
        .bind(by.as_str())
        .bind(stamp(at))
        .bind(note)
        .execute(&mut *tx)
        .await?;
        if done.rows_affected() == 0 {
            return Err(StoreError::Conflict(format!(
                "proposal {id} is decided already"
            )));
        }
        match effect {
            Effect::None => {}
            Effect::Publish(key, assessment) => {
                self.publish_in(&mut tx, key, assessment, by.as_str(), &found.reason, at)
                    .await?;
            }
            Effect::Grant(person, role) => {
                let valid = (at, None);
                grant_in(&mut tx, person, (*role, ""), valid, by.as_str(), at).await?;
            }
        }
        tx.commit().await?;
        self.proposal(id)
            .await?
            .ok_or_else(|| StoreError::not_found("proposal", id))
    }
}
