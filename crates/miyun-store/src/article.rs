//! Articles: what they hold and what may be stored.

use std::str::FromStr;

use jiff::Timestamp;
use miyun_core::text::Lang;
use miyun_core::{Date, MeasureId, Text};
use serde::{Deserialize, Serialize};

use crate::{ArticleId, MediaId, PersonId};

/// How a text came to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TextStatus {
    /// Written in this language.
    Original,
    /// Translated by a machine.
    Machine,
    /// Translated, and read by a person.
    Reviewed,
    /// A translation that the publisher stands for.
    Official,
}

/// Legal life of what an article holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LegalStatus {
    /// News: it has no legal life.
    Notice,
    /// Put out for comment.
    Draft,
    /// In force.
    InForce,
    /// In force, changed by a later one.
    Amended,
    /// No longer in force.
    Repealed,
}

impl LegalStatus {
    /// Its word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Notice => "notice",
            Self::Draft => "draft",
            Self::InForce => "in-force",
            Self::Amended => "amended",
            Self::Repealed => "repealed",
        }
    }
}

impl FromStr for LegalStatus {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        [
            Self::Notice,
            Self::Draft,
            Self::InForce,
            Self::Amended,
            Self::Repealed,
        ]
        .into_iter()
        .find(|s| s.as_str() == text)
        .ok_or_else(|| {
            format!("{text:?} is no status: notice, draft, in-force, amended or repealed")
        })
    }
}

/// An article in one language.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ArticleText {
    /// Language.
    pub lang: Lang,
    /// Title.
    pub title: String,
    /// One or two sentences for lists and feeds.
    pub summary: String,
    /// Body in the markup of articles.
    pub body: String,
    /// How it came to be.
    pub status: TextStatus,
}

/// The picture of an article; every field is required.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Picture {
    /// The stored file.
    pub media: MediaId,
    /// What is seen, for everyone.
    pub caption: Text,
    /// Who made it.
    pub credit: String,
    /// Under which licence it is shown.
    pub licence: String,
    /// What is seen, for those who do not see it.
    pub alt: Text,
}

/// A file that belongs to an article.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Attachment {
    /// The stored file.
    pub media: MediaId,
    /// Its name.
    pub name: String,
}

/// A clause and the measure that tracks it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClauseLink {
    /// Anchor of the clause in the text: `s3.2`.
    pub anchor: String,
    /// The measure.
    pub measure: MeasureId,
}

/// Everything a version of an article says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ArticleContent {
    /// Texts by language; the first is the original.
    pub texts: Vec<ArticleText>,
    /// Where it comes from.
    pub source: Text,
    /// Who publishes it here.
    pub publisher: Text,
    /// When it was or will be released.
    pub released_at: Timestamp,
    /// Day on which it was issued.
    #[serde(default)]
    pub issued_on: Option<Date>,
    /// First day in force.
    #[serde(default)]
    pub effective_from: Option<Date>,
    /// Last day in force.
    #[serde(default)]
    pub effective_until: Option<Date>,
    /// Legal life.
    pub status: LegalStatus,
    /// Region codes: `CN/11`, `CN/11/0105`.
    #[serde(default)]
    pub regions: Vec<String>,
    /// Topics: `air`, `water`.
    #[serde(default)]
    pub topics: Vec<String>,
    /// For whom.
    #[serde(default)]
    pub audience: String,
    /// Document number as printed.
    #[serde(default)]
    pub document_number: Option<String>,
    /// Index number as printed.
    #[serde(default)]
    pub index_number: Option<String>,
    /// Picture.
    #[serde(default)]
    pub picture: Option<Picture>,
    /// Files.
    #[serde(default)]
    pub attachments: Vec<Attachment>,
    /// Clauses in the text, tracked or not.
    #[serde(default)]
    pub clauses: u32,
    /// Which clauses are tracked.
    #[serde(default)]
    pub links: Vec<ClauseLink>,
}

/// Why content may not be stored.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("article, {field}: {reason}")]
pub struct ContentError {
    /// Which field.
    pub field: String,
    /// What is wrong.
    pub reason: String,
}

/// Longest body in bytes.
const BODY_LEN_MAX: usize = 1 << 20;
/// Longest of every other text in bytes.
const FIELD_LEN_MAX: usize = 2_000;
/// Most members of a list.
const LIST_LEN_MAX: usize = 2_000;

impl ArticleContent {
    /// The text in `lang`, or the original.
    #[must_use]
    pub fn text(&self, lang: Lang) -> Option<&ArticleText> {
        self.texts
            .iter()
            .find(|t| t.lang == lang)
            .or(self.texts.first())
    }

    /// Refuses what is missing, too long, or would break an address.
    ///
    /// # Errors
    /// [`ContentError`] naming the field.
    pub fn check(&self) -> Result<(), ContentError> {
        let fail = |field: &str, reason: &str| {
            Err(ContentError {
                field: field.into(),
                reason: reason.into(),
            })
        };
        if self.texts.is_empty() || self.texts.len() > 2 {
            return fail("texts", "one text for each of at most two languages");
        }
        if self.texts.len() == 2 && self.texts[0].lang == self.texts[1].lang {
            return fail("texts", "two texts in the same language");
        }
        for t in &self.texts {
            if t.title.trim().is_empty() {
                return fail("title", "is empty");
            }
            if t.body.len() > BODY_LEN_MAX {
                return fail("body", "is longer than 1 MiB");
            }
            if t.body.contains('\0') {
                return fail("body", "holds a NUL character");
            }
        }
        let lists = [
            ("regions", self.regions.len()),
            ("topics", self.topics.len()),
            ("attachments", self.attachments.len()),
            ("links", self.links.len()),
        ];
        if let Some((name, _)) = lists.iter().find(|(_, n)| *n > LIST_LEN_MAX) {
            return fail(name, "has too many members");
        }
        if let Some(p) = &self.picture {
            let texts = [
                &p.caption.zh,
                &p.caption.en,
                &p.alt.zh,
                &p.alt.en,
                &p.credit,
                &p.licence,
            ];
            if texts.iter().any(|t| t.trim().is_empty()) {
                return fail(
                    "picture",
                    "caption and alternative text (both languages), credit and licence are required",
                );
            }
        }
        for (name, text) in self.short_texts() {
            if text.len() > FIELD_LEN_MAX {
                return fail(name, "is longer than 2000 bytes");
            }
            if text
                .chars()
                .any(|c| c.is_control() && c != '\n' && c != '\t')
            {
                return fail(name, "holds a control character");
            }
        }
        let word =
            |t: &str| !t.is_empty() && t.chars().all(|c| c.is_alphanumeric() || "/-_.".contains(c));
        for (name, texts) in [("regions", &self.regions), ("topics", &self.topics)] {
            if texts.iter().any(|t| !word(t)) {
                return fail(name, "codes hold letters, digits and / - _ . only");
            }
        }
        if self.links.iter().any(|l| !word(&l.anchor)) {
            return fail("links", "anchors hold letters, digits and / - _ . only");
        }
        Ok(())
    }

    fn short_texts(&self) -> Vec<(&'static str, &str)> {
        let mut out = vec![
            ("source", self.source.zh.as_str()),
            ("source", &self.source.en),
            ("publisher", &self.publisher.zh),
            ("publisher", &self.publisher.en),
            ("audience", &self.audience),
        ];
        out.extend(
            self.document_number
                .iter()
                .map(|t| ("document_number", t.as_str())),
        );
        out.extend(
            self.index_number
                .iter()
                .map(|t| ("index_number", t.as_str())),
        );
        out.extend(
            self.attachments
                .iter()
                .map(|a| ("attachments", a.name.as_str())),
        );
        for t in &self.texts {
            out.extend([("title", t.title.as_str()), ("summary", &t.summary)]);
        }
        out.extend(self.regions.iter().map(|t| ("regions", t.as_str())));
        out.extend(self.topics.iter().map(|t| ("topics", t.as_str())));
        if let Some(p) = &self.picture {
            for t in [
                &p.caption.zh,
                &p.caption.en,
                &p.alt.zh,
                &p.alt.en,
                &p.credit,
                &p.licence,
            ] {
                out.push(("picture", t));
            }
        }
        out
    }
}

/// Where a version stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum VersionState {
    /// Being written.
    Draft,
    /// Waits for a second person.
    Proposed,
    /// Published, now or earlier.
    Published,
    /// Sent back by the second person.
    Rejected,
}

impl FromStr for VersionState {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        Ok(match text {
            "draft" => Self::Draft,
            "proposed" => Self::Proposed,
            "published" => Self::Published,
            "rejected" => Self::Rejected,
            other => return Err(format!("{other:?} is no state of a version")),
        })
    }
}

/// A version of an article.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ArticleVersion {
    /// The article.
    pub article: ArticleId,
    /// Number, from 1.
    pub version: u32,
    /// Where it stands.
    pub state: VersionState,
    /// What it says.
    pub content: ArticleContent,
    /// What changed, in words.
    pub note: String,
    /// Who edited it last.
    pub edited_by: PersonId,
    /// When.
    pub edited_at: Timestamp,
    /// Everyone who edited it.
    pub editors: Vec<PersonId>,
    /// Who proposed it.
    pub proposed_by: Option<PersonId>,
    /// When it was proposed.
    pub proposed_at: Option<Timestamp>,
    /// Who decided.
    pub decided_by: Option<PersonId>,
    /// When: for a published version the time of publication.
    pub decided_at: Option<Timestamp>,
    /// Words of who decided.
    pub decided_reason: String,
    /// BLAKE3 of the content as stored, lower-case hex.
    pub digest: String,
}

impl ArticleVersion {
    /// True if it had been published by `then`; the latest such version is what was shown then.
    #[must_use]
    pub fn shown_by(&self, then: Timestamp) -> bool {
        self.state == VersionState::Published && self.decided_at.is_some_and(|at| at <= then)
    }
}

/// What is left of a withdrawn article.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Tombstone {
    /// Why.
    pub reason: String,
    /// When.
    pub at: Timestamp,
    /// By whom.
    pub by: PersonId,
}

/// An article.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Article {
    /// Id.
    pub id: ArticleId,
    /// When it was begun.
    pub created_at: Timestamp,
    /// The latest published version.
    pub current: Option<ArticleVersion>,
    /// Set if it was withdrawn.
    pub tombstone: Option<Tombstone>,
    /// Likes of people and visitors.
    pub likes: u64,
}
