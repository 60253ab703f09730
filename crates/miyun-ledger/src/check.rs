//! Bounds of a command's texts and lists, checked before anything else.

use crate::command::{
    Command, LIMITS_MAX, MEMO_MAX, MOVES_MAX, NAME_MAX, Op, PARTS_MAX, STEPS_MAX,
};
use crate::{Refusal, TransferKind};

fn name(text: &str) -> Result<(), Refusal> {
    match text.len() {
        0 => Err(Refusal::Empty),
        len if len > NAME_MAX => Err(Refusal::TextTooLong),
        _ => Ok(()),
    }
}

fn memo(text: &str) -> Result<(), Refusal> {
    if text.len() > MEMO_MAX {
        return Err(Refusal::TextTooLong);
    }
    Ok(())
}

fn at_most(len: usize, max: usize) -> Result<(), Refusal> {
    if len > max {
        return Err(Refusal::TooMany);
    }
    Ok(())
}

fn op(op: &Op) -> Result<(), Refusal> {
    match op {
        Op::Transfer(t) => memo(&t.memo),
        Op::Reserve(r) => memo(&r.transfer.memo),
        Op::Reverse { memo: text, .. } => memo(text),
        Op::Transform(t) => {
            if !matches!(t.kind, TransferKind::Convert | TransferKind::Transform) {
                return Err(Refusal::Malformed);
            }
            memo(&t.memo)
        }
        Op::Chain(steps) => {
            if steps.is_empty() {
                return Err(Refusal::Empty);
            }
            at_most(steps.len(), STEPS_MAX)?;
            steps.iter().try_for_each(|step| match &step.op {
                Op::Transfer(_)
                | Op::Reserve(_)
                | Op::Post { .. }
                | Op::Void { .. }
                | Op::Expire { .. }
                | Op::Reverse { .. }
                | Op::Transform(_) => self::op(&step.op),
                _ => Err(Refusal::Malformed),
            })
        }
        Op::SplitBlock { parts, .. } => at_most(parts.len(), PARTS_MAX),
        Op::DefineClass(d) => {
            name(&d.name)?;
            name(&d.unit)?;
            at_most(d.moves.len(), MOVES_MAX)
        }
        Op::DefineSeries(d) => name(&d.prefix),
        Op::DefineAsset(d) => name(&d.name),
        Op::DefineRule(d) => name(&d.name),
        Op::DefineLimit(d) => {
            name(&d.name)?;
            name(&d.unit)
        }
        Op::OpenAccount(d) => at_most(d.limits.len(), LIMITS_MAX),
        Op::Post { .. }
        | Op::Void { .. }
        | Op::Expire { .. }
        | Op::SetAdjustment { .. }
        | Op::CloseRule { .. }
        | Op::SetLimit { .. }
        | Op::SetIssueCap { .. }
        | Op::DefineSigner(_)
        | Op::CloseSigner { .. }
        | Op::SetFrozen { .. }
        | Op::CloseAccount { .. } => Ok(()),
    }
}

impl Command {
    /// Checks texts, lists and nesting against their bounds, so that what passes can be written
    /// and read again.
    ///
    /// # Errors
    /// [`Refusal::Empty`], [`Refusal::TextTooLong`], [`Refusal::TooMany`], [`Refusal::Malformed`].
    pub fn check_bounds(&self) -> Result<(), Refusal> {
        op(&self.op)
    }
}
