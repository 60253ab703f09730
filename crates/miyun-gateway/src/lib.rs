//! A receiver of HJ 212 whose acknowledgement is a promise: 9014 leaves only after the frame is on
//! disk.
//!
//! ```text
//! sockets -> shards (parse in place, SHA-256) -> one writer (doubles out, one batch, one sync) -> 9014
//!                                                   |
//!                                   frame log (hash chain per device, Merkle root per batch and day)
//!                                                   |
//!                              readers with cursors: live state, relays, the lake's compactor
//! ```
//! The crate knows sockets, files and the clock; it knows neither the lake nor pages.

mod answer;
pub mod clock;
pub mod command;
mod conn;
pub mod files;
pub mod hearing;
pub mod journal;
pub mod log;
pub mod mqtt;
pub mod reading;
pub mod registry;
pub mod relay;
pub mod seen;
pub mod server;
pub mod settings;
mod shard;
pub mod state;
pub mod tls;
pub mod writer;

use std::path::{Path, PathBuf};

pub use log::{FrameLog, Position};
pub use miyun_merkle as merkle;
pub use registry::{Property, Registry};
pub use server::{Gateway, Running};
pub use settings::Settings;

/// Why the gateway could not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum GatewayError {
    /// A file or folder could not be read or written.
    #[error("{path}: {error}")]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// A file holds something else than what was written.
    #[error("{path}: damaged at byte {at}: {reason}")]
    Damaged {
        /// Which.
        path: PathBuf,
        /// Where.
        at: u64,
        /// What is wrong.
        reason: String,
    },
    /// Another process writes this log.
    #[error("{0} is locked: another gateway writes it; stop that one or choose another folder")]
    Locked(PathBuf),
    /// An address cannot be listened on or reached.
    #[error("{address}: {error}")]
    Net {
        /// Which.
        address: String,
        /// Why.
        error: std::io::Error,
    },
    /// A setting that cannot be used.
    #[error("{what}: {reason}")]
    Setting {
        /// Which.
        what: String,
        /// Why, and what to write instead.
        reason: String,
    },
    /// There is no such device.
    #[error("no device with MN {0:?} was ever seen or registered")]
    NoDevice(String),
}

impl GatewayError {
    pub(crate) fn io(path: &Path, error: std::io::Error) -> Self {
        Self::Io {
            path: path.to_owned(),
            error,
        }
    }
    pub(crate) fn setting(what: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::Setting {
            what: what.into(),
            reason: reason.into(),
        }
    }
}
