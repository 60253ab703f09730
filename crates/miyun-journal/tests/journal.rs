//! The journal and its proofs: what a stranger can check, what recovery cuts and what it refuses,
//! and what the door and the engine promise.

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use common::*;
use miyun_journal::proof::{Consistency, Proof, ProofError, SignedHead, find_command, prove};
use miyun_journal::verify::{VerifyOptions, verify};
use miyun_journal::*;
use miyun_ledger::*;

const OPERATOR: SignerId = SignerId(200);

fn operator() -> [u8; 32] {
    key(OPERATOR).verifying_key().to_bytes()
}

/// A journal with its definitions and a few batches of transfers.
fn filled(storage: &Arc<SimStorage>, batches: u64) -> Journal<Arc<SimStorage>> {
    let mut journal = Journal::create(Arc::clone(storage), genesis()).unwrap();
    let admitted = journal.door().admit(sign(set_up())).unwrap();
    journal.commit(Time(1), &[admitted]).unwrap();
    for batch in 0..batches {
        let commands = (0..5).map(|n| spend(10_000 + batch * 10 + n, 1)).collect();
        let admitted = journal.door().admit(sign(commands)).unwrap();
        let answers = journal.commit(Time(2 + batch as i64), &[admitted]).unwrap();
        assert!(answers[0].iter().all(Result::is_ok));
    }
    journal
}

fn spend(id: u64, amount: u64) -> Command {
    let t = transfer(TransferKind::Transfer, holding(1, 2), holding(2, 2), amount);
    command(u128::from(id), SignerId(10), Op::Transfer(t))
}

#[test]
fn a_stranger_checks_a_proof_and_no_byte_of_it_can_be_changed() {
    let storage = Arc::new(SimStorage::new(1));
    let journal = filled(&storage, 9);
    let index = journal.index().read().clone();
    let number = find_command(&*storage, CommandId(10_042)).unwrap();
    let proof = prove(&*storage, &index, number, LEDGER, &key(OPERATOR)).unwrap();
    let proved = proof.check(&operator()).unwrap();
    assert_eq!(proved.record.command, spend(10_042, 1));
    assert_eq!(proved.number, number);
    assert_eq!(
        proof.check(&key(ROOT).verifying_key().to_bytes()),
        Err(ProofError::Head)
    );
    let bytes = proof.to_bytes();
    assert!(
        bytes.len() < 1_500,
        "{} bytes do not fit a QR code well",
        bytes.len()
    );
    assert_eq!(Proof::from_bytes(&bytes).unwrap(), proof);
    assert_eq!(
        Proof::from_json(&proof.to_json().to_string()).unwrap(),
        proof
    );
    for at in 0..bytes.len() {
        let mut forged = bytes.clone();
        forged[at] ^= 1;
        let accepted = Proof::from_bytes(&forged).is_ok_and(|p| p.check(&operator()).is_ok());
        assert!(!accepted, "byte {at} was changed and nobody noticed");
    }
    for len in 0..bytes.len() {
        assert!(Proof::from_bytes(&bytes[..len]).is_err());
    }
    assert!(matches!(
        find_command(&*storage, CommandId(777_777)),
        Err(JournalError::NoSuchCommand(_))
    ));
}

#[test]
fn a_newer_head_continues_an_older_one_or_is_caught() {
    let storage = Arc::new(SimStorage::new(2));
    let mut journal = filled(&storage, 3);
    let old = SignedHead::sign(LEDGER, &journal.index().read(), &key(OPERATOR));
    for batch in 10..15 {
        let admitted = journal
            .door()
            .admit(sign(vec![spend(20_000 + batch, 1)]))
            .unwrap();
        journal.commit(Time(100), &[admitted]).unwrap();
    }
    let index = journal.index().read().clone();
    let proof = Consistency::prove(&index, &old, &key(OPERATOR)).unwrap();
    proof.check(&operator()).unwrap();
    assert_eq!(Consistency::from_bytes(&proof.to_bytes()).unwrap(), proof);
    let bytes = proof.to_bytes();
    for at in 0..bytes.len() {
        let mut forged = bytes.clone();
        forged[at] ^= 0x10;
        let accepted = Consistency::from_bytes(&forged).is_ok_and(|p| p.check(&operator()).is_ok());
        assert!(!accepted, "byte {at}");
    }
    // another history of the same length has another head
    let other = Arc::new(SimStorage::new(3));
    let mut fork = filled(&other, 2);
    let admitted = fork.door().admit(sign(vec![spend(66_666, 2)])).unwrap();
    fork.commit(Time(50), &[admitted]).unwrap();
    let head = SignedHead::sign(LEDGER, &fork.index().read(), &key(OPERATOR));
    assert_eq!(head.batches, old.batches);
    assert!(matches!(
        Consistency::prove(&index, &head, &key(OPERATOR)),
        Err(JournalError::Behind(_))
    ));
    let known = VerifyOptions {
        head: Some((head, operator())),
        ..VerifyOptions::default()
    };
    assert_eq!(verify(&*storage, &known).unwrap().findings.len(), 1);
    let known = VerifyOptions {
        head: Some((old, operator())),
        ..VerifyOptions::default()
    };
    assert!(verify(&*storage, &known).unwrap().is_sound());
}

#[test]
fn the_door_lets_in_only_what_is_signed_for_this_ledger() {
    let storage = Arc::new(SimStorage::new(4));
    let journal = filled(&storage, 1);
    let records = journal.state().records();
    let good = sign(vec![spend(1, 1)]);
    let with = |f: &dyn Fn(&mut Envelope)| {
        let mut envelope = good.clone();
        f(&mut envelope);
        journal.door().admit(envelope).err().map(|d| d.code())
    };
    assert_eq!(with(&|_| {}), None);
    assert_eq!(with(&|e| e.signature[5] ^= 1), Some("bad_signature"));
    assert_eq!(with(&|e| e.ledger[0] ^= 1), Some("other_ledger"));
    assert_eq!(with(&|e| e.signer = SignerId(99)), Some("wrong_signer"));
    assert_eq!(with(&|e| e.commands.clear()), Some("too_large"));
    assert_eq!(
        with(&|e| e.commands = vec![e.commands[0].clone(); 8_193]),
        Some("too_large")
    );
    assert_eq!(
        with(&|e| e.commands[0].id = CommandId(2)),
        Some("bad_signature")
    );
    assert_eq!(
        with(&|e| e.commands[0].window.until = Time(9)),
        Some("bad_signature")
    );
    let other_key = Envelope::sign(LEDGER, SignerId(10), vec![spend(1, 1)], &key(SignerId(20)));
    assert_eq!(
        journal.door().admit(other_key).unwrap_err(),
        Door::BadSignature
    );
    let unknown = command(
        1,
        SignerId(88),
        Op::Void {
            pending: CommandId(1),
        },
    );
    let unknown = Envelope::sign(LEDGER, SignerId(88), vec![unknown], &key(SignerId(88)));
    assert_eq!(
        journal.door().admit(unknown).unwrap_err(),
        Door::SignerUnknown
    );
    let system = command(
        1,
        SYSTEM,
        Op::Expire {
            pending: CommandId(1),
        },
    );
    let system = Envelope::sign(LEDGER, SYSTEM, vec![system], &key(SYSTEM));
    assert_eq!(journal.door().admit(system).unwrap_err(), Door::WrongSigner);
    assert_eq!(journal.state().records(), records);
    let bytes = good.to_bytes();
    assert_eq!(Envelope::from_bytes(&bytes).unwrap(), good);
    for len in 0..bytes.len() {
        assert!(Envelope::from_bytes(&bytes[..len]).is_err());
    }
}

#[test]
fn a_torn_tail_is_cut_wherever_it_is_torn_and_said_so() {
    let storage = Arc::new(SimStorage::new(5));
    let journal = filled(&storage, 4);
    let places = journal.index().read().places.clone();
    let digest = journal.state().digest();
    drop(journal);
    let name = log::segment_name(0);
    let whole = storage.read(&name).unwrap();
    let last = *places.last().unwrap();
    for len in (last.at as usize..whole.len()).step_by(7) {
        let copy = Arc::new(MemStorage::new());
        copy.append(&name, &whole[..len]).unwrap();
        copy.replace("genesis", &storage.read("genesis").unwrap())
            .unwrap();
        let (journal, recovery) = Journal::open(Arc::clone(&copy)).unwrap();
        assert_eq!(recovery.batches, 4);
        match recovery.cut {
            None => assert_eq!(len as u64, last.at),
            Some(cut) => {
                assert_eq!((cut.at, cut.bytes), (last.at, len as u64 - last.at));
                assert!(cut.reason.contains("bytes") || cut.reason.contains("batch"));
            }
        }
        assert_eq!(copy.read(&name).unwrap().len() as u64, last.at);
        assert_ne!(journal.state().digest(), digest);
        // and it goes on from there
        let mut journal = journal;
        let admitted = journal.door().admit(sign(vec![spend(1 << 40, 1)])).unwrap();
        journal.commit(Time(99), &[admitted]).unwrap();
        assert!(
            verify(&*copy, &VerifyOptions::default())
                .unwrap()
                .is_sound()
        );
    }
}

#[test]
fn rot_in_the_middle_is_refused_not_cut() {
    let (mut corrupt, mut cut) = (0, 0);
    let storage = Arc::new(SimStorage::new(6));
    let journal = filled(&storage, 4);
    let last = journal.index().read().places.last().unwrap().at as usize;
    drop(journal);
    let name = log::segment_name(0);
    let len = storage.len(&name);
    for at in (0..len).step_by(13) {
        storage.rot(&name, at);
        let report = verify(&*storage, &VerifyOptions::default());
        match Journal::open(Arc::clone(&storage)) {
            Err(JournalError::Corrupt { .. }) => {
                assert!(at < last, "byte {at} of the last batch is a torn tail");
                assert!(report.is_err());
                corrupt += 1;
                storage.rot(&name, at);
            }
            Ok((_, recovery)) => {
                assert!(at >= last, "byte {at} before the last batch was cut away");
                assert!(recovery.cut.is_some());
                cut += 1;
                break;
            }
            Err(other) => panic!("{other}"),
        }
    }
    assert!(corrupt > 10 && cut == 1);
}

#[test]
fn recovery_from_a_snapshot_equals_recovery_from_the_beginning() {
    let storage = Arc::new(SimStorage::new(7));
    let mut journal = filled(&storage, 6);
    journal.snapshot().unwrap();
    for n in 0..3 {
        let admitted = journal
            .door()
            .admit(sign(vec![spend(50_000 + n, 1)]))
            .unwrap();
        journal.commit(Time(100), &[admitted]).unwrap();
    }
    let (digest, index) = (journal.state().digest(), journal.index().read().clone());
    drop(journal);
    let (journal, recovery) = Journal::open(Arc::clone(&storage)).unwrap();
    assert_eq!((recovery.from_snapshot, recovery.replayed), (7, 3));
    assert_eq!(journal.state().digest(), digest);
    let again = journal.index().read().clone();
    assert_eq!(
        (again.tree.root(), again.records),
        (index.tree.root(), index.records)
    );
    let proof = prove(&*storage, &again, 0, LEDGER, &key(OPERATOR)).unwrap();
    assert_eq!(proof.check(&operator()).unwrap().number, 0);
    drop(journal);
    // a rotten snapshot is not used, and named
    let name = format!("{:016x}.snap", 7);
    storage.rot(&name, 400);
    let (journal, recovery) = Journal::open(Arc::clone(&storage)).unwrap();
    assert_eq!(
        (recovery.from_snapshot, recovery.bad_snapshots.len()),
        (0, 1)
    );
    assert_eq!(journal.state().digest(), digest);
}

fn engine() -> (Engine<MemStorage>, Handle<MemStorage>, Arc<AtomicU64>) {
    let journal = Journal::create(Arc::new(MemStorage::new()), genesis()).unwrap();
    let clock = Arc::new(AtomicU64::new(1_000));
    let shared = Arc::clone(&clock);
    let options = Options {
        clock: Box::new(move || Time(shared.load(Ordering::Relaxed) as i64)),
        tick: Duration::from_millis(5),
    };
    let engine = Engine::start(journal, options).unwrap();
    let handle = engine.handle();
    let answers = handle.call(sign(set_up())).unwrap();
    assert!(answers.iter().all(Result::is_ok));
    (engine, handle, clock)
}

#[test]
fn of_thirty_two_clients_spending_one_block_exactly_one_wins() {
    let (engine, handle, _) = engine();
    let whole = handle
        .read(|state| {
            state
                .blocks_of(AccountId(holding(1, 2)))
                .next()
                .unwrap()
                .range
        })
        .unwrap();
    let threads: Vec<_> = (0..32u64)
        .map(|n| {
            let handle = handle.clone();
            std::thread::spawn(move || {
                let other = holding(2 + n % 3, 2);
                let mut t = transfer(TransferKind::Transfer, holding(1, 2), other, 1_000);
                t.range = Some(whole);
                let envelope = sign(vec![command(
                    90_000 + u128::from(n),
                    SignerId(10),
                    Op::Transfer(t),
                )]);
                // every request is sent twice, at the same time
                let (tx, rx) = std::sync::mpsc::sync_channel(2);
                for envelope in [envelope.clone(), envelope] {
                    let tx = tx.clone();
                    handle
                        .submit(envelope, move |r| tx.send(r).unwrap())
                        .unwrap();
                }
                let first = rx.recv().unwrap().unwrap().remove(0);
                let second = rx.recv().unwrap().unwrap().remove(0);
                assert_eq!(first.is_ok(), second.is_ok());
                if let (Ok(a), Ok(b)) = (&first, &second) {
                    assert_eq!(a.record, b.record);
                    assert!(a.replayed != b.replayed);
                }
                first.is_ok()
            })
        })
        .collect();
    let winners = threads
        .into_iter()
        .filter(|_| true)
        .map(|t| t.join().unwrap())
        .filter(|won| *won)
        .count();
    assert_eq!(winners, 1);
    let left = handle.read(|s| {
        s.account(AccountId(holding(1, 2)))
            .unwrap()
            .counters
            .balance()
    });
    assert_eq!(left, Ok(0));
    engine.stop().unwrap();
    assert!(
        verify(&**handle.storage(), &VerifyOptions::default())
            .unwrap()
            .is_sound()
    );
}

#[test]
fn what_runs_out_comes_back_without_being_asked() {
    let (engine, handle, clock) = engine();
    let reserve = Op::Reserve(Reserve {
        transfer: transfer(TransferKind::Transfer, holding(1, 1), holding(2, 1), 400),
        opens: Time::MIN,
        expires: Time(2_000),
        resolver: PartyId(102),
        four_eyes: false,
        discrepancy: None,
    });
    let pending = CommandId(70_000);
    let answers = handle
        .call(sign(vec![command(pending.0, SignerId(10), reserve)]))
        .unwrap();
    assert!(answers[0].is_ok());
    let available = |handle: &Handle<MemStorage>| {
        handle
            .read(|s| {
                s.account(AccountId(holding(1, 1)))
                    .unwrap()
                    .counters
                    .available()
            })
            .unwrap()
    };
    assert_eq!(available(&handle), 600);
    clock.store(2_000, Ordering::Relaxed);
    let deadline = std::time::Instant::now() + Duration::from_secs(20);
    while available(&handle) != 1_000 {
        assert!(std::time::Instant::now() < deadline, "it never came back");
        std::thread::sleep(Duration::from_millis(5));
    }
    let outcome = handle.read(move |s| s.outcome(expiry_id(pending))).unwrap();
    assert!(matches!(outcome, Some(Outcome::Applied(_))));
    handle.snapshot().unwrap();
    let head = handle.head(&key(OPERATOR));
    assert!(head.is_signed_by(&operator()));
    engine.stop().unwrap();
    assert!(matches!(
        handle.call(sign(vec![spend(5, 1)])),
        Err(Door::Stopped(_))
    ));
    let (journal, recovery) = Journal::open(Arc::clone(handle.storage())).unwrap();
    assert_eq!((recovery.replayed, recovery.cut), (0, None));
    assert_eq!(journal.state().now(), Time(2_000));
}

#[test]
fn a_failed_disk_stops_the_engine_and_says_so_to_everyone() {
    let storage = Arc::new(SimStorage::new(8));
    let journal = filled(&storage, 1);
    let options = Options {
        clock: Box::new(|| Time(50)),
        tick: Duration::from_secs(1),
    };
    let engine = Engine::start(journal, options).unwrap();
    let handle = engine.handle();
    storage.fail_next_sync();
    let answer = handle.call(sign(vec![spend(1 << 50, 1)]));
    assert!(
        matches!(&answer, Err(Door::Stopped(text)) if text.contains("sync")),
        "{answer:?}"
    );
    assert!(handle.call(sign(vec![spend(1 << 51, 1)])).is_err());
    assert!(handle.read(|s| s.records()).is_err());
    assert!(handle.failure().is_some());
    assert!(engine.stop().is_err());
}
