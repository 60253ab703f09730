//! Pictures and attachments, by the digest of their bytes.

use jiff::Timestamp;
use sqlx::Row;

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

/// Largest file in bytes.
const MEDIA_LEN_MAX: usize = 8 << 20;

impl Store {
    /// Stores a file; the same bytes are stored once.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] if it is larger than 8 MiB.
    pub async fn put_media(
        &self,
        bytes: &[u8],
        content_type: &str,
        by: &str,
        at: Timestamp,
    ) -> Result<MediaId, StoreError> {
        if bytes.len() > MEDIA_LEN_MAX {
            return Err(StoreError::Conflict(format!(
                "a file has at most {MEDIA_LEN_MAX} bytes, this one has {}",
                bytes.len()
            )));
        }
        let id = MediaId::of(bytes);
        sqlx::query(
            "INSERT INTO media (id, content_type, bytes, added_by, added_at) VALUES ($1, $2, $3, $4, $5) \
             ON CONFLICT (id) DO NOTHING",
        )
        .bind(id.as_str())
        .bind(content_type)
        .bind(bytes.to_vec())
        .bind(by)
        .bind(stamp(at))
        .execute(&self.pool)
        .await?;
        Ok(id)
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
