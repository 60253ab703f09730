//! Frames out of a stream of bytes cut anywhere.
//!
//! A frame is found by `##`, four digits and the length they claim, never by its end: an encrypted
//! region may hold any byte. A candidate is a frame only if check, `CP=&&` and `&&` fit; if not,
//! the search goes on one byte behind its `##`, so that a damaged frame never costs its neighbour.
//! Every byte that comes in goes out in exactly one event, except the CR LF between frames.

use crate::crc::CrcDialect;
use crate::finding::Reason;
use crate::frame::{self, CHECK, Checked, Frame, HEADER, LONGEST, Rejected, SEGMENT_MAX, Tail};
use crate::profile::Profiles;

/// What comes out of the stream.
#[derive(Debug)]
pub enum Event<'a> {
    /// A frame.
    Frame(Frame<'a>),
    /// Bytes that began like a frame and are none: keep them in quarantine.
    Rejected(Rejected<'a>),
    /// Bytes between frames.
    Noise(&'a [u8]),
}

/// Finds frames in a stream. Holds at most one unfinished frame (10,009 bytes) beyond what was
/// pushed since events were last taken.
#[derive(Debug, Default)]
pub struct Framer {
    buffer: Vec<u8>,
    /// First byte not yet given out.
    at: usize,
    /// Bytes that left the buffer before.
    gone: u64,
    /// No byte will follow.
    ended: bool,
    /// The header at `at` will not be completed.
    given_up: bool,
    /// A frame was given out whose CR LF may still come.
    after_frame: bool,
    /// Frames that were followed by other bytes than CR LF, seen only after they were given out.
    missing_tails: u64,
    plain: Vec<u8>,
    limit: Limit,
    /// Frames are held back until what follows them is known.
    patient: bool,
    /// Where the present window of the stream began.
    window: u64,
    /// Bytes examined for candidates that begin in it.
    spent: usize,
}

#[derive(Debug, Clone, Copy)]
struct Limit(usize);

impl Default for Limit {
    fn default() -> Self {
        Self(LONGEST)
    }
}

#[allow(clippy::large_enum_variant)] // never stored
enum Step {
    /// Nothing to give out before more bytes come.
    Wait,
    Noise(usize),
    Rejected(usize, Reason, Option<CrcDialect>),
    Frame(usize, Checked),
}

/// Bytes of a window: one frame of the longest kind.
const WINDOW: u64 = (HEADER + LONGEST + CHECK) as u64;

/// How often the bytes of a window are examined before its candidates of more than 1,024 bytes are
/// refused unseen: headers made to overlap would otherwise cost time by the square of their number.
/// Counted by the place in the stream, so that cuts change nothing.
const PASSES: usize = 32;

/// Buffers above this size are given back when they run empty.
const KEEP: usize = 4096;

impl Framer {
    /// A framer that takes segments up to the 9,999 bytes that four digits can claim.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A framer that refuses segments longer than `bytes` at once, with [`Reason::TooLong`].
    #[must_use]
    pub fn with_limit(bytes: usize) -> Self {
        Self {
            limit: Limit(bytes.min(LONGEST)),
            ..Self::default()
        }
    }

    /// Holds each frame back until what follows it is known, so that a missing CR LF is always
    /// found: for files. A connection wants its answer at once.
    #[must_use]
    pub fn patient(mut self) -> Self {
        self.patient = true;
        self
    }

    /// Adds bytes. Take all events before pushing more, or the buffer grows by what is pushed.
    pub fn push(&mut self, bytes: &[u8]) {
        if self.at > 0 {
            self.buffer.drain(..self.at);
            self.gone += self.at as u64;
            self.at = 0;
        }
        if self.buffer.is_empty() && self.buffer.capacity() > KEEP.max(bytes.len()) {
            self.buffer = Vec::new();
        }
        self.buffer.extend_from_slice(bytes);
    }

    /// No byte will follow: what is left can be searched to its end.
    pub fn finish(&mut self) {
        self.ended = true;
    }

    /// The unfinished frame at the front will not be completed (the caller waited long enough):
    /// search behind its header. A false header that claims 9,999 bytes then costs waiting time
    /// and no frame.
    pub fn give_up(&mut self) {
        self.given_up = self.pending() > 0;
    }

    /// Bytes held.
    #[must_use]
    pub fn pending(&self) -> usize {
        self.buffer.len() - self.at
    }

    /// Frames so far whose missing CR LF became visible only after they were given out.
    #[must_use]
    pub fn missing_tails(&self) -> u64 {
        self.missing_tails
    }

    /// Bytes allocated.
    #[must_use]
    pub fn allocated(&self) -> usize {
        self.buffer.capacity() + self.plain.capacity()
    }

    /// Frees what an idle connection does not need.
    pub fn shrink(&mut self) {
        if self.pending() == 0 {
            self.buffer = Vec::new();
            self.gone += self.at as u64;
            self.at = 0;
        }
        self.plain = Vec::new();
    }

    /// The next event, `None` until more bytes come. `profiles` is asked by MN.
    pub fn next<P: Profiles + ?Sized>(&mut self, profiles: &P) -> Option<Event<'_>> {
        if self.after_frame {
            self.skip_tail();
        }
        let from = self.at;
        let offset = self.gone + from as u64;
        match self.step(profiles) {
            Step::Wait => None,
            Step::Noise(n) => {
                self.at += n;
                Some(Event::Noise(&self.buffer[from..self.at]))
            }
            Step::Rejected(n, reason, dialect) => {
                self.at += n;
                self.given_up = false;
                let bytes = &self.buffer[from..self.at];
                let mut rejected = Rejected::new(bytes, reason, dialect);
                rejected.offset = offset;
                Some(Event::Rejected(rejected))
            }
            Step::Frame(n, checked) => {
                self.given_up = false;
                let end = from + n;
                let (tail, taken) = Tail::of(&self.buffer[end..], self.ended);
                self.at = end + taken;
                self.after_frame = tail == Tail::Open;
                let raw = &self.buffer[from..end];
                let mut frame = Frame::build(raw, &self.plain, checked, tail);
                frame.offset = offset;
                Some(Event::Frame(frame))
            }
        }
    }

    /// Skips the CR LF that came after its frame was given out.
    fn skip_tail(&mut self) {
        // A CR already taken leaves a LF; both orders of arrival end here.
        let rest = &self.buffer[self.at..];
        match rest {
            [] => {
                if self.ended {
                    self.after_frame = false;
                    self.missing_tails += 1;
                }
            }
            [b'\r', b'\n', ..] => {
                self.at += 2;
                self.after_frame = false;
            }
            [b'\r'] => self.at += 1,
            [b'\n', ..] => {
                self.at += 1;
                self.after_frame = false;
            }
            _ => {
                self.after_frame = false;
                self.missing_tails += 1;
            }
        }
    }

    fn step<P: Profiles + ?Sized>(&mut self, profiles: &P) -> Step {
        let ended = self.ended || self.given_up;
        let rest = &self.buffer[self.at..];
        if rest.is_empty() {
            return Step::Wait;
        }
        let start = header(rest, 0);
        if start > 0 {
            return Step::Noise(start);
        }
        // A header begins here, as far as it has come.
        let unfinished = |reason| {
            if ended {
                Step::Rejected(header(rest, 1), reason, None)
            } else {
                Step::Wait
            }
        };
        if rest.len() < HEADER {
            return unfinished(Reason::Truncated);
        }
        let len = frame::length(&rest[2..HEADER]);
        if len > self.limit.0 {
            return Step::Rejected(header(rest, 1), Reason::TooLong, None);
        }
        let end = HEADER + len + CHECK;
        let Some(raw) = rest.get(..end) else {
            return unfinished(Reason::Truncated);
        };
        if self.patient && Tail::of(&rest[end..], ended).0 == Tail::Open {
            return Step::Wait;
        }
        let place = self.gone + self.at as u64;
        if place >= self.window + WINDOW {
            self.window = place;
            self.spent = 0;
        }
        self.spent += end;
        // A frame as short as the standard demands is always examined: no neighbour is lost.
        if self.spent > PASSES * WINDOW as usize && len > SEGMENT_MAX {
            return Step::Rejected(header(rest, 1).min(end), Reason::TooManyHeaders, None);
        }
        match frame::examine(raw, profiles, &mut self.plain) {
            Ok(checked) => Step::Frame(end, checked),
            // The check fits in another dialect: its extent is certain.
            Err((reason @ (Reason::CrcDialectNotAllowed | Reason::HeadNotAscii), dialect)) => {
                Step::Rejected(end, reason, dialect)
            }
            Err((reason, dialect)) => Step::Rejected(header(rest, 1).min(end), reason, dialect),
        }
    }
}

/// The first place at or behind `from` where `##` and four digits begin, as far as the bytes go;
/// the end if there is none.
fn header(bytes: &[u8], from: usize) -> usize {
    let mut at = from;
    while let Some(n) = memchr::memchr(b'#', &bytes[at.min(bytes.len())..]) {
        at += n;
        let rest = &bytes[at..bytes.len().min(at + HEADER)];
        let fits = rest.iter().enumerate().all(|(k, b)| {
            if k < 2 {
                *b == b'#'
            } else {
                b.is_ascii_digit()
            }
        });
        if fits {
            return at;
        }
        at += 1;
    }
    bytes.len()
}
