//! What is configured of a device. Nothing here is guessed from a frame.

use serde::{Deserialize, Serialize};

use crate::crc::CrcSet;
use crate::sm4::Keys;

/// An edition of the standard.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
pub enum Edition {
    /// HJ/T 212-2005.
    #[serde(rename = "2005")]
    E2005,
    /// HJ 212-2017.
    #[default]
    #[serde(rename = "2017")]
    E2017,
    /// HJ 212-2025, in force since 2026-01-01.
    #[serde(rename = "2025")]
    E2025,
}

impl Edition {
    /// All editions.
    pub const ALL: [Self; 3] = [Self::E2005, Self::E2017, Self::E2025];

    /// The word used in files and options.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::E2005 => "2005",
            Self::E2017 => "2017",
            Self::E2025 => "2025",
        }
    }

    /// The version bits of `Flag`.
    #[must_use]
    pub fn version(self) -> u8 {
        self as u8
    }

    /// The edition that version bits claim. Surface-water stations used the bits of 2025 years
    /// before it, so this is a claim to compare, not a decision.
    #[must_use]
    pub fn of_version(version: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|e| e.version() == version)
    }
}

impl std::str::FromStr for Edition {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|e| e.as_str() == text)
            .ok_or_else(|| format!("unknown edition {text:?}: use 2005, 2017 or 2025"))
    }
}

/// How a ciphertext is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CipherForm {
    /// Raw bytes: what the printed length fields of the 2025 annex A.2 count.
    #[default]
    Raw,
    /// `{0xE4,0x3E,...}` as text: a dialect of some devices.
    Text,
}

/// What is registered of one device; the default is a 2017 device that keeps the standard.
#[derive(Debug, Clone, Default)]
pub struct DeviceProfile {
    /// Edition it speaks; `None` if nobody has said yet, then it is not judged.
    pub edition: Option<Edition>,
    /// Checks that are taken from it; the first is written to it.
    pub crc: CrcSet,
    /// SM4 keys; none for a device that does not encrypt.
    pub keys: Keys,
    /// How a ciphertext is written to it. Both forms are read.
    pub cipher_form: CipherForm,
}

impl DeviceProfile {
    /// A profile that takes every dialect of the check: for tools that look at strange frames,
    /// never for a listener.
    #[must_use]
    pub fn lenient() -> Self {
        Self {
            crc: CrcSet::ANY,
            ..Self::default()
        }
    }

    /// A profile of `edition`.
    #[must_use]
    pub fn of(edition: Edition) -> Self {
        Self {
            edition: Some(edition),
            ..Self::default()
        }
    }
}

/// Who knows the devices: asked with the MN of each frame, empty if the frame has none.
pub trait Profiles {
    /// The profile of the device, or the one for unknown devices.
    fn profile(&self, mn: &str) -> &DeviceProfile;
}

impl Profiles for DeviceProfile {
    fn profile(&self, _mn: &str) -> &DeviceProfile {
        self
    }
}

impl<P: Profiles + ?Sized> Profiles for &P {
    fn profile(&self, mn: &str) -> &DeviceProfile {
        (**self).profile(mn)
    }
}
