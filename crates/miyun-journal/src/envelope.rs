//! Signed envelopes: how commands come to the door, and what the door checks.
//!
//! One signature covers one envelope, so a client that sends thousands of commands at once pays for
//! one signature. It covers the ledger's id, the signer and the SHA-256 of every command.

use std::collections::HashMap;
use std::sync::{Arc, RwLock};

use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use miyun_ledger::codec::{Reader, Wire};
use miyun_ledger::{COMMAND_LEN_MAX, Command, DecodeError, SYSTEM, SignerId};
use sha2::{Digest as _, Sha256};

use crate::error::Door;
use crate::merkle::Hash;

/// Most commands of an envelope, and of a batch.
pub const COMMANDS_MAX: usize = 8_192;
/// Most bytes of an envelope.
pub const ENVELOPE_LEN_MAX: usize = 8 << 20;
/// What a signature covers begins with this.
const DOMAIN: &[u8] = b"miyun-envelope-1";

/// Commands under one signature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Envelope {
    /// The ledger it is for.
    pub ledger: [u8; 32],
    /// Who signs.
    pub signer: SignerId,
    /// What is asked, in order. Each is applied or refused on its own; a chain is one command.
    pub commands: Vec<Command>,
    /// Ed25519 over [`envelope_message`].
    pub signature: [u8; 64],
}

/// The bytes that are signed: a fixed word, the ledger, the signer (4 bytes, little-endian), the
/// number of commands (4 bytes, little-endian), and the SHA-256 over the SHA-256 of each command's
/// binary form, in order.
#[must_use]
pub fn envelope_message(ledger: &[u8; 32], signer: SignerId, hashes: &[Hash]) -> Vec<u8> {
    let mut out = Vec::with_capacity(DOMAIN.len() + 72);
    out.extend_from_slice(DOMAIN);
    ledger.put(&mut out);
    signer.put(&mut out);
    u32::try_from(hashes.len())
        .unwrap_or(u32::MAX)
        .put(&mut out);
    let mut all = Sha256::new();
    for hash in hashes {
        all.update(hash);
    }
    out.extend_from_slice(&all.finalize());
    out
}

impl Envelope {
    /// The commands, signed.
    #[must_use]
    pub fn sign(
        ledger: [u8; 32],
        signer: SignerId,
        commands: Vec<Command>,
        key: &SigningKey,
    ) -> Self {
        let hashes: Vec<Hash> = commands
            .iter()
            .map(|c| Sha256::digest(c.to_bytes()).into())
            .collect();
        let message = envelope_message(&ledger, signer, &hashes);
        Self {
            ledger,
            signer,
            commands,
            signature: key.sign(&message).to_bytes(),
        }
    }

    /// The binary form: version, ledger, signer, signature, then the commands, each with its length.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = vec![1];
        self.ledger.put(&mut out);
        self.signer.put(&mut out);
        out.extend_from_slice(&self.signature);
        (self.commands.len() as u32).put(&mut out);
        for command in &self.commands {
            let bytes = command.to_bytes();
            (bytes.len() as u32).put(&mut out);
            out.extend_from_slice(&bytes);
        }
        out
    }

    /// The envelope in `bytes`.
    ///
    /// # Errors
    /// [`DecodeError`]; nothing is checked but the form.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, DecodeError> {
        let too_long = |len: usize| DecodeError::TooLong {
            what: "envelope",
            len: len as u64,
            max: ENVELOPE_LEN_MAX,
            at: 0,
        };
        if bytes.len() > ENVELOPE_LEN_MAX {
            return Err(too_long(bytes.len()));
        }
        let mut r = Reader::new(bytes);
        match u8::get(&mut r)? {
            1 => {}
            other => return Err(DecodeError::Version(other)),
        }
        let ledger = Wire::get(&mut r)?;
        let signer = Wire::get(&mut r)?;
        let mut signature = [0; 64];
        signature.copy_from_slice(r.take(64)?);
        let count = r.len("commands", COMMANDS_MAX)?;
        let mut commands = Vec::with_capacity(count.min(r.left() / 40));
        for _ in 0..count {
            let len = r.len("command", COMMAND_LEN_MAX)?;
            commands.push(Command::from_bytes(r.take(len)?)?);
        }
        r.end()?;
        Ok(Self {
            ledger,
            signer,
            commands,
            signature,
        })
    }
}

/// An envelope that passed the door, with the bytes of its commands.
#[derive(Debug, Clone)]
pub struct Admitted {
    pub(crate) signer: SignerId,
    pub(crate) signature: Option<[u8; 64]>,
    pub(crate) commands: Vec<Command>,
    pub(crate) bytes: Vec<u8>,
    /// End of each command in `bytes`.
    pub(crate) ends: Vec<u32>,
    pub(crate) hashes: Vec<Hash>,
}

impl Admitted {
    /// Commands inside.
    #[must_use]
    pub fn len(&self) -> usize {
        self.commands.len()
    }

    /// True if nothing is inside; the door lets none such in.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.commands.is_empty()
    }

    /// Commands that the journal makes itself.
    pub(crate) fn system(commands: Vec<Command>) -> Self {
        let mut admitted = Self {
            signer: SYSTEM,
            signature: None,
            commands: Vec::new(),
            bytes: Vec::new(),
            ends: Vec::new(),
            hashes: Vec::new(),
        };
        for command in &commands {
            admitted.add(command);
        }
        admitted.commands = commands;
        admitted
    }

    fn add(&mut self, command: &Command) {
        let start = self.bytes.len();
        command.put(&mut self.bytes);
        self.hashes
            .push(Sha256::digest(&self.bytes[start..]).into());
        self.ends
            .push(u32::try_from(self.bytes.len()).unwrap_or(u32::MAX));
    }

    pub(crate) fn span(&self, n: usize) -> &[u8] {
        let start = if n == 0 { 0 } else { self.ends[n - 1] };
        &self.bytes[start as usize..self.ends[n] as usize]
    }
}

/// The door: knows the ledger's id and the keys of its signers. Whether a signer's window is open
/// is for the ledger to say, which knows the instant.
#[derive(Debug, Clone)]
pub struct DoorKeeper {
    ledger: [u8; 32],
    keys: Arc<RwLock<HashMap<SignerId, VerifyingKey>>>,
}

impl DoorKeeper {
    /// A door with no key yet.
    #[must_use]
    pub fn new(ledger: [u8; 32]) -> Self {
        Self {
            ledger,
            keys: Arc::default(),
        }
    }

    /// The ledger's id.
    #[must_use]
    pub fn ledger(&self) -> [u8; 32] {
        self.ledger
    }

    /// Registers a key. A key that is no point of the curve can sign nothing, so it is left out.
    pub fn add(&self, signer: SignerId, key: &[u8; 32]) {
        if let Ok(key) = VerifyingKey::from_bytes(key) {
            let mut keys = match self.keys.write() {
                Ok(keys) => keys,
                Err(poisoned) => poisoned.into_inner(),
            };
            keys.insert(signer, key);
        }
    }

    /// Checks an envelope.
    ///
    /// # Errors
    /// [`Door`]; the envelope leaves no trace.
    pub fn admit(&self, envelope: Envelope) -> Result<Admitted, Door> {
        if envelope.ledger != self.ledger {
            return Err(Door::OtherLedger);
        }
        if envelope.commands.is_empty() || envelope.commands.len() > COMMANDS_MAX {
            return Err(Door::TooLarge);
        }
        let mut admitted = Admitted {
            signer: envelope.signer,
            signature: Some(envelope.signature),
            commands: Vec::new(),
            bytes: Vec::with_capacity(envelope.commands.len() * 112),
            ends: Vec::with_capacity(envelope.commands.len()),
            hashes: Vec::with_capacity(envelope.commands.len()),
        };
        for command in &envelope.commands {
            if command.signer != envelope.signer || command.signer == SYSTEM {
                return Err(Door::WrongSigner);
            }
            if command.check_bounds().is_err() {
                return Err(Door::TooLarge);
            }
            let start = admitted.bytes.len();
            admitted.add(command);
            if admitted.bytes.len() - start > COMMAND_LEN_MAX
                || admitted.bytes.len() > ENVELOPE_LEN_MAX
            {
                return Err(Door::TooLarge);
            }
        }
        let key = {
            let keys = match self.keys.read() {
                Ok(keys) => keys,
                Err(poisoned) => poisoned.into_inner(),
            };
            *keys.get(&envelope.signer).ok_or(Door::SignerUnknown)?
        };
        let message = envelope_message(&self.ledger, envelope.signer, &admitted.hashes);
        key.verify_strict(&message, &Signature::from_bytes(&envelope.signature))
            .map_err(|_| Door::BadSignature)?;
        admitted.commands = envelope.commands;
        Ok(admitted)
    }
}
