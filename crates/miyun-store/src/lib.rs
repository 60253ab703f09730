//! Records: people and what they may do, articles, published figures, jobs, the audit log.
//!
//! One code base over SQLite (embedded, the default) and PostgreSQL (by one setting, a URL). The
//! schema travels in the binary and is brought up to date when a store is opened. Observations are
//! not here (see `miyun-lake`), nor is anything that a ledger conserves.
//!
//! A write that was acknowledged survives a crash: SQLite runs with a write-ahead log and
//! `synchronous = FULL`, PostgreSQL with its own. Time is passed in; ids carry it.

mod article;
mod article_find;
mod article_read;
mod article_write;
mod audit;
mod backup;
mod figure;
mod id;
mod job;
mod key;
mod media;
mod people;
mod proposal;
mod row;
mod session;
mod social;
mod store;
pub mod words;

pub use article::{
    Article, ArticleContent, ArticleText, ArticleVersion, Attachment, ClauseLink, ContentError,
    LegalStatus, Picture, TextStatus, Tombstone, VersionState,
};
pub use article_find::{ArticlePage, ArticleQuery, Facet, Facets, Hit, MeasureLink, Order};
pub use audit::{AuditEntry, AuditQuery, Broken, Deed};
pub use backup::{RecordsReport, TABLES};
pub use figure::{Difference, FigureKey, PublishedFigure};
pub use id::{
    ArticleId, CollectionId, FigureId, GrantId, JobId, KeyId, MediaId, PersonId, ProposalId,
    RecordIdError, UserId,
};
pub use job::{Job, JobKind, JobState};
pub use key::{ApiKey, KeyOwner, NewKey};
pub use media::{Media, NewRendition, Rendition};
pub use people::{Grant, NewPerson, Person, Role};
pub use proposal::{Decision, Effect, NewProposal, Proposal};
pub use session::{NewSession, Session, SignIn};
pub use social::{Collection, LikeOutcome, VISITOR_LIKES_PER_PREFIX_MAX};
pub use store::{Backend, Store};

/// Why a record could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database answered with an error.
    #[error("records: {0}")]
    Database(#[from] sqlx::Error),
    /// The schema could not be brought up to date.
    #[error("records: the schema could not be brought up to date: {0}")]
    Migrate(#[from] sqlx::migrate::MigrateError),
    /// A URL that names no database.
    #[error("records: {0:?} is no database: write sqlite:FILE or postgres://USER@HOST/NAME")]
    Url(String),
    /// A row does not hold what it should.
    #[error("records: {table} {id}: {reason}")]
    Damaged {
        /// Table.
        table: &'static str,
        /// Row.
        id: String,
        /// What is wrong.
        reason: String,
    },
    /// No such record.
    #[error("there is no {kind} {id}")]
    NotFound {
        /// What was looked for.
        kind: &'static str,
        /// Its id.
        id: String,
    },
    /// The second person must be another one.
    #[error("{0} needs a second person: who wrote or proposed it may not decide it")]
    FourEyes(String),
    /// Not possible in the present state.
    #[error("{0}")]
    Conflict(String),
    /// Content that may not be stored.
    #[error(transparent)]
    Content(#[from] ContentError),
    /// A backup could not be read or written.
    #[error("{path}: {reason}")]
    Backup {
        /// File.
        path: std::path::PathBuf,
        /// Why.
        reason: String,
    },
}

impl StoreError {
    pub(crate) fn not_found(kind: &'static str, id: impl ToString) -> Self {
        Self::NotFound {
            kind,
            id: id.to_string(),
        }
    }

    /// True if the database refused because a row with that key exists.
    #[must_use]
    pub fn is_duplicate(&self) -> bool {
        match self {
            Self::Database(sqlx::Error::Database(e)) => e.is_unique_violation(),
            _ => false,
        }
    }
}
