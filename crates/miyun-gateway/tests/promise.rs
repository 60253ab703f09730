//! 9014 means that the frame is on disk, once.

mod common;

use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use common::{Logger, frame, frame_at, mn, qn, settings, start, stored};
use miyun_gateway::files::{Disk, Files, SegmentFile};
use miyun_gateway::log::{Kind, Position, Reader};
use miyun_gateway::registry::number_of;
use miyun_gateway::server::paths;
use miyun_gateway::{Gateway, Property};
use miyun_hj212::{CrcDialect, CrcSet, DeviceProfile, Stamp};

#[test]
fn what_is_answered_is_stored_as_it_came_and_a_resend_is_stored_once() {
    let dir = tempfile::tempdir().unwrap();
    let running = start(dir.path());
    let mut logger = Logger::connect(running.addresses()[0]);
    let frames: Vec<Vec<u8>> = (0..50).map(|i| frame(&mn(1), &qn(i), i)).collect();
    for (i, f) in frames.iter().enumerate() {
        assert!(logger.send(f, &qn(i as u64)), "frame {i}");
        // The logger did not hear the answer and sends again.
        if i % 5 == 0 {
            assert!(logger.send(f, &qn(i as u64)));
        }
    }
    let as_sent = |all: &[Vec<u8>]| {
        all.iter()
            .map(|f| f[..f.len() - 2].to_vec())
            .collect::<Vec<_>>()
    };
    assert_eq!(
        stored(dir.path(), running.progress().end()),
        as_sent(&frames)
    );
    assert_eq!(running.stats().now().doubles, 10);
    running.stop();
    // And after a restart.
    let running = start(dir.path());
    assert_eq!(running.recovery().records, 50);
    let mut logger = Logger::connect(running.addresses()[0]);
    assert!(logger.send(&frames[7], &qn(7)));
    assert!(logger.send(&frame(&mn(1), &qn(50), 50), &qn(50)));
    assert_eq!(stored(dir.path(), running.progress().end()).len(), 51);
}

#[test]
fn a_damaged_frame_costs_no_neighbour_and_is_kept_apart() {
    let dir = tempfile::tempdir().unwrap();
    let running = start(dir.path());
    let mut logger = Logger::connect(running.addresses()[0]);
    assert!(logger.send(&frame(&mn(1), &qn(0), 0), &qn(0)));
    let mut bytes = b"noise ##".to_vec();
    let mut bad = frame(&mn(1), &qn(1), 1);
    let n = bad.len();
    bad[n - 20] ^= 0x10;
    bytes.extend(&bad);
    bytes.extend(frame(&mn(1), &qn(2), 2));
    // In pieces of three bytes.
    for piece in bytes.chunks(3) {
        logger.stream.write_all(piece).unwrap();
        logger.stream.flush().unwrap();
    }
    assert_eq!(logger.answer().unwrap().1, qn(2));
    let mut reader = Reader::at(&paths::log(dir.path()), Position::default());
    let mut kinds = Vec::new();
    while let Some(b) = reader.next(running.progress().end()).unwrap() {
        kinds.extend(b.records().map(|r| (r.kind, r.device)));
    }
    let me = number_of(&mn(1));
    assert_eq!(
        kinds,
        [
            (Kind::Frame, me),
            (Kind::Quarantined, me),
            (Kind::Frame, me)
        ]
    );
}

#[test]
fn another_check_is_refused_until_a_person_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let running = start(dir.path());
    let profile = DeviceProfile {
        crc: CrcSet::only(CrcDialect::ModbusLowFirst),
        ..DeviceProfile::default()
    };
    let odd = |n: u64| {
        miyun_hj212::Message::new("31", 2011, &mn(9))
            .qn(miyun_hj212::Qn::parse(&qn(n)).unwrap())
            .pw("123456")
            .ack(true)
            .region(miyun_hj212::Region::new().item("DataTime", "20260301000000"))
            .encode_whole(&profile)
            .unwrap()
    };
    let mut logger = Logger::connect(running.addresses()[0]);
    logger.stream.write_all(&odd(1)).unwrap();
    // The answer follows the device's own check, so it is read with that.
    let mut framer = miyun_hj212::Framer::new();
    let mut bytes = [0; 512];
    let n = io::Read::read(&mut logger.stream, &mut bytes).unwrap();
    framer.push(&bytes[..n]);
    match framer.next(&profile) {
        Some(miyun_hj212::Event::Frame(f)) => {
            assert_eq!((f.cn(), f.region()), (Some("9011"), "QnRtn=9"))
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(running.stats().now().quarantined, 1);
    let set = [(
        mn(9),
        Property::Crc,
        "modbus-low-first".to_owned(),
        0,
        "its manual says so".to_owned(),
    )];
    running.registry().set("li", 1, &set).unwrap();
    logger.stream.write_all(&odd(2)).unwrap();
    let n = io::Read::read(&mut logger.stream, &mut bytes).unwrap();
    framer.push(&bytes[..n]);
    match framer.next(&profile) {
        Some(miyun_hj212::Event::Frame(f)) => assert_eq!(f.cn(), Some("9014")),
        other => panic!("{other:?}"),
    }
}

#[test]
fn tls_keeps_the_same_promise() {
    let dir = tempfile::tempdir().unwrap();
    let cert = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let (chain, key) = (dir.path().join("cert.pem"), dir.path().join("key.pem"));
    std::fs::write(&chain, cert.cert.pem()).unwrap();
    std::fs::write(&key, cert.signing_key.serialize_pem()).unwrap();
    let mut s = settings();
    s.listen_tls = s.listen.clone();
    s.certificate = Some(chain.clone());
    s.private_key = Some(key);
    let running = Gateway::open(dir.path(), s).unwrap().start().unwrap();
    let connector = miyun_gateway::tls::connector(&chain).unwrap();
    let address = running.tls_addresses()[0];
    let rt = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let answer = rt.block_on(async {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let tcp = tokio::net::TcpStream::connect(address).await.unwrap();
        let mut tls = connector
            .connect("localhost".try_into().unwrap(), tcp)
            .await
            .unwrap();
        tls.write_all(&frame(&mn(3), &qn(1), 1)).await.unwrap();
        let mut bytes = vec![0; 512];
        let n = tls.read(&mut bytes).await.unwrap();
        String::from_utf8_lossy(&bytes[..n]).into_owned()
    });
    assert!(
        answer.contains("CN=9014") && answer.contains(&qn(1)),
        "{answer}"
    );
    assert_eq!(stored(dir.path(), running.progress().end()).len(), 1);
}

/// A disk with room for so many more bytes.
struct Small(Arc<AtomicI64>);
struct SmallFile(Box<dyn SegmentFile>, Arc<AtomicI64>);

impl SegmentFile for SmallFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        let room = self.1.fetch_sub(bytes.len() as i64, Ordering::SeqCst);
        if room < bytes.len() as i64 {
            self.1.fetch_add(bytes.len() as i64, Ordering::SeqCst);
            // As a full disk does it: a part is written.
            self.0.write(&bytes[..bytes.len() / 2])?;
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.0.write(bytes)
    }
    fn sync(&mut self) -> io::Result<()> {
        self.0.sync()
    }
    fn cut(&mut self, length: u64) -> io::Result<()> {
        self.0.cut(length)
    }
}

impl Files for Small {
    fn create(&self, path: &Path) -> io::Result<Box<dyn SegmentFile>> {
        Ok(Box::new(SmallFile(Disk.create(path)?, Arc::clone(&self.0))))
    }
    fn resume(&self, path: &Path, length: u64) -> io::Result<Box<dyn SegmentFile>> {
        Ok(Box::new(SmallFile(
            Disk.resume(path, length)?,
            Arc::clone(&self.0),
        )))
    }
}

#[test]
fn a_full_disk_acknowledges_nothing_and_loses_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let room = Arc::new(AtomicI64::new(4_000));
    let running = Gateway::open_on(dir.path(), settings(), Box::new(Small(Arc::clone(&room))))
        .unwrap()
        .start()
        .unwrap();
    let mut logger = Logger::connect(running.addresses()[0]);
    logger
        .stream
        .set_read_timeout(Some(Duration::from_millis(1_500)))
        .unwrap();
    let mut answered = 0;
    while logger.send(&frame(&mn(1), &qn(answered), answered), &qn(answered)) {
        answered += 1;
        assert!(answered < 1_000, "the disk never filled");
    }
    assert!(answered > 2);
    assert!(running.stats().now().failures > 0);
    // Room again: the waiting frame is stored and answered without being sent again.
    room.store(1 << 20, Ordering::SeqCst);
    logger
        .stream
        .set_read_timeout(Some(Duration::from_secs(10)))
        .unwrap();
    assert_eq!(logger.answer().unwrap().1, qn(answered));
    assert!(logger.send(&frame(&mn(1), &qn(answered + 1), 0), &qn(answered + 1)));
    let end = running.progress().end();
    running.stop();
    assert_eq!(stored(dir.path(), end).len() as u64, answered + 2);
    // A restart finds no torn tail: what failed was cut at once.
    let again = Gateway::open(dir.path(), settings()).unwrap();
    assert_eq!(again.recovery().cut, None);
    assert_eq!(again.recovery().records, answered + 2);
}

#[test]
fn new_data_overtake_backfill() {
    let dir = tempfile::tempdir().unwrap();
    let running = start(dir.path());
    let to = running.addresses()[0];
    let old = Stamp::parse("20240101000000").unwrap();
    let flood = std::thread::spawn(move || {
        let mut l = Logger::connect(to);
        let bytes: Vec<u8> = (0..20_000)
            .flat_map(|i| frame_at(&mn(1), &qn(i), i, old))
            .collect();
        let mut writer = l.stream.try_clone().unwrap();
        let w = std::thread::spawn(move || writer.write_all(&bytes).unwrap());
        let mut n = 0;
        while n < 20_000 && l.answer().is_some() {
            n += 1;
        }
        w.join().unwrap();
        n
    });
    let mut live = Logger::connect(to);
    let mut worst = Duration::ZERO;
    for i in 0..20 {
        let t = Instant::now();
        assert!(live.send(&frame(&mn(2), &qn(i), i), &qn(i)));
        worst = worst.max(t.elapsed());
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(flood.join().unwrap(), 20_000);
    assert!(worst < Duration::from_secs(5), "{worst:?}");
    let mut reader = Reader::at(&paths::log(dir.path()), Position::default());
    let mut backfill = 0;
    while let Some(b) = reader.next(running.progress().end()).unwrap() {
        backfill += b
            .records()
            .filter(|r| r.flags & miyun_gateway::log::BACKFILL != 0)
            .count();
    }
    let all = stored(dir.path(), running.progress().end()).len();
    assert_eq!(
        (backfill, all),
        (20_000, 20_020),
        "{:?}",
        running.stats().now()
    );
}

/// All who wait for room get it in the end, also those who found it taken when they were woken.
#[test]
fn a_backlog_of_many_leaves_nobody_standing() {
    const SENDERS: u32 = 64;
    const EACH: u64 = 200;
    let dir = tempfile::tempdir().unwrap();
    let mut s = settings();
    s.limits.waiting_bytes = 4 << 10;
    s.readers = 1;
    let running = Gateway::open(dir.path(), s).unwrap().start().unwrap();
    let address = running.addresses()[0];
    let yesterday = Stamp::parse("20260101000000").unwrap();
    let senders: Vec<_> = (0..SENDERS)
        .map(|k| {
            std::thread::spawn(move || {
                let mut l = Logger::connect(address);
                let all: Vec<u8> = (0..EACH)
                    .flat_map(|i| frame_at(&mn(k), &qn(i), i, yesterday))
                    .collect();
                // In pieces, so that a connection has to be read many times.
                for piece in all.chunks(2_000) {
                    l.stream.write_all(piece).unwrap();
                }
                (0..EACH).filter(|_| l.answer().is_some()).count() as u64
            })
        })
        .collect();
    for s in senders {
        assert_eq!(s.join().unwrap(), EACH);
    }
    running.stop();
}
