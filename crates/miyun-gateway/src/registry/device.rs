//! A device: its number, its dated properties, and what the journal says of it.

use std::collections::BTreeMap;
use std::str::FromStr;

use miyun_core::{SubjectId, UnitId};
use miyun_hj212::sm4::{Key, Keys};
use miyun_hj212::{CipherForm, CrcDialect, CrcSet, DeviceProfile, Edition};
use serde::{Deserialize, Serialize};

/// A value that a device seems to have, as the gateway learnt it; a person decides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Idea {
    /// The device.
    pub mn: String,
    /// The property.
    pub property: Property,
    /// The value.
    pub value: String,
    /// What speaks for it.
    pub why: String,
}

/// A property of a device; each value holds from a moment on.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum Property {
    /// `accepted` (its readings reach the lake), `refused` (its frames are not taken).
    Status,
    /// Edition: `2005`, `2017`, `2025`.
    Edition,
    /// Dialects of the check, joined by `+`.
    Crc,
    /// SM4 keys in hex, the present one first, joined by `+`.
    Key,
    /// How a ciphertext is written: `raw`, `text`.
    Cipher,
    /// What its clock shows beyond true time, in seconds.
    ClockOffset,
    /// Over how many minutes each of its minute reports (2051) goes.
    MinuteInterval,
    /// Password that commands carry.
    Password,
    /// The outlet or station that it measures.
    Subject,
    /// Where that lies: longitude and latitude in degrees (WGS 84), `118.02,40.01`.
    Position,
    /// Unit in which it sends a factor: `unit.a34004`.
    Unit(String),
    /// Indicator of the rulebook that a factor is: `indicator.a34004`.
    Indicator(String),
}

impl std::fmt::Display for Property {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Status => f.write_str("status"),
            Self::Edition => f.write_str("edition"),
            Self::Crc => f.write_str("crc"),
            Self::Key => f.write_str("key"),
            Self::Cipher => f.write_str("cipher"),
            Self::ClockOffset => f.write_str("clock-offset"),
            Self::MinuteInterval => f.write_str("minute-interval"),
            Self::Password => f.write_str("password"),
            Self::Subject => f.write_str("subject"),
            Self::Position => f.write_str("position"),
            Self::Unit(c) => write!(f, "unit.{c}"),
            Self::Indicator(c) => write!(f, "indicator.{c}"),
        }
    }
}

impl From<Property> for String {
    fn from(p: Property) -> String {
        p.to_string()
    }
}

impl TryFrom<String> for Property {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl FromStr for Property {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let code = |c: &str| {
            if c.is_empty() || c.len() > 32 || !c.bytes().all(|b| b.is_ascii_alphanumeric()) {
                Err(format!("{c:?} is no factor code"))
            } else {
                Ok(c.to_owned())
            }
        };
        Ok(match text {
            "status" => Self::Status,
            "edition" => Self::Edition,
            "crc" => Self::Crc,
            "key" => Self::Key,
            "cipher" => Self::Cipher,
            "clock-offset" => Self::ClockOffset,
            "minute-interval" => Self::MinuteInterval,
            "password" => Self::Password,
            "subject" => Self::Subject,
            "position" => Self::Position,
            other => match other.split_once('.') {
                Some(("unit", c)) => Self::Unit(code(c)?),
                Some(("indicator", c)) => Self::Indicator(code(c)?),
                _ => {
                    return Err(format!(
                        "unknown property {other:?}: use status, edition, crc, key, cipher, clock-offset, minute-interval, password, subject, position, unit.FACTOR or indicator.FACTOR"
                    ));
                }
            },
        })
    }
}

impl Property {
    /// Checks a value of this property.
    ///
    /// # Errors
    /// What is wrong and what to write.
    pub fn check(&self, value: &str) -> Result<(), String> {
        match self {
            Self::Status => match value {
                "accepted" | "refused" => Ok(()),
                _ => Err(format!("{value:?}: write accepted or refused")),
            },
            Self::Edition => value.parse::<Edition>().map(drop),
            Self::Crc => crc_set(value).map(drop),
            Self::Key => keys(value).map(drop),
            Self::Cipher => cipher(value).map(drop),
            Self::ClockOffset => value
                .parse::<i32>()
                .map(drop)
                .map_err(|_| format!("{value:?}: write whole seconds, for example 28 or -28800")),
            Self::MinuteInterval => match value.parse::<u32>() {
                Ok(n) if n > 0 && 60 % n == 0 => Ok(()),
                _ => Err(format!(
                    "{value:?}: write minutes that divide an hour, for example 1 or 10"
                )),
            },
            Self::Password => {
                if value.len() <= 32 && value.bytes().all(|b| b.is_ascii_alphanumeric()) {
                    Ok(())
                } else {
                    Err("write at most 32 letters and digits".into())
                }
            }
            Self::Subject => SubjectId::new(value).map(drop).map_err(|e| e.to_string()),
            Self::Position => position(value).map(drop).ok_or_else(|| {
                format!(
                    "{value:?}: write longitude and latitude in degrees, for example 118.02,40.01"
                )
            }),
            Self::Unit(_) => UnitId::new(value).map(drop).map_err(|e| e.to_string()),
            Self::Indicator(_) => miyun_core::IndicatorId::new(value)
                .map(drop)
                .map_err(|e| e.to_string()),
        }
    }
}

fn position(value: &str) -> Option<(f64, f64)> {
    let (lon, lat) = value.split_once(',')?;
    let (lon, lat): (f64, f64) = (lon.trim().parse().ok()?, lat.trim().parse().ok()?);
    ((-180.0..=180.0).contains(&lon) && (-90.0..=90.0).contains(&lat)).then_some((lon, lat))
}

fn crc_set(value: &str) -> Result<CrcSet, String> {
    let mut dialects = value.split('+').map(CrcDialect::from_str);
    let first = dialects.next().unwrap_or(Ok(CrcDialect::Hj212))?;
    dialects.try_fold(CrcSet::only(first), |set, d| Ok(set.with(d?)))
}

fn keys(value: &str) -> Result<Keys, String> {
    let mut all = value.split('+').map(Key::parse);
    let keys = Keys {
        current: all.next().transpose()?,
        previous: all.next().transpose()?,
    };
    if all.next().is_some() {
        return Err("write at most two keys, the present one and the one before".into());
    }
    Ok(keys)
}

fn cipher(value: &str) -> Result<CipherForm, String> {
    match value {
        "raw" => Ok(CipherForm::Raw),
        "text" => Ok(CipherForm::Text),
        _ => Err(format!("{value:?}: write raw or text")),
    }
}

/// A line of the registry's journal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// When it was written, milliseconds since 1970 UTC.
    pub at_ms: i64,
    /// Who: a person's name, or `gateway` for what it learnt.
    pub by: String,
    /// The device.
    pub mn: String,
    /// What happened.
    #[serde(flatten)]
    pub what: What,
}

/// What happened to a device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "kebab-case")]
pub enum What {
    /// It was seen or registered for the first time.
    New,
    /// The gateway learnt something and asks.
    Propose {
        /// Property.
        property: Property,
        /// Value.
        value: String,
        /// From what it was learnt.
        why: String,
    },
    /// A person set a value.
    Set {
        /// Property.
        property: Property,
        /// Value.
        value: String,
        /// From when it holds, milliseconds since 1970 UTC.
        from_ms: i64,
        /// Why.
        why: String,
    },
    /// A person refused a proposal.
    Refuse {
        /// Property.
        property: Property,
        /// Value.
        value: String,
        /// Why.
        why: String,
    },
}

/// A proposal that waits for a person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Proposal {
    /// Property.
    pub property: Property,
    /// Value.
    pub value: String,
    /// From what it was learnt.
    pub why: String,
    /// When.
    pub at_ms: i64,
}

/// A value and since when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Dated {
    /// From when it holds.
    pub from_ms: i64,
    /// The value.
    pub value: String,
    /// Who said so.
    pub by: String,
}

/// One device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Device {
    /// Number in the log, see [`number_of`].
    pub number: u64,
    /// MN as it sends it.
    pub mn: String,
    /// When it was first seen or registered.
    pub since_ms: i64,
    /// Values by property, oldest first.
    pub properties: BTreeMap<Property, Vec<Dated>>,
    /// Proposals that wait.
    pub proposals: Vec<Proposal>,
    /// Proposals that a person refused; they are not made again.
    pub refused: Vec<(Property, String)>,
}

impl Device {
    /// The value of a property at a moment.
    #[must_use]
    pub fn at(&self, property: &Property, ms: i64) -> Option<&str> {
        self.properties
            .get(property)?
            .iter()
            .rev()
            .find(|d| d.from_ms <= ms)
            .map(|d| d.value.as_str())
    }

    /// The value of a property that was set last.
    #[must_use]
    pub fn last(&self, property: &Property) -> Option<&str> {
        self.at(property, i64::MAX)
    }

    /// What a decoder must know of it at a moment.
    #[must_use]
    pub fn profile(&self, ms: i64) -> DeviceProfile {
        DeviceProfile {
            edition: self.at(&Property::Edition, ms).and_then(|e| e.parse().ok()),
            crc: self
                .at(&Property::Crc, ms)
                .and_then(|c| crc_set(c).ok())
                .unwrap_or_default(),
            keys: self
                .at(&Property::Key, ms)
                .and_then(|k| keys(k).ok())
                .unwrap_or_default(),
            cipher_form: self
                .at(&Property::Cipher, ms)
                .and_then(|c| cipher(c).ok())
                .unwrap_or_default(),
        }
    }

    /// The time around a moment in which [`Device::profile`] stays the same.
    #[must_use]
    pub fn profile_holds(&self, ms: i64) -> std::ops::Range<i64> {
        use Property as P;
        let of = [P::Edition, P::Crc, P::Key, P::Cipher];
        let dated = of.iter().filter_map(|p| self.properties.get(p)).flatten();
        dated.fold(i64::MIN..i64::MAX, |held, d| {
            if d.from_ms <= ms {
                held.start.max(d.from_ms)..held.end
            } else {
                held.start..held.end.min(d.from_ms)
            }
        })
    }

    /// Over how many minutes its minute reports go at a moment, if that is registered.
    #[must_use]
    pub fn minute_interval(&self, ms: i64) -> Option<u32> {
        self.at(&Property::MinuteInterval, ms)?.parse().ok()
    }

    /// True if its readings go into the lake.
    #[must_use]
    pub fn accepted(&self, ms: i64) -> bool {
        self.at(&Property::Status, ms) == Some("accepted")
    }

    /// Longitude and latitude of what it measures, in degrees (WGS 84).
    #[must_use]
    pub fn position(&self) -> Option<(f64, f64)> {
        position(self.last(&Property::Position)?)
    }

    /// True if a value of a property holds, waits for a person, or was refused by one.
    #[must_use]
    pub fn was_told(&self, property: &Property, value: &str) -> bool {
        self.last(property) == Some(value)
            || (self.proposals.iter()).any(|p| p.property == *property && p.value == value)
            || (self.refused.iter()).any(|(p, v)| p == property && v == value)
    }

    /// True if its frames are not taken.
    #[must_use]
    pub fn refused_at(&self, ms: i64) -> bool {
        self.at(&Property::Status, ms) == Some("refused")
    }
}

/// A device's number in the log: the first 8 bytes of the SHA-256 of its MN, little-endian.
#[must_use]
pub fn number_of(mn: &str) -> u64 {
    let hash = crate::merkle::sha256(mn.as_bytes());
    let mut n = [0; 8];
    n.copy_from_slice(&hash[..8]);
    u64::from_le_bytes(n)
}

/// True for a text that may name a device: whatever devices send in practice, as long as it cannot
/// break a frame or a page.
#[must_use]
pub fn good_mn(mn: &str) -> bool {
    (1..=64).contains(&mn.len())
        && mn
            .bytes()
            .all(|b| b.is_ascii_graphic() && !b";=&,".contains(&b))
}
