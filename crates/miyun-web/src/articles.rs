//! Articles: text with clauses that keep their address, versions and their differences, citations,
//! feeds. What is here is pure; the pages bring the records.

pub mod cite;
pub mod demo;
pub mod diff;
pub mod feed;
pub mod markup;
pub mod when;
