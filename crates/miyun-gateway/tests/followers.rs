//! Those who follow the log: relays, commands, live state, and the MQTT door.

mod common;

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command as Process, Stdio};
use std::time::{Duration, Instant};

use common::{Logger, PATIENCE, frame, mn, qn, settings, stored};
use miyun_gateway::command::{Ask, Patience, What, ask, history};
use miyun_gateway::log::{Kind, Position, Reader};
use miyun_gateway::registry::number_of;
use miyun_gateway::server::paths;
use miyun_gateway::settings::{MqttFrom, RelayTo};
use miyun_gateway::{Gateway, Property, Running, Settings};
use miyun_hj212::{CrcDialect, CrcSet, DeviceProfile, Event, Framer, Message, Qn, Region};

fn patience() -> Patience {
    Patience {
        answer: Duration::from_millis(400),
        resends: 2,
        result: Duration::from_secs(2),
    }
}

fn run(dir: &Path, s: Settings) -> Running {
    run_with(dir, s, patience())
}

fn run_with(dir: &Path, s: Settings, patience: Patience) -> Running {
    let mut r = Gateway::open(dir, s).unwrap().start().unwrap();
    r.attend(patience).unwrap();
    r
}

fn wait(what: &str, mut f: impl FnMut() -> bool) {
    let until = Instant::now() + PATIENCE;
    while !f() {
        assert!(Instant::now() < until, "waited in vain: {what}");
        std::thread::sleep(Duration::from_millis(30));
    }
}

#[test]
fn a_relay_delivers_everything_over_a_dead_platform_and_its_own_restart() {
    let (near, far) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let platform = run(far.path(), settings());
    let address = platform.addresses()[0];
    let mut s = settings();
    s.relay = vec![RelayTo {
        name: "province".into(),
        address: address.to_string(),
        tls: false,
        ca: None,
        mn_prefix: String::new(),
        window: 8,
    }];
    let ours = run(near.path(), s.clone());
    let mut l = Logger::connect(ours.addresses()[0]);
    for i in 0..40 {
        assert!(l.send(&frame(&mn(1), &qn(i), i), &qn(i)));
    }
    wait("the first frames", || platform.stats().now().frames == 40);
    platform.stop();
    for i in 40..80 {
        assert!(l.send(&frame(&mn(1), &qn(i), i), &qn(i)));
    }
    ours.stop();
    // Both start anew; the platform on its old address.
    let mut p = settings();
    p.listen = vec![address];
    let platform = run(far.path(), p);
    let ours = run(near.path(), s);
    wait("the rest", || {
        platform.recovery().records + platform.stats().now().frames == 80
    });
    assert_eq!(
        stored(far.path(), platform.progress().end()),
        stored(near.path(), ours.progress().end())
    );
}

#[test]
fn a_command_is_in_the_journal_with_who_why_and_what_became_of_it() {
    let dir = tempfile::tempdir().unwrap();
    // This device answers, however late: nothing is to be sent twice.
    let patience = Patience {
        answer: PATIENCE,
        result: PATIENCE,
        ..patience()
    };
    let running = run_with(dir.path(), settings(), patience);
    let mut l = Logger::connect(running.addresses()[0]);
    assert!(l.send(&frame(&mn(4), &qn(1), 1), &qn(1)));
    let now = running.clock().now_ms();
    let id = ask(
        dir.path(),
        now,
        "li",
        "its clock is 40 s slow",
        &mn(4),
        Ask::SetClock,
    )
    .unwrap();
    let (cn, q, region) = l.answer().unwrap();
    assert_eq!(cn, "1012");
    assert!(region.contains("SystemTime="), "{region}");
    let reply = |cn: u16, item: (&str, &str)| {
        Message::new("91", cn, &mn(4))
            .qn(Qn::parse(&q).unwrap())
            .pw("123456")
            .ack(false)
            .region(Region::new().item(item.0, item.1))
            .encode_whole(&DeviceProfile::default())
            .unwrap()
    };
    use std::io::Write;
    l.stream.write_all(&reply(9011, ("QnRtn", "1"))).unwrap();
    l.stream.write_all(&reply(9012, ("ExeRtn", "1"))).unwrap();
    let steps = || -> Vec<What> {
        history(dir.path())
            .unwrap()
            .into_iter()
            .filter(|l| l.id == id)
            .map(|l| l.what)
            .collect()
    };
    wait("the result", || {
        steps().iter().any(|w| matches!(w, What::Done { .. }))
    });
    let all = steps();
    assert!(matches!(&all[0], What::Asked { by, why, .. } if by == "li" && why.contains("slow")));
    assert!(matches!(&all[1], What::Sent { times: 1, .. }));
    assert!(all.contains(&What::Answered { qn_rtn: 1 }));
    assert!(matches!(
        all.last().unwrap(),
        What::Done {
            exe_rtn: Some(1),
            ..
        }
    ));
}

#[test]
fn a_silent_device_gets_its_resends_and_then_counts_as_unreachable() {
    let dir = tempfile::tempdir().unwrap();
    let running = run(dir.path(), settings());
    let mut l = Logger::connect(running.addresses()[0]);
    assert!(l.send(&frame(&mn(4), &qn(1), 1), &qn(1)));
    let now = running.clock().now_ms();
    let fetch = Ask::Hours {
        from: "20260301000000".into(),
        to: "20260301050000".into(),
    };
    ask(dir.path(), now, "li", "a gap", &mn(4), fetch).unwrap();
    let requests: Vec<_> = (0..3).map(|_| l.answer().unwrap()).collect();
    assert!(
        requests.iter().all(|r| *r == requests[0]),
        "the same bytes each time"
    );
    assert_eq!(requests[0].0, "2061");
    wait("the end", || {
        history(dir.path())
            .unwrap()
            .iter()
            .any(|l| matches!(&l.what, What::Done { words, .. } if words.contains("3 sendings")))
    });
    // And a device that is not there at all.
    ask(dir.path(), now, "li", "", "NOBODY", Ask::ReadClock).unwrap();
    wait("the refusal", || {
        history(dir.path()).unwrap().iter().any(
            |l| matches!(&l.what, What::Done { words, .. } if words.contains("no such device")),
        )
    });
    assert!(
        ask(dir.path(), now, "", "", &mn(4), Ask::ReadClock).is_err(),
        "nobody asks"
    );
    assert!(
        ask(
            dir.path(),
            now,
            "li",
            "",
            &mn(4),
            Ask::Sample {
                factor: "a;b".into()
            }
        )
        .is_err()
    );
}

#[test]
fn state_follows_the_log_and_what_is_learnt_is_proposed() {
    let dir = tempfile::tempdir().unwrap();
    let running = run(dir.path(), settings());
    let mut l = Logger::connect(running.addresses()[0]);
    for i in 0..25 {
        assert!(l.send(&frame(&mn(1), &qn(i), 10 + i), &qn(i)));
    }
    let number = number_of(&mn(1));
    wait("the state", || {
        running
            .state()
            .device(number)
            .is_some_and(|d| d.frames == 25)
    });
    let d = running.state().device(number).unwrap();
    let last = d
        .values
        .iter()
        .find(|((c, a, _), _)| c == "a21026" && a == "Rtd")
        .unwrap()
        .1;
    assert_eq!((last.micro, last.flag), (34_000_000, 'N'));
    assert_eq!(d.st, "31");
    // Another check: nothing is taken, after ten the gateway asks.
    let odd = DeviceProfile {
        crc: CrcSet::only(CrcDialect::ModbusLowFirst),
        ..DeviceProfile::default()
    };
    use std::io::{Read, Write};
    let mut s = std::net::TcpStream::connect(running.addresses()[0]).unwrap();
    let mut framer = Framer::new();
    for i in 0..12 {
        let f = Message::new("32", 2011, &mn(2))
            .qn(Qn::parse(&qn(i)).unwrap())
            .pw("123456")
            .ack(true)
            .region(Region::new().item("DataTime", "20260301000000"))
            .encode_whole(&odd)
            .unwrap();
        s.write_all(&f).unwrap();
        let mut bytes = [0; 512];
        let n = s.read(&mut bytes).unwrap();
        framer.push(&bytes[..n]);
        assert!(matches!(framer.next(&odd), Some(Event::Frame(f)) if f.cn() == Some("9011")));
    }
    wait("proposals", || {
        let of = |k, p: Property, v: &str| {
            running
                .registry()
                .find(&mn(k))
                .is_some_and(|d| d.proposals.iter().any(|x| x.property == p && x.value == v))
        };
        of(2, Property::Crc, "modbus-low-first") && of(1, Property::Edition, "2017")
    });
    // After a restart the state is made anew from the log.
    drop(l);
    running.stop();
    let again = run(dir.path(), settings());
    wait("the state again", || {
        again.state().device(number).is_some_and(|d| d.frames == 25)
    });
    assert_eq!(again.state().device(number).unwrap().values, d.values);
}

struct Broker(Child, #[allow(dead_code)] tempfile::TempDir);
impl Drop for Broker {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A real broker on a free port; `None` (and said) where Debian's mosquitto is not installed.
fn broker() -> Option<(Broker, SocketAddr)> {
    let dir = tempfile::tempdir().unwrap();
    let port = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let conf = dir.path().join("m.conf");
    std::fs::write(
        &conf,
        format!("listener {port} 127.0.0.1\nallow_anonymous true\n"),
    )
    .unwrap();
    let exe = ["/usr/sbin/mosquitto", "mosquitto"];
    let child = exe.iter().find_map(|e| {
        Process::new(e)
            .arg("-c")
            .arg(&conf)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .ok()
    });
    let Some(child) = child else {
        println!("skipped: no mosquitto on this machine (apt-get install mosquitto)");
        return None;
    };
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    let broker = Broker(child, dir);
    wait("the broker", || {
        std::net::TcpStream::connect(address).is_ok()
    });
    Some((broker, address))
}

#[test]
fn what_a_broker_delivers_is_in_the_log_in_both_versions() {
    for version in [3, 5] {
        let Some((_broker, address)) = broker() else {
            return;
        };
        let dir = tempfile::tempdir().unwrap();
        let mut s = settings();
        s.mqtt = vec![MqttFrom {
            address: address.to_string(),
            topics: vec!["air/+/data".into()],
            version,
            client: "gw".into(),
            user: None,
            password_env: None,
        }];
        let running = run(dir.path(), s);
        let document = |n: u32| {
            format!(
                r#"{{"mn":"MICRO-{n}","readings":[{{"code":"a34004","span":"real-time","time":"2026-03-01T08:00:00+08:00","value":"35.{n}","unit":"ug/m3"}}]}}"#
            )
        };
        let rt = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        rt.block_on(async {
            use rumqttc::{AsyncClient, Event, MqttOptions, Packet, QoS};
            let (client, mut events) =
                AsyncClient::new(MqttOptions::new("sender", "127.0.0.1", address.port()), 64);
            // The receiver must have subscribed: its session is then kept by the broker.
            tokio::time::sleep(Duration::from_millis(1_500)).await;
            for n in 0..20 {
                client
                    .publish(
                        format!("air/{n}/data"),
                        QoS::AtLeastOnce,
                        false,
                        document(n),
                    )
                    .await
                    .unwrap();
            }
            client
                .publish("air/9/data", QoS::AtLeastOnce, false, "not json")
                .await
                .unwrap();
            let mut acks = 0;
            while acks < 21 {
                if let Ok(Event::Incoming(Packet::PubAck(_))) = events.poll().await {
                    acks += 1;
                }
            }
        });
        wait("the documents", || running.stats().now().frames == 20);
        let mut reader = Reader::at(&paths::log(dir.path()), Position::default());
        let mut found = Vec::new();
        while let Some(b) = reader.next(running.progress().end()).unwrap() {
            found.extend(
                b.records()
                    .map(|r| (r.kind, String::from_utf8(r.frame.to_vec()).unwrap())),
            );
        }
        found.sort_by(|a, b| a.1.cmp(&b.1));
        let mut wanted: Vec<_> = (0..20).map(|n| (Kind::Document, document(n))).collect();
        wanted.sort_by(|a, b| a.1.cmp(&b.1));
        assert_eq!(found, wanted);
        wait("the state", || {
            running
                .state()
                .device(number_of("MICRO-7"))
                .is_some_and(|d| !d.values.is_empty())
        });
    }
}
