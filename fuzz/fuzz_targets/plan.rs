//! A plan file of any bytes: problems, never a panic.
#![no_main]

use libfuzzer_sys::fuzz_target;
use miyun_rulebook::Rulebook;

fuzz_target!(|text: &str| {
    let (_, problems) = miyun_plan::read("fuzz.toml", text, Rulebook::embedded().vocabulary());
    assert!(problems.iter().all(|p| p.file == "fuzz.toml"));
});
