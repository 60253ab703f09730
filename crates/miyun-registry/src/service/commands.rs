//! A plan as ledger commands: definitions, then one chain of filing and movements.

use miyun_ledger::{
    AccountDef, AccountKind, AssetDef, ClassDef, Command, CommandId, KindSet, Move, Op,
    PendingRule, RuleDef, Step, Time, Transfer, TransferKind, TransferKinds, Window,
};

use super::OPERATOR_SIGNER;
use crate::Error;
use crate::fold::Filing;
use crate::model::{
    ALLOWANCE, CREDIT, FILING, FILING_ASSET, FILING_CONTRA, FILING_RULE, FILING_SINK, OPERATOR,
};
use crate::policy::{DEFINITIONS_FROM, MOVES_FROM, Plan, step_id};
use crate::request::Envelope;

/// The classes of a registry, and what filings need.
pub(super) fn classes() -> Vec<Op> {
    use AccountKind::{
        Buffer, Cancelled, Consumed, Contra, Exported, Holding, Retired, Surrendered,
    };
    use TransferKind as K;
    let moves = |list: &[(K, AccountKind, AccountKind)]| {
        list.iter()
            .map(|(kind, from, to)| Move {
                kind: *kind,
                from: KindSet::of(&[*from]),
                to: KindSet::of(&[*to]),
            })
            .collect::<Vec<_>>()
    };
    let class = |id, name: &str, unit: &str, serial, list: &[(K, AccountKind, AccountKind)]| {
        Op::DefineClass(ClassDef {
            id,
            name: name.into(),
            unit: unit.into(),
            serial,
            single: false,
            permits: false,
            pending: PendingRule::Money,
            moves: moves(list),
        })
    };
    vec![
        class(
            FILING,
            "filing",
            "filing",
            false,
            &[(K::Issue, Contra, Consumed)],
        ),
        class(
            ALLOWANCE,
            "allowance",
            "t",
            false,
            &[
                (K::Issue, Contra, Holding),
                (K::Allocate, Holding, Holding),
                (K::Transfer, Holding, Holding),
                (K::Surrender, Holding, Surrendered),
                (K::Retire, Holding, Retired),
                (K::Cancel, Holding, Cancelled),
                (K::Convert, Holding, Consumed),
                (K::Convert, Contra, Holding),
                (K::Reverse, Holding, Holding),
            ],
        ),
        class(
            CREDIT,
            "credit",
            "t",
            true,
            &[
                (K::Issue, Contra, Holding),
                (K::BufferIn, Holding, Buffer),
                (K::Transfer, Holding, Holding),
                (K::Surrender, Holding, Surrendered),
                (K::Retire, Holding, Retired),
                (K::Cancel, Holding, Cancelled),
                (K::Cancel, Buffer, Cancelled),
                (K::Export, Holding, Exported),
                (K::Reverse, Holding, Holding),
            ],
        ),
        Op::DefineAsset(AssetDef {
            id: FILING_ASSET,
            class: FILING,
            name: "filing".into(),
            vintage: 0,
            series: None,
            issue_cap: u64::MAX / 2,
            usable_until: Time::MAX,
        }),
        Op::OpenAccount(AccountDef {
            id: FILING_CONTRA,
            holder: OPERATOR,
            asset: FILING_ASSET,
            kind: Contra,
            limits: Vec::new(),
        }),
        Op::OpenAccount(AccountDef {
            id: FILING_SINK,
            holder: OPERATOR,
            asset: FILING_ASSET,
            kind: Consumed,
            limits: Vec::new(),
        }),
        Op::DefineRule(RuleDef {
            id: FILING_RULE,
            name: "miyun-registry#filing".into(),
            kinds: TransferKinds::of(&[K::Issue]),
            window: Window::ALWAYS,
            yields: None,
        }),
    ]
}

/// The memo pieces of a filing.
fn pieces(text: &str) -> Vec<&str> {
    let mut out = Vec::new();
    let mut rest = text;
    while rest.len() > miyun_ledger::MEMO_MAX {
        let mut cut = miyun_ledger::MEMO_MAX;
        while !rest.is_char_boundary(cut) {
            cut -= 1;
        }
        let (head, tail) = rest.split_at(cut);
        out.push(head);
        rest = tail;
    }
    out.push(rest);
    out
}

pub(super) fn commands(id: u128, envelope: &Envelope, plan: Plan) -> Result<Vec<Command>, Error> {
    let filing = Filing {
        envelope: envelope.clone(),
        out: plan.out,
    };
    let text = serde_json::to_string(&filing).map_err(|e| Error::Malformed(e.to_string()))?;
    let command = |id, op| Command {
        id,
        signer: OPERATOR_SIGNER,
        window: Window::ALWAYS,
        op,
    };
    let mut out = Vec::new();
    for (n, op) in (DEFINITIONS_FROM..).zip(plan.definitions) {
        out.push(command(step_id(id, n), op));
    }
    let filings = (0..).zip(pieces(&text)).map(|(n, piece)| Step {
        id: step_id(id, n),
        op: Op::Transfer(Transfer {
            kind: TransferKind::Issue,
            debit: FILING_CONTRA,
            credit: FILING_SINK,
            amount: 1,
            range: None,
            rule: FILING_RULE,
            case: 0,
            memo: piece.into(),
        }),
    });
    let moves = (MOVES_FROM..).zip(plan.moves).map(|(n, op)| Step {
        id: step_id(id, n),
        op,
    });
    out.push(command(
        CommandId(id),
        Op::Chain(filings.chain(moves).collect()),
    ));
    Ok(out)
}
