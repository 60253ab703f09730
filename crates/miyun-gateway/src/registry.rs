//! The device registry: what is known of each device, since when, and who said so. Nothing is
//! guessed per frame: what the gateway learns it proposes, and a person confirms.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::str::FromStr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use miyun_core::{SubjectId, UnitId};
use miyun_hj212::sm4::{Key, Keys};
use miyun_hj212::{CipherForm, CrcDialect, CrcSet, DeviceProfile, Edition};
use serde::{Deserialize, Serialize};

use crate::GatewayError;
use crate::journal::Journal;

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
            "password" => Self::Password,
            "subject" => Self::Subject,
            "position" => Self::Position,
            other => match other.split_once('.') {
                Some(("unit", c)) => Self::Unit(code(c)?),
                Some(("indicator", c)) => Self::Indicator(code(c)?),
                _ => {
                    return Err(format!(
                        "unknown property {other:?}: use status, edition, crc, key, cipher, clock-offset, password, subject, position, unit.FACTOR or indicator.FACTOR"
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

#[derive(Debug, Default)]
struct Table {
    devices: HashMap<String, Arc<Device>>,
    by_number: HashMap<u64, String>,
    /// Devices that are not on disk yet.
    unsaved: Vec<Entry>,
    /// Devices that nobody has confirmed.
    unconfirmed: usize,
}

impl Table {
    fn take(&mut self, e: &Entry) {
        if !self.devices.contains_key(&e.mn) {
            let d = blank(e.mn.clone(), e.at_ms);
            self.by_number.insert(d.number, e.mn.clone());
            self.devices.insert(e.mn.clone(), Arc::new(d));
            self.unconfirmed += 1;
        }
        let Some(d) = self.devices.get_mut(&e.mn) else {
            return;
        };
        let d = Arc::make_mut(d);
        match &e.what {
            What::New => {}
            What::Propose {
                property,
                value,
                why,
            } => d.proposals.push(Proposal {
                property: property.clone(),
                value: value.clone(),
                why: why.clone(),
                at_ms: e.at_ms,
            }),
            What::Set {
                property,
                value,
                from_ms,
                ..
            } => {
                if *property == Property::Status && d.last(&Property::Status).is_none() {
                    self.unconfirmed = self.unconfirmed.saturating_sub(1);
                }
                d.proposals.retain(|p| p.property != *property);
                let values = d.properties.entry(property.clone()).or_default();
                values.push(Dated {
                    from_ms: *from_ms,
                    value: value.clone(),
                    by: e.by.clone(),
                });
                // Stable: of two values from one moment the later said one holds.
                values.sort_by_key(|v| v.from_ms);
            }
            What::Refuse {
                property, value, ..
            } => {
                d.proposals
                    .retain(|p| (&p.property, &p.value) != (property, value));
                d.refused.push((property.clone(), value.clone()));
            }
        }
    }
}

fn blank(mn: String, since_ms: i64) -> Device {
    Device {
        number: number_of(&mn),
        mn,
        since_ms,
        properties: BTreeMap::new(),
        proposals: Vec::new(),
        refused: Vec::new(),
    }
}

/// All devices; shared by every thread.
#[derive(Debug)]
pub struct Registry {
    table: RwLock<Table>,
    journal: Mutex<Journal<Entry>>,
    version: AtomicU64,
    unconfirmed_max: usize,
}

impl Registry {
    /// The registry in the journal at `path`. At most `unconfirmed_max` devices that nobody has
    /// confirmed are taken in.
    ///
    /// # Errors
    /// [`GatewayError`] if the journal cannot be read.
    pub fn open(path: &Path, unconfirmed_max: usize) -> Result<Self, GatewayError> {
        Self::until(path, unconfirmed_max, i64::MAX)
    }

    /// The registry as it was at a moment, to look at.
    ///
    /// # Errors
    /// As [`Registry::open`].
    pub fn as_known(path: &Path, until_ms: i64) -> Result<Self, GatewayError> {
        Self::until(path, 0, until_ms)
    }

    fn until(path: &Path, unconfirmed_max: usize, until_ms: i64) -> Result<Self, GatewayError> {
        let mut journal: Journal<Entry> = Journal::open(path)?;
        let mut table = Table::default();
        for e in journal.news()?.iter().filter(|e| e.at_ms <= until_ms) {
            table.take(e);
        }
        Ok(Self {
            table: RwLock::new(table),
            journal: Mutex::new(journal),
            version: AtomicU64::new(1),
            unconfirmed_max,
        })
    }

    /// Grows whenever anything in the registry changed.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.version.load(Ordering::Acquire)
    }

    fn read<T>(&self, f: impl FnOnce(&Table) -> T) -> T {
        f(&self.table.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn journal(&self) -> MutexGuard<'_, Journal<Entry>> {
        self.journal.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The device with this MN.
    #[must_use]
    pub fn find(&self, mn: &str) -> Option<Arc<Device>> {
        self.read(|t| t.devices.get(mn).cloned())
    }

    /// The device with this number.
    #[must_use]
    pub fn device(&self, number: u64) -> Option<Arc<Device>> {
        self.read(|t| t.devices.get(t.by_number.get(&number)?).cloned())
    }

    /// All devices, in order of MN.
    #[must_use]
    pub fn devices(&self) -> Vec<Arc<Device>> {
        let mut all: Vec<_> = self.read(|t| t.devices.values().cloned().collect());
        all.sort_by(|a, b| a.mn.cmp(&b.mn));
        all
    }

    /// The device with this MN, taken in as a new one if need be; `None` if too many unconfirmed
    /// devices wait already. A new device is in the journal only after [`Registry::save`].
    #[must_use]
    pub fn meet(&self, mn: &str, now_ms: i64) -> Option<Arc<Device>> {
        if let Some(d) = self.find(mn) {
            return Some(d);
        }
        let mut t = self.table.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(d) = t.devices.get(mn) {
            return Some(Arc::clone(d));
        }
        if t.unconfirmed >= self.unconfirmed_max {
            return None;
        }
        let entry = Entry {
            at_ms: now_ms,
            by: "gateway".into(),
            mn: mn.to_owned(),
            what: What::New,
        };
        t.take(&entry);
        t.unsaved.push(entry);
        t.devices.get(mn).cloned()
    }

    /// Writes devices that were met into the journal.
    ///
    /// # Errors
    /// [`GatewayError`] if the disk refuses; they stay unsaved.
    pub fn save(&self) -> Result<(), GatewayError> {
        if self.read(|t| t.unsaved.is_empty()) {
            return Ok(());
        }
        let entries = {
            let mut t = self.table.write().unwrap_or_else(PoisonError::into_inner);
            std::mem::take(&mut t.unsaved)
        };
        match self.journal().append(&entries) {
            Ok(news) => {
                self.take_all(&news);
                Ok(())
            }
            Err(e) => {
                let mut t = self.table.write().unwrap_or_else(PoisonError::into_inner);
                t.unsaved.splice(0..0, entries);
                Err(e)
            }
        }
    }

    fn take_all(&self, news: &[Entry]) {
        if news.is_empty() {
            return;
        }
        let mut t = self.table.write().unwrap_or_else(PoisonError::into_inner);
        for e in news {
            t.take(e);
        }
        drop(t);
        self.version.fetch_add(1, Ordering::AcqRel);
    }

    /// Takes in what other processes wrote.
    ///
    /// # Errors
    /// [`GatewayError`] if the journal is damaged.
    pub fn refresh(&self) -> Result<(), GatewayError> {
        let news = self.journal().news()?;
        self.take_all(&news);
        Ok(())
    }

    /// Sets properties of devices on a person's word; unknown devices are registered.
    ///
    /// # Errors
    /// [`GatewayError`] naming the value that cannot be, or if the disk refuses.
    pub fn set(
        &self,
        by: &str,
        now_ms: i64,
        changes: &[(String, Property, String, i64, String)],
    ) -> Result<(), GatewayError> {
        self.refresh()?;
        for (mn, property, value, _, _) in changes {
            property
                .check(value)
                .map_err(|r| GatewayError::setting(format!("{mn} {property}"), r))?;
            if !good_mn(mn) {
                return Err(GatewayError::setting(
                    format!("MN {mn:?}"),
                    "an MN has 1 to 64 printable characters without ; = & ,",
                ));
            }
        }
        self.save()?;
        let entries: Vec<Entry> = changes
            .iter()
            .map(|(mn, property, value, from_ms, why)| Entry {
                at_ms: now_ms,
                by: by.to_owned(),
                mn: mn.clone(),
                what: What::Set {
                    property: property.clone(),
                    value: value.clone(),
                    from_ms: *from_ms,
                    why: why.clone(),
                },
            })
            .collect();
        let news = self.journal().append(&entries)?;
        self.take_all(&news);
        Ok(())
    }

    /// Proposes a value, unless it holds already, waits already or was refused before.
    ///
    /// # Errors
    /// [`GatewayError`] if the disk refuses.
    pub fn propose(
        &self,
        mn: &str,
        now_ms: i64,
        property: Property,
        value: &str,
        why: &str,
    ) -> Result<bool, GatewayError> {
        let Some(d) = self.find(mn) else {
            return Ok(false);
        };
        let known = d.last(&property) == Some(value)
            || d.proposals
                .iter()
                .any(|p| p.property == property && p.value == value)
            || d.refused.iter().any(|(p, v)| *p == property && v == value);
        if known {
            return Ok(false);
        }
        self.save()?;
        let news = self.journal().append(&[Entry {
            at_ms: now_ms,
            by: "gateway".into(),
            mn: mn.to_owned(),
            what: What::Propose {
                property,
                value: value.to_owned(),
                why: why.to_owned(),
            },
        }])?;
        self.take_all(&news);
        Ok(true)
    }

    /// Refuses a proposal.
    ///
    /// # Errors
    /// [`GatewayError`] if there is no such device or the disk refuses.
    pub fn refuse(
        &self,
        by: &str,
        now_ms: i64,
        mn: &str,
        property: Property,
        value: &str,
        why: &str,
    ) -> Result<(), GatewayError> {
        self.refresh()?;
        if self.find(mn).is_none() {
            return Err(GatewayError::NoDevice(mn.to_owned()));
        }
        let news = self.journal().append(&[Entry {
            at_ms: now_ms,
            by: by.to_owned(),
            mn: mn.to_owned(),
            what: What::Refuse {
                property,
                value: value.to_owned(),
                why: why.to_owned(),
            },
        }])?;
        self.take_all(&news);
        Ok(())
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn set(mn: &str, p: &str, v: &str, from: i64) -> (String, Property, String, i64, String) {
        (mn.into(), p.parse().unwrap(), v.into(), from, "test".into())
    }

    #[test]
    fn properties_are_dated_and_survive() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("devices.jsonl");
        let r = Registry::open(&path, 10).unwrap();
        let d = r.meet("A1", 5).unwrap();
        assert_eq!(d.number, number_of("A1"));
        r.save().unwrap();
        r.set(
            "li",
            100,
            &[
                set("A1", "unit.a34004", "ng/m3", 0),
                set("A1", "unit.a34004", "ug/m3", 50),
                set("B2", "crc", "hj212+modbus-low-first", 0),
            ],
        )
        .unwrap();
        let again = Registry::open(&path, 10).unwrap();
        assert_eq!(again.devices(), r.devices());
        let a = again.find("A1").unwrap();
        let unit = Property::Unit("a34004".into());
        assert_eq!(a.at(&unit, 49), Some("ng/m3"));
        assert_eq!(a.at(&unit, 50), Some("ug/m3"));
        let crc = again.find("B2").unwrap().profile(1).crc;
        assert!(crc.has(CrcDialect::ModbusLowFirst) && crc.has(CrcDialect::Hj212));
        assert!(
            r.set("li", 1, &[set("A1", "edition", "2020", 0)])
                .unwrap_err()
                .to_string()
                .contains("2017")
        );
    }

    #[test]
    fn a_proposal_waits_for_a_person_and_a_refused_one_stays_refused() {
        let dir = tempfile::tempdir().unwrap();
        let r = Registry::open(&dir.path().join("d.jsonl"), 10).unwrap();
        r.meet("A1", 5).unwrap();
        let propose = || {
            r.propose(
                "A1",
                6,
                Property::Crc,
                "modbus-low-first",
                "22 of 22 frames",
            )
            .unwrap()
        };
        assert!(propose());
        assert!(!propose(), "it waits already");
        let d = r.find("A1").unwrap();
        assert_eq!(d.proposals.len(), 1);
        assert!(
            !d.profile(10).crc.has(CrcDialect::ModbusLowFirst),
            "not before a person says so"
        );
        r.refuse("li", 7, "A1", Property::Crc, "modbus-low-first", "no")
            .unwrap();
        assert!(!propose());
        assert!(r.find("A1").unwrap().proposals.is_empty());
    }

    #[test]
    fn strangers_are_bounded() {
        let dir = tempfile::tempdir().unwrap();
        let r = Registry::open(&dir.path().join("d.jsonl"), 2).unwrap();
        assert!(r.meet("A", 0).is_some() && r.meet("B", 0).is_some());
        assert!(r.meet("C", 0).is_none());
        assert!(r.meet("A", 0).is_some(), "those known stay known");
        r.set("li", 1, &[set("A", "status", "accepted", 0)])
            .unwrap();
        assert!(r.meet("C", 0).is_some());
    }
}
