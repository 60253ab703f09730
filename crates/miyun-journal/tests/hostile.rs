//! Hostile bytes: readers give an error, never a panic, and never another meaning. The same targets
//! run under a fuzzer from `fuzz/`.

mod common;

use std::sync::Arc;

use common::*;
use miyun_journal::proof::{Consistency, Proof};
use miyun_journal::verify::{VerifyOptions, verify};
use miyun_journal::*;
use miyun_ledger::*;
use proptest::prelude::*;

fn a_log() -> (Vec<u8>, Vec<u8>) {
    let storage = Arc::new(MemStorage::new());
    let mut journal = Journal::create(Arc::clone(&storage), genesis()).unwrap();
    let admitted = journal.door().admit(sign(set_up())).unwrap();
    journal.commit(Time(1), &[admitted]).unwrap();
    for n in 0..3 {
        let t = transfer(TransferKind::Transfer, holding(1, 2), holding(2, 2), 5 + n);
        let c = command(1_000 + u128::from(n), SignerId(10), Op::Transfer(t));
        let admitted = journal.door().admit(sign(vec![c])).unwrap();
        journal.commit(Time(2), &[admitted]).unwrap();
    }
    (
        storage.read("genesis").unwrap(),
        storage.read(&log::segment_name(0)).unwrap(),
    )
}

fn with_segment(genesis: &[u8], segment: &[u8]) -> Arc<MemStorage> {
    let storage = Arc::new(MemStorage::new());
    storage.replace("genesis", genesis).unwrap();
    storage.replace(&log::segment_name(0), segment).unwrap();
    storage
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_are_a_command_with_one_form_or_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        if let Ok(command) = Command::from_bytes(&bytes) {
            prop_assert_eq!(command.to_bytes(), bytes);
        }
    }

    #[test]
    fn a_changed_command_is_another_command_or_an_error(at in any::<prop::sample::Index>(), bit in 0u8..8, pick in any::<prop::sample::Index>()) {
        let commands = set_up();
        let command = &commands[pick.index(commands.len())];
        let mut bytes = command.to_bytes();
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
        if let Ok(other) = Command::from_bytes(&bytes) {
            prop_assert_ne!(&other, command);
            prop_assert_eq!(other.to_bytes(), bytes);
        }
    }

    #[test]
    fn any_bytes_are_an_envelope_a_proof_a_snapshot_or_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        let _ = Envelope::from_bytes(&bytes);
        let _ = Proof::from_bytes(&bytes);
        let _ = Consistency::from_bytes(&bytes);
        prop_assert!(State::from_snapshot(&bytes).is_err());
        let _ = format::read_batch(&bytes);
    }

    #[test]
    fn a_changed_snapshot_is_refused(at in any::<prop::sample::Index>(), bit in 0u8..8) {
        let mut state = State::new(genesis());
        for command in set_up() {
            state.apply(&command, Time(1)).unwrap();
        }
        state.seal().unwrap();
        let good = state.to_snapshot();
        let restored = State::from_snapshot(&good).unwrap();
        prop_assert_eq!(restored.digest(), state.digest());
        prop_assert_eq!(restored.to_snapshot(), good.clone());
        let mut bytes = good.clone();
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
        // the journal hashes snapshots; this is the second line of defence: no panic, and what the
        // digest covers cannot change
        if let Ok(other) = State::from_snapshot(&bytes) {
            prop_assert_eq!(other.digest(), state.digest());
        }
    }

    #[test]
    fn a_changed_log_is_refused_or_cut_and_never_read_otherwise(at in any::<prop::sample::Index>(), noise in any::<[u8; 9]>(), cut in any::<prop::sample::Index>()) {
        let (genesis, good) = a_log();
        let honest = verify(&*with_segment(&genesis, &good), &VerifyOptions::default()).unwrap();
        prop_assert!(honest.is_sound());
        let mut bytes = good.clone();
        let at = at.index(bytes.len());
        for (byte, noise) in bytes[at..].iter_mut().zip(noise) {
            *byte ^= noise;
        }
        if noise[0] % 2 == 0 {
            bytes.truncate(cut.index(bytes.len()));
        }
        let storage = with_segment(&genesis, &bytes);
        match Journal::open(Arc::clone(&storage)) {
            Ok((journal, recovery)) => {
                let records = journal.state().records();
                prop_assert!(records <= honest.records);
                if bytes != good {
                    prop_assert!(recovery.cut.is_some() || records < honest.records || bytes.len() < good.len());
                }
            }
            Err(JournalError::Corrupt { .. }) => {}
            Err(other) => prop_assert!(false, "{other}"),
        }
    }

    #[test]
    fn any_bytes_as_a_segment_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..700)) {
        let (genesis, good) = a_log();
        let _ = Journal::open(with_segment(&genesis, &bytes));
        let joined = [&good[..], &bytes].concat();
        let (journal, recovery) = Journal::open(with_segment(&genesis, &joined)).unwrap();
        prop_assert_eq!(recovery.cut.is_some(), !bytes.is_empty());
        prop_assert_eq!(journal.state().records(), 3 + set_up().len() as u64);
        let mut odd = genesis.clone();
        odd.extend_from_slice(&bytes);
        if !bytes.is_empty() {
            prop_assert!(Journal::open(with_segment(&odd, &good)).is_err());
        }
    }
}
