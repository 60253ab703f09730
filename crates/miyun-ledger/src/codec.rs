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

macro_rules! wire_struct {
    ($($t:ident { $($field:ident),* })*) => {$(
        impl Wire for $t {
            fn put(&self, out: &mut Vec<u8>) { $(self.$field.put(out);)* }
            fn get(r: &mut Reader<'_>) -> Result<Self, DecodeError> { Ok(Self { $($field: Wire::get(r)?),* }) }
        }
    )*};
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

impl Wire for Transfer {
    fn put(&self, out: &mut Vec<u8>) {
        self.kind.put(out);
        self.debit.put(out);
        self.credit.put(out);
        self.amount.put(out);
        self.range.put(out);
        self.rule.put(out);
        self.case.put(out);
        put_text(&self.memo, out);
    }
    fn get(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            kind: Wire::get(r)?,
            debit: Wire::get(r)?,
            credit: Wire::get(r)?,
            amount: Wire::get(r)?,
            range: Wire::get(r)?,
            rule: Wire::get(r)?,
            case: Wire::get(r)?,
            memo: r.text("memo", MEMO_MAX)?,
        })
    }
}

impl Wire for Transform {
    fn put(&self, out: &mut Vec<u8>) {
        self.kind.put(out);
        self.input.put(out);
        self.sink.put(out);
        self.amount_in.put(out);
        self.source.put(out);
        self.output.put(out);
        self.amount_out.put(out);
        self.rule.put(out);
        self.case.put(out);
        put_text(&self.memo, out);
    }
    fn get(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            kind: Wire::get(r)?,
            input: Wire::get(r)?,
            sink: Wire::get(r)?,
            amount_in: Wire::get(r)?,
            source: Wire::get(r)?,
            output: Wire::get(r)?,
            amount_out: Wire::get(r)?,
            rule: Wire::get(r)?,
            case: Wire::get(r)?,
            memo: r.text("memo", MEMO_MAX)?,
        })
    }
}

impl Wire for ClassDef {
    fn put(&self, out: &mut Vec<u8>) {
        self.id.put(out);
        put_text(&self.name, out);
        put_text(&self.unit, out);
        self.serial.put(out);
        self.single.put(out);
        self.permits.put(out);
        self.pending.put(out);
        put_list(&self.moves, out);
    }
    fn get(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            id: Wire::get(r)?,
            name: r.text("name", NAME_MAX)?,
            unit: r.text("unit", NAME_MAX)?,
            serial: Wire::get(r)?,
            single: Wire::get(r)?,
            permits: Wire::get(r)?,
            pending: Wire::get(r)?,
            moves: r.list("moves", MOVES_MAX)?,
        })
    }
}

impl Wire for SeriesDef {
    fn put(&self, out: &mut Vec<u8>) {
        self.id.put(out);
        put_text(&self.prefix, out);
    }
    fn get(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            id: Wire::get(r)?,
            prefix: r.text("prefix", NAME_MAX)?,
        })
    }
}

impl Wire for AssetDef {
    fn put(&self, out: &mut Vec<u8>) {
        self.id.put(out);
        self.class.put(out);
        put_text(&self.name, out);
        self.vintage.put(out);
        self.series.put(out);
        self.issue_cap.put(out);
        self.usable_until.put(out);
    }
    fn get(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            id: Wire::get(r)?,
            class: Wire::get(r)?,
            name: r.text("name", NAME_MAX)?,
            vintage: Wire::get(r)?,
            series: Wire::get(r)?,
            issue_cap: Wire::get(r)?,
            usable_until: Wire::get(r)?,
        })
    }
}

impl Wire for RuleDef {
    fn put(&self, out: &mut Vec<u8>) {
        self.id.put(out);
        put_text(&self.name, out);
        self.kinds.put(out);
        self.window.put(out);
        self.yields.put(out);
    }
    fn get(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            id: Wire::get(r)?,
            name: r.text("name", NAME_MAX)?,
            kinds: Wire::get(r)?,
            window: Wire::get(r)?,
            yields: Wire::get(r)?,
        })
    }
}

impl Wire for LimitDef {
    fn put(&self, out: &mut Vec<u8>) {
        self.id.put(out);
        put_text(&self.name, out);
        self.measure.put(out);
        put_text(&self.unit, out);
        self.cap.put(out);
        self.window.put(out);
    }
    fn get(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            id: Wire::get(r)?,
            name: r.text("name", NAME_MAX)?,
            measure: Wire::get(r)?,
            unit: r.text("unit", NAME_MAX)?,
            cap: Wire::get(r)?,
            window: Wire::get(r)?,
        })
    }
}

impl Wire for AccountDef {
    fn put(&self, out: &mut Vec<u8>) {
        self.id.put(out);
        self.holder.put(out);
        self.asset.put(out);
        self.kind.put(out);
        put_list(&self.limits, out);
    }
    fn get(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            id: Wire::get(r)?,
            holder: Wire::get(r)?,
            asset: Wire::get(r)?,
            kind: Wire::get(r)?,
            limits: r.list("limits", LIMITS_MAX)?,
        })
    }
}

impl Wire for Account {
    fn put(&self, out: &mut Vec<u8>) {
        self.id.put(out);
        self.holder.put(out);
        self.asset.put(out);
        self.kind.put(out);
        self.flags.put(out);
        self.counters.put(out);
        put_list(&self.limits, out);
    }
    fn get(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            id: Wire::get(r)?,
            holder: Wire::get(r)?,
            asset: Wire::get(r)?,
            kind: Wire::get(r)?,
            flags: Wire::get(r)?,
            counters: Wire::get(r)?,
            limits: r.list("limits", LIMITS_MAX)?.into(),
        })
    }
}
