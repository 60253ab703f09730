//! Pictures, by the digest of their bytes.

use std::collections::{BTreeSet, HashSet};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sqlx::Row;

use crate::article_write::ARTICLES;
use crate::row::{R, stamp};
use crate::{MediaId, Store, StoreError};

/// A stored file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Media {
    /// Its type: `image/webp`.
    pub content_type: String,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

/// A picture in one width, as it will be stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewRendition {
    /// Its type: `image/jpeg`.
    pub content_type: &'static str,
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

/// A stored picture in one width.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Rendition {
    /// The stored file.
    pub media: MediaId,
    /// Its type.
    pub content_type: String,
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
}

/// Largest file in bytes.
const MEDIA_LEN_MAX: usize = 8 << 20;

impl Store {
    /// Stores a picture in its widths, widest first, all or none; the same bytes are stored once.
    /// Returns the id of the widest, by which an article names the picture.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] if there is none, or one is larger than 8 MiB.
    pub async fn put_picture(
        &self,
        renditions: &[NewRendition],
        by: &str,
        at: Timestamp,
    ) -> Result<MediaId, StoreError> {
        let Some(widest) = renditions.first() else {
            return Err(StoreError::Conflict("a picture without pixels".into()));
        };
        if let Some(r) = renditions.iter().find(|r| r.bytes.len() > MEDIA_LEN_MAX) {
            return Err(StoreError::Conflict(format!(
                "a file has at most {MEDIA_LEN_MAX} bytes, this one has {}",
                r.bytes.len()
            )));
        }
        let picture = MediaId::of(&widest.bytes);
        let mut tx = self.begin().await?;
        for r in renditions {
            sqlx::query(
                "INSERT INTO media (id, content_type, bytes, added_by, added_at, picture, width, height) \
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (id) DO UPDATE SET added_at = excluded.added_at",
            )
            .bind(MediaId::of(&r.bytes).as_str())
            .bind(r.content_type)
            .bind(r.bytes.clone())
            .bind(by)
            .bind(stamp(at))
            .bind(picture.as_str())
            .bind(i64::from(r.width))
            .bind(i64::from(r.height))
            .execute(&mut *tx)
            .await?;
        }
        tx.commit().await?;
        Ok(picture)
    }

    /// The widths in which a picture is stored, widest first; empty if it is not there.
    ///
    /// # Errors
    /// [`StoreError`] if the database fails.
    pub async fn renditions(&self, picture: &MediaId) -> Result<Vec<Rendition>, StoreError> {
        let rows = sqlx::query(
            "SELECT id, content_type, width, height FROM media \
             WHERE (picture = $1 OR id = $1) AND width IS NOT NULL ORDER BY width DESC",
        )
        .bind(picture.as_str())
        .fetch_all(&self.pool)
        .await?;
        let mut out = Vec::new();
        for row in &rows {
            let r = R("media", row);
            let pixels = |column| Ok::<u32, StoreError>(u32::try_from(r.int(column)?).unwrap_or(0));
            out.push(Rendition {
                media: r.parse("id")?,
                content_type: r.text("content_type")?,
                width: pixels("width")?,
                height: pixels("height")?,
            });
        }
        // Bytes that are both a picture and a narrower width of another one: wider ones are not it.
        if let Some(k) = out.iter().position(|r| r.media == *picture) {
            out.drain(..k);
            Ok(out)
        } else {
            Ok(Vec::new())
        }
    }

    /// Removes the files that no version of a standing article names and that nobody sent since
    /// `before`: who has just sent one has not saved yet. What was withdrawn is not shown, its picture
    /// neither. Returns the pictures of which something was removed.
    ///
    /// # Errors
    /// [`StoreError`] if the database fails.
    pub async fn sweep_media(&self, before: Timestamp) -> Result<BTreeSet<String>, StoreError> {
        #[derive(Deserialize)]
        struct Named {
            picture: Option<File>,
            #[serde(default)]
            attachments: Vec<File>,
        }
        #[derive(Deserialize)]
        struct File {
            media: String,
        }
        let mut tx = self.begin().await?;
        // No draft may begin to name a file while it goes.
        self.serialize(&mut tx, ARTICLES).await?;
        let mut named = HashSet::new();
        let rows = sqlx::query(
            "SELECT v.content FROM article_version v JOIN article a ON a.id = v.article WHERE a.withdrawn_at IS NULL",
        )
        .fetch_all(&mut *tx)
        .await?;
        for row in &rows {
            let n: Named = R("article_version", row).json("content")?;
            named.extend(n.picture.into_iter().chain(n.attachments).map(|f| f.media));
        }
        let rows = sqlx::query(
            "SELECT id, COALESCE(picture, id) AS picture FROM media WHERE added_at < $1",
        )
        .bind(stamp(before))
        .fetch_all(&mut *tx)
        .await?;
        let mut gone = BTreeSet::new();
        for row in &rows {
            let r = R("media", row);
            let (id, picture) = (r.text("id")?, r.text("picture")?);
            if !named.contains(&id) && !named.contains(&picture) {
                sqlx::query("DELETE FROM media WHERE id = $1")
                    .bind(id)
                    .execute(&mut *tx)
                    .await?;
                gone.insert(picture);
            }
        }
        tx.commit().await?;
        Ok(gone)
    }

    /// A stored file.
    ///
    /// # Errors
    /// [`StoreError`] if the database fails.
    pub async fn media(&self, id: &MediaId) -> Result<Option<Media>, StoreError> {
        let row = sqlx::query("SELECT content_type, bytes FROM media WHERE id = $1")
            .bind(id.as_str())
            .fetch_optional(&self.pool)
            .await?;
        let Some(row) = row else { return Ok(None) };
        Ok(Some(Media {
            content_type: R("media", &row).text("content_type")?,
            bytes: row.try_get("bytes")?,
        }))
    }
}
