//! Sends every frame to further platforms. Each has its own cursor into the log: its queue is the
//! log itself, durable and bounded by nothing but retention, which waits for it.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use miyun_hj212::{DeviceProfile, Event, Framer};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::GatewayError;
use crate::files::write_whole;
use crate::log::{Batch, Kind, Position, Reader};
use crate::server::{Follow, paths};
use crate::settings::RelayTo;

/// Reads a cursor; the beginning if there is none.
///
/// # Errors
/// [`GatewayError`] if the file is damaged.
pub fn read_cursor(dir: &Path, name: &str) -> Result<Position, GatewayError> {
    let path = paths::cursor(dir, name);
    match std::fs::read(&path) {
        Ok(bytes) => serde_json::from_slice(&bytes).map_err(|e| GatewayError::Damaged {
            path,
            at: 0,
            reason: e.to_string(),
        }),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(Position::default()),
        Err(e) => Err(GatewayError::io(&path, e)),
    }
}

/// Writes a cursor, whole and durable.
///
/// # Errors
/// [`GatewayError`] if the disk refuses.
pub fn write_cursor(dir: &Path, name: &str, at: Position) -> Result<(), GatewayError> {
    let path = paths::cursor(dir, name);
    let bytes = serde_json::to_vec(&at).unwrap_or_default();
    write_whole(&path, &bytes).map_err(|e| GatewayError::io(&path, e))
}

/// Counters of a relay.
#[derive(Debug, Default)]
pub struct RelayStats {
    /// Frames that the platform has answered.
    pub answered: AtomicU64,
    /// Frames that ask for no answer and were written.
    pub unanswered: AtomicU64,
    /// Connections lost.
    pub lost: AtomicU64,
    /// It is connected.
    pub connected: AtomicBool,
}

/// How long a platform has to answer.
const ANSWER: Duration = Duration::from_secs(30);

/// Runs a relay until `stop`.
pub fn run(
    dir: PathBuf,
    to: &RelayTo,
    follow: &Follow,
    stats: &Arc<RelayStats>,
    stop: &Arc<AtomicBool>,
) {
    let Ok(rt) = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
    else {
        tracing::error!("relay {}: no event loop", to.name);
        return;
    };
    let mut pause = Duration::from_millis(500);
    while !stop.load(Ordering::Acquire) {
        let done = rt.block_on(session(&dir, to, follow, stats, stop));
        stats.connected.store(false, Ordering::Release);
        match done {
            Ok(progress) => {
                if progress {
                    pause = Duration::from_millis(500);
                }
            }
            Err(e) => {
                stats.lost.fetch_add(1, Ordering::Relaxed);
                tracing::warn!("relay {}: {e}; again in {pause:?}", to.name);
            }
        }
        let until = std::time::Instant::now() + pause;
        while std::time::Instant::now() < until && !stop.load(Ordering::Acquire) {
            std::thread::sleep(Duration::from_millis(50));
        }
        pause = (pause * 2).min(Duration::from_secs(60));
    }
}

async fn session(
    dir: &Path,
    to: &RelayTo,
    follow: &Follow,
    stats: &RelayStats,
    stop: &AtomicBool,
) -> Result<bool, GatewayError> {
    let net = |error: io::Error| GatewayError::Net {
        address: to.address.clone(),
        error,
    };
    let late = || io::Error::from(io::ErrorKind::TimedOut);
    let tcp = tokio::time::timeout(ANSWER, TcpStream::connect(&to.address))
        .await
        .map_err(|_| net(late()))?
        .map_err(net)?;
    let _ = tcp.set_nodelay(true);
    stats.connected.store(true, Ordering::Release);
    if to.tls {
        let ca = to.ca.as_deref().ok_or_else(|| {
            GatewayError::setting(
                format!("relay {}", to.name),
                "tls needs ca, a PEM file of certificates to trust",
            )
        })?;
        let host = to
            .address
            .rsplit_once(':')
            .map_or(to.address.as_str(), |(h, _)| h)
            .to_owned();
        let name = host.try_into().map_err(|_| {
            GatewayError::setting(format!("relay {}", to.name), "address: no host name")
        })?;
        let mut tls = crate::tls::connector(ca)?
            .connect(name, tcp)
            .await
            .map_err(net)?;
        pump(dir, to, follow, stats, stop, &mut tls).await
    } else {
        let mut tcp = tcp;
        pump(dir, to, follow, stats, stop, &mut tcp).await
    }
}

/// Sends batch by batch; the cursor moves when all frames of a batch are answered.
async fn pump<S: AsyncRead + AsyncWrite + Unpin>(
    dir: &Path,
    to: &RelayTo,
    follow: &Follow,
    stats: &RelayStats,
    stop: &AtomicBool,
    stream: &mut S,
) -> Result<bool, GatewayError> {
    let mut reader = Reader::at(&follow.log, read_cursor(dir, &to.name)?);
    let mut framer = Framer::new();
    let mut progress = false;
    let mut saved = std::time::Instant::now();
    let mut unsaved = None;
    while !stop.load(Ordering::Acquire) {
        match reader.next(follow.progress.end())? {
            Some(batch) => {
                send(&batch, to, follow, stats, stream, &mut framer).await?;
                unsaved = Some(batch.end);
                progress = true;
            }
            None => tokio::time::sleep(Duration::from_millis(20)).await,
        }
        if let Some(at) = unsaved
            && saved.elapsed() > Duration::from_millis(500)
        {
            write_cursor(dir, &to.name, at)?;
            (saved, unsaved) = (std::time::Instant::now(), None);
        }
    }
    if let Some(at) = unsaved {
        write_cursor(dir, &to.name, at)?;
    }
    Ok(progress)
}

async fn send<S: AsyncRead + AsyncWrite + Unpin>(
    batch: &Batch,
    to: &RelayTo,
    follow: &Follow,
    stats: &RelayStats,
    stream: &mut S,
    framer: &mut Framer,
) -> Result<(), GatewayError> {
    let net = |error: io::Error| GatewayError::Net {
        address: to.address.clone(),
        error,
    };
    let frames: Vec<&[u8]> = batch
        .records()
        .filter(|r| r.kind == Kind::Frame)
        .filter(|r| {
            to.mn_prefix.is_empty()
                || follow
                    .registry
                    .device(r.device)
                    .is_some_and(|d| d.mn.starts_with(&to.mn_prefix))
        })
        .map(|r| r.frame)
        .collect();
    for window in frames.chunks(to.window.clamp(1, 1_000)) {
        let mut out = Vec::new();
        let mut waiting: Vec<Vec<u8>> = Vec::new();
        for f in window {
            // What the device said of itself in answer to us is not the platform's business.
            if is_interaction(f) {
                continue;
            }
            out.extend_from_slice(f);
            out.extend_from_slice(b"\r\n");
            match qn_wanting_answer(f) {
                Some(qn) => waiting.push(qn.to_vec()),
                None => {
                    stats.unanswered.fetch_add(1, Ordering::Relaxed);
                }
            }
        }
        stream.write_all(&out).await.map_err(net)?;
        stream.flush().await.map_err(net)?;
        let mut bytes = [0; 4096];
        while !waiting.is_empty() {
            let n = tokio::time::timeout(ANSWER, stream.read(&mut bytes))
                .await
                .map_err(|_| net(io::ErrorKind::TimedOut.into()))?
                .map_err(net)?;
            if n == 0 {
                return Err(net(io::ErrorKind::UnexpectedEof.into()));
            }
            framer.push(&bytes[..n]);
            while let Some(e) = framer.next(&DeviceProfile::lenient()) {
                let Event::Frame(f) = e else { continue };
                let ours = matches!(f.cn(), Some("9014" | "9013" | "9011"));
                if let (true, Some(qn)) = (ours, f.qn())
                    && let Some(k) = waiting.iter().position(|w| w == qn.as_bytes())
                {
                    waiting.swap_remove(k);
                    stats.answered.fetch_add(1, Ordering::Relaxed);
                }
            }
        }
    }
    Ok(())
}

fn field<'a>(frame: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let head = frame.get(6..)?;
    let end = head
        .windows(5)
        .position(|w| w == b"CP=&&")
        .unwrap_or(head.len());
    head[..end]
        .split(|b| *b == b';')
        .find_map(|t| t.strip_prefix(name))
}

fn qn_wanting_answer(frame: &[u8]) -> Option<&[u8]> {
    let flag: u8 = std::str::from_utf8(field(frame, b"Flag=")?)
        .ok()?
        .parse()
        .ok()?;
    (flag & 1 == 1).then(|| field(frame, b"QN="))?
}

fn is_interaction(frame: &[u8]) -> bool {
    matches!(
        field(frame, b"CN="),
        Some(b"9011" | b"9012" | b"9013" | b"9014")
    )
}
