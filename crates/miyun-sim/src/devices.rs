//! Loggers of a simulated city: who they are, what they measure, what they say and when, and what
//! is wrong with them on purpose. No bytes of a protocol: the edge writes the frames.

mod act;
mod fleet;

pub use act::{Act, Acts, Reading, Report, ReportKind, Spoil};
pub use fleet::{Device, Fault, Fleet, Kind};
