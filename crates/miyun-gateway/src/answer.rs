//! Answers of the host: short segments without a data region, or with one return code.

use miyun_hj212::{CrcDialect, Edition, Frame};

/// Receiver of data: "data received" (HJ 212-2017 table 9).
pub const DATA: &str = "9014";
/// Receiver of a notice: "notice received".
pub const NOTICE: &str = "9013";
/// Answer to a request.
pub const REQUEST: &str = "9011";

fn digits4(n: usize) -> [u8; 4] {
    let d = |k: usize| b'0' + (n / k % 10) as u8;
    [d(1_000), d(100), d(10), d(1)]
}

/// What a host answers to a frame, and how.
#[derive(Debug, Clone, Copy)]
pub struct Answer<'a> {
    /// Request number of what is answered.
    pub qn: &'a str,
    /// Password as the device sent it.
    pub pw: &'a str,
    /// The device.
    pub mn: &'a str,
    /// Version bits.
    pub version: u8,
    /// Check that the device takes.
    pub crc: CrcDialect,
}

impl<'a> Answer<'a> {
    /// The answer to `frame`; `None` if it has no request number to repeat.
    #[must_use]
    pub fn to(frame: &Frame<'a>, edition: Option<Edition>, crc: CrcDialect) -> Option<Self> {
        Some(Self {
            qn: frame.qn()?,
            pw: frame.pw().unwrap_or(""),
            mn: frame.mn()?,
            version: edition.map_or_else(
                || {
                    frame
                        .flag()
                        .map_or(Edition::E2017.version(), |f| f.version())
                },
                Edition::version,
            ),
            crc,
        })
    }

    /// Appends the answer frame with command `cn` and `region` between the `&&`. Answers are
    /// messages of the system (ST=91) that ask for no answer themselves.
    pub fn put(&self, cn: &str, region: &str, out: &mut Vec<u8>) {
        let mut flag = itoa(self.version << 2);
        let flag = flag.text();
        let parts: [&str; 12] = [
            "QN=",
            self.qn,
            ";ST=91;CN=",
            cn,
            ";PW=",
            self.pw,
            ";MN=",
            self.mn,
            ";Flag=",
            flag,
            ";CP=&&",
            region,
        ];
        let n: usize = parts.iter().map(|p| p.len()).sum::<usize>() + 2;
        let start = out.len();
        out.reserve(n + 12);
        out.extend_from_slice(b"##");
        out.extend_from_slice(&digits4(n.min(9_999)));
        for p in parts {
            out.extend_from_slice(p.as_bytes());
        }
        out.extend_from_slice(b"&&");
        let check = self.crc.of(&out[start + 6..]);
        const HEX: &[u8; 16] = b"0123456789ABCDEF";
        for shift in [12, 8, 4, 0] {
            out.push(HEX[usize::from((check >> shift) & 15)]);
        }
        out.extend_from_slice(b"\r\n");
    }
}

struct Small([u8; 3], usize);

fn itoa(n: u8) -> Small {
    Small(
        [b'0' + n / 100, b'0' + n / 10 % 10, b'0' + n % 10],
        match n {
            0..=9 => 2,
            10..=99 => 1,
            _ => 0,
        },
    )
}

impl Small {
    fn text(&mut self) -> &str {
        std::str::from_utf8(&self.0[self.1..]).unwrap_or("4")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use miyun_hj212::{DeviceProfile, decode};

    #[test]
    fn the_standards_own_reader_takes_the_answer() {
        let a = Answer {
            qn: "20160801085857223",
            pw: "123456",
            mn: "010000A8900016F000169DC0",
            version: 1,
            crc: CrcDialect::Hj212,
        };
        let mut out = Vec::new();
        a.put(DATA, "", &mut out);
        let mut plain = Vec::new();
        let f = decode(&out, &DeviceProfile::default(), &mut plain).unwrap();
        assert_eq!((f.cn(), f.st()), (Some("9014"), Some("91")));
        assert_eq!(f.qn(), Some(a.qn));
        assert!(
            !f.wants_answer() && f.findings.is_empty(),
            "{:?}",
            f.findings
        );
        // HJ 212-2017 table C.1, first answer: segment as printed, CRC 1B00.
        out.clear();
        a.put(REQUEST, "QnRtn=1", &mut out);
        assert_eq!(
            std::str::from_utf8(&out).unwrap(),
            "##0094QN=20160801085857223;ST=91;CN=9011;PW=123456;MN=010000A8900016F000169DC0;Flag=4;CP=&&QnRtn=1&&1B00\r\n"
        );
    }
}
