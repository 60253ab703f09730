//! Mutilated files: rows and problems, never a panic; what is not broken is still read.

use miyun_core::IntervalLabel;
use miyun_import::{Declared, Layout, Words, detect, read_csv, unpack};
use proptest::prelude::*;

const PRSA: &str = "\
No,year,month,day,hour,PM2.5,PM10,SO2,NO2,CO,O3,TEMP,PRES,DEWP,RAIN,wd,WSPM,station
1,2013,3,1,0,4,4,4,7,300,77,-0.7,1023,-18.8,0,NNW,4.4,Dongsi
2,2013,3,1,1,8,8,4,7,300,77,-1.1,1023.2,-18.2,0,N,4.7,Dongsi
3,2013,3,1,2,7,7,5,10,300,73,-1.1,1023.5,-18.2,0,NNW,5.6,Dongsi
4,2013,3,1,3,NA,6,11,11,300,72,-1.4,1024.5,-19.4,0,NW,3.1,Dongsi
";
const LONG: &str = "\
station,indicator,time,value,unit,flag
dongsi,PM2.5,2016-01-01T00:00+08:00,35.5,ug/m3,
dongsi,PM2.5,2016-01-01T01:00+08:00,36,ug/m3,
dongsi,CO,2016-01-01T00:00+08:00,1.2,mg/m3,below-detection
dongsi,CO,2016-01-01T01:00+08:00,-,mg/m3,good
";

fn words() -> Words {
    let unit = |t: &str| t.parse().unwrap();
    Words {
        indicators: [
            ("PM2.5", "ug/m3"),
            ("PM10", "ug/m3"),
            ("SO2", "ug/m3"),
            ("NO2", "ug/m3"),
            ("O3", "ug/m3"),
            ("CO", "mg/m3"),
        ]
        .map(|(i, u)| (i.to_owned(), unit(u)))
        .into(),
        units: ["ug/m3", "mg/m3"]
            .map(|u| (u.to_owned(), "mass-concentration".to_owned()))
            .into(),
    }
}

/// Values read, over both layouts and the one that the header suggests.
fn read(bytes: &[u8]) -> usize {
    let declared = Declared {
        interval: Some(IntervalLabel::HourEnd),
        utc_offset_minutes: Some(480),
        subject_prefix: "beijing/".into(),
        ..Declared::default()
    };
    let suggested = detect("x.csv", bytes);
    let mut most = 0;
    for layout in suggested.into_iter().chain([Layout::Prsa, Layout::Long]) {
        if let Ok(p) = read_csv("x.csv", bytes, layout, &declared, &words()) {
            for s in &p.series {
                assert_eq!(s.label_s.len(), s.value.len());
                assert_eq!(s.label_s.len(), s.line.len());
            }
            most = most.max(p.series.iter().map(|s| s.len()).sum());
        }
    }
    most
}

#[test]
fn the_whole_files_are_read() {
    assert_eq!(read(PRSA.as_bytes()), 23);
    assert_eq!(read(LONG.as_bytes()), 3);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn no_mutilated_file_makes_it_panic(
        long in any::<bool>(),
        at in any::<prop::sample::Index>(),
        cut in 0usize..40,
        graft in proptest::collection::vec(any::<u8>(), 0..12),
    ) {
        let mut bytes = if long { LONG } else { PRSA }.as_bytes().to_vec();
        let from = at.index(bytes.len());
        let to = (from + cut).min(bytes.len());
        bytes.splice(from..to, graft);
        prop_assert!(read(&bytes) <= 24);
    }

    /// A gzip stream of any bytes is an error or a file, and never grows without bound.
    #[test]
    fn no_packed_bytes_make_it_panic(mut bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        for head in [&[][..], &[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3][..]] {
            let mut packed = head.to_vec();
            packed.append(&mut bytes.clone());
            if let Ok(open) = unpack("x.csv.gz", packed) {
                read(&open);
            }
        }
        bytes.clear();
    }
}
