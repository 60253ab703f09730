//! A rule file of any bytes: problems, never a panic; every problem names the file.
#![no_main]

use libfuzzer_sys::fuzz_target;
use miyun_rulebook::{EMBEDDED, Rulebook};

fuzz_target!(|text: &str| {
    let words = EMBEDDED.iter().filter(|(n, _)| n.contains("vocabulary"));
    let files = words.copied().chain([("fuzz.toml", text)]);
    let (book, problems) = Rulebook::from_files(files);
    assert!(problems.iter().all(|p| !p.file.is_empty()));
    assert!(book.instruments().len() <= 1);
});
