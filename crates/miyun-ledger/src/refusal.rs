//! Why a command is refused: stable codes, each with what to mend.

macro_rules! refusals {
    ($($(#[$doc:meta])* $variant:ident = $value:literal, $code:literal, $text:literal;)*) => {
        /// Why a command was refused. Nothing changed, except that its id is spent.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, thiserror::Error)]
        #[repr(u16)]
        #[non_exhaustive]
        pub enum Refusal { $(
            #[doc = $text]
            #[error($text)]
            $variant = $value,
        )* }

        impl Refusal {
            /// Every refusal.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// The stable code, for APIs and logs.
            #[must_use]
            pub fn code(self) -> &'static str {
                match self { $(Self::$variant => $code,)* }
            }

            /// The stable number, for the journal.
            #[must_use]
            pub fn number(self) -> u16 {
                self as u16
            }

            /// The refusal with this number.
            #[must_use]
            pub fn from_number(number: u16) -> Option<Self> {
                match number { $($value => Some(Self::$variant),)* _ => None }
            }
        }
    };
}

refusals! {
    Malformed = 1, "malformed", "The command cannot be read; send it in the documented form.";
    ZeroAmount = 2, "zero_amount", "An amount of nought moves nothing; give at least one unit.";
    NegativeAmount = 3, "negative_amount", "Amounts are never negative; swap debit and credit.";
    AmountOverflow = 4, "amount_overflow", "The amount or a sum of it leaves 64 bits; use smaller transfers.";
    ZeroId = 5, "zero_id", "The id is nought; draw a random 128-bit id.";
    IdReused = 6, "id_reused", "This id was used for another command; draw a new id.";
    WindowNotOpen = 7, "window_not_open", "The command's window has not begun; send it later.";
    WindowClosed = 8, "window_closed", "The command's window has ended; sign it again with a new window.";
    ClockBackwards = 9, "clock_backwards", "The instant lies before the last one applied; mend the clock.";
    TextTooLong = 10, "text_too_long", "A text is longer than allowed; shorten it.";
    TooMany = 11, "too_many", "A list is longer than allowed; split the command.";
    Empty = 12, "empty", "A list or a text is empty; give at least one element.";
    BadSignature = 13, "bad_signature", "The signature does not fit the signer's key; sign the exact bytes again.";

    SignerUnknown = 20, "signer_unknown", "No such signer; register the key first.";
    SignerInactive = 21, "signer_inactive", "The signer's window has not begun or has ended.";
    SignerNotAllowed = 22, "signer_not_allowed", "The signer may not do this; use a signer of the account's holder or of the authority.";
    FourEyes = 23, "four_eyes", "The signer who reserved may not approve; a second representative must.";

    UnknownAccount = 30, "unknown_account", "No such account; open it first.";
    UnknownAsset = 31, "unknown_asset", "No such asset; define it first.";
    UnknownClass = 32, "unknown_class", "No such class; define it first.";
    UnknownSeries = 33, "unknown_series", "No such series; define it first.";
    UnknownRule = 34, "unknown_rule", "No such rule; register the rulebook row first.";
    UnknownLimit = 35, "unknown_limit", "No such limit; define it first.";
    UnknownPending = 36, "unknown_pending", "No pending transfer has this id.";
    UnknownTransfer = 37, "unknown_transfer", "No transfer has this id.";
    AlreadyExists = 38, "already_exists", "The id is taken by an earlier definition; choose another.";
    Inconsistent = 39, "inconsistent", "The definition contradicts itself or its class; see the fields' documentation.";

    AccountFrozen = 50, "account_frozen", "The account is frozen; ask the registry.";
    AccountClosed = 51, "account_closed", "The account is closed; use another.";
    AccountNotEmpty = 52, "account_not_empty", "An account with a balance or pending amounts cannot be closed.";
    SameAccount = 53, "same_account", "Debit and credit are the same account.";
    AssetMismatch = 54, "asset_mismatch", "The accounts hold different assets; use a transform or a chain.";
    MoveNotAllowed = 55, "move_not_allowed", "The asset's class does not know this move between these kinds of account.";
    TerminalAccount = 56, "terminal_account", "A terminal account never decreases.";
    Insufficient = 57, "insufficient", "The account does not hold enough that is not reserved.";
    AssetExpired = 58, "asset_expired", "The asset can no longer be used; it can be unlocked, cancelled or expired.";
    IssueCap = 59, "issue_cap", "More than was verified or allowed would be issued.";

    RuleNotInForce = 70, "rule_not_in_force", "The rule is not in force at this instant; name the row that is.";
    RuleWrongKind = 71, "rule_wrong_kind", "The rule does not permit this kind of move.";
    LimitExceeded = 72, "limit_exceeded", "A limit of the group would be exceeded.";
    LimitClosed = 73, "limit_closed", "A limit or permit of the account is not open at this instant.";
    LimitUnit = 74, "limit_unit", "The limit counts another unit than the account.";
    PermitMissing = 75, "permit_missing", "The class wants a permit on both sides; one account has none.";
    YieldOutOfBounds = 76, "yield_out_of_bounds", "What comes out does not fit what goes in by the rule's yield.";

    PendingResolved = 90, "pending_resolved", "The pending transfer was already posted, voided or expired.";
    PendingExpired = 91, "pending_expired", "The pending transfer has run out.";
    PendingNotDue = 92, "pending_not_due", "The pending transfer has not run out yet, or never does.";
    PendingTooEarly = 93, "pending_too_early", "The delay of the pending transfer has not passed.";
    PendingOver = 94, "pending_over", "More than was reserved cannot be posted.";
    DiscrepancyMissing = 95, "discrepancy_missing", "Goods in transit need a discrepancy account of the same asset.";

    SerialRequired = 110, "serial_required", "Serial numbers belong to serial assets only, and every serial asset has them.";
    BlockNotOwned = 111, "block_not_owned", "The block is not held by this account as one piece.";
    BlockLocked = 112, "block_locked", "The block is reserved by a pending transfer.";
    SerialLength = 113, "serial_length", "The amount is not the length of the block (end - start + 1).";
    NotAPartition = 114, "not_a_partition", "The parts do not cover the block exactly once.";
    AdjustmentOrder = 115, "adjustment_order", "The adjustment goes from none to authorised to applied, one step at a time.";
    AdjustmentMissing = 116, "adjustment_missing", "Export wants every unit's adjustment to be applied.";

    ReversalOver = 130, "reversal_over", "More than was moved cannot be reversed.";
    NotReversible = 131, "not_reversible", "This transfer cannot be reversed: it never posted, it ended in a terminal account, or it was itself a reversal.";
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn codes_and_numbers_are_unique_and_found_again() {
        let codes: BTreeSet<_> = Refusal::ALL.iter().map(|r| r.code()).collect();
        assert_eq!(codes.len(), Refusal::ALL.len());
        for &refusal in Refusal::ALL {
            assert_eq!(Refusal::from_number(refusal.number()), Some(refusal));
        }
        assert_eq!(Refusal::from_number(0), None);
    }
}
