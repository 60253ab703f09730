//! Reports of the simulator as bytes of the protocol.

use miyun_hj212::sm4::{Key, Keys};
use miyun_hj212::{
    CrcDialect, CrcSet, DeviceProfile, Edition, EncodeError, Message, Qn, Region, Stamp, cn,
};
use miyun_rulebook::Rulebook;
use miyun_rulebook::hj212::Known;
use miyun_sim::devices::{Device, Report, ReportKind, Spoil};

/// One simulated device at its end of the wire.
pub struct Speaker {
    device: Device,
    profile: DeviceProfile,
    last: Option<Qn>,
}

/// A report as it goes out.
pub struct Outgoing {
    /// Bytes, packets one after the other, spoilt as the script says.
    pub bytes: Vec<u8>,
    /// Request numbers that wait for an answer; a spoilt frame waits for none.
    pub waits: Vec<String>,
    /// Frames in it.
    pub frames: usize,
}

/// The key that encrypting devices of a fleet share; a simulated secret is none.
pub const FLEET_KEY: &[u8; 16] = b"miyun-simulation";

impl Speaker {
    pub fn new(device: Device) -> Self {
        let edition = match device.edition {
            2005 => Edition::E2005,
            2017 => Edition::E2017,
            _ => Edition::E2025,
        };
        let crc: CrcDialect = device.crc.parse().unwrap_or(CrcDialect::Hj212);
        let keys = if device.encrypted {
            Keys::one(Key::new(*FLEET_KEY))
        } else {
            Keys::default()
        };
        let profile = DeviceProfile {
            edition: Some(edition),
            crc: CrcSet::only(crc),
            keys,
            ..DeviceProfile::default()
        };
        Self {
            device,
            profile,
            last: None,
        }
    }

    #[cfg(test)]
    pub fn profile(&self) -> &DeviceProfile {
        &self.profile
    }

    /// Every second device of 2005 sends neither QN nor Flag, as many of that time do.
    fn bare(&self) -> bool {
        self.device.edition == 2005 && self.device.number % 2 == 1
    }

    /// The frames of a report.
    pub fn say(&mut self, report: &Report) -> Result<Outgoing, EncodeError> {
        let message = self.message(report);
        let packets = message.encode(&self.profile)?;
        if let Some(qn) = message.qn {
            self.last = Some(qn.plus_ms(packets.len() as i64 - 1));
        }
        let mut out = Outgoing {
            bytes: Vec::new(),
            waits: Vec::new(),
            frames: packets.len(),
        };
        for (k, mut packet) in packets.into_iter().enumerate() {
            let mut lost = false;
            match report.spoil {
                Some(Spoil::WrongCrc) => {
                    let at = packet.len() - 3;
                    packet[at] = if packet[at] == b'0' { b'1' } else { b'0' };
                    lost = true;
                }
                Some(Spoil::Cut) => {
                    packet.truncate(packet.len() * 3 / 4);
                    lost = true;
                }
                Some(Spoil::NoCrLf) => packet.truncate(packet.len() - 2),
                Some(Spoil::Twice) => {
                    let again = packet.clone();
                    out.bytes.extend_from_slice(&again);
                }
                None => {}
            }
            out.bytes.extend_from_slice(&packet);
            if let (Some(qn), false) = (message.qn, lost) {
                out.waits.push(qn.plus_ms(k as i64).to_string());
            }
        }
        Ok(out)
    }

    fn message(&self, report: &Report) -> Message {
        let number = match report.kind {
            ReportKind::Restarted => cn::RESTARTED,
            ReportKind::RealTime => cn::REAL_TIME,
            ReportKind::Minute => cn::MINUTE,
            ReportKind::Hour => cn::HOUR,
            ReportKind::Day => cn::DAY,
        };
        let mut region = Region::new().item("DataTime", Stamp(report.data_time));
        if report.kind == ReportKind::Restarted {
            region = region.item("RestartTime", Stamp(report.sent_at));
        }
        for r in &report.readings {
            let mut values: Vec<(&str, &dyn std::fmt::Display)> = r
                .values
                .iter()
                .map(|(attribute, v)| (*attribute, v as &dyn std::fmt::Display))
                .collect();
            values.push(("Flag", &r.flag));
            region = region.factor(&self.code(r.code), &values);
        }
        let mut message =
            Message::new(self.device.kind.system(), number, &self.device.mn).region(region);
        message.back_fill = report.back_fill;
        if self.bare() {
            message.ack = None;
            return message;
        }
        // A request number is unique: two reports of one second differ in the milliseconds.
        let mut qn = Qn::new(report.sent_at);
        if let Some(last) = self.last
            && qn <= last
        {
            qn = last.plus_ms(1);
        }
        message.qn(qn).ack(true)
    }

    /// The factor's code in the device's edition.
    fn code(&self, code: &str) -> String {
        if self.device.edition == 2005
            && let Known::Factor(f) = Rulebook::embedded().vocabulary().hj212.factor(code)
            && !f.legacy.is_empty()
        {
            return f.legacy.clone();
        }
        code.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::civil::DateTime;
    use miyun_hj212::{Event, Framer};
    use miyun_sim::devices::{Act, Fault, Fleet};

    #[test]
    fn what_a_fleet_says_is_read_again() {
        let start = DateTime::constant(2026, 3, 1, 0, 0, 0, 0);
        let mut split = 0;
        for device in Fleet::new(5, 150).devices {
            let (mut said, mut spoilt, mut heard) = (0, 0, 0);
            let mut speaker = Speaker::new(device.clone());
            let profile = speaker.profile().clone();
            let mut framer = Framer::new();
            for (_, act) in device.acts(start).take_while(|(s, _)| *s < 1900) {
                match act {
                    Act::Send(r) => {
                        let out = speaker.say(&r).unwrap();
                        split += usize::from(out.frames > 1);
                        match r.spoil {
                            Some(Spoil::WrongCrc | Spoil::Cut) => spoilt += out.frames,
                            Some(Spoil::Twice) => said += 2 * out.frames,
                            _ => said += out.frames,
                        }
                        framer.push(&out.bytes);
                    }
                    Act::Noise(bytes) => framer.push(&bytes),
                    Act::Reconnect => {}
                }
                while let Some(e) = framer.next(&profile) {
                    if let Event::Frame(f) = e {
                        heard += 1;
                        let odd = f.report();
                        let good = device.edition > 2005
                            && device.crc == "hj212"
                            && !matches!(device.fault, Some(Fault::OddMn | Fault::NoCrLf));
                        assert!(!good || odd.is_empty(), "{device:?} {odd:?}");
                    }
                }
            }
            framer.finish();
            while let Some(e) = framer.next(&profile) {
                heard += usize::from(matches!(e, Event::Frame(_)));
            }
            assert_eq!(heard, said, "{device:?}");
            assert_eq!(
                spoilt > 0,
                matches!(device.fault, Some(Fault::WrongCrc | Fault::CutFrames))
            );
        }
        assert!(split > 0, "messages with many factors are split");
    }
}
