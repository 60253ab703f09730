//! An import file of any bytes, packed or not, in either layout: rows and problems, never a panic.
#![no_main]

use libfuzzer_sys::fuzz_target;
use miyun_core::IntervalLabel;
use miyun_import::{Declared, Layout, Words, detect, read_csv, unpack};

fuzz_target!(|bytes: &[u8]| {
    let id = |t: &str| t.parse().expect("a known id");
    let words = Words {
        indicators: [("PM2.5".into(), id("ug/m3")), ("CO".into(), id("mg/m3"))].into(),
        units: [
            ("ug/m3".into(), "mass-concentration".into()),
            ("mg/m3".into(), "mass-concentration".into()),
        ]
        .into(),
    };
    let declared = Declared {
        interval: Some(IntervalLabel::HourEnd),
        utc_offset_minutes: Some(480),
        units: [("PM2.5".into(), id("ug/m3"))].into(),
        subject_prefix: "city/".into(),
    };
    let Ok(bytes) = unpack("fuzz.csv.gz", bytes.to_vec()) else {
        return;
    };
    let layouts = [Layout::Prsa, Layout::Long];
    for layout in detect("fuzz.csv", &bytes).into_iter().chain(layouts) {
        if let Ok(p) = read_csv("fuzz.csv", &bytes, layout, &declared, &words) {
            let values: usize = p.series.iter().map(|s| s.len()).sum();
            assert!(values <= bytes.len());
            assert!(p.series.iter().all(|s| s.label_s.len() == s.line.len()));
        }
    }
});
