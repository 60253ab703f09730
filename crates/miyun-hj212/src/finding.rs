//! What a frame breaks of the standard: findings about a device, never a reason to lose data.

use miyun_core::text::Lang;
use serde::{Deserialize, Serialize};

/// What weight a finding has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Weight {
    /// Legal or harmless, but worth knowing.
    Remark,
    /// A rule of the standard is broken.
    Violation,
}

macro_rules! codes {
    ($($name:ident $code:literal $weight:ident $zh:literal $en:literal;)*) => {
        /// A kind of finding. Codes are stable.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[repr(u8)]
        pub enum FindingCode {
            $(#[doc = $en] #[serde(rename = $code)] $name,)*
        }

        impl FindingCode {
            /// Every kind, in the order of the list.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// Its stable code.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => $code,)* }
            }

            /// Its weight.
            #[must_use]
            pub fn weight(self) -> Weight {
                match self { $(Self::$name => Weight::$weight,)* }
            }

            /// What it says, in plain words.
            #[must_use]
            pub fn words(self, lang: Lang) -> &'static str {
                match (self, lang) {
                    $((Self::$name, Lang::Zh) => $zh, (Self::$name, Lang::En) => $en,)*
                }
            }
        }
    };
}

codes! {
    MissingQn "missing-qn" Violation "缺少请求编码 QN" "QN (request number) is missing";
    MissingSt "missing-st" Violation "缺少系统编码 ST" "ST (system code) is missing";
    MissingCn "missing-cn" Violation "缺少命令编码 CN" "CN (command code) is missing";
    MissingPw "missing-pw" Violation "缺少访问密码 PW" "PW (password) is missing";
    MissingMn "missing-mn" Violation "缺少设备唯一标识 MN" "MN (device id) is missing";
    MissingFlag "missing-flag" Violation "缺少标志位 Flag" "Flag is missing";
    MissingPnum "missing-pnum" Violation "Flag 声明分包但缺少总包数 PNUM" "Flag says split, but PNUM is missing";
    MissingPno "missing-pno" Violation "Flag 声明分包但缺少包号 PNO" "Flag says split, but PNO is missing";
    BadQn "bad-qn" Violation "QN 不是 17 位数字时间" "QN is not 17 digits of a time";
    BadSt "bad-st" Violation "ST 不是两位字符" "ST is not two characters 0-9 A-Z";
    BadCn "bad-cn" Violation "CN 不是四位数字" "CN is not four digits";
    BadPw "bad-pw" Violation "PW 不是 1 至 6 个字符" "PW is not 1 to 6 characters";
    BadMn "bad-mn" Violation "MN 不是 24 位十六进制字符" "MN is not 24 characters 0-9 A-F";
    BadFlag "bad-flag" Violation "Flag 不是 0 至 255 的整数" "Flag is not an integer from 0 to 255";
    BadPnum "bad-pnum" Violation "PNUM 不是 1 至 9999 的整数" "PNUM is not an integer from 1 to 9999";
    BadPno "bad-pno" Violation "PNO 不在 1 至 PNUM 之间" "PNO is not an integer from 1 to PNUM";
    BadRf "bad-rf" Violation "RF 只能取 1" "RF may only be 1";
    BadDataTime "bad-data-time" Violation "DataTime 不是 14 位数字时间" "DataTime is not 14 digits";
    ImpossibleTime "impossible-time" Violation "时间不存在（日历上没有）" "a time that no calendar has";
    CpTooLong "cp-over-950" Violation "数据区超过 950 字节" "the data region is longer than 950 bytes";
    SegmentTooLong "segment-over-1024" Violation "数据段超过 1024 字节，应分包" "the segment is longer than 1024 bytes and should be split";
    TailNotCrLf "tail-not-crlf" Violation "包尾不是回车换行" "the frame does not end with CR LF";
    CrcModbusLowFirst "crc-dialect-modbus-low-first" Violation "校验是 CRC-16/MODBUS（低字节在前），不是标准算法" "the check is CRC-16/MODBUS low byte first, not the standard's";
    CrcModbusHighFirst "crc-dialect-modbus-high-first" Violation "校验是 CRC-16/MODBUS（高字节在前），不是标准算法" "the check is CRC-16/MODBUS high byte first, not the standard's";
    CrcSwapped "crc-dialect-hj212-swapped" Violation "校验的高低字节颠倒" "the check's bytes are swapped";
    BadDataFlag "bad-data-flag" Violation "数据标记不是一个字符" "a data flag is not one character";
    RfOutsideEdition "rf-outside-edition" Violation "2025 版以前没有 RF" "RF exists only since the 2025 edition";
    EditionMismatch "edition-mismatch" Violation "Flag 的版本号与登记的版本不同" "the version bits of Flag differ from the registered edition";
    UnencryptedRegion "unencrypted-region" Violation "登记为加密传输，但数据区是明文" "the device is registered as encrypting, but the region is plain";
    NotEncryptable "encrypted-outside-rule" Violation "该命令的数据区不应加密" "the region of this command is not to be encrypted";
    HeadDuplicate "head-duplicate" Remark "段首字段重复，取第一个" "a head field is repeated; the first one counts";
    HeadUnknown "head-unknown" Remark "段首有未知字段" "the head has a field that no edition knows";
    HeadOrder "head-order" Remark "PNO 在 PNUM 之前" "PNO stands before PNUM";
    CpDuplicateKey "cp-duplicate-key" Remark "数据区同一字段重复，取最后一个" "a key of the region is repeated; the last one counts";
    CpBareToken "cp-bare-token" Remark "数据区有不含等号的内容" "the region has a token without =";
    CpBadNumber "cp-bad-number" Violation "数值字段不是数字" "a value that should be a number is none";
    CpUnclosedLog "cp-unclosed-log" Remark "日志内容以 // 开始却没有以 // 结束" "a log text begins with // and never ends";
    AfterRegion "after-region" Remark "结尾的 && 之后还有内容" "there is content after the closing &&";
    CrcLowerCase "crc-lower-case" Remark "校验用小写十六进制" "the check is written with lower-case digits";
    CipherAsText "cipher-as-text" Remark "密文以 {0x..} 文本发送" "the ciphertext is sent as {0x..} text";
    EncodingGb18030 "encoding-gb18030" Remark "中文按 GB18030 编码，不是 UTF-8" "text is encoded in GB18030, not UTF-8";
    EncodingBroken "encoding-broken" Violation "文本无法按任何编码读出" "text could not be read in any encoding";
    UnknownCommand "unknown-command" Remark "命令编码不在已知表中" "the command code is in no known table";
    UnknownSystem "unknown-system" Remark "系统编码不在已知表中" "the system code is in no known table";
    UnknownFactor "unknown-factor" Remark "因子编码不在已知表中" "a factor code is in no known table";
    LegacyFactor "legacy-factor" Remark "使用 2005 版因子编码" "a factor code of the 2005 edition";
    UnknownDataFlag "unknown-data-flag" Violation "数据标记不在已知表中" "a data flag is in no known table";
    PreviousKey "previous-key" Remark "用的是上一个密钥" "encrypted with the previous key";
}

/// A set of finding kinds, one bit each: copied freely on the hot path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash)]
pub struct Findings(u64);

const _: () = assert!(FindingCode::ALL.len() <= 64);

impl Findings {
    /// None.
    pub const NONE: Self = Self(0);

    /// Adds a kind.
    pub fn add(&mut self, code: FindingCode) {
        self.0 |= 1 << code as u8;
    }

    /// Adds a kind if `broken`.
    pub fn add_if(&mut self, broken: bool, code: FindingCode) {
        self.0 |= u64::from(broken) << code as u8;
    }

    /// True if the kind is in the set.
    #[must_use]
    pub fn has(self, code: FindingCode) -> bool {
        self.0 & (1 << code as u8) != 0
    }

    /// Both sets together.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// What is in this set and not in `other`.
    #[must_use]
    pub fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// True if nothing is in it.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// True if no rule of the standard is broken.
    #[must_use]
    pub fn conforms(self) -> bool {
        self.iter().all(|c| c.weight() != Weight::Violation)
    }

    /// The kinds.
    pub fn iter(self) -> impl Iterator<Item = FindingCode> {
        FindingCode::ALL
            .iter()
            .copied()
            .filter(move |c| self.has(*c))
    }

    /// The bits, to store them; read back with [`Findings::from_bits`]. New kinds are only ever
    /// added at the end of a release's list, so stored bits keep their meaning within a release;
    /// store codes ([`FindingCode::as_str`]) for longer.
    #[must_use]
    pub fn bits(self) -> u64 {
        self.0
    }

    /// The set with these bits.
    #[must_use]
    pub fn from_bits(bits: u64) -> Self {
        Self(bits & ((1 << FindingCode::ALL.len()) - 1))
    }
}

impl FromIterator<FindingCode> for Findings {
    fn from_iter<T: IntoIterator<Item = FindingCode>>(codes: T) -> Self {
        let mut set = Self::NONE;
        codes.into_iter().for_each(|c| set.add(c));
        set
    }
}

/// One finding with the text that it is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Its kind.
    pub code: FindingCode,
    /// Its weight.
    pub weight: Weight,
    /// The offending text, empty if something is missing.
    pub detail: String,
}

impl Finding {
    /// A finding about `detail`, cut at 120 characters.
    #[must_use]
    pub fn new(code: FindingCode, detail: &str) -> Self {
        Self {
            code,
            weight: code.weight(),
            detail: detail.chars().take(120).collect(),
        }
    }

    /// The finding as one line in `lang`.
    #[must_use]
    pub fn line(&self, lang: Lang) -> String {
        let words = self.code.words(lang);
        if self.detail.is_empty() {
            words.to_owned()
        } else {
            format!("{words}: {}", self.detail)
        }
    }
}

/// Why bytes that looked like a frame are none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reason {
    /// It does not begin with `##`.
    NoHeader,
    /// It ends before its claimed length.
    Truncated,
    /// The length field is not four digits.
    BadLengthField,
    /// The claimed length is above the receiver's limit.
    TooLong,
    /// Where the check should stand are no four hexadecimal digits.
    BadCrcField,
    /// Bytes follow the check that are neither CR LF nor the end.
    LengthMismatch,
    /// The check fits no dialect.
    BadCrc,
    /// The check fits a dialect that the device is not registered for.
    CrcDialectNotAllowed,
    /// The segment has no `CP=&&...&&`.
    NoCp,
    /// The head is not ASCII.
    HeadNotAscii,
    /// The region is encrypted and the device has no key.
    NoKey,
    /// The region is encrypted and no key of the device opens it.
    WrongKey,
    /// One of so many overlapping headers that no more are examined.
    TooManyHeaders,
}

impl Reason {
    /// Its stable code.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NoHeader => "no-header",
            Self::Truncated => "truncated",
            Self::BadLengthField => "bad-length-field",
            Self::TooLong => "too-long",
            Self::BadCrcField => "bad-crc-field",
            Self::LengthMismatch => "length-mismatch",
            Self::BadCrc => "bad-crc",
            Self::CrcDialectNotAllowed => "crc-dialect-not-allowed",
            Self::NoCp => "no-cp",
            Self::HeadNotAscii => "head-not-ascii",
            Self::NoKey => "no-key",
            Self::WrongKey => "wrong-key",
            Self::TooManyHeaders => "too-many-headers",
        }
    }

    /// What it says and what to do, in plain words.
    #[must_use]
    pub fn words(self, lang: Lang) -> &'static str {
        match (self, lang) {
            (Self::NoHeader, Lang::En) => "does not begin with ##",
            (Self::NoHeader, Lang::Zh) => "不以 ## 开头",
            (Self::Truncated, Lang::En) => {
                "ends before the length it claims; the length counts the bytes of the segment"
            }
            (Self::Truncated, Lang::Zh) => "没有达到声明的长度；长度按数据段的字节数计",
            (Self::BadLengthField, Lang::En) => "the length field is not four decimal digits",
            (Self::BadLengthField, Lang::Zh) => "长度字段不是四位十进制数字",
            (Self::TooLong, Lang::En) => "claims more bytes than this receiver takes",
            (Self::TooLong, Lang::Zh) => "声明的长度超过接收上限",
            (Self::BadCrcField, Lang::En) => {
                "no four hexadecimal digits where the check should stand; is the length right? Chinese text counts in bytes"
            }
            (Self::BadCrcField, Lang::Zh) => {
                "校验位置上没有四位十六进制数字；长度是否正确？中文按字节计"
            }
            (Self::LengthMismatch, Lang::En) => "other bytes than CR LF follow the check",
            (Self::LengthMismatch, Lang::Zh) => "校验之后不是回车换行",
            (Self::BadCrc, Lang::En) => "the check fits no known algorithm: the frame was damaged",
            (Self::BadCrc, Lang::Zh) => "校验与任何已知算法都不符：数据已损坏",
            (Self::CrcDialectNotAllowed, Lang::En) => {
                "the check follows another algorithm than the device is registered for"
            }
            (Self::CrcDialectNotAllowed, Lang::Zh) => "校验算法与设备登记的不同",
            (Self::NoCp, Lang::En) => "no CP=&&...&& in the segment",
            (Self::NoCp, Lang::Zh) => "数据段没有 CP=&&...&&",
            (Self::HeadNotAscii, Lang::En) => "the head has bytes outside ASCII",
            (Self::HeadNotAscii, Lang::Zh) => "段首含有非 ASCII 字节",
            (Self::NoKey, Lang::En) => {
                "the region is encrypted and no key is registered for the device"
            }
            (Self::NoKey, Lang::Zh) => "数据区已加密，但设备没有登记密钥",
            (Self::WrongKey, Lang::En) => "the region is encrypted and no registered key opens it",
            (Self::WrongKey, Lang::Zh) => "数据区已加密，登记的密钥都解不开",
            (Self::TooManyHeaders, Lang::En) => {
                "one of very many overlapping headers, not examined"
            }
            (Self::TooManyHeaders, Lang::Zh) => "大量重叠的包头之一，未作检查",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_unique_and_the_same_everywhere() {
        let mut codes: Vec<&str> = FindingCode::ALL.iter().map(|c| c.as_str()).collect();
        for c in FindingCode::ALL {
            assert_eq!(
                serde_json::to_string(c).unwrap(),
                format!("{:?}", c.as_str())
            );
            assert!(!c.words(Lang::Zh).is_ascii());
        }
        codes.sort_unstable();
        codes.dedup();
        assert_eq!(codes.len(), FindingCode::ALL.len());
        let all: Findings = FindingCode::ALL.iter().copied().collect();
        assert_eq!(Findings::from_bits(all.bits()), all);
        assert!(!all.conforms());
    }
}
