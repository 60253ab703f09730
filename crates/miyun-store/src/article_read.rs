//! Reading articles.

use sqlx::any::AnyRow;

use crate::article::{Article, ArticleVersion, Tombstone};
use crate::row::R;
use crate::{ArticleId, Store, StoreError};

pub(crate) fn version(row: &AnyRow) -> Result<ArticleVersion, StoreError> {
    let r = R("article_version", row);
    Ok(ArticleVersion {
        article: r.parse("article")?,
        version: u32::try_from(r.int("version")?).unwrap_or(0),
        state: r.parse("state")?,
        content: r.json("content")?,
        note: r.text("note")?,
        edited_by: r.parse("edited_by")?,
        edited_at: r.parse("edited_at")?,
        editors: r.json("editors")?,
        proposed_by: r.parse_opt("proposed_by")?,
        proposed_at: r.parse_opt("proposed_at")?,
        decided_by: r.parse_opt("decided_by")?,
        decided_at: r.parse_opt("decided_at")?,
        decided_reason: r.text("decided_reason")?,
        digest: r.text("digest")?,
    })
}

impl Store {
    /// An article with its current version; `None` if there is none.
    ///
    /// # Errors
    /// [`StoreError`] if the database fails.
    pub async fn article(&self, id: &ArticleId) -> Result<Option<Article>, StoreError> {
        let row = sqlx::query("SELECT * FROM article WHERE id = $1")
            .bind(id.as_str())
            .fetch_optional(&self.pool)
            .await?;
        let Some(row) = row else { return Ok(None) };
        let r = R("article", &row);
        let tombstone = match (r.parse_opt("withdrawn_at")?, r.parse_opt("withdrawn_by")?) {
            (Some(at), Some(by)) => Some(Tombstone {
                reason: r.opt("withdrawn_reason")?.unwrap_or_default(),
                at,
                by,
            }),
            _ => None,
        };
        let current = sqlx::query(
            "SELECT * FROM article_version WHERE article = $1 AND state = 'published' ORDER BY version DESC LIMIT 1",
        )
        .bind(id.as_str())
        .fetch_optional(&self.pool)
        .await?;
        Ok(Some(Article {
            id: r.parse("id")?,
            created_at: r.parse("created_at")?,
            current: current.as_ref().map(version).transpose()?,
            tombstone,
            likes: self.likes(id).await?,
        }))
    }

    /// The published article with that document number or index number.
    ///
    /// # Errors
    /// [`StoreError`] if the database fails.
    pub async fn article_by_number(&self, number: &str) -> Result<Option<ArticleId>, StoreError> {
        let row = sqlx::query(
            "SELECT f.article FROM article_facet f JOIN article_shown c ON c.article = f.article AND c.version = f.version \
             WHERE f.kind = 'number' AND f.value = $1 AND c.shown_until IS NULL ORDER BY f.article LIMIT 1",
        )
        .bind(number.trim().replace('\0', ""))
        .fetch_optional(&self.pool)
        .await?;
        row.map(|r| R("article_facet", &r).parse("article"))
            .transpose()
    }

    /// A version of an article, in whatever state.
    ///
    /// # Errors
    /// [`StoreError`] if the database fails.
    pub async fn article_version(
        &self,
        id: &ArticleId,
        number: u32,
    ) -> Result<Option<ArticleVersion>, StoreError> {
        let row = sqlx::query("SELECT * FROM article_version WHERE article = $1 AND version = $2")
            .bind(id.as_str())
            .bind(i64::from(number))
            .fetch_optional(&self.pool)
            .await?;
        row.as_ref().map(version).transpose()
    }

    /// Versions of an article in every state, newest first.
    ///
    /// # Errors
    /// [`StoreError`] if the database fails.
    pub async fn article_versions(
        &self,
        id: &ArticleId,
    ) -> Result<Vec<ArticleVersion>, StoreError> {
        let rows = sqlx::query(
            "SELECT * FROM article_version WHERE article = $1 ORDER BY version DESC LIMIT 1000",
        )
        .bind(id.as_str())
        .fetch_all(&self.pool)
        .await?;
        rows.iter().map(version).collect()
    }

    /// Versions that are being written or wait for a second person, oldest first.
    ///
    /// # Errors
    /// [`StoreError`] if the database fails.
    pub async fn article_drafts(&self) -> Result<Vec<ArticleVersion>, StoreError> {
        let rows = sqlx::query(
            "SELECT * FROM article_version WHERE state IN ('draft', 'proposed') ORDER BY edited_at LIMIT 500",
        )
        .fetch_all(&self.pool)
        .await?;
        rows.iter().map(version).collect()
    }
}
