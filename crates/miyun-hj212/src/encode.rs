//! Frames to send: head and region to bytes, split into packets where the standard demands it.

use std::fmt::{Display, Write as _};

use thiserror::Error;

use crate::crc::CrcDialect;
use crate::frame::{LONGEST, REGION_MAX, SEGMENT_MAX};
use crate::head::Flag;
use crate::profile::{CipherForm, DeviceProfile, Edition};
use crate::sm4::{self, Key};
use crate::time::Qn;

/// Why a message cannot be written.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum EncodeError {
    /// A field holds a character that would end it.
    #[error("field {field} holds {text:?}, which would end the field")]
    Separator {
        /// Which field.
        field: &'static str,
        /// Its text.
        text: String,
    },
    /// One group is longer than a packet.
    #[error("a group of {bytes} bytes does not fit a packet of {max}")]
    GroupTooLong {
        /// Bytes of the group.
        bytes: usize,
        /// Bytes that fit.
        max: usize,
    },
    /// The segment is longer than four digits can say.
    #[error("a segment of {0} bytes is longer than the length field can say")]
    SegmentTooLong(usize),
    /// More packets than PNUM can say.
    #[error("{0} packets are more than PNUM can say")]
    TooManyPackets(usize),
}

/// A region to send: groups of items.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Region {
    groups: Vec<String>,
}

impl Region {
    /// An empty region.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A region as it is printed, split at its groups.
    #[must_use]
    pub fn from_text(text: &str) -> Self {
        Self {
            groups: text
                .split(';')
                .filter(|g| !g.is_empty())
                .map(str::to_owned)
                .collect(),
        }
    }

    /// With a group of one item, for example `DataTime`.
    #[must_use]
    pub fn item(mut self, name: &str, value: impl Display) -> Self {
        self.groups.push(format!("{name}={value}"));
        self
    }

    /// With a group of one factor: `code-Avg=..,code-Flag=..`.
    #[must_use]
    pub fn factor(mut self, code: &str, values: &[(&str, &dyn Display)]) -> Self {
        let mut group = String::new();
        for (k, (attribute, value)) in values.iter().enumerate() {
            let comma = if k > 0 { "," } else { "" };
            // Writing to a String does not fail.
            let _ = write!(group, "{comma}{code}-{attribute}={value}");
        }
        self.groups.push(group);
        self
    }

    /// Bytes of the region.
    #[must_use]
    pub fn len(&self) -> usize {
        self.groups.iter().map(String::len).sum::<usize>() + self.groups.len().saturating_sub(1)
    }

    /// True if it holds nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.groups.is_empty()
    }

    /// The region in parts of at most `max` bytes; each part repeats `DataTime` if it leads.
    fn parts(&self, max: usize) -> Result<Vec<String>, EncodeError> {
        let lead = self.groups.first().filter(|g| g.starts_with("DataTime="));
        let mut parts: Vec<String> = Vec::new();
        let mut part = String::new();
        for group in &self.groups {
            if group.len() > max {
                return Err(EncodeError::GroupTooLong {
                    bytes: group.len(),
                    max,
                });
            }
            if !part.is_empty() && part.len() + 1 + group.len() > max {
                parts.push(std::mem::take(&mut part));
                if let Some(lead) = lead {
                    part.push_str(lead);
                }
                if part.len() + 1 + group.len() > max {
                    return Err(EncodeError::GroupTooLong {
                        bytes: group.len(),
                        max: max.saturating_sub(part.len() + 1),
                    });
                }
            }
            if !part.is_empty() {
                part.push(';');
            }
            part.push_str(group);
        }
        if !part.is_empty() || parts.is_empty() {
            parts.push(part);
        }
        Ok(parts)
    }
}

/// A message to send. Empty head fields are left out, as devices of 2005 do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Request number.
    pub qn: Option<Qn>,
    /// Request number as text: for answers, which repeat it as it came.
    pub qn_text: String,
    /// System code.
    pub st: String,
    /// Command code.
    pub cn: u16,
    /// Password.
    pub pw: String,
    /// Device id.
    pub mn: String,
    /// Ask for an answer; `None` leaves `Flag` out.
    pub ack: Option<bool>,
    /// Back-fill: written as `RF=1` in the 2025 edition only.
    pub back_fill: bool,
    /// From a host to a device: of these only a new key is encrypted.
    pub down: bool,
    /// Region.
    pub region: Region,
}

impl Message {
    /// A message of system `st` and command `cn`.
    #[must_use]
    pub fn new(st: &str, cn: u16, mn: &str) -> Self {
        Self {
            qn: None,
            qn_text: String::new(),
            st: st.to_owned(),
            cn,
            pw: "123456".to_owned(),
            mn: mn.to_owned(),
            ack: Some(false),
            back_fill: false,
            down: false,
            region: Region::new(),
        }
    }

    /// With a request number.
    #[must_use]
    pub fn qn(mut self, qn: Qn) -> Self {
        self.qn = Some(qn);
        self
    }

    /// With a password.
    #[must_use]
    pub fn pw(mut self, pw: &str) -> Self {
        pw.clone_into(&mut self.pw);
        self
    }

    /// Asks for an answer, or not.
    #[must_use]
    pub fn ack(mut self, ack: bool) -> Self {
        self.ack = Some(ack);
        self
    }

    /// With a region.
    #[must_use]
    pub fn region(mut self, region: Region) -> Self {
        self.region = region;
        self
    }

    /// The message as frames, split into packets if its segment is longer than 1,024 bytes or its
    /// region longer than 950. Packets carry request numbers that grow by 1 ms (2017 C.50).
    ///
    /// # Errors
    /// [`EncodeError`]; nothing is written then.
    pub fn encode(&self, profile: &DeviceProfile) -> Result<Vec<Vec<u8>>, EncodeError> {
        let split = self.head(profile, 0, Some((1, 1)))?.len() + "PNUM=9999;PNO=9999;CP=&&&&".len();
        let max = SEGMENT_MAX.saturating_sub(split).min(REGION_MAX);
        let whole = self.head(profile, 0, None)?;
        if self.region.len() <= REGION_MAX && whole.len() + 7 + self.region.len() <= SEGMENT_MAX {
            return Ok(vec![self.packet(
                profile,
                whole,
                &self.region.groups.join(";"),
            )?]);
        }
        let parts = self.region.parts(max)?;
        let total = parts.len();
        if total > 9999 {
            return Err(EncodeError::TooManyPackets(total));
        }
        let mut out = Vec::with_capacity(total);
        for (k, part) in parts.iter().enumerate() {
            let head = self.head(profile, k as i64, Some((k + 1, total)))?;
            out.push(self.packet(profile, head, part)?);
        }
        Ok(out)
    }

    /// The message as one frame, however long: what many devices do.
    ///
    /// # Errors
    /// [`EncodeError`].
    pub fn encode_whole(&self, profile: &DeviceProfile) -> Result<Vec<u8>, EncodeError> {
        let head = self.head(profile, 0, None)?;
        self.packet(profile, head, &self.region.groups.join(";"))
    }

    fn head(
        &self,
        profile: &DeviceProfile,
        later_ms: i64,
        packet: Option<(usize, usize)>,
    ) -> Result<String, EncodeError> {
        let mut out = String::with_capacity(128);
        let mut field = |name: &'static str, text: &str| {
            if text.contains([';', '&', '\r', '\n']) || !text.is_ascii() {
                return Err(EncodeError::Separator {
                    field: name,
                    text: text.to_owned(),
                });
            }
            let _ = write!(out, "{name}={text};");
            Ok(())
        };
        if let Some(qn) = self.qn {
            field("QN", &qn.plus_ms(later_ms).to_string())?;
        } else if !self.qn_text.is_empty() {
            field("QN", &self.qn_text)?;
        }
        field("ST", &self.st)?;
        field("CN", &format!("{:04}", self.cn))?;
        field("PW", &self.pw)?;
        field("MN", &self.mn)?;
        let edition = profile.edition.unwrap_or_default();
        if let Some(ack) = self.ack {
            let flag = Flag::new(edition.version(), packet.is_some(), ack);
            field("Flag", &flag.0.to_string())?;
        }
        if let Some((number, total)) = packet {
            field("PNUM", &total.to_string())?;
            field("PNO", &number.to_string())?;
        }
        if self.back_fill && edition == Edition::E2025 {
            field("RF", "1")?;
        }
        Ok(out)
    }

    fn packet(
        &self,
        profile: &DeviceProfile,
        head: String,
        region: &str,
    ) -> Result<Vec<u8>, EncodeError> {
        let mut segment = head.into_bytes();
        segment.extend_from_slice(b"CP=&&");
        let from = segment.len();
        segment.extend_from_slice(region.as_bytes());
        segment.extend_from_slice(b"&&");
        let sealed = if self.down {
            self.cn == crate::cn::NEW_KEY
        } else {
            crate::cn::encrypts(self.cn)
        };
        let key = match profile.edition {
            Some(Edition::E2025) if sealed => profile.keys.current.as_ref(),
            _ => None,
        };
        frame(segment, from, profile.crc.first(), key, profile.cipher_form)
    }
}

/// A plain segment as a frame: the check is taken over the plain segment, then the region from
/// byte `region_from` on is encrypted.
pub(crate) fn frame(
    mut segment: Vec<u8>,
    region_from: usize,
    dialect: CrcDialect,
    key: Option<&Key>,
    form: CipherForm,
) -> Result<Vec<u8>, EncodeError> {
    let check = dialect.of(&segment);
    if let Some(key) = key {
        let to = segment.len() - 2;
        key.encrypt(&mut segment[region_from..to]);
        if form == CipherForm::Text {
            let region = segment[region_from..to].to_vec();
            segment.truncate(region_from);
            sm4::write_text(&region, &mut segment);
            segment.extend_from_slice(b"&&");
        }
    }
    if segment.len() > LONGEST {
        return Err(EncodeError::SegmentTooLong(segment.len()));
    }
    let mut out = format!("##{:04}", segment.len()).into_bytes();
    out.extend_from_slice(&segment);
    out.extend_from_slice(format!("{check:04X}\r\n").as_bytes());
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crc::CrcSet;
    use crate::frame::decode;
    use crate::sm4::Keys;

    const MN: &str = "010000A8900016F000169DC0";

    fn minute(n: usize) -> Message {
        let mut region = Region::new().item("DataTime", "20160801084000");
        for k in 0..n {
            region = region.factor(
                &format!("w{k:05}"),
                &[
                    ("Min", &16.4),
                    ("Avg", &17.5),
                    ("Max", &20.1),
                    ("Flag", &'N'),
                ],
            );
        }
        Message::new("32", 2051, MN)
            .qn(Qn::parse("20160801085000001").unwrap())
            .ack(true)
            .region(region)
    }

    #[test]
    fn the_frame_of_annex_a() {
        let m = Message::new("32", 1062, MN)
            .qn(Qn::parse("20160801085857223").unwrap())
            .pw("100000")
            .ack(true)
            .region(Region::new().item("RtdInterval", 30));
        let frames = m.encode(&DeviceProfile::of(Edition::E2017)).unwrap();
        assert_eq!(
            String::from_utf8(frames.concat()).unwrap(),
            "##0101QN=20160801085857223;ST=32;CN=1062;PW=100000;MN=010000A8900016F000169DC0;Flag=5;CP=&&RtdInterval=30&&1C80\r\n"
        );
    }

    #[test]
    fn the_encrypted_frame_of_the_2025_annex() {
        let m = Message::new("31", 2051, MN)
            .qn(Qn::parse("20240520210700000").unwrap())
            .ack(true)
            .region(Region::from_text("DataTime=20240520210600;a01011-Min=1.35,a01011-Avg=1.35,a01011-Max=1.35,a01011-Flag=N;a01014-Min=3.20,a01014-Avg=3.20,a01014-Max=3.20,a01014-Flag=N"));
        let mut profile = DeviceProfile::of(Edition::E2025);
        profile.keys = Keys::one(Key::parse("0000000000000000").unwrap());
        for form in [CipherForm::Raw, CipherForm::Text] {
            profile.cipher_form = form;
            let bytes = m.encode(&profile).unwrap().concat();
            if form == CipherForm::Raw {
                assert!(bytes.starts_with(b"##0234QN=20240520210700000"));
            }
            assert!(bytes.ends_with(b"&&B541\r\n"), "{form:?}"); // as printed
            let mut plain = Vec::new();
            let f = decode(&bytes, &profile, &mut plain).unwrap();
            assert_eq!(f.cipher, Some(form));
            assert_eq!(f.region(), m.region.groups.join(";"));
        }
    }

    #[test]
    fn long_messages_are_split_and_keep_the_time() {
        let profile = DeviceProfile::of(Edition::E2017);
        let m = minute(40);
        let frames = m.encode(&profile).unwrap();
        assert!(frames.len() > 1);
        let mut seen = Vec::new();
        for (k, bytes) in frames.iter().enumerate() {
            let mut plain = Vec::new();
            let f = decode(bytes, &profile, &mut plain).unwrap();
            assert!(f.check().is_empty(), "{:?}", f.report());
            assert_eq!(f.packet(), Some((k as u16 + 1, frames.len() as u16)));
            assert_eq!(f.qn_time().unwrap().ms_since(m.qn.unwrap()), k as i64);
            assert!(f.data_time().is_some());
            seen.extend(f.items().skip(1).map(|i| i.key.to_owned()));
        }
        assert_eq!(seen.len(), 160);
        assert_eq!(minute(2).encode(&profile).unwrap().len(), 1);
    }

    #[test]
    fn dialects_and_separators() {
        let profile = DeviceProfile {
            crc: CrcSet::only(CrcDialect::ModbusLowFirst),
            ..DeviceProfile::of(Edition::E2005)
        };
        let bytes = minute(1).encode(&profile).unwrap().concat();
        assert!(decode(&bytes, &DeviceProfile::default(), &mut Vec::new()).is_err());
        assert!(decode(&bytes, &profile, &mut Vec::new()).is_ok());
        let mut m = minute(1);
        m.mn = "a;b".into();
        assert!(matches!(
            m.encode(&profile),
            Err(EncodeError::Separator { field: "MN", .. })
        ));
        let long = Message::new("32", 2051, MN).region(Region::new().item("x", "y".repeat(2000)));
        assert!(matches!(
            long.encode(&profile),
            Err(EncodeError::GroupTooLong { .. })
        ));
    }
}
