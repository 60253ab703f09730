//! The command decoder: any bytes are a command with exactly this form, or an error; and whatever
//! they say, the ledger stays sound.
#![no_main]

use libfuzzer_sys::fuzz_target;
use miyun_ledger::{Command, Genesis, PartyId, Powers, SignerDef, SignerId, State, Time, Window};

fuzz_target!(|bytes: &[u8]| {
    let Ok(command) = Command::from_bytes(bytes) else {
        return;
    };
    assert_eq!(command.to_bytes(), bytes);
    let mut state = State::new(Genesis {
        ledger: [0; 32],
        root: SignerDef {
            id: SignerId(1),
            party: PartyId(1),
            key: [0; 32],
            powers: Powers::ALL,
            window: Window::ALWAYS,
        },
    });
    let command = Command {
        signer: SignerId(1),
        window: Window::ALWAYS,
        ..command
    };
    let before = state.digest();
    let refused = state.apply(&command, Time(1)).is_err();
    state.seal().expect("an invariant broke");
    assert!(!refused || state.digest() == before);
});
