//! A stream cut anywhere gives the same frames as the stream in one piece, and bounded memory.
#![no_main]

use libfuzzer_sys::fuzz_target;
use miyun_hj212::sm4::{Key, Keys};
use miyun_hj212::{CrcSet, DeviceProfile, Edition, Event, Framer, Reassembler, SplitLimits};

fn run(stream: &[u8], piece: usize, profile: &DeviceProfile) -> (Vec<Vec<u8>>, usize) {
    let mut framer = Framer::new();
    let mut joined = Reassembler::new(SplitLimits {
        bytes: 1 << 16,
        ..SplitLimits::default()
    });
    let (mut frames, mut given) = (Vec::new(), 0);
    let mut pieces = stream.chunks(piece).peekable();
    while let Some(p) = pieces.next() {
        framer.push(p);
        if pieces.peek().is_none() {
            framer.finish();
        }
        while let Some(event) = framer.next(profile) {
            match event {
                Event::Frame(f) => {
                    given += f.raw().len();
                    joined.offer(0, &f);
                    frames.push(f.raw().to_vec());
                }
                Event::Rejected(r) => given += r.bytes.len(),
                Event::Noise(n) => given += n.len(),
            }
        }
        assert!(framer.pending() <= 10_009);
        assert!(joined.bytes() <= 1 << 16);
    }
    (frames, given)
}

fuzz_target!(|data: &[u8]| {
    let Some((first, stream)) = data.split_first() else {
        return;
    };
    let profile = DeviceProfile {
        crc: CrcSet::ANY,
        keys: Keys::one(Key::new([7; 16])),
        ..DeviceProfile::of(Edition::E2025)
    };
    let (whole, all) = run(stream, usize::MAX, &profile);
    let (cut, some) = run(stream, usize::from(*first) + 1, &profile);
    assert_eq!(whole, cut);
    for n in [all, some] {
        assert!(n <= stream.len() && n + 2 * whole.len() >= stream.len());
    }
});
