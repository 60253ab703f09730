//! Settings of a gateway, read from a TOML file.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::GatewayError;
use crate::log::Keeping;

/// All settings; every one has a default.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct Settings {
    /// Addresses for HJ 212 over TCP.
    pub listen: Vec<SocketAddr>,
    /// Addresses for HJ 212 over TLS.
    pub listen_tls: Vec<SocketAddr>,
    /// Certificate chain (PEM) for TLS.
    pub certificate: Option<PathBuf>,
    /// Private key (PEM) for TLS.
    pub private_key: Option<PathBuf>,
    /// Threads that read sockets.
    pub readers: usize,
    /// Offset of the gateway's zone from UTC: days of roots, DataTime of devices.
    pub utc_offset_minutes: i32,
    /// Limits against senders that do harm, on purpose or not.
    pub limits: Limits,
    /// Bytes after which a segment of the log is closed.
    pub segment_bytes: u64,
    /// Frames remembered to recognise a resent one.
    pub seen_frames: usize,
    /// Retention and packing.
    pub keep: Keeping,
    /// Platforms that get every frame as well.
    pub relay: Vec<RelayTo>,
    /// MQTT brokers to read from.
    pub mqtt: Vec<MqttFrom>,
    /// Folders to read from.
    pub folder: Vec<Watched>,
}

/// Bounds of one gateway.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct Limits {
    /// Connections at once.
    pub connections: usize,
    /// Connections at once from one address.
    pub connections_per_address: usize,
    /// Longest segment of a frame in bytes.
    pub segment_bytes: usize,
    /// Seconds in which a connection must send its first good frame.
    pub first_frame_s: u32,
    /// Seconds in which a frame that was begun must be whole.
    pub frame_s: u32,
    /// Seconds of silence after which a connection is closed.
    pub idle_s: u32,
    /// Bytes that wait for the disk, per reader; above, reading stops. Back-fill may use a quarter as
    /// much besides.
    pub waiting_bytes: usize,
    /// Bytes of answers that a peer may leave unread before it is not read either.
    pub unread_answer_bytes: usize,
    /// Bytes that are no frames which a connection may send between two frames.
    pub noise_bytes: u64,
    /// Rejected frames kept in quarantine per connection and minute; more are counted only.
    pub quarantine_per_minute: u32,
    /// Devices taken in that nobody has confirmed.
    pub unconfirmed_devices: usize,
    /// A frame whose DataTime is older than this is back-fill.
    pub backfill_after_s: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 15_000,
            connections_per_address: 1_000,
            segment_bytes: 4_096,
            first_frame_s: 60,
            frame_s: 30,
            idle_s: 900,
            waiting_bytes: 8 << 20,
            unread_answer_bytes: 256 << 10,
            noise_bytes: 64 << 10,
            quarantine_per_minute: 60,
            unconfirmed_devices: 10_000,
            backfill_after_s: 900,
        }
    }
}

/// A platform to relay to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct RelayTo {
    /// Name of its queue; letters, digits and hyphens.
    pub name: String,
    /// `host:port`.
    pub address: String,
    /// Speak TLS; the certificate is checked against `ca`.
    #[serde(default)]
    pub tls: bool,
    /// Certificates (PEM) to trust for TLS.
    #[serde(default)]
    pub ca: Option<PathBuf>,
    /// Only devices whose MN begins so; all if empty.
    #[serde(default)]
    pub mn_prefix: String,
    /// Frames sent before an answer is waited for.
    #[serde(default = "window")]
    pub window: usize,
}

fn window() -> usize {
    32
}

/// A broker to read JSON readings from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct MqttFrom {
    /// `host:port`.
    pub address: String,
    /// Topics; `+` and `#` as usual.
    pub topics: Vec<String>,
    /// 5 or 3 (for 3.1.1).
    #[serde(default = "five")]
    pub version: u8,
    /// Client id; keeps the session over restarts.
    #[serde(default = "client")]
    pub client: String,
    /// User name.
    #[serde(default)]
    pub user: Option<String>,
    /// Name of the environment variable that holds the password.
    #[serde(default)]
    pub password_env: Option<String>,
}

fn five() -> u8 {
    5
}

fn client() -> String {
    "miyun-gateway".into()
}

/// A folder whose new files are imported.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Watched {
    /// The folder; done files move to `done/`, refused ones to `refused/` with the reason beside.
    pub path: PathBuf,
    /// Which end of the hour a label names: `hour-begin`, `hour-end`.
    pub interval: String,
    /// Offset of times without one, `+08:00`.
    #[serde(default)]
    pub tz: Option<String>,
    /// Units by indicator, for files without a unit column.
    #[serde(default)]
    pub units: BTreeMap<String, String>,
    /// Put before station names.
    #[serde(default)]
    pub prefix: String,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            listen: vec![SocketAddr::from(([127, 0, 0, 1], 7212))],
            listen_tls: Vec::new(),
            certificate: None,
            private_key: None,
            readers: 2,
            utc_offset_minutes: 480,
            limits: Limits::default(),
            segment_bytes: 256 << 20,
            seen_frames: 4_000_000,
            keep: Keeping::default(),
            relay: Vec::new(),
            mqtt: Vec::new(),
            folder: Vec::new(),
        }
    }
}

impl Settings {
    /// The settings in `text`.
    ///
    /// # Errors
    /// [`GatewayError::Setting`] naming line and field.
    pub fn read(file: &Path, text: &str) -> Result<Self, GatewayError> {
        let s: Self = toml::from_str(text)
            .map_err(|e| GatewayError::setting(file.display().to_string(), e.to_string()))?;
        s.check()?;
        Ok(s)
    }

    /// Checks what the types cannot.
    ///
    /// # Errors
    /// [`GatewayError::Setting`] with what to write instead.
    pub fn check(&self) -> Result<(), GatewayError> {
        let no = |what: &str, reason: &str| Err(GatewayError::setting(what, reason));
        if !(1..=64).contains(&self.readers) {
            return no("readers", "write 1 to 64");
        }
        if self.limits.segment_bytes > miyun_hj212::LONGEST {
            return no(
                "limits.segment-bytes",
                "a length has four digits: at most 9999",
            );
        }
        if !self.listen_tls.is_empty() && (self.certificate.is_none() || self.private_key.is_none())
        {
            return no("listen-tls", "TLS needs certificate and private-key");
        }
        for r in &self.relay {
            let good = !r.name.is_empty()
                && r.name
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b == b'-');
            if !good {
                return no("relay.name", "write letters, digits and hyphens");
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_settings_of_the_guide_are_settings() {
        let guide = include_str!("../../../docs/gateway.md");
        let (_, after) = guide.split_once("## Settings\n```toml\n").unwrap();
        let (sample, _) = after.split_once("```").unwrap();
        let s = Settings::read(Path::new("guide"), sample).unwrap();
        assert_eq!(s.keep.remove_after_days, Some(1_095));
        assert_eq!((s.relay.len(), s.mqtt.len(), s.folder.len()), (1, 1, 1));
    }
}
