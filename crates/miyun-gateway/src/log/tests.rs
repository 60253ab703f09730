use super::*;
use crate::files::Disk;

const DAY_MS: i64 = 86_400_000;

fn open(dir: &Path, segment_bytes: u64) -> (FrameLog, Option<Cut>) {
    let settings = LogSettings {
        segment_bytes,
        utc_offset_minutes: 480,
    };
    FrameLog::open(dir, settings, Box::new(Disk), &mut |_| ()).unwrap()
}

fn body(frames: &[&str]) -> Vec<u8> {
    let mut out = Vec::new();
    for f in frames {
        put_record(
            &mut out,
            Kind::Frame,
            0,
            7,
            1,
            &merkle::sha256(f.as_bytes()),
            f.as_bytes(),
        );
    }
    out
}

fn all(dir: &Path, end: Position) -> Vec<String> {
    let mut reader = Reader::at(dir, Position::default());
    let mut out = Vec::new();
    while let Some(b) = reader.next(end).unwrap() {
        out.extend(
            b.records()
                .map(|r| String::from_utf8(r.frame.to_vec()).unwrap()),
        );
    }
    out
}

#[test]
fn what_was_committed_is_read_back_over_segments_and_restarts() {
    let dir = tempfile::tempdir().unwrap();
    let mut wanted = Vec::new();
    let mut chain = None;
    for round in 0..3 {
        let (mut log, cut) = open(dir.path(), 2_000);
        assert_eq!(cut, None);
        assert_eq!(log.chain(7), chain, "the chain of the device goes on");
        for i in 0..20 {
            let text = format!("frame {round} {i}");
            log.commit(&body(&[&text, "same"]), 2, i).unwrap();
            wanted.extend([text, "same".to_owned()]);
        }
        chain = log.chain(7);
        assert_eq!(all(dir.path(), log.end()), wanted);
    }
    assert!(segments(dir.path()).unwrap().len() > 3);
    assert_eq!(chain.unwrap().records, 120);
}

#[test]
fn a_torn_tail_is_cut_wherever_it_tears() {
    let dir = tempfile::tempdir().unwrap();
    let (mut log, _) = open(dir.path(), 1 << 20);
    log.commit(&body(&["one"]), 1, 1).unwrap();
    let whole = log.end();
    log.commit(&body(&["two", "three"]), 2, 2).unwrap();
    let end = log.end();
    drop(log);
    let path = read::segment_path(dir.path(), 0);
    let bytes = fs::read(&path).unwrap()[..end.offset as usize].to_vec();
    for length in whole.offset..end.offset {
        fs::write(&path, &bytes[..length as usize]).unwrap();
        let (log, cut) = open(dir.path(), 1 << 20);
        assert_eq!(log.end(), whole, "torn at {length}");
        // Zeros at the end may be what was reserved: they are not counted.
        let torn = &bytes[whole.offset as usize..length as usize];
        let last = torn.iter().rposition(|b| *b != 0);
        assert_eq!(cut.map(|c| c.bytes), last.map(|k| k as u64 + 1));
        assert_eq!(all(dir.path(), log.end()), ["one"]);
    }
    // A segment whose own head is torn held no batch.
    for length in 0..whole.offset.min(60) {
        fs::write(&path, &bytes[..length as usize]).unwrap();
        let (log, _) = open(dir.path(), 1 << 20);
        assert_eq!(log.counts(), (0, 0));
    }
}

#[test]
fn damage_before_the_tail_is_an_error_and_not_a_silent_hole() {
    let dir = tempfile::tempdir().unwrap();
    let (mut log, _) = open(dir.path(), 1 << 20);
    for i in 0..5 {
        log.commit(&body(&["frame"]), 1, i).unwrap();
    }
    let end = log.end();
    let path = read::segment_path(dir.path(), 0);
    let mut bytes = fs::read(&path).unwrap();
    let middle = end.offset as usize / 2;
    bytes[middle] ^= 1;
    fs::write(&path, &bytes).unwrap();
    let mut reader = Reader::at(dir.path(), Position::default());
    let error = loop {
        match reader.next(end) {
            Ok(Some(_)) => {}
            Ok(None) => panic!("a hole was passed over"),
            Err(e) => break e,
        }
    };
    assert!(matches!(error, GatewayError::Damaged { .. }), "{error}");
}

#[test]
fn any_frame_is_proved_under_the_root_of_its_day_and_no_other_is() {
    let dir = tempfile::tempdir().unwrap();
    let (mut log, _) = open(dir.path(), 3_000);
    let mut closed = Vec::new();
    for i in 0..40i64 {
        let time = i * DAY_MS / 10;
        let (_, ended) = log
            .commit(
                &body(&[&format!("a{i}"), &format!("b{i}"), &format!("c{i}")]),
                3,
                time,
            )
            .unwrap();
        closed.extend(ended);
    }
    let open_day = log.open_day().unwrap();
    assert_eq!(closed.len(), 4);
    for i in [0, 13, 39] {
        let text = format!("b{i}");
        let proof = prove(
            dir.path(),
            Position::default(),
            log.end(),
            Some(&open_day),
            |r| r.frame == text.as_bytes(),
        )
        .unwrap()
        .unwrap();
        let published = closed
            .iter()
            .chain([&open_day])
            .find(|d| d.day == proof.day.day)
            .unwrap();
        assert_eq!(proof.day, *published);
        assert_eq!(proof.day_closed, i != 39);
        verify(&proof, &published.root).unwrap();
        let mut other = proof.clone();
        other.frame_hex = hex::encode(format!("b{}", i + 1));
        assert!(matches!(
            verify(&other, &published.root),
            Err(ProofError::Frame { .. })
        ));
        let mut moved = proof.clone();
        moved.record_head_hex.replace_range(32..34, "ff");
        assert!(matches!(
            verify(&moved, &published.root),
            Err(ProofError::Root { .. })
        ));
    }
}

#[test]
fn packing_and_removing_keep_what_proofs_need() {
    let dir = tempfile::tempdir().unwrap();
    let (mut log, _) = open(dir.path(), 1_000);
    for i in 0..30i64 {
        log.commit(&body(&[&format!("frame {i}")]), 1, i * DAY_MS / 10)
            .unwrap();
    }
    let wanted = all(dir.path(), log.end());
    let keep = |pack, remove| Keeping {
        pack_after_days: pack,
        remove_after_days: remove,
    };
    // Nothing that a consumer still needs is touched.
    let none = keep(Some(0), Some(0))
        .apply(dir.path(), Position::default(), 9 * DAY_MS)
        .unwrap();
    assert_eq!(none, Kept::default());
    let done = keep(Some(2), None)
        .apply(dir.path(), log.end(), 4 * DAY_MS)
        .unwrap();
    assert!(done.packed > 1, "{done:?}");
    assert_eq!(all(dir.path(), log.end()), wanted);
    let root = |log: &FrameLog| {
        prove(dir.path(), Position::default(), log.end(), None, |r| {
            r.frame == b"frame 25"
        })
        .unwrap()
        .unwrap()
        .day
        .root
    };
    let before = root(&log);
    let done = keep(None, Some(1))
        .apply(dir.path(), log.end(), 3 * DAY_MS)
        .unwrap();
    assert!(done.removed > 1);
    let left = all(dir.path(), log.end());
    assert!(left.len() < 30 && wanted.ends_with(&left));
    assert_eq!(root(&log), before);
    drop(log);
    let (log, cut) = open(dir.path(), 1_000);
    assert_eq!((log.counts().1, cut), (30, None));
}

#[test]
fn a_published_day_gets_no_more_batches() {
    let dir = tempfile::tempdir().unwrap();
    let (mut log, _) = open(dir.path(), 1 << 20);
    log.commit(&body(&["one"]), 1, 0).unwrap();
    let day = log.day_of(0);
    log.not_before_day(day + 1);
    let (_, ended) = log.commit(&body(&["two"]), 1, 1).unwrap();
    assert_eq!(day_number(ended.unwrap().day), day);
    assert_eq!(day_number(log.open_day().unwrap().day), day + 1);
}
