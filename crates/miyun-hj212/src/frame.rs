//! One frame: `##`, length, segment, check; examined, then read without copying.

use std::borrow::Cow;

use memchr::memmem;

use crate::crc::{self, CrcDialect, CrcSet};
use crate::finding::{Finding, FindingCode, Findings, Reason};
use crate::head::{self, Field, Flag, Spans};
use crate::profile::{CipherForm, DeviceProfile, Edition, Profiles};
use crate::region::{self, Items};
use crate::time::{Qn, Stamp};
use crate::{cn, sm4};

/// Bytes of `##` and the length.
pub const HEADER: usize = 6;
/// Bytes of the check.
pub const CHECK: usize = 4;
/// The longest segment that four digits can claim.
pub const LONGEST: usize = 9999;
/// Bytes of a segment above which the standard demands packets (2017 table 2).
pub const SEGMENT_MAX: usize = 1024;
/// Bytes of a region that the standard allows (2017 table 3).
pub const REGION_MAX: usize = 950;

/// What follows the check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Tail {
    /// CR LF, as the standard says.
    CrLf,
    /// LF only.
    Lf,
    /// CR only.
    Cr,
    /// Nothing: the input ends.
    None,
    /// Nothing yet: more may come.
    Open,
    /// Other bytes.
    Other,
}

impl Tail {
    /// The tail in `rest` (the bytes after the check).
    pub(crate) fn of(rest: &[u8], ended: bool) -> (Self, usize) {
        match rest {
            [b'\r', b'\n', ..] => (Self::CrLf, 2),
            [b'\n', ..] => (Self::Lf, 1),
            [b'\r'] if !ended => (Self::Open, 1),
            [b'\r', ..] => (Self::Cr, 1),
            [] if ended => (Self::None, 0),
            [] => (Self::Open, 0),
            _ => (Self::Other, 0),
        }
    }
}

/// What an examination found out, as positions: it can outlive the borrow of the buffer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Checked {
    spans: Spans,
    cp_at: usize,
    region_from: usize,
    region_to: usize,
    wire: u16,
    lower: bool,
    dialect: CrcDialect,
    cipher: Option<CipherForm>,
    previous_key: bool,
    edition: Option<Edition>,
    keyed: bool,
}

/// A frame whose check fits, with its fields as text of the buffer it lies in.
#[derive(Debug, Clone)]
pub struct Frame<'a> {
    raw: &'a [u8],
    head: &'a str,
    spans: Spans,
    region: Cow<'a, str>,
    /// The check on the wire.
    pub crc: u16,
    /// The algorithm it follows.
    pub dialect: CrcDialect,
    /// How the region was encrypted, if it was.
    pub cipher: Option<CipherForm>,
    /// What follows the check.
    pub tail: Tail,
    /// What frame and head break; [`Frame::check`] adds the region.
    pub findings: Findings,
    /// Where the frame began in the stream, in bytes.
    pub offset: u64,
}

/// Bytes that looked like a frame and are none.
#[derive(Debug, Clone, Copy)]
pub struct Rejected<'a> {
    /// The bytes, from the header on.
    pub bytes: &'a [u8],
    /// Why.
    pub reason: Reason,
    /// The dialect that the check would fit, if any.
    pub dialect: Option<CrcDialect>,
    /// Its MN as far as it could be read: nothing proves it.
    pub mn: Option<&'a str>,
    /// Its QN as far as it could be read: nothing proves it.
    pub qn: Option<&'a str>,
    /// Where it began in the stream, in bytes.
    pub offset: u64,
}

impl<'a> Rejected<'a> {
    pub(crate) fn new(bytes: &'a [u8], reason: Reason, dialect: Option<CrcDialect>) -> Self {
        let segment = bytes.get(HEADER..).unwrap_or(&[]);
        let head = &segment[..segment.len().min(SEGMENT_MAX)];
        let (spans, _) = Spans::scan(head);
        let text = |field| {
            spans
                .bytes(head, field)
                .and_then(|b| std::str::from_utf8(b).ok())
        };
        Self {
            bytes,
            reason,
            dialect,
            mn: text(Field::Mn),
            qn: text(Field::Qn),
            offset: 0,
        }
    }
}

/// Where the region ends that begins at `from`.
fn region_end(segment: &[u8], from: usize) -> Option<usize> {
    let rest = &segment[from..];
    if rest.ends_with(b"&&") {
        Some(segment.len() - 2)
    } else {
        memmem::rfind(rest, b"&&").map(|n| from + n)
    }
}

/// True if the first group of `region` is printable ASCII, or there is no whole group: nobody
/// encrypted it.
fn begins_plain(region: &[u8]) -> bool {
    region
        .get(..sm4::GROUP)
        .is_none_or(|first| first.iter().all(|b| (0x20..0x7F).contains(b)))
}

/// True if `region` can be text in any encoding. Costs a decoding: only for what a check fits.
fn can_be_text(region: &[u8]) -> bool {
    let control = |b: &u8| *b < b' ' && !b.is_ascii_whitespace();
    begins_plain(region)
        || !region.iter().any(control)
            && (std::str::from_utf8(region).is_ok()
                || region.contains(&b'=')
                    && !encoding_rs::GB18030.decode_without_bom_handling(region).1)
}

/// Examines `raw` (from `##` to the check, nothing after it). The plain segment of an encrypted
/// frame is left in `plain`, which is empty otherwise.
pub(crate) fn examine<P: Profiles + ?Sized>(
    raw: &[u8],
    profiles: &P,
    plain: &mut Vec<u8>,
) -> Result<Checked, (Reason, Option<CrcDialect>)> {
    plain.clear();
    let (segment, field) = raw[HEADER..].split_at(raw.len() - HEADER - CHECK);
    let (wire, lower) = crc::digits(field).ok_or((Reason::BadCrcField, None))?;
    let (spans, cp_at) = Spans::scan(segment);
    let place = cp_at.and_then(|at| Some((at, at + 5, region_end(segment, at + 5)?)));
    let Some((cp_at, region_from, region_to)) = place else {
        return Err(match CrcSet::ANY.fits(segment, wire) {
            Some(d) => (Reason::NoCp, Some(d)),
            None => (Reason::BadCrc, None),
        });
    };
    let head = &segment[..cp_at];
    let mn = spans
        .bytes(head, Field::Mn)
        .and_then(|b| std::str::from_utf8(b).ok())
        .unwrap_or("");
    let profile = profiles.profile(mn);
    let region = &segment[region_from..region_to];
    let mut checked = Checked {
        spans,
        cp_at,
        region_from,
        region_to,
        wire,
        lower,
        dialect: CrcDialect::Hj212,
        cipher: None,
        previous_key: false,
        edition: profile.edition,
        keyed: !profile.keys.is_empty(),
    };
    let text_form = region.starts_with(b"{0x") || region.starts_with(b"{0X");
    if !text_form && begins_plain(region) {
        checked.dialect = fit(profile, segment, wire)?;
    } else {
        // Text that begins with other letters: its check fits as it is. A ciphertext's does so
        // once in 256 times, and is no text then.
        let plain_fits = profile.crc.fits(segment, wire).filter(|_| !text_form);
        match plain_fits.filter(|_| can_be_text(region)) {
            Some(d) => checked.dialect = d,
            None => open(&mut checked, profile, segment, text_form, plain)?,
        }
    }
    if !head.is_ascii() {
        return Err((Reason::HeadNotAscii, Some(checked.dialect)));
    }
    Ok(checked)
}

/// The dialect of the profile that fits, or why none does.
fn fit(
    profile: &DeviceProfile,
    segment: &[u8],
    wire: u16,
) -> Result<CrcDialect, (Reason, Option<CrcDialect>)> {
    if let Some(d) = profile.crc.fits(segment, wire) {
        return Ok(d);
    }
    Err(match CrcSet::ANY.fits(segment, wire) {
        Some(d) => (Reason::CrcDialectNotAllowed, Some(d)),
        None => (Reason::BadCrc, None),
    })
}

/// Decrypts: the check over the plain segment decides whether a key opens it.
fn open(
    checked: &mut Checked,
    profile: &DeviceProfile,
    segment: &[u8],
    text_form: bool,
    plain: &mut Vec<u8>,
) -> Result<(), (Reason, Option<CrcDialect>)> {
    let region = &segment[checked.region_from..checked.region_to];
    if profile.keys.is_empty() {
        // Bytes that are text after all were damaged; anything else wants a key.
        let damaged = !text_form && std::str::from_utf8(region).is_ok();
        let reason = if damaged {
            Reason::BadCrc
        } else {
            Reason::NoKey
        };
        return Err((reason, None));
    }
    let keys = [&profile.keys.current, &profile.keys.previous];
    for (k, key) in keys.into_iter().enumerate() {
        let Some(key) = key else { continue };
        plain.clear();
        plain.extend_from_slice(&segment[..checked.region_from]);
        if text_form {
            if !sm4::read_text(region, plain) {
                continue;
            }
        } else {
            plain.extend_from_slice(region);
        }
        key.decrypt(&mut plain[checked.region_from..]);
        let region_to = plain.len();
        plain.extend_from_slice(&segment[checked.region_to..]);
        if let Some(d) = profile.crc.fits(plain, checked.wire)
            && can_be_text(&plain[checked.region_from..region_to])
        {
            checked.dialect = d;
            checked.cipher = Some(if text_form {
                CipherForm::Text
            } else {
                CipherForm::Raw
            });
            checked.previous_key = k == 1;
            checked.region_to = region_to;
            return Ok(());
        }
    }
    plain.clear();
    Err((Reason::WrongKey, None))
}

impl<'a> Frame<'a> {
    /// The frame in `raw` that was examined; `plain` as the examination left it.
    pub(crate) fn build(raw: &'a [u8], plain: &'a [u8], c: Checked, tail: Tail) -> Self {
        use FindingCode as C;
        let segment = &raw[HEADER..raw.len() - CHECK];
        // The examination saw that the head is ASCII.
        let head = std::str::from_utf8(&segment[..c.cp_at]).unwrap_or("");
        let from = if plain.is_empty() { segment } else { plain };
        let bytes = &from[c.region_from..c.region_to];
        let mut findings = head::judge(&c.spans, head);
        let region = match std::str::from_utf8(bytes) {
            Ok(text) => Cow::Borrowed(text),
            Err(_) => {
                let (text, broken) = encoding_rs::GB18030.decode_without_bom_handling(bytes);
                findings.add(if broken {
                    C::EncodingBroken
                } else {
                    C::EncodingGb18030
                });
                Cow::Owned(text.into_owned())
            }
        };
        findings.add_if(c.lower, C::CrcLowerCase);
        match c.dialect {
            CrcDialect::Hj212 => {}
            CrcDialect::ModbusLowFirst => findings.add(C::CrcModbusLowFirst),
            CrcDialect::ModbusHighFirst => findings.add(C::CrcModbusHighFirst),
            CrcDialect::Hj212Swapped => findings.add(C::CrcSwapped),
        }
        findings.add_if(bytes.len() > REGION_MAX, C::CpTooLong);
        findings.add_if(from.len() > SEGMENT_MAX, C::SegmentTooLong);
        findings.add_if(!matches!(tail, Tail::CrLf | Tail::Open), C::TailNotCrLf);
        findings.add_if(c.region_to + 2 < from.len(), C::AfterRegion);
        findings.add_if(c.cipher == Some(CipherForm::Text), C::CipherAsText);
        findings.add_if(c.previous_key, C::PreviousKey);
        let frame = Self {
            raw,
            head,
            spans: c.spans,
            region,
            crc: c.wire,
            dialect: c.dialect,
            cipher: c.cipher,
            tail,
            findings,
            offset: 0,
        };
        frame.against(c.edition, c.keyed)
    }

    /// Adds what contradicts the registered edition.
    fn against(mut self, edition: Option<Edition>, keyed: bool) -> Self {
        use FindingCode as C;
        let number = self.cn_number();
        if let Some(edition) = edition {
            let version = self.flag().map(Flag::version);
            self.findings.add_if(
                version.is_some_and(|v| v != edition.version()),
                C::EditionMismatch,
            );
            self.findings.add_if(
                self.rf().is_some() && edition < Edition::E2025,
                C::RfOutsideEdition,
            );
        }
        let covered = number.is_some_and(cn::encrypts);
        self.findings.add_if(
            // A host's requests are plain; uploads begin with their time.
            keyed && covered && self.cipher.is_none() && self.region.starts_with("DataTime="),
            C::UnencryptedRegion,
        );
        self.findings
            .add_if(self.cipher.is_some() && !covered, C::NotEncryptable);
        self
    }

    /// The frame's bytes from `##` to the check, as they came.
    #[must_use]
    pub fn raw(&self) -> &'a [u8] {
        self.raw
    }

    /// The bytes of the segment that the length counts.
    #[must_use]
    pub fn declared_len(&self) -> usize {
        self.raw.len() - HEADER - CHECK
    }

    /// The head's text, up to `CP=&&`.
    #[must_use]
    pub fn head(&self) -> &'a str {
        self.head
    }

    /// A field of the head.
    #[must_use]
    pub fn field(&self, field: Field) -> Option<&'a str> {
        self.spans.get(self.head, field)
    }

    /// Request number, as printed.
    #[must_use]
    pub fn qn(&self) -> Option<&'a str> {
        self.field(Field::Qn)
    }

    /// Request number, if it is a time that exists.
    #[must_use]
    pub fn qn_time(&self) -> Option<Qn> {
        self.qn().and_then(Qn::parse)
    }

    /// System code.
    #[must_use]
    pub fn st(&self) -> Option<&'a str> {
        self.field(Field::St)
    }

    /// Command code, as printed.
    #[must_use]
    pub fn cn(&self) -> Option<&'a str> {
        self.field(Field::Cn)
    }

    /// Command code as a number, if it is four digits.
    #[must_use]
    pub fn cn_number(&self) -> Option<u16> {
        self.cn()
            .filter(|t| t.len() == 4)
            .and_then(|t| head::digits(t, 4))
    }

    /// Password.
    #[must_use]
    pub fn pw(&self) -> Option<&'a str> {
        self.field(Field::Pw)
    }

    /// Device id.
    #[must_use]
    pub fn mn(&self) -> Option<&'a str> {
        self.field(Field::Mn)
    }

    /// Version, answer and split bits.
    #[must_use]
    pub fn flag(&self) -> Option<Flag> {
        self.field(Field::Flag).and_then(head::flag)
    }

    /// True if the sender asks for an answer.
    #[must_use]
    pub fn wants_answer(&self) -> bool {
        self.flag().is_some_and(Flag::ack)
    }

    /// Packet number and number of packets, if the message is split.
    #[must_use]
    pub fn packet(&self) -> Option<(u16, u16)> {
        let total = self.field(Field::Pnum).and_then(|t| head::digits(t, 4))?;
        let number = self.field(Field::Pno).and_then(|t| head::digits(t, 4))?;
        (1 <= number && number <= total).then_some((number, total))
    }

    /// The RF field, as printed.
    #[must_use]
    pub fn rf(&self) -> Option<&'a str> {
        self.field(Field::Rf)
    }

    /// True for a back-fill packet (2025).
    #[must_use]
    pub fn is_back_fill(&self) -> bool {
        self.rf() == Some("1")
    }

    /// The plain region as text.
    #[must_use]
    pub fn region(&self) -> &str {
        &self.region
    }

    /// The items of the region.
    #[must_use]
    pub fn items(&self) -> Items<'_> {
        Items::new(&self.region)
    }

    /// The value of a name without attribute, for example `DataTime`; the last one counts.
    #[must_use]
    pub fn global(&self, name: &str) -> Option<&str> {
        self.items()
            .filter(|i| i.key == name)
            .filter_map(|i| i.value)
            .last()
    }

    /// `DataTime`: the instant of real-time data, the start of the interval of all others.
    #[must_use]
    pub fn data_time(&self) -> Option<Stamp> {
        // DataTime leads in every example; look there before walking.
        let first = self.items().next()?;
        if first.key == "DataTime" {
            return first.value.and_then(Stamp::parse);
        }
        self.global("DataTime").and_then(Stamp::parse)
    }

    /// Everything that frame, head and region break.
    #[must_use]
    pub fn check(&self) -> Findings {
        self.findings.and(region::check(&self.region))
    }

    /// The same with the offending texts.
    #[must_use]
    pub fn report(&self) -> Vec<Finding> {
        let mut out: Vec<Finding> = self
            .findings
            .iter()
            .map(|c| Finding::new(c, &self.detail(c)))
            .collect();
        region::report(&self.region, &mut out);
        out
    }

    fn detail(&self, code: FindingCode) -> String {
        use FindingCode as C;
        let field = |f| self.field(f).unwrap_or("").to_owned();
        match code {
            C::BadQn => field(Field::Qn),
            C::BadSt => field(Field::St),
            C::BadCn => field(Field::Cn),
            C::BadPw => field(Field::Pw),
            C::BadMn => field(Field::Mn),
            C::BadFlag | C::EditionMismatch => field(Field::Flag),
            C::BadPnum => field(Field::Pnum),
            C::BadPno => field(Field::Pno),
            C::BadRf | C::RfOutsideEdition => field(Field::Rf),
            C::CpTooLong => self.region.len().to_string(),
            C::SegmentTooLong => self.declared_len().to_string(),
            C::HeadDuplicate | C::HeadUnknown => self.head.to_owned(),
            C::NotEncryptable | C::UnencryptedRegion => field(Field::Cn),
            _ => String::new(),
        }
    }
}

/// Decodes bytes that hold one frame and nothing else. `plain` is scratch space.
///
/// # Errors
/// Why the bytes are no frame, with what could be read.
pub fn decode<'a, P: Profiles + ?Sized>(
    bytes: &'a [u8],
    profiles: &P,
    plain: &'a mut Vec<u8>,
) -> Result<Frame<'a>, Rejected<'a>> {
    let no = |reason, dialect| Err(Rejected::new(bytes, reason, dialect));
    if !bytes.starts_with(b"##") {
        return no(Reason::NoHeader, None);
    }
    let Some(field) = bytes.get(2..HEADER) else {
        return no(Reason::Truncated, None);
    };
    if !field.iter().all(u8::is_ascii_digit) {
        return no(Reason::BadLengthField, None);
    }
    let end = HEADER + length(field) + CHECK;
    let Some(raw) = bytes.get(..end) else {
        return no(Reason::Truncated, None);
    };
    let checked = match examine(raw, profiles, plain) {
        Ok(c) => c,
        Err((reason, dialect)) => return no(reason, dialect),
    };
    let (tail, taken) = Tail::of(&bytes[end..], true);
    if tail == Tail::Other || end + taken < bytes.len() {
        return no(Reason::LengthMismatch, Some(checked.dialect));
    }
    Ok(Frame::build(raw, plain, checked, tail))
}

pub(crate) fn length(field: &[u8]) -> usize {
    field
        .iter()
        .fold(0, |v, d| v * 10 + usize::from(d.wrapping_sub(b'0')))
}
