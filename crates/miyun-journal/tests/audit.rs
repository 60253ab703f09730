//! The auditor finds what a state machine that went wrong would have written: each invariant has a
//! forged log that breaks it, and only it is found.

mod common;

use common::*;
use miyun_journal::audit::Auditor;
use miyun_journal::format::{Answer, EnvelopeEntry, Header, Record};
use miyun_ledger::*;

struct Forge {
    auditor: Auditor,
    state: State,
    records: u64,
    batch: u64,
}

impl Forge {
    fn new() -> Self {
        let mut forge = Self {
            auditor: Auditor::new(&genesis()),
            state: State::new(genesis()),
            records: 0,
            batch: 0,
        };
        for command in set_up() {
            forge.honest(command);
        }
        assert_eq!(forge.auditor.findings(), []);
        forge
    }

    fn header(&self, records: usize) -> Header {
        Header {
            batch: self.batch,
            first_record: self.records,
            records: records as u32,
            envelopes: 0,
            body_len: 0,
            time: Time(10),
            ledger: LEDGER,
            previous: [0; 32],
            records_root: [0; 32],
            envelopes_hash: [0; 32],
            digest: self.state.digest(),
            rulebook: [0; 32],
        }
    }

    /// A record as the state machine writes it.
    fn honest(&mut self, command: Command) {
        let answer = match self.state.apply(&command, Time(10)) {
            Ok(receipt) => Answer::Applied(receipt.moved),
            Err(refusal) => Answer::Refused(refusal),
        };
        self.state.seal().unwrap();
        self.write(command, answer);
    }

    fn write(&mut self, command: Command, answer: Answer) {
        let bytes = Record { command, answer }.to_bytes();
        let header = self.header(1);
        self.auditor.batch(&header, None, &[bytes]);
        self.records += 1;
        self.batch += 1;
    }

    /// A record that was never refused though it should have been.
    fn forged(mut self, invariant: u8, op: Op, signer: SignerId) -> String {
        self.write(command(1 << 90, signer, op), Answer::Applied(vec![]));
        self.found(invariant)
    }

    fn found(self, invariant: u8) -> String {
        let found = self.auditor.findings();
        assert!(
            found.iter().any(|f| f.invariant == invariant),
            "nothing found about invariant {invariant}: {found:?}"
        );
        found
            .iter()
            .map(|f| f.text.clone())
            .collect::<Vec<_>>()
            .join("; ")
    }
}

const ALICE: SignerId = SignerId(10);

fn move_op(kind: TransferKind, debit: u64, credit: u64, amount: u64) -> Op {
    Op::Transfer(transfer(kind, debit, credit, amount))
}

#[test]
fn an_honest_log_has_no_findings() {
    let mut forge = Forge::new();
    forge.honest(command(
        1 << 80,
        ALICE,
        move_op(TransferKind::Retire, holding(1, 2), retired(1, 2), 10),
    ));
    forge.honest(command(
        1 << 81,
        ALICE,
        move_op(TransferKind::Retire, holding(1, 2), retired(1, 2), 10_000),
    ));
    let digest = forge.state.digest();
    forge.auditor.finish(&digest);
    assert_eq!(forge.auditor.findings(), []);
    assert_eq!(forge.auditor.digest(), digest);
}

#[test]
fn an_overdraft() {
    let op = move_op(TransferKind::Transfer, holding(1, 1), holding(2, 1), 1_001);
    assert!(Forge::new().forged(2, op, ALICE).contains("overdrawn"));
}

#[test]
fn a_transfer_between_assets() {
    let op = move_op(TransferKind::Transfer, holding(1, 1), holding(2, 3), 1);
    Forge::new().forged(1, op, ALICE);
}

#[test]
fn a_terminal_account_that_decreases() {
    let mut forge = Forge::new();
    forge.honest(command(
        1 << 80,
        ALICE,
        move_op(TransferKind::Retire, holding(1, 1), retired(1, 1), 10),
    ));
    let op = move_op(TransferKind::Transfer, retired(1, 1), holding(1, 1), 10);
    assert!(forge.forged(3, op, ALICE).contains("terminal"));
}

#[test]
fn more_minted_than_verified() {
    let op = move_op(TransferKind::Issue, contra(1), holding(1, 1), 17_000);
    assert!(Forge::new().forged(3, op, ROOT).contains("exists"));
}

#[test]
fn serial_numbers_that_do_not_add_up() {
    let mut forge = Forge::new();
    let op = move_op(TransferKind::Transfer, holding(1, 2), holding(2, 2), 10);
    let moved = Moved {
        id: CommandId(1 << 90),
        series: SeriesId(1),
        range: Range { start: 1, end: 12 },
        to: AccountId(holding(2, 2)),
    };
    forge.write(command(1 << 90, ALICE, op), Answer::Applied(vec![moved]));
    forge.found(4);
}

#[test]
fn serial_numbers_of_somebody_else() {
    let mut forge = Forge::new();
    let op = move_op(TransferKind::Transfer, holding(1, 2), holding(2, 2), 10);
    let moved = Moved {
        id: CommandId(1 << 90),
        series: SeriesId(1),
        range: Range {
            start: 3_001,
            end: 3_010,
        },
        to: AccountId(holding(2, 2)),
    };
    forge.write(command(1 << 90, ALICE, op), Answer::Applied(vec![moved]));
    assert!(forge.found(4).contains("not the giver's"));
}

#[test]
fn an_id_applied_twice() {
    let mut forge = Forge::new();
    let op = move_op(TransferKind::Transfer, holding(1, 1), holding(2, 1), 10);
    let once = command(1 << 80, ALICE, op);
    forge.honest(once.clone());
    forge.write(once, Answer::Applied(vec![]));
    assert!(forge.found(5).contains("spent before"));
}

#[test]
fn a_pending_posted_twice() {
    let mut forge = Forge::new();
    forge.honest(command(
        1 << 80,
        ALICE,
        Op::Reserve(Reserve {
            transfer: transfer(TransferKind::Transfer, holding(1, 1), holding(2, 1), 10),
            opens: Time::MIN,
            expires: Time::MAX,
            resolver: PartyId(102),
            four_eyes: false,
            discrepancy: None,
        }),
    ));
    let post = Op::Post {
        pending: CommandId(1 << 80),
        amount: None,
    };
    forge.honest(command(1 << 81, SignerId(20), post.clone()));
    forge.forged(6, post, SignerId(20));
}

#[test]
fn a_rule_that_was_not_in_force_and_a_limit_that_was_exceeded() {
    let mut t = transfer(TransferKind::Transfer, holding(1, 1), holding(2, 1), 10);
    t.rule = RuleId(9);
    Forge::new().forged(7, Op::Transfer(t), ALICE);
    let mut forge = Forge::new();
    let set = Op::SetLimit {
        limit: LimitId(2),
        cap: 4_005,
        window: Window::ALWAYS,
    };
    forge.honest(command(1 << 80, ROOT, set));
    let op = move_op(TransferKind::Transfer, holding(1, 1), holding(2, 1), 10);
    assert!(forge.forged(7, op, ALICE).contains("limit"));
}

#[test]
fn a_source_that_moved_without_permits() {
    let mut forge = Forge::new();
    let class = ClassDef {
        id: ClassId(9),
        name: "source".into(),
        unit: "piece".into(),
        serial: false,
        single: true,
        permits: true,
        pending: PendingRule::Money,
        moves: [TransferKind::Issue, TransferKind::Transfer]
            .map(|kind| Move {
                kind,
                from: KindSet::ANY,
                to: KindSet::ANY,
            })
            .to_vec(),
    };
    let asset = AssetDef {
        id: AssetId(9),
        class: ClassId(9),
        name: "0123CO000017".into(),
        vintage: 0,
        series: None,
        issue_cap: 1,
        usable_until: Time::MAX,
    };
    let open = |id, holder, kind| {
        Op::OpenAccount(AccountDef {
            id: AccountId(id),
            holder: PartyId(holder),
            asset: AssetId(9),
            kind,
            limits: vec![],
        })
    };
    let ops = [
        Op::DefineClass(class),
        Op::DefineAsset(asset),
        open(900, 101, AccountKind::Contra),
        open(901, 101, AccountKind::Holding),
        open(902, 102, AccountKind::Holding),
        move_op(TransferKind::Issue, 900, 901, 1),
    ];
    for (n, op) in ops.into_iter().enumerate() {
        forge.honest(command((1 << 80) + n as u128, ROOT, op));
    }
    assert_eq!(forge.auditor.findings(), []);
    let op = move_op(TransferKind::Transfer, 901, 902, 1);
    assert!(forge.forged(7, op, ALICE).contains("no permit"));
}

#[test]
fn another_digest() {
    let mut forge = Forge::new();
    forge.auditor.finish(&[1; 32]);
    forge.found(8);
}

#[test]
fn an_envelope_that_its_signer_did_not_sign() {
    let mut forge = Forge::new();
    let op = move_op(TransferKind::Transfer, holding(1, 1), holding(2, 1), 10);
    let command = command(1 << 80, ALICE, op);
    let signature = sign(vec![command.clone()]).signature;
    let answer = Answer::Applied(forge.state.apply(&command, Time(10)).unwrap().moved);
    forge.state.seal().unwrap();
    let bytes = [Record { command, answer }.to_bytes()];
    let header = forge.header(1);
    let mut entry = EnvelopeEntry {
        signer: ALICE,
        signature: Some(signature),
        commands: vec![None],
    };
    forge
        .auditor
        .batch(&header, Some(std::slice::from_ref(&entry)), &bytes);
    assert_eq!(forge.auditor.findings(), []);
    entry.signature = Some([3; 64]);
    let mut other = Forge::new();
    other.auditor.batch(&header, Some(&[entry]), &bytes);
    assert!(other.found(0).contains("not signed"));
}
