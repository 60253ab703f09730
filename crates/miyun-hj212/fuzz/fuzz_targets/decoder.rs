//! One segment, framed here with a fitting check, so that the fuzzer reaches head and region: no
//! panic, and what is read can be asked for everything.
#![no_main]

use libfuzzer_sys::fuzz_target;
use miyun_hj212::answer::{wanted_by_device, wanted_by_host};
use miyun_hj212::sm4::{Key, Keys};
use miyun_hj212::{AnswerTo, Command, CrcDialect, DeviceProfile, Edition, decode};

fuzz_target!(|data: &[u8]| {
    let Some((first, segment)) = data.split_first() else {
        return;
    };
    if segment.len() > 9999 {
        return;
    }
    let mut profile = DeviceProfile::of(Edition::ALL[usize::from(*first) % 3]);
    if first & 64 != 0 {
        profile.keys = Keys::one(Key::new([7; 16]));
    }
    let mut bytes = format!("##{:04}", segment.len()).into_bytes();
    bytes.extend_from_slice(segment);
    bytes.extend_from_slice(format!("{:04X}\r\n", CrcDialect::Hj212.of(segment)).as_bytes());
    let mut plain = Vec::new();
    let Ok(f) = decode(&bytes, &profile, &mut plain) else {
        return;
    };
    assert_eq!(f.check(), f.report().iter().map(|x| x.code).collect());
    for item in f.items() {
        let _ = (item.split(), item.log());
        if let Some(n) = item.number() {
            let _ = (n.micro(), n.to_f64());
        }
    }
    let _ = f.data_time();
    if let Some(q) = f.qn_time() {
        assert_eq!(q.to_string(), f.qn().unwrap_or_default());
    }
    let _ = (wanted_by_device(&f), wanted_by_host(&f), Command::read(&f));
    if let Ok(answer) = AnswerTo::frame(&f).data(&profile) {
        let mut plain = Vec::new();
        let back = decode(&answer, &profile, &mut plain).expect("our own answer");
        assert_eq!(back.qn().unwrap_or(""), f.qn().unwrap_or(""));
    }
});
