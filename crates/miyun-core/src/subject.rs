//! What rules and observations are about.

use serde::{Deserialize, Serialize};

use crate::id::{JurisdictionId, SubjectId};
use crate::text::Text;

/// What kind of thing a subject is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SubjectKind {
    /// A monitoring station.
    Station,
    /// A city as one object of assessment.
    City,
    /// A district or county.
    District,
    /// A legal or natural person.
    Party,
    /// A plant or site.
    Facility,
    /// A stack or sewage outfall.
    Outlet,
    /// A vehicle, source or other item.
    Asset,
    /// A construction or credit project.
    Project,
}

/// A place, party, facility, outlet, asset or project.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Subject {
    /// Its id.
    pub id: SubjectId,
    /// What it is.
    pub kind: SubjectKind,
    /// Its name.
    pub name: Text,
    /// Where it lies in law.
    pub jurisdiction: JurisdictionId,
    /// The city or facility that it is part of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub part_of: Option<SubjectId>,
    /// District name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub district: Option<Text>,
    /// Longitude in degrees, WGS 84.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lon_deg: Option<f64>,
    /// Latitude in degrees, WGS 84.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lat_deg: Option<f64>,
    /// The class of its functional zone, for example `2`; decides which column of a limit table holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zone_class: Option<String>,
    /// True for a control (background) station, which city means leave out (HJ 663).
    #[serde(default)]
    pub control: bool,
    /// True if the subject and its data were made by a simulator. Shown wherever it appears.
    #[serde(default)]
    pub simulated: bool,
}
