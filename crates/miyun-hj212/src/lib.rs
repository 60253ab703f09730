//! HJ 212: what loggers and hosts of environmental monitoring say to each other, editions 2005,
//! 2017 and 2025. Bytes in, frames and findings out, and back; no socket, no clock.
//!
//! * [`Framer`]: frames out of a byte stream, by length, with resynchronisation.
//! * [`Frame`]: head, region, items and numbers of one frame, read without copying.
//! * [`Findings`]: what a frame breaks of the standard. A finding is a statement about the
//!   device, never a reason to lose data.
//! * [`Message`]: frames to send, split where the standard demands it; [`answer`]: 9011 to 9014.
//! * [`DeviceProfile`]: what is configured of a device: edition, check, keys.

pub mod answer;
pub mod cn;
mod command;
pub mod crc;
mod encode;
pub mod exchange;
pub mod finding;
mod frame;
mod framer;
mod head;
mod number;
mod profile;
mod region;
mod scan;
pub mod sm4;
mod split;
mod time;
mod words;

pub use answer::{AnswerTo, Outcome, RequestReturn, Wanted};
pub use command::Command;
pub use crc::{CrcDialect, CrcSet};
pub use encode::{EncodeError, Message, Region};
pub use finding::{Finding, FindingCode, Findings, Reason, Weight};
pub use frame::{Frame, LONGEST, REGION_MAX, Rejected, SEGMENT_MAX, Tail, decode};
pub use framer::{Event, Framer};
pub use head::{Field, Flag};
pub use number::Number;
pub use profile::{CipherForm, DeviceProfile, Edition, Profiles};
pub use region::{Item, Items};
pub use split::{Joined, Offer, Reassembler, SplitLimits};
pub use time::{Qn, Stamp};
pub use words::{FactorWord, Words};
