//! Likes and private collections.

use jiff::Timestamp;
use serde::Serialize;

use crate::row::{R, stamp};
use crate::{ArticleId, CollectionId, PersonId, Store, StoreError};

/// Visitors behind one address prefix may like one article so often a day.
pub const VISITOR_LIKES_PER_PREFIX_MAX: i64 = 20;

/// What a visitor's like came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum LikeOutcome {
    /// Counted.
    New,
    /// Counted before.
    Already,
    /// Too many from this prefix today.
    Capped,
}

/// A reader's private list of articles.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Collection {
    /// Id.
    pub id: CollectionId,
    /// Title.
    pub title: String,
    /// Articles, in the order they were added.
    pub items: Vec<ArticleId>,
    /// When it was made.
    pub created_at: Timestamp,
}

impl Store {
    /// A person likes an article; false if so before.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] if there is no such article.
    pub async fn like(
        &self,
        article: &ArticleId,
        person: &PersonId,
        at: Timestamp,
    ) -> Result<bool, StoreError> {
        self.must_have_article(article).await?;
        let done = sqlx::query(
            "INSERT INTO article_like (article, person, at) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
        )
        .bind(article.as_str())
        .bind(person.as_str())
        .bind(stamp(at))
        .execute(&self.pool)
        .await?;
        Ok(done.rows_affected() > 0)
    }

    /// Takes a like back; false if there was none.
    ///
    /// # Errors
    /// [`StoreError`] if the database fails.
    pub async fn unlike(&self, article: &ArticleId, person: &PersonId) -> Result<bool, StoreError> {
        let done = sqlx::query("DELETE FROM article_like WHERE article = $1 AND person = $2")
            .bind(article.as_str())
            .bind(person.as_str())
            .execute(&self.pool)
            .await?;
        Ok(done.rows_affected() > 0)
    }

    /// True if the person likes the article.
    ///
    /// # Errors
    /// [`StoreError`] if the database fails.
    pub async fn liked(&self, article: &ArticleId, person: &PersonId) -> Result<bool, StoreError> {
        let row =
            sqlx::query("SELECT 1 AS one FROM article_like WHERE article = $1 AND person = $2")
                .bind(article.as_str())
                .bind(person.as_str())
                .fetch_optional(&self.pool)
                .await?;
        Ok(row.is_some())
    }

    /// Likes of an article, of people and visitors.
    ///
    /// # Errors
    /// [`StoreError`] if the database fails.
    pub async fn likes(&self, article: &ArticleId) -> Result<u64, StoreError> {
        let row = sqlx::query(
            "SELECT (SELECT COUNT(*) FROM article_like WHERE article = $1) \
             + (SELECT COUNT(*) FROM visitor_like WHERE article = $1) AS n",
        )
        .bind(article.as_str())
        .fetch_one(&self.pool)
        .await?;
        R("article_like", &row).number("n")
    }

    /// A visitor likes an article with a token that the server signed. `prefix_key` is a keyed
    /// digest of the address prefix under a key that changes daily; it is forgotten the next day.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] if there is no such article.
    pub async fn like_as_visitor(
        &self,
        article: &ArticleId,
        token_digest: &str,
        prefix_key: &str,
        at: Timestamp,
    ) -> Result<LikeOutcome, StoreError> {
        self.must_have_article(article).await?;
        let day = stamp(at)[..10].to_owned();
        let mut tx = self.begin().await?;
        sqlx::query("DELETE FROM visitor_prefix WHERE day < $1")
            .bind(&day)
            .execute(&mut *tx)
            .await?;
        let known =
            sqlx::query("SELECT 1 AS one FROM visitor_like WHERE article = $1 AND token = $2")
                .bind(article.as_str())
                .bind(token_digest)
                .fetch_optional(&mut *tx)
                .await?;
        if known.is_some() {
            tx.commit().await?;
            return Ok(LikeOutcome::Already);
        }
        let counted = sqlx::query(
            "INSERT INTO visitor_prefix (article, prefix, day, likes) VALUES ($1, $2, $3, 1) \
             ON CONFLICT (article, prefix, day) DO UPDATE SET likes = visitor_prefix.likes + 1 \
             WHERE visitor_prefix.likes < $4",
        )
        .bind(article.as_str())
        .bind(prefix_key)
        .bind(&day)
        .bind(VISITOR_LIKES_PER_PREFIX_MAX)
        .execute(&mut *tx)
        .await?;
        if counted.rows_affected() == 0 {
            tx.commit().await?;
            return Ok(LikeOutcome::Capped);
        }
        sqlx::query("INSERT INTO visitor_like (article, token, at) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING")
            .bind(article.as_str())
            .bind(token_digest)
            .bind(stamp(at))
            .execute(&mut *tx)
            .await?;
        tx.commit().await?;
        Ok(LikeOutcome::New)
    }

    async fn must_have_article(&self, article: &ArticleId) -> Result<(), StoreError> {
        let row = sqlx::query("SELECT 1 AS one FROM article_shown WHERE article = $1")
            .bind(article.as_str())
            .fetch_optional(&self.pool)
            .await?;
        row.map(|_| ())
            .ok_or_else(|| StoreError::not_found("article", article))
    }

    /// Makes a collection.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] if the title is empty.
    pub async fn create_collection(
        &self,
        person: &PersonId,
        title: &str,
        at: Timestamp,
    ) -> Result<CollectionId, StoreError> {
        let title: String = title.trim().chars().take(200).collect();
        if title.is_empty() {
            return Err(StoreError::Conflict("a collection needs a title".into()));
        }
        let id = CollectionId::new(at);
        sqlx::query(
            "INSERT INTO collection (id, person, title, created_at) VALUES ($1, $2, $3, $4)",
        )
        .bind(id.as_str())
        .bind(person.as_str())
        .bind(title)
        .bind(stamp(at))
        .execute(&self.pool)
        .await?;
        Ok(id)
    }

    /// Collections of a person, oldest first.
    ///
    /// # Errors
    /// [`StoreError`] if the database fails.
    pub async fn collections(&self, person: &PersonId) -> Result<Vec<Collection>, StoreError> {
        let rows = sqlx::query("SELECT * FROM collection WHERE person = $1 ORDER BY id")
            .bind(person.as_str())
            .fetch_all(&self.pool)
            .await?;
        let mut out = Vec::with_capacity(rows.len());
        for row in &rows {
            let r = R("collection", row);
            let id: CollectionId = r.parse("id")?;
            let items = sqlx::query(
                "SELECT article FROM collection_item WHERE collection = $1 ORDER BY added_at, article",
            )
            .bind(id.as_str())
            .fetch_all(&self.pool)
            .await?;
            out.push(Collection {
                title: r.text("title")?,
                created_at: r.parse("created_at")?,
                items: items
                    .iter()
                    .map(|i| R("collection_item", i).parse("article"))
                    .collect::<Result<_, _>>()?,
                id,
            });
        }
        Ok(out)
    }

    /// Somebody else's collection is as good as none.
    async fn own_collection(&self, person: &PersonId, id: &CollectionId) -> Result<(), StoreError> {
        let row = sqlx::query("SELECT 1 AS one FROM collection WHERE id = $1 AND person = $2")
            .bind(id.as_str())
            .bind(person.as_str())
            .fetch_optional(&self.pool)
            .await?;
        row.map(|_| ())
            .ok_or_else(|| StoreError::not_found("collection", id))
    }

    /// Puts an article into a collection of that person.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] if the person has no such collection or there is no such article.
    pub async fn collect(
        &self,
        person: &PersonId,
        id: &CollectionId,
        article: &ArticleId,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        self.own_collection(person, id).await?;
        self.must_have_article(article).await?;
        sqlx::query(
            "INSERT INTO collection_item (collection, article, added_at) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
        )
        .bind(id.as_str())
        .bind(article.as_str())
        .bind(stamp(at))
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// Takes an article out of a collection of that person.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] if the person has no such collection.
    pub async fn uncollect(
        &self,
        person: &PersonId,
        id: &CollectionId,
        article: &ArticleId,
    ) -> Result<(), StoreError> {
        self.own_collection(person, id).await?;
        sqlx::query("DELETE FROM collection_item WHERE collection = $1 AND article = $2")
            .bind(id.as_str())
            .bind(article.as_str())
            .execute(&self.pool)
            .await?;
        Ok(())
    }

    /// Removes a collection of that person.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] if the person has no such collection.
    pub async fn delete_collection(
        &self,
        person: &PersonId,
        id: &CollectionId,
    ) -> Result<(), StoreError> {
        self.own_collection(person, id).await?;
        let mut tx = self.begin().await?;
        for sql in [
            "DELETE FROM collection_item WHERE collection = $1",
            "DELETE FROM collection WHERE id = $1",
        ] {
            sqlx::query(sql).bind(id.as_str()).execute(&mut *tx).await?;
        }
        tx.commit().await?;
        Ok(())
    }
}
