//! No input makes the crate panic, cuts of a stream change nothing, what is written is read again.

use miyun_hj212::sm4::{Key, Keys};
use miyun_hj212::{
    CrcDialect, CrcSet, DeviceProfile, Edition, Event, Framer, Message, Offer, Qn, Reassembler,
    Region, SplitLimits, decode,
};
use proptest::prelude::*;

fn keyed() -> DeviceProfile {
    DeviceProfile {
        crc: CrcSet::ANY,
        keys: Keys::one(Key::new([7; 16])),
        ..DeviceProfile::of(Edition::E2025)
    }
}

/// Bytes that look like the protocol: pieces of it, in any order, with noise.
fn soup() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        Just(b"##".to_vec()),
        Just(b"##0101QN=20160801085857223;ST=32;CN=1062;PW=100000;MN=010000A8900016F000169DC0;Flag=5;CP=&&RtdInterval=30&&1C80\r\n".to_vec()),
        Just(b"##9999".to_vec()),
        Just(b"CP=&&".to_vec()),
        Just(b"&&".to_vec()),
        Just(b"\r\n".to_vec()),
        Just(b"//".to_vec()),
        Just(b"{0x".to_vec()),
        Just("清洗".as_bytes().to_vec()),
        (0usize..40).prop_map(|n| format!("##{n:04}").into_bytes()),
        "[0-9a-zA-Z;,=&#/-]{0,30}".prop_map(String::into_bytes),
        proptest::collection::vec(any::<u8>(), 0..30),
    ];
    proptest::collection::vec(piece, 0..20).prop_map(|p| p.concat())
}

/// Frames and all bytes of a stream, given in pieces.
fn run(stream: &[u8], cuts: &[usize], profile: &DeviceProfile) -> (Vec<Vec<u8>>, usize) {
    let (mut framer, mut frames, mut given) = (Framer::new(), Vec::new(), 0);
    let mut rest = stream;
    let mut cuts = cuts.iter().cycle();
    while !rest.is_empty() {
        let n = cuts
            .next()
            .map_or(rest.len(), |n| (*n).clamp(1, rest.len()));
        let (piece, later) = rest.split_at(n);
        rest = later;
        framer.push(piece);
        if rest.is_empty() {
            framer.finish();
        }
        while let Some(e) = framer.next(profile) {
            match e {
                Event::Frame(f) => {
                    let _ = f.check();
                    let _ = (f.report(), f.data_time());
                    given += f.raw().len();
                    frames.push(f.raw().to_vec());
                }
                Event::Rejected(r) => given += r.bytes.len(),
                Event::Noise(n) => given += n.len(),
            }
        }
    }
    (frames, given)
}

fn names() -> impl Strategy<Value = Vec<(String, i64)>> {
    proptest::collection::vec(("[a-w][0-9]{5}", -99_999i64..99_999), 0..60)
}

fn message(values: &[(String, i64)], cn: u16, ack: bool) -> Message {
    let mut region = Region::new().item("DataTime", "20260301080000");
    for (code, v) in values {
        let text = format!("{}.{:02}", v / 100, (v % 100).abs());
        region = region.factor(code, &[("Avg", &text), ("Flag", &'N')]);
    }
    Message::new("31", cn, "010000A8900016F000169DC0")
        .qn(Qn::parse("20260301080000123").expect("a time"))
        .ack(ack)
        .region(region)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn no_bytes_make_it_panic(bytes in soup()) {
        let mut plain = Vec::new();
        if let Ok(f) = decode(&bytes, &keyed(), &mut plain) {
            let _ = f.report();
        }
    }

    #[test]
    fn cuts_change_nothing(stream in soup(), cuts in proptest::collection::vec(1usize..50, 1..10)) {
        let profile = keyed();
        let (whole, all) = run(&stream, &[usize::MAX], &profile);
        let (cut, some) = run(&stream, &cuts, &profile);
        prop_assert_eq!(&whole, &cut);
        // Only CR LF between frames stay out of events: at most two bytes a frame.
        prop_assert!(all <= stream.len() && all + 2 * whole.len() >= stream.len());
        prop_assert!(some <= stream.len() && some + 2 * cut.len() >= stream.len());
    }

    #[test]
    fn what_is_written_is_read(
        values in names(),
        cn in prop_oneof![Just(2011u16), Just(2051), Just(3012)],
        edition in prop_oneof![Just(Edition::E2005), Just(Edition::E2017), Just(Edition::E2025)],
        dialect in 0usize..4,
        sealed in any::<bool>(),
        ack in any::<bool>(),
        noise in proptest::collection::vec(any::<u8>(), 0..20),
    ) {
        let mut profile = DeviceProfile::of(edition);
        profile.crc = CrcSet::only(CrcDialect::ALL[dialect]);
        if sealed {
            profile.keys = Keys::one(Key::new([7; 16]));
        }
        let m = message(&values, cn, ack);
        let packets = m.encode(&profile).unwrap();
        let mut stream = noise.clone();
        for p in &packets {
            stream.extend_from_slice(p);
            stream.extend_from_slice(&noise);
        }
        let mut framer = Framer::new();
        framer.push(&stream);
        framer.finish();
        let mut joined = Reassembler::new(SplitLimits::default());
        let (mut seen, mut whole) = (0, None);
        while let Some(e) = framer.next(&profile) {
            let Event::Frame(f) = e else { continue };
            seen += 1;
            prop_assert_eq!(f.cn_number(), Some(cn));
            prop_assert_eq!(f.wants_answer(), ack);
            prop_assert!(f.declared_len() <= 1024);
            match joined.offer(0, &f) {
                Offer::NotSplit => whole = Some(f.region().to_owned()),
                Offer::Whole(j) => whole = Some(j.region),
                _ => {}
            }
        }
        prop_assert_eq!(seen, packets.len());
        prop_assert_eq!(joined.bytes(), 0);
        let alone = m.encode_whole(&DeviceProfile::of(Edition::E2017)).unwrap();
        let mut plain = Vec::new();
        let want = decode(&alone, &DeviceProfile::default(), &mut plain).unwrap().region().to_owned();
        prop_assert_eq!(whole, Some(want));
    }

    #[test]
    fn a_damaged_frame_never_costs_its_neighbours(
        values in names(),
        at in any::<prop::sample::Index>(),
        with in any::<u8>(),
        lost in 0usize..80,
    ) {
        let profile = DeviceProfile::of(Edition::E2017);
        let whole = message(&[], 2011, true).encode_whole(&profile).unwrap();
        let mut damaged = message(&values[..values.len().min(9)], 2051, true).encode_whole(&profile).unwrap();
        let i = at.index(damaged.len());
        damaged[i] = with;
        damaged.drain(i..(i + lost).min(damaged.len()));
        let stream = [&whole[..], &damaged, &whole, &whole].concat();
        let (frames, _) = run(&stream, &[usize::MAX], &profile);
        let good = whole.len() - 2;
        prop_assert!(frames.iter().filter(|f| f[..] == whole[..good]).count() >= 3);
    }

    #[test]
    fn memory_stays_bounded(stream in proptest::collection::vec(soup(), 1..40)) {
        let profile = DeviceProfile::default();
        let mut framer = Framer::new();
        for piece in stream {
            framer.push(&piece);
            while framer.next(&profile).is_some() {}
            prop_assert!(framer.pending() <= 10_009);
        }
    }
}
