//! The journal reader: any bytes in a segment, an envelope, a proof or a snapshot give an error or
//! a value, never a panic.
#![no_main]

use std::sync::Arc;

use libfuzzer_sys::fuzz_target;
use miyun_journal::proof::{Consistency, Proof};
use miyun_journal::verify::{VerifyOptions, verify};
use miyun_journal::{Envelope, Journal, MemStorage, Storage, log};
use miyun_ledger::State;

fuzz_target!(|bytes: &[u8]| {
    let _ = Envelope::from_bytes(bytes);
    let _ = Proof::from_bytes(bytes);
    let _ = Consistency::from_bytes(bytes);
    let _ = State::from_snapshot(bytes);
    let storage = Arc::new(MemStorage::new());
    let (genesis, segment) = bytes.split_at(bytes.len().min(85));
    if storage.replace("genesis", genesis).is_err()
        || storage.replace(&log::segment_name(0), segment).is_err()
    {
        return;
    }
    let _ = verify(&*storage, &VerifyOptions::default());
    let _ = Journal::open(storage);
});
