//! Outlets on the map: where they lie and how they stand, from whoever receives their loggers.

use miyun_core::Text;
use serde::Serialize;
use utoipa::ToSchema;

/// How an outlet stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Standing {
    /// Its latest hour is within every limit.
    Attained,
    /// Its latest hour is above a limit while start-up or shut-down is marked: a person decides.
    NeedsJudgement,
    /// Its latest hour is above a limit.
    Exceeded,
    /// It is heard; no limit is known for what it sends.
    Heard,
    /// Nothing came within the hour.
    Silent,
}

impl Standing {
    /// Every standing, in the order of a legend.
    pub const ALL: [Self; 5] = [
        Self::Attained,
        Self::NeedsJudgement,
        Self::Exceeded,
        Self::Heard,
        Self::Silent,
    ];

    /// Sign and class of its colour; the sign tells them apart without the colour.
    #[must_use]
    pub fn sign(self) -> (&'static str, &'static str) {
        match self {
            Self::Attained => ("✓", "good"),
            Self::NeedsJudgement => ("!", "warn"),
            Self::Exceeded => ("×", "bad"),
            Self::Heard => ("·", "none"),
            Self::Silent => ("?", "none"),
        }
    }

    /// In words.
    #[must_use]
    pub fn text(self) -> Text {
        match self {
            Self::Attained => Text::new("最近一小时达标", "attained in the latest hour"),
            Self::NeedsJudgement => Text::new(
                "启停标记期间超过限值，待人工认定",
                "above a limit while start-up or shut-down is marked",
            ),
            Self::Exceeded => Text::new("最近一小时超标", "exceeded in the latest hour"),
            Self::Heard => Text::new("有数据，无适用限值", "heard, no limit known"),
            Self::Silent => Text::new("一小时内无数据", "silent for an hour"),
        }
    }
}

/// An outlet with a place.
#[derive(Debug, Clone, PartialEq)]
pub struct Outlet {
    /// Its id.
    pub id: String,
    /// Longitude in degrees, WGS 84.
    pub lon: f64,
    /// Latitude in degrees, WGS 84.
    pub lat: f64,
    /// How it stands.
    pub standing: Standing,
    /// When it was last heard, local time.
    pub heard: Option<String>,
    /// Devices that measure it.
    pub devices: usize,
    /// Path of its page, without the language.
    pub link: String,
}

/// Whoever knows outlets.
pub trait Outlets: Send + Sync {
    /// The outlets as known at a moment (RFC 3339), or now. May read files.
    ///
    /// # Errors
    /// What cannot be read.
    fn known(&self, known: Option<&str>) -> Result<Vec<Outlet>, String>;
}
