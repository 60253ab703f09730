//! The binary form of commands: version byte, then fields in order, little-endian, lists and texts
//! with a length before them. One value has exactly one form, so a digest of the bytes is a digest
//! of the meaning. Reading never panics and never allocates more than the input's length allows.

use crate::command::{
    Adjustment, LIMITS_MAX, MEMO_MAX, MOVES_MAX, Moved, NAME_MAX, Range, Reserve, Step, Transfer,
    Transform,
};
use crate::{
    Account, AccountDef, AccountFlags, AccountId, AccountKind, AssetDef, AssetId, ClassDef,
    ClassId, CommandId, Counters, KindSet, LimitDef, LimitId, Measure, Move, PartyId, PendingRule,
    Powers, RuleDef, RuleId, SeriesDef, SeriesId, SignerDef, SignerId, Time, TransferKind,
    TransferKinds, Window, Yield,
};

/// Version of the encoding, the first byte of every command.
pub const VERSION: u8 = 1;

/// Why bytes are no command.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The bytes end early.
    #[error("the bytes end in the middle of a field (offset {0})")]
    Short(usize),
    /// The bytes go on after the end.
    #[error("{0} bytes stand after the end")]
    Trailing(usize),
    /// The version is not known.
    #[error("version {0} is not known; this program reads version {VERSION}")]
    Version(u8),
    /// A tag is not known.
    #[error("{value} is not a known {what} (offset {at})")]
    Tag {
        /// What was read.
        what: &'static str,
        /// Its value.
        value: u64,
        /// Where.
        at: usize,
    },
    /// A list or a text is longer than allowed.
    #[error("{what} has {len} elements, {max} are allowed (offset {at})")]
    TooLong {
        /// What was read.
        what: &'static str,
        /// Its length.
        len: u64,
        /// The most.
        max: usize,
        /// Where.
        at: usize,
    },
    /// A text is not UTF-8.
    #[error("a text is not UTF-8 (offset {0})")]
    Text(usize),
    /// A chain or definition stands inside a chain.
    #[error("a step of a chain may only move something (offset {0})")]
    Nested(usize),
}

/// Reads fields from bytes.
#[derive(Debug, Clone)]
pub struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    /// A reader at the start of `bytes`.
    #[must_use]
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// Bytes read so far.
    #[must_use]
    pub fn offset(&self) -> usize {
        self.at
    }

    /// Bytes left.
    #[must_use]
    pub fn left(&self) -> usize {
        self.bytes.len() - self.at
    }

    /// The next `n` bytes.
    ///
    /// # Errors
    /// [`DecodeError::Short`].
    pub fn take(&mut self, n: usize) -> Result<&'a [u8], DecodeError> {
        let end = self
            .at
            .checked_add(n)
            .filter(|&end| end <= self.bytes.len());
        let Some(end) = end else {
            return Err(DecodeError::Short(self.at));
        };
        let slice = &self.bytes[self.at..end];
        self.at = end;
        Ok(slice)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N)?);
        Ok(array)
    }

    /// A length that may be at most `max`.
    ///
    /// # Errors
    /// [`DecodeError::TooLong`] or [`DecodeError::Short`].
    pub fn len(&mut self, what: &'static str, max: usize) -> Result<usize, DecodeError> {
        let at = self.at;
        let len = u32::get(self)?;
        if len as usize > max {
            return Err(DecodeError::TooLong {
                what,
                len: u64::from(len),
                max,
                at,
            });
        }
        Ok(len as usize)
    }

    pub(crate) fn text(&mut self, what: &'static str, max: usize) -> Result<Box<str>, DecodeError> {
        let len = self.len(what, max)?;
        let at = self.at;
        match std::str::from_utf8(self.take(len)?) {
            Ok(text) => Ok(text.into()),
            Err(_) => Err(DecodeError::Text(at)),
        }
    }

    pub(crate) fn list<T: Wire>(
        &mut self,
        what: &'static str,
        max: usize,
    ) -> Result<Vec<T>, DecodeError> {
        let len = self.len(what, max)?;
        // every element has at least one byte, so a short input cannot ask for much memory
        let mut list = Vec::with_capacity(len.min(self.left()));
        for _ in 0..len {
            list.push(T::get(self)?);
        }
        Ok(list)
    }

    pub(crate) fn bad_tag<T>(&self, what: &'static str, value: u8) -> Result<T, DecodeError> {
        Err(DecodeError::Tag {
            what,
            value: u64::from(value),
            at: self.at.saturating_sub(1),
        })
    }

    /// Ends reading.
    ///
    /// # Errors
    /// [`DecodeError::Trailing`] if bytes are left.
    pub fn end(&self) -> Result<(), DecodeError> {
        match self.left() {
            0 => Ok(()),
            left => Err(DecodeError::Trailing(left)),
        }
    }
}

/// A value with a binary form.
pub trait Wire: Sized {
    /// Appends the form to `out`.
    fn put(&self, out: &mut Vec<u8>);
    /// Reads the form.
    ///
    /// # Errors
    /// [`DecodeError`] with the offset.
    fn get(r: &mut Reader<'_>) -> Result<Self, DecodeError>;
}

macro_rules! wire_int {
    ($($t:ty)*) => {$(
        impl Wire for $t {
            fn put(&self, out: &mut Vec<u8>) { out.extend_from_slice(&self.to_le_bytes()); }
            fn get(r: &mut Reader<'_>) -> Result<Self, DecodeError> { Ok(<$t>::from_le_bytes(r.array()?)) }
        }
    )*};
}
wire_int!(u8 u16 u32 u64 u128 i64);

macro_rules! wire_new {
    ($($t:ident)*) => {$(
        impl Wire for $t {
            fn put(&self, out: &mut Vec<u8>) { self.0.put(out); }
            fn get(r: &mut Reader<'_>) -> Result<Self, DecodeError> { Ok(Self(Wire::get(r)?)) }
        }
    )*};
}
wire_new!(CommandId AccountId PartyId AssetId ClassId SeriesId RuleId SignerId LimitId Time);
wire_new!(KindSet TransferKinds Powers AccountFlags);

macro_rules! wire_byte {
    ($($t:ident $what:literal,)*) => {$(
        impl Wire for $t {
            fn put(&self, out: &mut Vec<u8>) { out.push(*self as u8); }
            fn get(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
                let byte = u8::get(r)?;
                match $t::from_byte(byte) { Some(v) => Ok(v), None => r.bad_tag($what, byte) }
            }
        }
    )*};
}
wire_byte!(
    AccountKind "account kind", TransferKind "transfer kind", PendingRule "pending rule",
    Measure "measure", Adjustment "adjustment",
);

/// Fields in order; a text or a list says how long it may be.
macro_rules! wire_struct {
    ($($t:ident { $($field:ident $(: $kind:ident($max:expr))?),* })*) => {$(
        impl Wire for $t {
            fn put(&self, out: &mut Vec<u8>) {
                $(wire_struct!(@put self.$field, out $(, $kind)?);)*
            }
            fn get(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
                Ok(Self { $($field: wire_struct!(@get r, $field $(, $kind, $max)?)),* })
            }
        }
    )*};
    (@put $value:expr, $out:ident) => { $value.put($out) };
    (@put $value:expr, $out:ident, text) => { put_text(&$value, $out) };
    (@put $value:expr, $out:ident, list) => { put_list(&$value, $out) };
    (@get $r:ident, $field:ident) => { Wire::get($r)? };
    (@get $r:ident, $field:ident, text, $max:expr) => { $r.text(stringify!($field), $max)? };
    (@get $r:ident, $field:ident, list, $max:expr) => { $r.list(stringify!($field), $max)?.into() };
}
wire_struct! {
    Window { from, until }
    Range { start, end }
    Yield { min_ppm, max_ppm }
    Move { kind, from, to }
    Counters { debits_pending, debits_posted, credits_pending, credits_posted }
    Moved { id, series, range, to }
    SignerDef { id, party, key, powers, window }
    Step { id, op }
    Reserve { transfer, opens, expires, resolver, four_eyes, discrepancy }
    Transfer { kind, debit, credit, amount, range, rule, case, memo: text(MEMO_MAX) }
    Transform { kind, input, sink, amount_in, source, output, amount_out, rule, case, memo: text(MEMO_MAX) }
    ClassDef { id, name: text(NAME_MAX), unit: text(NAME_MAX), serial, single, permits, pending, moves: list(MOVES_MAX) }
    SeriesDef { id, prefix: text(NAME_MAX) }
    AssetDef { id, class, name: text(NAME_MAX), vintage, series, issue_cap, usable_until }
    RuleDef { id, name: text(NAME_MAX), kinds, window, yields }
    LimitDef { id, name: text(NAME_MAX), measure, unit: text(NAME_MAX), cap, window }
    AccountDef { id, holder, asset, kind, limits: list(LIMITS_MAX) }
    Account { id, holder, asset, kind, flags, counters, limits: list(LIMITS_MAX) }
}

impl Wire for [u8; 32] {
    fn put(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self);
    }
    fn get(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        r.array()
    }
}

impl Wire for bool {
    fn put(&self, out: &mut Vec<u8>) {
        out.push(u8::from(*self));
    }
    fn get(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        match u8::get(r)? {
            0 => Ok(false),
            1 => Ok(true),
            other => r.bad_tag("yes or no", other),
        }
    }
}

impl<T: Wire> Wire for Option<T> {
    fn put(&self, out: &mut Vec<u8>) {
        match self {
            None => out.push(0),
            Some(value) => {
                out.push(1);
                value.put(out);
            }
        }
    }
    fn get(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(if bool::get(r)? {
            Some(T::get(r)?)
        } else {
            None
        })
    }
}

pub(crate) fn put_text(text: &str, out: &mut Vec<u8>) {
    put_len(text.len(), out);
    out.extend_from_slice(text.as_bytes());
}

fn put_len(len: usize, out: &mut Vec<u8>) {
    u32::try_from(len).unwrap_or(u32::MAX).put(out);
}

pub(crate) fn put_list<T: Wire>(list: &[T], out: &mut Vec<u8>) {
    put_len(list.len(), out);
    for item in list {
        item.put(out);
    }
}
