//! MQTT as a second door: JSON documents from a broker. A publication is acknowledged to the broker
//! only after it is in the log, so what the broker was asked to keep (QoS 1) is not lost.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::reading::Document;
use crate::registry::Registry;
use crate::server::Door;
use crate::settings::MqttFrom;
use crate::writer::SharedClock;

/// Longest document taken.
const DOCUMENT_MAX: u32 = 256 << 10;
/// How long the disk may take for one.
const DISK: Duration = Duration::from_secs(30);

/// Stores one publication; false if it must come again.
fn store(door: &Door, registry: &Registry, clock: &SharedClock, topic: &str, bytes: &[u8]) -> bool {
    let document = match Document::read(bytes) {
        Ok((d, _)) => d,
        Err(e) => {
            // Taken from the broker all the same: it would come again for ever.
            tracing::warn!("MQTT {topic}: not taken: {e}");
            return true;
        }
    };
    let Some(device) = registry.meet(&document.mn, clock.now_ms()) else {
        tracing::warn!("MQTT {topic}: not taken: too many unconfirmed devices");
        return true;
    };
    match door.put(device.number, bytes, DISK) {
        Ok(()) => true,
        Err(e) => {
            tracing::error!("MQTT {topic}: {e}");
            false
        }
    }
}

/// Reads from a broker until `stop`.
pub fn run(
    from: &MqttFrom,
    door: &Arc<Door>,
    registry: &Registry,
    clock: &SharedClock,
    stop: &AtomicBool,
) {
    let Ok(rt) = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
    else {
        tracing::error!("MQTT: no event loop");
        return;
    };
    let password = from
        .password_env
        .as_ref()
        .and_then(|v| std::env::var(v).ok())
        .unwrap_or_default();
    let Some((host, port)) = from
        .address
        .rsplit_once(':')
        .and_then(|(h, p)| Some((h.to_owned(), p.parse::<u16>().ok()?)))
    else {
        tracing::error!("MQTT: {:?}: write host:port", from.address);
        return;
    };
    let take = |topic: &str, bytes: &[u8]| {
        while !store(door, registry, clock, topic, bytes) {
            if stop.load(Ordering::Acquire) {
                return false;
            }
            std::thread::sleep(Duration::from_millis(500));
        }
        true
    };
    rt.block_on(async {
        if from.version == 3 {
            v3(from, &host, port, &password, &take, stop).await;
        } else {
            v5(from, &host, port, &password, &take, stop).await;
        }
    });
}

async fn v3(
    from: &MqttFrom,
    host: &str,
    port: u16,
    password: &str,
    take: &impl Fn(&str, &[u8]) -> bool,
    stop: &AtomicBool,
) {
    use rumqttc::{AsyncClient, Event, MqttOptions, Packet, QoS};
    let mut o = MqttOptions::new(&from.client, host, port);
    o.set_clean_session(false);
    o.set_manual_acks(true);
    o.set_keep_alive(Duration::from_secs(20));
    o.set_max_packet_size(DOCUMENT_MAX as usize, DOCUMENT_MAX as usize);
    if let Some(u) = &from.user {
        o.set_credentials(u, password);
    }
    let (client, mut events) = AsyncClient::new(o, 16);
    while !stop.load(Ordering::Acquire) {
        match tokio::time::timeout(Duration::from_millis(200), events.poll()).await {
            Err(_) => {}
            Ok(Ok(Event::Incoming(Packet::ConnAck(_)))) => {
                for t in &from.topics {
                    if let Err(e) = client.try_subscribe(t, QoS::AtLeastOnce) {
                        tracing::error!("MQTT {t}: {e}");
                    }
                }
            }
            Ok(Ok(Event::Incoming(Packet::Publish(p)))) => {
                if take(&p.topic, &p.payload)
                    && let Err(e) = client.try_ack(&p)
                {
                    tracing::error!("MQTT: {e}");
                }
            }
            Ok(Ok(_)) => {}
            Ok(Err(e)) => {
                tracing::warn!("MQTT {}: {e}", from.address);
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        }
    }
}

async fn v5(
    from: &MqttFrom,
    host: &str,
    port: u16,
    password: &str,
    take: &impl Fn(&str, &[u8]) -> bool,
    stop: &AtomicBool,
) {
    use rumqttc::v5::mqttbytes::QoS;
    use rumqttc::v5::mqttbytes::v5::{ConnectProperties, Packet};
    use rumqttc::v5::{AsyncClient, Event, MqttOptions};
    let mut o = MqttOptions::new(&from.client, host, port);
    o.set_clean_start(false);
    o.set_manual_acks(true);
    o.set_keep_alive(Duration::from_secs(20));
    let mut p = ConnectProperties::new();
    // The broker keeps what it could not deliver for a week.
    p.session_expiry_interval = Some(7 * 86_400);
    p.max_packet_size = Some(DOCUMENT_MAX);
    o.set_connect_properties(p);
    if let Some(u) = &from.user {
        o.set_credentials(u, password);
    }
    let (client, mut events) = AsyncClient::new(o, 16);
    while !stop.load(Ordering::Acquire) {
        match tokio::time::timeout(Duration::from_millis(200), events.poll()).await {
            Err(_) => {}
            Ok(Ok(Event::Incoming(Packet::ConnAck(_)))) => {
                for t in &from.topics {
                    if let Err(e) = client.try_subscribe(t, QoS::AtLeastOnce) {
                        tracing::error!("MQTT {t}: {e}");
                    }
                }
            }
            Ok(Ok(Event::Incoming(Packet::Publish(p)))) => {
                let topic = String::from_utf8_lossy(&p.topic).into_owned();
                if take(&topic, &p.payload)
                    && let Err(e) = client.try_ack(&p)
                {
                    tracing::error!("MQTT: {e}");
                }
            }
            Ok(Ok(_)) => {}
            Ok(Err(e)) => {
                tracing::warn!("MQTT {}: {e}", from.address);
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        }
    }
}
