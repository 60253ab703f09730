//! What people read: server-drawn charts, the self-contained report, the pages and the HTTP door.
//!
//! Everything is complete without a script: HTML and SVG come from here with their numbers in
//! them. Text is in Chinese and English.

pub mod chart;
pub mod devices;
pub mod figures;
pub mod plan;
pub mod report;
pub mod rules;
pub mod server;
pub mod shell;
