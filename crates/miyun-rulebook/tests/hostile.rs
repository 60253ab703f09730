//! Any text, and any mutilation of a real rule file: problems, never a panic.

use miyun_rulebook::{EMBEDDED, Rulebook};
use proptest::prelude::*;

fn load(text: &str) -> usize {
    let words = EMBEDDED.iter().filter(|(n, _)| n.contains("vocabulary"));
    let files = words.copied().chain([("hostile.toml", text)]);
    let (_, problems) = Rulebook::from_files(files);
    assert!(problems.iter().all(|p| !p.file.is_empty()));
    problems.len()
}

fn instruments() -> Vec<&'static str> {
    EMBEDDED
        .iter()
        .filter(|(n, _)| n.ends_with(".toml") && !n.contains("vocabulary"))
        .map(|(_, t)| *t)
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_text_makes_it_panic(text in "\\PC{0,200}") {
        load(&text);
    }

    /// Cuts out a stretch and puts a bit of another file in its place.
    #[test]
    fn no_mutilated_file_makes_it_panic(
        which in any::<prop::sample::Index>(),
        from in any::<prop::sample::Index>(),
        length in 0usize..60,
        donor in any::<prop::sample::Index>(),
        at in any::<prop::sample::Index>(),
        graft in 0usize..40,
    ) {
        let files = instruments();
        let text: Vec<char> = which.get(&files).chars().collect();
        let other: Vec<char> = donor.get(&files).chars().collect();
        let (i, j) = (from.index(text.len()), at.index(other.len()));
        let mut broken: String = text[..i].iter().collect();
        broken.extend(&other[j..(j + graft).min(other.len())]);
        broken.extend(&text[(i + length).min(text.len())..]);
        load(&broken);
    }
}

/// A file that ends anywhere has a problem or is a whole instrument; it never passes as more.
#[test]
fn a_torn_file_is_noticed() {
    let text = include_str!("broken/good.toml");
    assert_eq!(load(text), 0);
    for end in (0..text.len())
        .filter(|i| text.is_char_boundary(*i))
        .step_by(97)
    {
        load(&text[..end]);
    }
    assert!(load(&text[..60]) > 0);
}
