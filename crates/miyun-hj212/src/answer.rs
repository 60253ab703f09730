//! Answers 9011 to 9014.
//!
//! A request is answered by 9011 (taken or refused) and, when done, by 9012; a notice by 9013;
//! data by 9014, if bit 0 of Flag asks for it. An answer repeats the request number of what it
//! answers, as it came. Clauses: HJ 212-2017 6.5 and annex C.

use crate::cn;
use crate::encode::{EncodeError, Message, Region};
use crate::frame::Frame;
use crate::profile::DeviceProfile;

/// System code of answers.
const INTERACTION: &str = "91";

/// Which answer a frame asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Wanted {
    /// None.
    Nothing,
    /// 9014: at a host, only after the data are safe.
    DataAnswer,
    /// 9013.
    NoticeAnswer,
    /// 9011, then 9012.
    RequestAnswer,
}

/// The answer that a host owes for a device's frame.
#[must_use]
pub fn wanted_by_device(frame: &Frame<'_>) -> Wanted {
    match frame.cn_number() {
        Some(n) if cn::is_answer(n) => Wanted::Nothing,
        _ if !frame.wants_answer() => Wanted::Nothing,
        // 1014: by one public implementation; the text of 2025 was not read.
        Some(cn::CLOCK_WANTED | cn::HEARTBEAT | cn::NEW_KEY) => Wanted::NoticeAnswer,
        Some(_) => Wanted::DataAnswer,
        None => Wanted::Nothing,
    }
}

/// The answer that a device owes for a host's frame.
#[must_use]
pub fn wanted_by_host(frame: &Frame<'_>) -> Wanted {
    match frame.cn_number() {
        Some(n) if cn::is_answer(n) => Wanted::Nothing,
        _ if !frame.wants_answer() => Wanted::Nothing,
        Some(cn::STOP_REAL_TIME | cn::STOP_STATE) => Wanted::NoticeAnswer,
        Some(_) => Wanted::RequestAnswer,
        None => Wanted::Nothing,
    }
}

/// Codes of 9011 (rulebook/vocabulary/hj212/returns.toml).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RequestReturn {
    /// Will execute.
    Ready = 1,
    /// Refused.
    Refused = 2,
    /// Wrong password.
    BadPw = 3,
    /// Wrong MN.
    BadMn = 4,
    /// Wrong ST.
    BadSt = 5,
    /// Wrong Flag.
    BadFlag = 6,
    /// Wrong QN.
    BadQn = 7,
    /// Wrong CN.
    BadCn = 8,
    /// Wrong check.
    BadCrc = 9,
    /// Unknown.
    Unknown = 100,
}

/// Codes of 9012.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// Done.
    Done = 1,
    /// Failed, cause unknown.
    Failed = 2,
    /// Condition of the request wrong.
    BadCondition = 3,
    /// Timeout.
    Timeout = 4,
    /// Busy.
    Busy = 5,
    /// System fault.
    Fault = 6,
    /// No data.
    NoData = 100,
}

/// What of a frame an answer repeats; owned, so that it can wait until the data are on disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AnswerTo {
    /// Request number as it came, empty if there was none.
    pub qn: String,
    /// Password as it came.
    pub pw: String,
    /// Device id as it came.
    pub mn: String,
}

impl AnswerTo {
    /// What an answer to `frame` repeats.
    #[must_use]
    pub fn frame(frame: &Frame<'_>) -> Self {
        Self {
            qn: frame.qn().unwrap_or("").to_owned(),
            pw: frame.pw().unwrap_or("").to_owned(),
            mn: frame.mn().unwrap_or("").to_owned(),
        }
    }

    /// 9014.
    ///
    /// # Errors
    /// The head holds what cannot be repeated.
    pub fn data(&self, profile: &DeviceProfile) -> Result<Vec<u8>, EncodeError> {
        self.answer(cn::DATA_ANSWER, Region::new(), profile)
    }

    /// 9013.
    ///
    /// # Errors
    /// The head holds what cannot be repeated.
    pub fn notice(&self, profile: &DeviceProfile) -> Result<Vec<u8>, EncodeError> {
        self.answer(cn::NOTICE_ANSWER, Region::new(), profile)
    }

    /// 9011.
    ///
    /// # Errors
    /// The head holds what cannot be repeated.
    pub fn request(
        &self,
        code: RequestReturn,
        profile: &DeviceProfile,
    ) -> Result<Vec<u8>, EncodeError> {
        let region = Region::new().item("QnRtn", code as u16);
        self.answer(cn::REQUEST_ANSWER, region, profile)
    }

    /// 9012.
    ///
    /// # Errors
    /// The head holds what cannot be repeated.
    pub fn result(&self, code: Outcome, profile: &DeviceProfile) -> Result<Vec<u8>, EncodeError> {
        let region = Region::new().item("ExeRtn", code as u16);
        self.answer(cn::RESULT, region, profile)
    }

    fn answer(
        &self,
        cn: u16,
        region: Region,
        profile: &DeviceProfile,
    ) -> Result<Vec<u8>, EncodeError> {
        let mut message = Message::new(INTERACTION, cn, &self.mn)
            .pw(&self.pw)
            .region(region);
        message.qn_text.clone_from(&self.qn);
        message.encode_whole(profile)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::decode;
    use crate::profile::Edition;

    fn asked(cn: u16, ack: bool) -> Vec<u8> {
        Message::new("32", cn, "010000A8900016F000169DC0")
            .qn(crate::Qn::parse("20160801085857223").unwrap())
            .ack(ack)
            .encode_whole(&DeviceProfile::of(Edition::E2017))
            .unwrap()
    }

    #[test]
    fn answers_repeat_the_request_number() {
        let profile = DeviceProfile::of(Edition::E2017);
        let bytes = asked(2011, true);
        let mut plain = Vec::new();
        let f = decode(&bytes, &profile, &mut plain).unwrap();
        let to = AnswerTo::frame(&f);
        let text = |b: Result<Vec<u8>, _>| String::from_utf8(b.unwrap()).unwrap();
        // HJ 212-2017 C.1: the segments of 9011 and 9012 as printed.
        assert!(text(to.request(RequestReturn::Ready, &profile)).contains(
            "QN=20160801085857223;ST=91;CN=9011;PW=123456;MN=010000A8900016F000169DC0;Flag=4;CP=&&QnRtn=1&&1B00"
        ));
        assert!(text(to.result(Outcome::Done, &profile)).contains("CP=&&ExeRtn=1&&6240"));
        assert!(text(to.data(&profile)).contains("CN=9014"));
        assert!(text(to.notice(&profile)).contains("CN=9013"));
    }

    #[test]
    fn who_owes_what() {
        let profile = DeviceProfile::default();
        let of = |cn, ack, host: bool| {
            let bytes = asked(cn, ack);
            let mut plain = Vec::new();
            let f = decode(&bytes, &profile, &mut plain).unwrap();
            if host {
                wanted_by_device(&f)
            } else {
                wanted_by_host(&f)
            }
        };
        assert_eq!(of(2011, true, true), Wanted::DataAnswer);
        assert_eq!(of(2011, false, true), Wanted::Nothing);
        assert_eq!(of(1013, true, true), Wanted::NoticeAnswer);
        assert_eq!(of(9014, true, true), Wanted::Nothing);
        assert_eq!(of(1014, true, true), Wanted::NoticeAnswer);
        assert_eq!(of(2012, true, false), Wanted::NoticeAnswer);
        assert_eq!(of(3012, true, false), Wanted::RequestAnswer);
    }
}
