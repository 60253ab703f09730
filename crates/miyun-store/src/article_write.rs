//! Writing articles: drafts, four eyes, withdrawal, and what search and lists are made of.

use jiff::Timestamp;
use miyun_core::text::Lang;
use sqlx::{Any, Transaction};

use crate::article::{ArticleContent, ArticleVersion, ContentError, VersionState};
use crate::article_read::version;
use crate::row::{R, json, stamp};
use crate::store::Backend;
use crate::{ArticleId, MediaId, PersonId, Store, StoreError, words};

/// A lock for everything that changes an article.
pub(crate) const ARTICLES: i64 = 4;

impl Store {
    /// Saves content as the open draft of an article, or of a new article if `id` is `None`.
    /// A published version is never touched: editing it opens the next one.
    ///
    /// # Errors
    /// [`StoreError::Content`] if it may not be stored, [`StoreError::Conflict`] if a version
    /// waits for its second person or the article was withdrawn.
    pub async fn save_draft(
        &self,
        id: Option<&ArticleId>,
        content: &ArticleContent,
        note: &str,
        by: &PersonId,
        at: Timestamp,
    ) -> Result<(ArticleId, u32), StoreError> {
        content.check()?;
        let document = json("article_version", content)?;
        let digest = blake3::hash(document.as_bytes()).to_hex().to_string();
        let note: String = plain(note).chars().take(1_000).collect();
        let mut tx = self.begin().await?;
        self.serialize(&mut tx, ARTICLES).await?;
        if let Some(p) = &content.picture {
            must_have(&mut tx, &p.media).await?;
        }
        let id = match id {
            Some(id) => {
                must_stand(&mut tx, id).await?;
                id.clone()
            }
            None => {
                let id = ArticleId::new(at);
                sqlx::query("INSERT INTO article (id, created_by, created_at) VALUES ($1, $2, $3)")
                    .bind(id.as_str())
                    .bind(by.as_str())
                    .bind(stamp(at))
                    .execute(&mut *tx)
                    .await?;
                id
            }
        };
        let last = last_version(&mut tx, &id).await?;
        let number = match &last {
            Some(v) if v.state == VersionState::Proposed => {
                return Err(StoreError::Conflict(format!(
                    "version {} waits for its second person: decide it first",
                    v.version
                )));
            }
            Some(v) if v.state == VersionState::Draft => {
                let mut editors = v.editors.clone();
                if !editors.contains(by) {
                    editors.push(by.clone());
                }
                sqlx::query(
                    "UPDATE article_version SET content = $3, digest = $4, note = $5, edited_by = $6, \
                     edited_at = $7, editors = $8 WHERE article = $1 AND version = $2",
                )
                .bind(id.as_str())
                .bind(i64::from(v.version))
                .bind(&document)
                .bind(&digest)
                .bind(&note)
                .bind(by.as_str())
                .bind(stamp(at))
                .bind(json("article_version", &editors)?)
                .execute(&mut *tx)
                .await?;
                tx.commit().await?;
                return Ok((id, v.version));
            }
            Some(v) => v.version + 1,
            None => 1,
        };
        sqlx::query(
            "INSERT INTO article_version (article, version, state, content, digest, note, edited_by, edited_at, \
             editors, decided_reason) VALUES ($1, $2, 'draft', $3, $4, $5, $6, $7, $8, '')",
        )
        .bind(id.as_str())
        .bind(i64::from(number))
        .bind(&document)
        .bind(&digest)
        .bind(&note)
        .bind(by.as_str())
        .bind(stamp(at))
        .bind(json("article_version", &[by])?)
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok((id, number))
    }

    /// Hands the open draft to a second person.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] if there is no open draft.
    pub async fn propose_article(
        &self,
        id: &ArticleId,
        by: &PersonId,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        let done = sqlx::query(
            "UPDATE article_version SET state = 'proposed', proposed_by = $2, proposed_at = $3 \
             WHERE article = $1 AND state = 'draft'",
        )
        .bind(id.as_str())
        .bind(by.as_str())
        .bind(stamp(at))
        .execute(&self.pool)
        .await?;
        if done.rows_affected() == 0 {
            return Err(StoreError::Conflict(format!(
                "article {id} has no draft to propose"
            )));
        }
        Ok(())
    }

    /// Publishes the proposed version, or sends it back.
    ///
    /// # Errors
    /// [`StoreError::FourEyes`] if `by` edited or proposed it; [`StoreError::Conflict`] if none is
    /// proposed.
    pub async fn decide_article(
        &self,
        id: &ArticleId,
        approve: bool,
        reason: &str,
        by: &PersonId,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        self.serialize(&mut tx, ARTICLES).await?;
        must_stand(&mut tx, id).await?;
        let proposed = last_version(&mut tx, id)
            .await?
            .filter(|v| v.state == VersionState::Proposed)
            .ok_or_else(|| {
                StoreError::Conflict(format!("article {id} has no version that waits"))
            })?;
        if proposed.editors.contains(by) || proposed.proposed_by.as_ref() == Some(by) {
            return Err(StoreError::FourEyes(format!("article {id}")));
        }
        let state = if approve { "published" } else { "rejected" };
        sqlx::query(
            "UPDATE article_version SET state = $3, decided_by = $4, decided_at = $5, decided_reason = $6 \
             WHERE article = $1 AND version = $2",
        )
        .bind(id.as_str())
        .bind(i64::from(proposed.version))
        .bind(state)
        .bind(by.as_str())
        .bind(stamp(at))
        .bind(plain(reason))
        .execute(&mut *tx)
        .await?;
        if approve {
            self.index(&mut tx, &proposed, at).await?;
        }
        tx.commit().await?;
        Ok(())
    }

    /// Withdraws an article: its page stays as a tombstone with the reason, and it leaves lists
    /// and search.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] if no reason is given or it was withdrawn before.
    pub async fn withdraw_article(
        &self,
        id: &ArticleId,
        reason: &str,
        by: &PersonId,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        if reason.trim().is_empty() {
            return Err(StoreError::Conflict("say why it is withdrawn".into()));
        }
        let mut tx = self.begin().await?;
        self.serialize(&mut tx, ARTICLES).await?;
        must_stand(&mut tx, id).await?;
        sqlx::query(
            "UPDATE article SET withdrawn_at = $2, withdrawn_by = $3, withdrawn_reason = $4 WHERE id = $1",
        )
        .bind(id.as_str())
        .bind(stamp(at))
        .bind(by.as_str())
        .bind(plain(reason))
        .execute(&mut *tx)
        .await?;
        self.unindex(&mut tx, id).await?;
        tx.commit().await?;
        Ok(())
    }

    async fn unindex(
        &self,
        tx: &mut Transaction<'static, Any>,
        id: &ArticleId,
    ) -> Result<(), StoreError> {
        let mut all = vec![
            "DELETE FROM article_shown WHERE article = $1",
            "DELETE FROM article_facet WHERE article = $1",
            "DELETE FROM article_link WHERE article = $1",
            "DELETE FROM article_text WHERE article = $1",
        ];
        if self.backend() == Backend::Sqlite {
            all.push("DELETE FROM article_words WHERE article = $1");
        }
        for sql in all {
            sqlx::query(sql)
                .bind(id.as_str())
                .execute(&mut **tx)
                .await?;
        }
        Ok(())
    }

    /// Spreads a version out for lists, facets and search; from `at` on it is the one that is shown.
    async fn index(
        &self,
        tx: &mut Transaction<'static, Any>,
        v: &ArticleVersion,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        let (id, n) = (v.article.as_str(), i64::from(v.version));
        sqlx::query(
            "UPDATE article_shown SET shown_until = $2 WHERE article = $1 AND shown_until IS NULL",
        )
        .bind(id)
        .bind(stamp(at))
        .execute(&mut **tx)
        .await?;
        sqlx::query(
            "INSERT INTO article_shown (article, version, released_at, shown_from) VALUES ($1, $2, $3, $4)",
        )
        .bind(id)
        .bind(n)
        .bind(stamp(v.content.released_at))
        .bind(stamp(at))
        .execute(&mut **tx)
        .await?;
        for (kind, value, also) in facets(v) {
            sqlx::query(
                "INSERT INTO article_facet (article, version, kind, value, also) VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING",
            )
            .bind(id)
            .bind(n)
            .bind(kind)
            .bind(value)
            .bind(also)
            .execute(&mut **tx)
            .await?;
        }
        for l in &v.content.links {
            sqlx::query(
                "INSERT INTO article_link (article, version, anchor, measure) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING",
            )
            .bind(id)
            .bind(n)
            .bind(&l.anchor)
            .bind(l.measure.as_str())
            .execute(&mut **tx)
            .await?;
        }
        for t in &v.content.texts {
            let plain = format!("{}\n{}", t.summary, t.body);
            let (title_words, body_words) = (
                words::of_text(&t.title).join(" "),
                words::of_text(&plain).join(" "),
            );
            let lang = lang_word(t.lang);
            match self.backend() {
                Backend::Sqlite => {
                    sqlx::query("INSERT INTO article_text (article, version, lang, title, plain) VALUES ($1, $2, $3, $4, $5)")
                        .bind(id)
                        .bind(n)
                        .bind(lang)
                        .bind(t.title.to_lowercase())
                        .bind(plain.to_lowercase())
                        .execute(&mut **tx)
                        .await?;
                    sqlx::query("INSERT INTO article_words (title, body, article, version, lang) VALUES ($1, $2, $3, $4, $5)")
                        .bind(title_words)
                        .bind(body_words)
                        .bind(id)
                        .bind(n)
                        .bind(lang)
                        .execute(&mut **tx)
                        .await?;
                }
                Backend::Postgres => {
                    sqlx::query(
                        "INSERT INTO article_text (article, version, lang, title, plain, words) \
                         VALUES ($1, $2, $3, $4, $5, array_to_tsvector(string_to_array($6, ' ')))",
                    )
                    .bind(id)
                    .bind(n)
                    .bind(lang)
                    .bind(t.title.to_lowercase())
                    .bind(plain.to_lowercase())
                    .bind(distinct(&format!("{title_words} {body_words}")))
                    .execute(&mut **tx)
                    .await?;
                }
            }
        }
        Ok(())
    }

    /// Makes lists, facets and search again from the published versions, and says how many there are.
    ///
    /// # Errors
    /// [`StoreError`] if the database fails.
    pub async fn reindex_articles(&self) -> Result<u64, StoreError> {
        let mut tx = self.begin().await?;
        self.serialize(&mut tx, ARTICLES).await?;
        let rows = sqlx::query(
            "SELECT v.* FROM article_version v JOIN article a ON a.id = v.article \
             WHERE v.state = 'published' AND a.withdrawn_at IS NULL ORDER BY v.article, v.version",
        )
        .fetch_all(&mut *tx)
        .await?;
        let mut last = None;
        for row in &rows {
            let v = version(row)?;
            if last.as_ref() != Some(&v.article) {
                self.unindex(&mut tx, &v.article).await?;
            }
            let at = v.decided_at.unwrap_or(v.edited_at);
            self.index(&mut tx, &v, at).await?;
            last = Some(v.article);
        }
        tx.commit().await?;
        Ok(rows.len() as u64)
    }
}

/// A text as it is stored: PostgreSQL's hold no NUL.
fn plain(text: &str) -> String {
    text.trim().replace('\0', "")
}

/// The words of a text, each once.
fn distinct(text: &str) -> String {
    let mut all: Vec<&str> = text.split_whitespace().collect();
    all.sort_unstable();
    all.dedup();
    all.join(" ")
}

pub(crate) fn lang_word(lang: Lang) -> &'static str {
    match lang {
        Lang::Zh => "zh",
        Lang::En => "en",
    }
}

/// What an article can be filtered by: kind, value, the same in English.
fn facets(v: &ArticleVersion) -> Vec<(&'static str, String, String)> {
    let c = &v.content;
    let mut out = vec![
        ("source", c.source.zh.clone(), c.source.en.clone()),
        ("publisher", c.publisher.zh.clone(), c.publisher.en.clone()),
        ("status", c.status.as_str().to_owned(), String::new()),
        ("year", stamp(c.released_at)[..4].to_owned(), String::new()),
    ];
    // A region is found under every region that contains it.
    for r in &c.regions {
        let mut end = 0;
        for part in r.split('/') {
            end += part.len();
            out.push(("region", r[..end].to_owned(), String::new()));
            end += 1;
        }
    }
    out.extend(c.topics.iter().map(|t| ("topic", t.clone(), String::new())));
    out.extend(
        c.document_number
            .iter()
            .chain(&c.index_number)
            .map(|n| ("number", n.trim().to_owned(), String::new())),
    );
    out
}

async fn last_version(
    tx: &mut Transaction<'static, Any>,
    id: &ArticleId,
) -> Result<Option<ArticleVersion>, StoreError> {
    let row = sqlx::query(
        "SELECT * FROM article_version WHERE article = $1 ORDER BY version DESC LIMIT 1",
    )
    .bind(id.as_str())
    .fetch_optional(&mut **tx)
    .await?;
    row.as_ref().map(version).transpose()
}

/// A picture that an article names is stored, and stays while the article names it.
async fn must_have(
    tx: &mut Transaction<'static, Any>,
    picture: &MediaId,
) -> Result<(), StoreError> {
    let row = sqlx::query("SELECT id FROM media WHERE id = $1 AND width IS NOT NULL")
        .bind(picture.as_str())
        .fetch_optional(&mut **tx)
        .await?;
    row.map(|_| ()).ok_or_else(|| {
        let e = ContentError {
            field: "picture".into(),
            reason: "is not stored here: upload it first".into(),
        };
        e.into()
    })
}

async fn must_stand(tx: &mut Transaction<'static, Any>, id: &ArticleId) -> Result<(), StoreError> {
    let row = sqlx::query("SELECT withdrawn_at FROM article WHERE id = $1")
        .bind(id.as_str())
        .fetch_optional(&mut **tx)
        .await?
        .ok_or_else(|| StoreError::not_found("article", id))?;
    match R("article", &row).opt("withdrawn_at")? {
        None => Ok(()),
        Some(at) => Err(StoreError::Conflict(format!(
            "article {id} was withdrawn at {at}"
        ))),
    }
}
