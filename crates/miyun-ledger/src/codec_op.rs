//! The binary form of operations and commands.

use crate::codec::{DecodeError, Reader, VERSION, Wire, put_list, put_text};
use crate::command::{COMMAND_LEN_MAX, Command, MEMO_MAX, Op, PARTS_MAX, STEPS_MAX, Step};

macro_rules! op_tags {
    ($($name:ident = $value:literal;)*) => { mod tag { $(pub const $name: u8 = $value;)* } };
}
op_tags! {
    TRANSFER = 1; RESERVE = 2; POST = 3; VOID = 4; EXPIRE = 5; REVERSE = 6; TRANSFORM = 7; CHAIN = 8;
    SPLIT_BLOCK = 16; SET_ADJUSTMENT = 17;
    DEFINE_CLASS = 32; DEFINE_SERIES = 33; DEFINE_ASSET = 34; DEFINE_RULE = 35; CLOSE_RULE = 36;
    DEFINE_LIMIT = 37; SET_LIMIT = 38; SET_ISSUE_CAP = 39; DEFINE_SIGNER = 40; CLOSE_SIGNER = 41;
    OPEN_ACCOUNT = 42; SET_FROZEN = 43; CLOSE_ACCOUNT = 44;
}

impl Wire for Op {
    fn put(&self, out: &mut Vec<u8>) {
        macro_rules! put {
            ($tag:ident $(, $value:expr)*) => {{ out.push(tag::$tag); $($value.put(out);)* }};
        }
        match self {
            Self::Transfer(t) => put!(TRANSFER, t),
            Self::Reserve(r) => put!(RESERVE, r),
            Self::Post { pending, amount } => put!(POST, pending, amount),
            Self::Void { pending } => put!(VOID, pending),
            Self::Expire { pending } => put!(EXPIRE, pending),
            Self::Reverse {
                original,
                amount,
                range,
                rule,
                memo,
            } => {
                put!(REVERSE, original, amount, range, rule);
                put_text(memo, out);
            }
            Self::Transform(t) => put!(TRANSFORM, t),
            Self::Chain(steps) => {
                put!(CHAIN);
                put_list(steps, out);
            }
            Self::SplitBlock {
                series,
                block,
                parts,
            } => {
                put!(SPLIT_BLOCK, series, block);
                put_list(parts, out);
            }
            Self::SetAdjustment {
                series,
                range,
                to,
                rule,
            } => put!(SET_ADJUSTMENT, series, range, to, rule),
            Self::DefineClass(d) => put!(DEFINE_CLASS, d),
            Self::DefineSeries(d) => put!(DEFINE_SERIES, d),
            Self::DefineAsset(d) => put!(DEFINE_ASSET, d),
            Self::DefineRule(d) => put!(DEFINE_RULE, d),
            Self::CloseRule { rule, until } => put!(CLOSE_RULE, rule, until),
            Self::DefineLimit(d) => put!(DEFINE_LIMIT, d),
            Self::SetLimit { limit, cap, window } => put!(SET_LIMIT, limit, cap, window),
            Self::SetIssueCap { asset, cap } => put!(SET_ISSUE_CAP, asset, cap),
            Self::DefineSigner(d) => put!(DEFINE_SIGNER, d),
            Self::CloseSigner { signer, until } => put!(CLOSE_SIGNER, signer, until),
            Self::OpenAccount(d) => put!(OPEN_ACCOUNT, d),
            Self::SetFrozen { account, frozen } => put!(SET_FROZEN, account, frozen),
            Self::CloseAccount { account } => put!(CLOSE_ACCOUNT, account),
        }
    }

    fn get(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        get_op(r, false)
    }
}

/// An operation; inside a chain only movements, so the depth is at most two.
fn get_op(r: &mut Reader<'_>, inside: bool) -> Result<Op, DecodeError> {
    let at = r.offset();
    let tag = u8::get(r)?;
    if inside && tag >= tag::CHAIN {
        return Err(DecodeError::Nested(at));
    }
    Ok(match tag {
        tag::TRANSFER => Op::Transfer(Wire::get(r)?),
        tag::RESERVE => Op::Reserve(Wire::get(r)?),
        tag::POST => Op::Post {
            pending: Wire::get(r)?,
            amount: Wire::get(r)?,
        },
        tag::VOID => Op::Void {
            pending: Wire::get(r)?,
        },
        tag::EXPIRE => Op::Expire {
            pending: Wire::get(r)?,
        },
        tag::REVERSE => Op::Reverse {
            original: Wire::get(r)?,
            amount: Wire::get(r)?,
            range: Wire::get(r)?,
            rule: Wire::get(r)?,
            memo: r.text("memo", MEMO_MAX)?,
        },
        tag::TRANSFORM => Op::Transform(Wire::get(r)?),
        tag::CHAIN => {
            let len = r.len("steps", STEPS_MAX)?;
            let mut steps = Vec::with_capacity(len.min(r.left()));
            for _ in 0..len {
                steps.push(Step {
                    id: Wire::get(r)?,
                    op: get_op(r, true)?,
                });
            }
            Op::Chain(steps)
        }
        tag::SPLIT_BLOCK => Op::SplitBlock {
            series: Wire::get(r)?,
            block: Wire::get(r)?,
            parts: r.list("parts", PARTS_MAX)?,
        },
        tag::SET_ADJUSTMENT => Op::SetAdjustment {
            series: Wire::get(r)?,
            range: Wire::get(r)?,
            to: Wire::get(r)?,
            rule: Wire::get(r)?,
        },
        tag::DEFINE_CLASS => Op::DefineClass(Wire::get(r)?),
        tag::DEFINE_SERIES => Op::DefineSeries(Wire::get(r)?),
        tag::DEFINE_ASSET => Op::DefineAsset(Wire::get(r)?),
        tag::DEFINE_RULE => Op::DefineRule(Wire::get(r)?),
        tag::CLOSE_RULE => Op::CloseRule {
            rule: Wire::get(r)?,
            until: Wire::get(r)?,
        },
        tag::DEFINE_LIMIT => Op::DefineLimit(Wire::get(r)?),
        tag::SET_LIMIT => Op::SetLimit {
            limit: Wire::get(r)?,
            cap: Wire::get(r)?,
            window: Wire::get(r)?,
        },
        tag::SET_ISSUE_CAP => Op::SetIssueCap {
            asset: Wire::get(r)?,
            cap: Wire::get(r)?,
        },
        tag::DEFINE_SIGNER => Op::DefineSigner(Wire::get(r)?),
        tag::CLOSE_SIGNER => Op::CloseSigner {
            signer: Wire::get(r)?,
            until: Wire::get(r)?,
        },
        tag::OPEN_ACCOUNT => Op::OpenAccount(Wire::get(r)?),
        tag::SET_FROZEN => Op::SetFrozen {
            account: Wire::get(r)?,
            frozen: Wire::get(r)?,
        },
        tag::CLOSE_ACCOUNT => Op::CloseAccount {
            account: Wire::get(r)?,
        },
        other => return r.bad_tag("operation", other),
    })
}

impl Wire for Command {
    fn put(&self, out: &mut Vec<u8>) {
        out.push(VERSION);
        self.id.put(out);
        self.signer.put(out);
        self.window.put(out);
        self.op.put(out);
    }

    fn get(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        match u8::get(r)? {
            VERSION => {}
            other => return Err(DecodeError::Version(other)),
        }
        Ok(Self {
            id: Wire::get(r)?,
            signer: Wire::get(r)?,
            window: Wire::get(r)?,
            op: Wire::get(r)?,
        })
    }
}

impl Command {
    /// The binary form.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(112);
        self.put(&mut out);
        out
    }

    /// The command in `bytes`, all of them.
    ///
    /// # Errors
    /// [`DecodeError`] with the offset; more than [`COMMAND_LEN_MAX`] bytes are refused unread.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, DecodeError> {
        if bytes.len() > COMMAND_LEN_MAX {
            return Err(DecodeError::TooLong {
                what: "command",
                len: bytes.len() as u64,
                max: COMMAND_LEN_MAX,
                at: 0,
            });
        }
        let mut r = Reader::new(bytes);
        let command = Self::get(&mut r)?;
        r.end()?;
        Ok(command)
    }
}
