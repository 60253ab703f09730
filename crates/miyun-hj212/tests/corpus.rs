//! A small corpus of our own: examples printed in the standard and the cases that its receivers
//! stumble over. It needs no file beside the repository.

use miyun_hj212::sm4::{Key, Keys};
use miyun_hj212::{DeviceProfile, Edition, Event, FindingCode, Framer, Reason, decode};

struct Case {
    what: &'static str,
    bytes: &'static [u8],
    /// Violations and remarks, or why it is no frame.
    expect: Result<&'static [FindingCode], Reason>,
}

use FindingCode as C;

const CASES: &[Case] = &[
    Case {
        what: "HJ 212-2017 annex A",
        bytes: b"##0101QN=20160801085857223;ST=32;CN=1062;PW=100000;MN=010000A8900016F000169DC0;Flag=5;CP=&&RtdInterval=30&&1C80\r\n",
        expect: Ok(&[]),
    },
    Case {
        what: "HJ 212-2025 annex A.1",
        bytes: b"##0087QN=20240601085857223;ST=32;CN=1011;PW=123456;MN=010000A8900016F000169DC0;Flag=9;CP=&&&&2200\r\n",
        expect: Ok(&[]),
    },
    Case {
        what: "HJ 212-2017 C.29: the same factor twice, and an ellipsis in a number",
        bytes: "##0143QN=20160801085857223;ST=52;CN=2011;PW=123456;MN=010000A8900016F000169DC0;Flag=5;CP=&&DataTime=20160801085857;e01001-Rtd=1.1;e01001-Rtd=2.2…&&4E00\r\n".as_bytes(),
        expect: Ok(&[C::CpDuplicateKey, C::CpBadNumber]),
    },
    Case {
        what: "a device of 2005 without QN and Flag",
        bytes: b"##0135ST=32;CN=2011;PW=123456;MN=75404693465697;CP=&&DataTime=20240308050246;B01-Rtd=279.0;011-Rtd=1.2E-3,011-Flag=N;060-Rtd=135,060-Flag=N&&6600\r\n",
        expect: Ok(&[C::MissingQn, C::MissingFlag, C::BadMn]),
    },
    Case {
        what: "no CR LF",
        bytes: b"##0101QN=20160801085857223;ST=32;CN=1062;PW=100000;MN=010000A8900016F000169DC0;Flag=5;CP=&&RtdInterval=30&&1C80",
        expect: Ok(&[C::TailNotCrLf]),
    },
    Case {
        what: "lower-case digits of the check",
        bytes: b"##0101QN=20160801085857223;ST=32;CN=1062;PW=100000;MN=010000A8900016F000169DC0;Flag=5;CP=&&RtdInterval=30&&1c80\r\n",
        expect: Ok(&[C::CrcLowerCase]),
    },
    Case {
        what: "a digit changed",
        bytes: b"##0101QN=20160801085857223;ST=32;CN=1062;PW=100000;MN=010000A8900016F000169DC0;Flag=5;CP=&&RtdInterval=31&&1C80\r\n",
        expect: Err(Reason::BadCrc),
    },
    Case {
        what: "the length counts characters instead of bytes",
        bytes: "##0008CP=&&清&&1C80\r\n".as_bytes(),
        expect: Err(Reason::BadCrcField),
    },
    Case {
        what: "not a number as length",
        bytes: b"##01A1QN=20160801085857223;CP=&&&&1C80\r\n",
        expect: Err(Reason::BadLengthField),
    },
    Case { what: "nothing", bytes: b"", expect: Err(Reason::NoHeader) },
    Case { what: "a header", bytes: b"##0000", expect: Err(Reason::Truncated) },
];

#[test]
fn each_case_is_as_the_standard_says() {
    for c in CASES {
        let mut plain = Vec::new();
        let got = decode(c.bytes, &DeviceProfile::default(), &mut plain)
            .map(|f| f.check().iter().collect::<Vec<_>>())
            .map_err(|r| r.reason);
        let want = c.expect.map(<[FindingCode]>::to_vec);
        assert_eq!(got, want, "{}", c.what);
    }
}

#[test]
fn misprints_of_the_examples_are_read() {
    let frame = |segment: &str| {
        let check = miyun_hj212::crc::hj212(segment.as_bytes());
        format!("##{:04}{segment}{check:04X}\r\n", segment.len())
    };
    // C.19 lacks the `;` before CP; C.22 has `,` behind QN.
    let c19 = frame(
        "QN=20160801085857223;ST=91;CN=9013;PW=123456;MN=010000A8900016F000169DC0;Flag=4CP=&&&&",
    );
    let mut plain = Vec::new();
    let f = decode(c19.as_bytes(), &DeviceProfile::default(), &mut plain).unwrap();
    assert_eq!(f.flag().map(|f| f.0), Some(4));
    assert!(f.check().is_empty());
    let c22 = frame(
        "QN=20160801085857223,ST=32;CN=2031;PW=123456;MN=010000A8900016F000169DC0;Flag=5;CP=&&DataTime=20160801000000&&",
    );
    let mut plain = Vec::new();
    let f = decode(c22.as_bytes(), &DeviceProfile::default(), &mut plain).unwrap();
    assert_eq!(
        f.check().iter().collect::<Vec<_>>(),
        [C::MissingSt, C::BadQn]
    );
    assert_eq!(f.cn(), Some("2031"));
}

#[test]
fn text_in_gb18030_is_read_and_said() {
    // "清洗" in GB18030 is C7 E5 CF B4.
    let mut segment = b"QN=20240318054900163;ST=32;CN=3020;PW=857484;MN=041FFC9BF2E4167862DCF19D;Flag=5;CP=&&i11001-Info=//".to_vec();
    segment.extend_from_slice(&[0xC7, 0xE5, 0xCF, 0xB4]);
    segment.extend_from_slice(b"//&&");
    let mut bytes = format!("##{:04}", segment.len()).into_bytes();
    bytes.extend_from_slice(&segment);
    bytes.extend_from_slice(format!("{:04X}\r\n", miyun_hj212::crc::hj212(&segment)).as_bytes());
    let mut plain = Vec::new();
    let f = decode(&bytes, &DeviceProfile::default(), &mut plain).unwrap();
    assert_eq!(f.items().next().unwrap().log(), Some("清洗"));
    assert_eq!(f.check().iter().collect::<Vec<_>>(), [C::EncodingGb18030]);
}

#[test]
fn what_contradicts_the_register_is_said() {
    let bytes = b"##0087QN=20240601085857223;ST=32;CN=1011;PW=123456;MN=010000A8900016F000169DC0;Flag=9;CP=&&&&2200\r\n";
    let found = |edition| {
        let mut plain = Vec::new();
        let profile = DeviceProfile::of(edition);
        decode(bytes, &profile, &mut plain)
            .unwrap()
            .findings
            .has(C::EditionMismatch)
    };
    assert!(
        found(Edition::E2017),
        "a surface-water station of 2017 with Flag=9 is told, not lost"
    );
    assert!(!found(Edition::E2025));
    let mut m = miyun_hj212::Message::new("31", 2051, "010000A8900016F000169DC0")
        .region(miyun_hj212::Region::new().item("DataTime", "20260301080000"));
    m.back_fill = true;
    let late = m.encode_whole(&DeviceProfile::of(Edition::E2025)).unwrap();
    let mut plain = Vec::new();
    let f = decode(&late, &DeviceProfile::of(Edition::E2025), &mut plain).unwrap();
    assert!(f.is_back_fill() && !f.findings.has(C::RfOutsideEdition));
    let mut plain = Vec::new();
    let f = decode(&late, &DeviceProfile::of(Edition::E2017), &mut plain).unwrap();
    assert!(f.findings.has(C::RfOutsideEdition));
    assert!(
        !m.encode_whole(&DeviceProfile::of(Edition::E2017))
            .unwrap()
            .windows(3)
            .any(|w| w == b"RF=")
    );
}

/// HJ 212-2025 annex A.2: the bytes printed as `{0xE4,...}`, placed raw; then length 0234 fits.
const CIPHER: &str = "e43e159acfab242cb53155fb8b9281a1a242577abfaed881be88b72d69fc55ed1a80119faac8b3cd33d285cc76f57f2ca7f88b9573c6647e0f07e24609bd6b63eb20c5b9784f28e71d2f4994ff61d9e13b391a1d2a454b65388d5d9435dbf021528c7bf9755ef16518710c0c0acade";

#[test]
fn the_printed_ciphertext_opens() {
    // The printed example is 144 bytes of region; these 112 bytes are its first seven groups.
    let key = Key::parse("0000000000000000").unwrap();
    let mut region = hex::decode(CIPHER).unwrap();
    region.truncate(96);
    key.decrypt(&mut region);
    assert_eq!(
        String::from_utf8(region).unwrap(),
        "DataTime=20240520210600;a01011-Min=1.35,a01011-Avg=1.35,a01011-Max=1.35,a01011-Flag=N;a01014-Min"
    );
}

#[test]
fn a_false_header_costs_waiting_and_no_frame() {
    let good = CASES[0].bytes;
    let profile = DeviceProfile::of(Edition::E2017);
    let mut framer = Framer::new();
    framer.push(b"##9999");
    framer.push(good);
    assert!(
        framer.next(&profile).is_none(),
        "it could still be completed"
    );
    framer.give_up();
    assert!(
        matches!(framer.next(&profile), Some(Event::Rejected(r)) if r.reason == Reason::Truncated)
    );
    assert!(matches!(framer.next(&profile), Some(Event::Frame(_))));
    let mut strict = Framer::with_limit(1024);
    strict.push(b"##9999");
    strict.push(good);
    assert!(
        matches!(strict.next(&profile), Some(Event::Rejected(r)) if r.reason == Reason::TooLong)
    );
    assert!(matches!(strict.next(&profile), Some(Event::Frame(_))));
}

#[test]
fn overlapping_headers_are_examined_a_bounded_number_of_times() {
    let mut trap = Vec::new();
    while trap.len() + 6 < 9_990 {
        let left = 9_990 - trap.len() - 6;
        trap.extend_from_slice(format!("##{left:04}").as_bytes());
    }
    trap.truncate(9_936);
    trap.extend_from_slice(b";CP=&&");
    trap.resize(9_988, b'x');
    trap.extend_from_slice(b"&&ABCD");
    let good = CASES[0].bytes;
    // What follows the trap is read as ever.
    let stream = [&trap[..], good, &trap, good, good].concat();
    let profile = DeviceProfile::of(Edition::E2017);
    for piece in [stream.len(), 999] {
        let mut framer = Framer::new();
        let (mut frames, mut examined, mut unseen) = (0, 0, 0);
        for p in stream.chunks(piece) {
            framer.push(p);
            while let Some(e) = framer.next(&profile) {
                match e {
                    Event::Frame(_) => frames += 1,
                    Event::Rejected(r) if r.reason == Reason::TooManyHeaders => unseen += 1,
                    Event::Rejected(_) => examined += 1,
                    Event::Noise(_) => {}
                }
            }
        }
        assert_eq!(frames, 3);
        assert!(examined < 600 && unseen > 2500, "{examined} {unseen}");
    }
}

#[test]
fn a_wrong_or_missing_key_is_said() {
    let m = miyun_hj212::Message::new("31", 2011, "A")
        .region(miyun_hj212::Region::new().item("DataTime", "20260301080000"));
    let mut profile = DeviceProfile::of(Edition::E2025);
    profile.keys = Keys::one(Key::new([1; 16]));
    let bytes = m.encode_whole(&profile).unwrap();
    let reason = |keys| {
        let p = DeviceProfile {
            keys,
            ..DeviceProfile::of(Edition::E2025)
        };
        decode(&bytes, &p, &mut Vec::new())
            .map(|_| ())
            .map_err(|r| r.reason)
    };
    assert_eq!(reason(Keys::default()), Err(Reason::NoKey));
    assert_eq!(reason(Keys::one(Key::new([2; 16]))), Err(Reason::WrongKey));
    let both = Keys {
        current: Some(Key::new([2; 16])),
        previous: Some(Key::new([1; 16])),
    };
    assert_eq!(reason(both), Ok(()));
}
