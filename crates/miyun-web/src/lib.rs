//! What people read: server-drawn charts, the self-contained report, the pages and the HTTP door.
//!
//! Everything is complete without a script: HTML and SVG come from here with their numbers in
//! them. Text is in Chinese and English.

pub mod api;
pub mod app;
pub mod articles;
pub mod assets;
pub mod auth;
pub mod chart;
pub mod devices;
pub mod failure;
pub mod figures;
mod form;
pub mod geo;
pub mod jobs;
pub mod listen;
mod metrics;
pub mod outlets;
pub mod pack;
mod pages;
pub mod picture;
pub mod policy;
pub mod problem;
pub mod registry;
pub mod report;
pub mod rules;
pub mod said;
pub mod search;
pub mod server;
pub mod shell;
pub mod show;
pub mod site;
pub mod terms;
pub mod words;

/// Target of the spans that a collector of traces gets: requests, what they computed, jobs. Nobody
/// listens to it unless traces are configured, and then a span costs a comparison.
pub const TRACE: &str = "miyun_web::trace";
