//! The SQL read model equals the ledger it was rebuilt from, on SQLite and on PostgreSQL. Each needs
//! its command-line client; without it the test says so and ends.

mod common;

use std::io::Write as _;
use std::process::{Command as Process, Stdio};
use std::sync::Arc;

use common::*;
use miyun_journal::export::export;
use miyun_journal::rebuild::{SqlScript, rebuild};
use miyun_journal::*;
use miyun_ledger::*;

/// A journal with a transfer, a reservation posted in part, a short delivery, a chain, a
/// conversion, a reversal and a refusal.
fn journal() -> (Arc<MemStorage>, Journal<Arc<MemStorage>>) {
    let storage = Arc::new(MemStorage::new());
    let mut journal = Journal::create(Arc::clone(&storage), genesis()).unwrap();
    let admitted = journal.door().admit(sign(set_up())).unwrap();
    journal.commit(Time(1), &[admitted]).unwrap();
    let mut plain = transfer(TransferKind::Retire, holding(1, 2), retired(1, 2), 60);
    plain.memo = "受益人：O'Hara; event".into();
    let reserve = |t: Transfer, discrepancy| {
        Op::Reserve(Reserve {
            transfer: t,
            opens: Time::MIN,
            expires: Time::MAX,
            resolver: PartyId(102),
            four_eyes: false,
            discrepancy,
        })
    };
    let send = |asset, amount| {
        transfer(
            TransferKind::Transfer,
            holding(1, asset),
            holding(2, asset),
            amount,
        )
    };
    let commands = vec![
        (10, Op::Transfer(plain)),
        (10, reserve(send(1, 100), None)),
        (
            20,
            Op::Post {
                pending: CommandId(5_001),
                amount: Some(70),
            },
        ),
        (10, reserve(send(3, 100), Some(AccountId(gap(3))))),
        (
            20,
            Op::Post {
                pending: CommandId(5_003),
                amount: Some(98),
            },
        ),
        (10, reserve(send(2, 25), None)),
        (
            10,
            Op::Chain(vec![
                Step {
                    id: CommandId(6_000),
                    op: Op::Transfer(send(1, 5)),
                },
                Step {
                    id: CommandId(6_001),
                    op: Op::Transfer(send(2, 7)),
                },
            ]),
        ),
        (
            10,
            Op::Transform(Transform {
                kind: TransferKind::Convert,
                input: AccountId(holding(1, 2)),
                sink: AccountId(consumed(1, 2)),
                amount_in: 30,
                source: AccountId(contra(4)),
                output: AccountId(holding(1, 4)),
                amount_out: 30,
                rule: RULE,
                case: 2025,
                memo: "".into(),
            }),
        ),
        (
            20,
            Op::Reverse {
                original: CommandId(6_000),
                amount: Some(2),
                range: None,
                rule: RULE,
                memo: "wrong".into(),
            },
        ),
        (10, Op::Transfer(send(1, u64::MAX))),
    ];
    for (n, (signer, op)) in commands.into_iter().enumerate() {
        let c = command(5_000 + n as u128, SignerId(signer), op);
        let admitted = journal.door().admit(sign(vec![c])).unwrap();
        let answer = journal
            .commit(Time(2), &[admitted])
            .unwrap()
            .remove(0)
            .remove(0);
        assert_eq!(answer.is_ok(), n != 9, "{n}: {answer:?}");
    }
    (storage, journal)
}

fn script(storage: &MemStorage) -> String {
    let mut out = SqlScript(Vec::new());
    let rebuilt = rebuild(storage, &mut out).unwrap();
    assert_eq!(rebuilt.batches, 11);
    String::from_utf8(out.0).unwrap()
}

/// Balances summed from the movements, one line an account: `account|balance`.
const FROM_MOVES: &str = "select a.id, a.balance, (select coalesce(sum(amount), 0) from ledger_moves where credit = a.id and posted = 1) \
 - (select coalesce(sum(amount), 0) from ledger_moves where debit = a.id and posted = 1) from ledger_accounts a order by a.id;";

fn check(output: &str, state: &State) {
    let mut seen = 0;
    for line in output.lines().filter(|l| l.split('|').count() == 3) {
        let cells: Vec<i128> = line.split('|').map(|c| c.trim().parse().unwrap()).collect();
        let account = state.account(AccountId(cells[0] as u64)).unwrap();
        assert_eq!(cells[1], account.counters.balance(), "{line}");
        assert_eq!(
            cells[2], cells[1],
            "the movements do not add up to the balance: {line}"
        );
        seen += 1;
    }
    assert_eq!(seen, state.accounts().count());
    let lengths = output
        .lines()
        .find_map(|l| l.strip_prefix("blocks "))
        .unwrap();
    let issued = state.series(SeriesId(1)).unwrap().issued;
    assert_eq!(lengths.trim().parse::<u64>().unwrap(), issued);
    assert!(output.contains("O'Hara"));
    assert!(output.contains("insufficient") || output.contains("amount_overflow"));
}

const MORE: &str = "select 'blocks ' || sum(last - first + 1) from ledger_blocks; \
 select memo from ledger_moves where memo <> ''; select outcome from ledger_moves where outcome <> 'applied';";

fn feed(mut process: Process, input: &str) -> Option<String> {
    let mut child = match process.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn() {
        Ok(child) => child,
        Err(error) => {
            eprintln!("skipped: {process:?}: {error}");
            return None;
        }
    };
    child
        .stdin
        .take()
        .unwrap()
        .write_all(input.as_bytes())
        .unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    Some(String::from_utf8(output.stdout).unwrap())
}

#[test]
fn sqlite() {
    let (storage, journal) = journal();
    let once = script(&storage);
    let mut sqlite = Process::new("sqlite3");
    sqlite.args(["-bail", ":memory:"]);
    // twice: the second run replaces the first
    if let Some(output) = feed(sqlite, &format!("{once}{once}{FROM_MOVES}{MORE}")) {
        check(&output, journal.state());
    }
}

#[test]
fn postgresql() {
    let Ok(url) = std::env::var("MIYUN_TEST_POSTGRES") else {
        eprintln!("skipped: set MIYUN_TEST_POSTGRES to the address of a database to write to");
        return;
    };
    let (storage, journal) = journal();
    let once = script(&storage);
    let mut psql = Process::new("psql");
    psql.args([
        "-X",
        "-q",
        "-A",
        "-t",
        "-F",
        "|",
        "-v",
        "ON_ERROR_STOP=1",
        &url,
    ]);
    if let Some(output) = feed(psql, &format!("{once}{once}{FROM_MOVES}{MORE}")) {
        check(&output, journal.state());
    }
}

#[test]
fn exported_rows_name_what_moved() {
    let (storage, _) = journal();
    let mut rows = Vec::new();
    export(&*storage, |row| {
        rows.push(row.clone());
        Ok(())
    })
    .unwrap();
    let of = |id: u128| {
        rows.iter()
            .filter(|r| r.id == CommandId(id))
            .collect::<Vec<_>>()
    };
    assert_eq!(of(5_000)[0].serials, "941-1000");
    assert_eq!(
        (of(5_001)[0].posted, of(5_001)[0].amount),
        (false, Some(100))
    );
    assert_eq!((of(5_002)[0].posted, of(5_002)[0].amount), (true, Some(70)));
    assert_eq!(of(5_002)[0].cites, Some(CommandId(5_001)));
    // a short delivery: what arrived, and the difference at its own account
    let goods: Vec<_> = of(5_004).iter().map(|r| (r.amount, r.credit)).collect();
    assert_eq!(
        goods,
        [
            (Some(98), Some(AccountId(holding(2, 3)))),
            (Some(2), Some(AccountId(gap(3))))
        ]
    );
    assert_eq!(of(5_007).len(), 2);
    assert_eq!(
        (of(5_008)[0].amount, of(5_008)[0].debit),
        (Some(2), Some(AccountId(holding(2, 1))))
    );
    assert_ne!(of(5_009)[0].outcome, "applied");
    assert_eq!(of(6_001)[0].step, 1);
    let found = |id| miyun_journal::proof::find_command(&*storage, CommandId(id)).unwrap();
    assert_eq!(found(6_001), of(6_001)[0].record);
    assert_eq!(found(5_000), of(5_000)[0].record);
}
