//! Reports of the simulator as bytes of the protocol.

use jiff::civil::DateTime;
use miyun_hj212::sm4::{Key, Keys};
use miyun_hj212::{
    AnswerTo, Command, CrcDialect, CrcSet, DeviceProfile, Edition, EncodeError, Frame, Message,
    Outcome, Qn, Region, RequestReturn, Stamp, cn,
};
use miyun_rulebook::Rulebook;
use miyun_rulebook::hj212::Known;
use miyun_sim::devices::{Act, Device, Report, ReportKind, Spoil};

/// One simulated device at its end of the wire.
pub struct Speaker {
    device: Device,
    profile: DeviceProfile,
    start: DateTime,
    last: Option<Qn>,
    /// How far a host has set the clock since the start.
    clock_set_s: i64,
    /// The host stopped real-time data.
    quiet: bool,
}

/// A report as it goes out.
#[derive(Default)]
pub struct Outgoing {
    /// Bytes, packets one after the other, spoilt as the script says.
    pub bytes: Vec<u8>,
    /// Request numbers that wait for an answer; a spoilt frame waits for none.
    pub waits: Vec<String>,
    /// Frames in it.
    pub frames: usize,
}

/// The password that devices of a fleet take.
const PASSWORD: &str = "123456";

/// Reports that one request fetches at most.
const FETCHED: usize = 500;

/// The key that encrypting devices of a fleet share; a simulated secret is none.
pub const FLEET_KEY: &[u8; 16] = b"miyun-simulation";

impl Speaker {
    pub fn new(device: Device, start: DateTime) -> Self {
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
            start,
            last: None,
            clock_set_s: 0,
            quiet: false,
        }
    }

    pub fn profile(&self) -> &DeviceProfile {
        &self.profile
    }

    /// Every second device of 2005 sends neither QN nor Flag, as many of that time do.
    fn bare(&self) -> bool {
        self.device.edition == 2005 && self.device.number % 2 == 1
    }

    /// True if the host stopped the reports of this kind.
    pub fn holds_back(&self, kind: ReportKind) -> bool {
        self.quiet && kind == ReportKind::RealTime
    }

    /// The frames of a report.
    pub fn say(&mut self, report: &Report) -> Result<Outgoing, EncodeError> {
        let mut report = report.clone();
        for t in [&mut report.data_time, &mut report.sent_at] {
            *t = t
                .checked_add(jiff::SignedDuration::from_secs(self.clock_set_s))
                .unwrap_or(*t);
        }
        let report = &report;
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

    /// What the device answers to a host's request: 9011, data if asked for, 9012; 9013 for a
    /// notice. What it cannot do it refuses.
    pub fn obey(&mut self, frame: &Frame<'_>) -> Result<Outgoing, EncodeError> {
        let mut out = Outgoing::default();
        let to = AnswerTo::frame(frame);
        let refuse = |code| to.request(code, &self.profile);
        let command = match Command::read(frame) {
            _ if frame.cn_number().is_none_or(cn::is_answer) => return Ok(out),
            _ if frame.mn() != Some(self.device.mn.as_str()) => {
                out.bytes = refuse(RequestReturn::BadMn)?;
                return Ok(out);
            }
            _ if frame.pw() != Some(PASSWORD) => {
                out.bytes = refuse(RequestReturn::BadPw)?;
                return Ok(out);
            }
            None => {
                out.bytes = refuse(RequestReturn::Unknown)?;
                return Ok(out);
            }
            Some(c) => c,
        };
        let done = match command {
            Command::StopRealTime => {
                self.quiet = true;
                out.bytes = to.notice(&self.profile)?;
                return Ok(out);
            }
            Command::StartRealTime => {
                self.quiet = false;
                Outcome::Done
            }
            Command::SetClock { factor: None, to } => {
                let now = self.now();
                self.clock_set_s += to.0.duration_since(now).as_secs();
                Outcome::Done
            }
            Command::ReadClock { factor: None } => {
                out.bytes = to.request(RequestReturn::Ready, &self.profile)?;
                let mut m = Message::new(self.device.kind.system(), cn::CLOCK, &self.device.mn)
                    .region(Region::new().item("SystemTime", Stamp(self.now())));
                m.qn_text.clone_from(&to.qn);
                out.bytes.extend(m.encode_whole(&self.profile)?);
                out.frames = 1;
                out.bytes.extend(to.result(Outcome::Done, &self.profile)?);
                return Ok(out);
            }
            Command::Fetch {
                cn: number,
                from,
                to,
            } => self.fetch(number, from, to, &mut out)?,
            Command::Calibrate { .. } | Command::Sample { .. } | Command::Clean { .. } => {
                Outcome::Done
            }
            _ => {
                out.bytes = to.request(RequestReturn::Refused, &self.profile)?;
                return Ok(out);
            }
        };
        let mut bytes = to.request(RequestReturn::Ready, &self.profile)?;
        bytes.append(&mut out.bytes);
        bytes.extend(to.result(done, &self.profile)?);
        out.bytes = bytes;
        Ok(out)
    }

    /// The device's clock when it last spoke.
    fn now(&self) -> DateTime {
        self.last.map_or(self.start, Qn::at)
    }

    /// Reports of a span, made again as they were.
    fn fetch(
        &mut self,
        number: u16,
        from: Stamp,
        to: Stamp,
        out: &mut Outgoing,
    ) -> Result<Outcome, EncodeError> {
        let kind = match number {
            cn::MINUTE => ReportKind::Minute,
            cn::HOUR => ReportKind::Hour,
            cn::DAY => ReportKind::Day,
            _ => return Ok(Outcome::NoData),
        };
        let now = self.now();
        let reports = self
            .device
            .acts(self.start)
            .map_while(|(_, act)| match act {
                Act::Send(r) if !r.back_fill && r.sent_at > now => None,
                Act::Send(r) => Some(Some(r)),
                _ => Some(None),
            });
        let found: Vec<Report> = reports
            .flatten()
            .filter(|r| r.kind == kind && from.0 <= r.data_time && r.data_time <= to.0)
            .take(FETCHED)
            .collect();
        for mut r in found {
            r.spoil = None;
            r.sent_at = now;
            let mut said = self.say(&r)?;
            out.bytes.append(&mut said.bytes);
            out.waits.append(&mut said.waits);
            out.frames += said.frames;
        }
        Ok(match out.frames {
            0 => Outcome::NoData,
            _ => Outcome::Done,
        })
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
            region = region.factor(&spoken(&self.device, r.code), &values);
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
}

/// The code that a device sends for a factor: of 2005, if that is its edition and there is one.
pub fn spoken(device: &Device, code: &str) -> String {
    if device.edition == 2005
        && let Known::Factor(f) = Rulebook::embedded().vocabulary().hj212.factor(code)
        && !f.legacy.is_empty()
    {
        return f.legacy.clone();
    }
    code.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::civil::DateTime;
    use miyun_hj212::{Event, Framer};
    use miyun_sim::devices::{Act, Fault, Fleet};

    #[test]
    fn a_device_obeys_its_host() {
        let start = DateTime::constant(2026, 3, 1, 0, 0, 0, 0);
        let device = Fleet::new(1, 50)
            .devices
            .into_iter()
            .find(|d| d.edition == 2017 && d.fault.is_none() && d.crc == "hj212")
            .unwrap();
        let mut s = Speaker::new(device.clone(), start);
        for (_, act) in device.acts(start).take_while(|(t, _)| *t < 3600) {
            if let Act::Send(r) = act {
                s.say(&r).unwrap();
            }
        }
        let profile = s.profile().clone();
        let qn = Qn::parse("20260301010000500").unwrap();
        let mut ask = |c: Command, pw: &str| {
            let bytes = c
                .message("31", &device.mn, pw, qn)
                .encode_whole(&profile)
                .unwrap();
            let mut plain = Vec::new();
            let f = miyun_hj212::decode(&bytes, &profile, &mut plain).unwrap();
            let out = s.obey(&f).unwrap();
            let mut framer = Framer::new();
            framer.push(&out.bytes);
            let mut said = Vec::new();
            while let Some(Event::Frame(f)) = framer.next(&profile) {
                said.push((f.cn_number().unwrap(), f.region().to_owned()));
            }
            said
        };
        let at = |t| Stamp::parse(t).unwrap();
        let span = |cn| Command::Fetch {
            cn,
            from: at("20260301000000"),
            to: at("20260301002000"),
        };
        let got = ask(span(2051), "123456");
        let cns: Vec<u16> = got.iter().map(|(n, _)| *n).collect();
        assert_eq!(cns, [9011, 2051, 2051, 2051, 9012]);
        assert!(got[1].1.starts_with("DataTime=20260301000000"));
        assert_eq!(ask(span(2031), "123456")[1], (9012, "ExeRtn=100".into()));
        assert_eq!(ask(span(2051), "654321"), [(9011, "QnRtn=3".into())]);
        assert_eq!(
            ask(Command::StopRealTime, "123456"),
            [(9013, String::new())]
        );
        assert_eq!(
            ask(Command::KeepSample, "123456"),
            [(9011, "QnRtn=2".into())]
        );
        let set = Command::SetClock {
            factor: None,
            to: at("20260301120000"),
        };
        assert_eq!(ask(set, "123456")[1], (9012, "ExeRtn=1".into()));
        assert!(s.holds_back(ReportKind::RealTime) && !s.holds_back(ReportKind::Hour));
        let (_, act) = device.acts(start).nth(1).unwrap();
        let Act::Send(r) = act else {
            panic!("a report")
        };
        let said = s.say(&r).unwrap();
        // The clock was set forward by 11 hours.
        assert!(
            String::from_utf8(said.bytes)
                .unwrap()
                .contains("DataTime=2026030111")
        );
    }

    #[test]
    fn what_a_fleet_says_is_read_again() {
        let start = DateTime::constant(2026, 3, 1, 0, 0, 0, 0);
        let mut split = 0;
        for device in Fleet::new(5, 150).devices {
            let (mut said, mut spoilt, mut heard) = (0, 0, 0);
            let mut speaker = Speaker::new(device.clone(), start);
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
