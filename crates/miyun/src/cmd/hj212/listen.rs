use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context, Result};
use clap::Args;
use miyun_hj212::answer::wanted_by_device;
use miyun_hj212::{AnswerTo, DeviceProfile, Event, Framer, RequestReturn, Wanted};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use super::show::{self, Book, NoFrame, Pen, Seen};
use super::{Profile, Reading};
use crate::out::{Format, line};

#[derive(Args)]
pub struct Listen {
    /// Address to listen on.
    #[arg(long, default_value = "127.0.0.1:9212")]
    bind: SocketAddr,
    /// Stop after this many frames.
    #[arg(long)]
    frames: Option<usize>,
    /// Do not answer.
    #[arg(long)]
    no_answer: bool,
    /// Milliseconds to wait before answering, to see what a device does.
    #[arg(long, default_value_t = 0)]
    delay_ms: u64,
    /// Seconds without a byte after which an unfinished frame is given up, and 60 times as long
    /// for the connection.
    #[arg(long, default_value_t = 10)]
    patience_s: u64,
    /// Speak TLS with the certificate chain of this PEM file.
    #[arg(long, value_name = "CERT.PEM", requires = "tls_key")]
    tls_cert: Option<PathBuf>,
    /// Private key of the certificate, PEM.
    #[arg(long, value_name = "KEY.PEM", requires = "tls_cert")]
    tls_key: Option<PathBuf>,
    /// Connections at once; more are closed.
    #[arg(long, default_value_t = 1000)]
    connections: usize,
    #[command(flatten)]
    profile: Profile,
    #[command(flatten)]
    reading: Reading,
    /// How to print: table is text for people, json has one document per line.
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
}

struct Host {
    profile: DeviceProfile,
    book: Book,
    pen: Pen,
    format: Format,
    frames: AtomicUsize,
    open: AtomicUsize,
    stop_at: Option<usize>,
    stop: tokio::sync::Notify,
    answer: bool,
    delay: Duration,
    patience: Duration,
}

impl Listen {
    pub fn run(self) -> Result<()> {
        if self.format == Format::Csv {
            anyhow::bail!("listen prints table or json; pipe a capture to decode for csv");
        }
        let tls = match (&self.tls_cert, &self.tls_key) {
            (Some(cert), Some(key)) => Some(acceptor(cert, key)?),
            _ => None,
        };
        let host = Arc::new(Host {
            profile: self.profile.read()?,
            book: Book::embedded(),
            pen: Pen::new(self.reading),
            format: self.format,
            frames: AtomicUsize::new(0),
            open: AtomicUsize::new(0),
            stop_at: self.frames,
            stop: tokio::sync::Notify::new(),
            answer: !self.no_answer,
            delay: Duration::from_millis(self.delay_ms),
            patience: Duration::from_secs(self.patience_s.max(1)),
        });
        tokio::runtime::Runtime::new()?.block_on(async {
            let listener = TcpListener::bind(self.bind)
                .await
                .with_context(|| format!("cannot listen on {}", self.bind))?;
            eprintln!("listening on {}", listener.local_addr()?);
            loop {
                tokio::select! {
                    () = host.stop.notified() => return Ok(()),
                    _ = tokio::signal::ctrl_c() => return Ok(()),
                    came = listener.accept() => match came {
                        Ok((stream, from)) => {
                            if host.open.load(Ordering::Relaxed) >= self.connections {
                                eprintln!("{from}: closed, {} connections are open", self.connections);
                                continue;
                            }
                            host.open.fetch_add(1, Ordering::Relaxed);
                            let (host, tls) = (Arc::clone(&host), tls.clone());
                            tokio::spawn(async move {
                                eprintln!("{from}: connected");
                                let done = match tls {
                                    None => host.serve(stream).await,
                                    Some(tls) => host.shake(&tls, stream).await,
                                };
                                match done {
                                    Ok(()) => eprintln!("{from}: closed"),
                                    Err(e) => eprintln!("{from}: {e:#}"),
                                }
                                host.open.fetch_sub(1, Ordering::Relaxed);
                            });
                        }
                        Err(e) => {
                            // Out of descriptors, for example: others stay served.
                            eprintln!("cannot accept: {e}");
                            tokio::time::sleep(Duration::from_millis(100)).await;
                        }
                    }
                }
            }
        })
    }
}

/// What shakes hands with the certificate and key of two PEM files.
fn acceptor(cert: &Path, key: &Path) -> Result<TlsAcceptor> {
    let chain = CertificateDer::pem_file_iter(cert)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .with_context(|| format!("cannot read a certificate from {}", cert.display()))?;
    let key = PrivateKeyDer::from_pem_file(key)
        .with_context(|| format!("cannot read a private key from {}", key.display()))?;
    let config = tokio_rustls::rustls::ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .context("certificate and key do not fit together")?;
    Ok(Arc::new(config).into())
}

impl Host {
    /// Shakes hands, then serves.
    async fn shake(&self, tls: &TlsAcceptor, stream: TcpStream) -> Result<()> {
        let stream = tokio::time::timeout(self.patience, tls.accept(stream))
            .await
            .context("no TLS handshake in time")?
            .context("no TLS handshake")?;
        self.serve(stream).await
    }

    async fn serve(&self, mut stream: impl AsyncRead + AsyncWrite + Unpin) -> Result<()> {
        let mut framer = Framer::new();
        let mut piece = [0; 4096];
        let mut idle = 0;
        loop {
            let read = tokio::time::timeout(self.patience, stream.read(&mut piece)).await;
            let ended = match read {
                Ok(n) => {
                    idle = 0;
                    let n = n?;
                    framer.push(&piece[..n]);
                    if n == 0 {
                        framer.finish();
                    }
                    n == 0
                }
                Err(_) => {
                    idle += 1;
                    framer.give_up();
                    idle > 60
                }
            };
            let mut answers = Vec::new();
            while let Some(event) = framer.next(&self.profile) {
                if let Some(bytes) = self.take(event)? {
                    answers.push(bytes);
                }
            }
            for bytes in answers {
                if !self.delay.is_zero() {
                    tokio::time::sleep(self.delay).await;
                }
                tokio::time::timeout(self.patience, stream.write_all(&bytes))
                    .await
                    .context("the device does not take the answer")??;
            }
            if ended {
                return Ok(());
            }
            if self
                .stop_at
                .is_some_and(|n| self.frames.load(Ordering::Relaxed) >= n)
            {
                stream.flush().await?;
                self.stop.notify_one();
                return Ok(());
            }
        }
    }

    /// Prints an event; the answer that it asks for.
    fn take(&self, event: Event<'_>) -> Result<Option<Vec<u8>>> {
        let people = self.format == Format::Table;
        match event {
            Event::Frame(f) => {
                let number = self.frames.fetch_add(1, Ordering::Relaxed) + 1;
                let seen = Seen::new(number, &f, &self.book);
                line(&if people {
                    show::frame(&seen, &self.book, self.pen)
                } else {
                    serde_json::to_string(&seen)? + "\n"
                })?;
                if !self.answer {
                    return Ok(None);
                }
                let to = AnswerTo::frame(&f);
                let p = &self.profile;
                Ok(match wanted_by_device(&f) {
                    Wanted::Nothing => None,
                    Wanted::DataAnswer => Some(to.data(p)?),
                    Wanted::NoticeAnswer => Some(to.notice(p)?),
                    // A test host has no key to give.
                    Wanted::RequestAnswer => Some(to.request(RequestReturn::Refused, p)?),
                })
            }
            Event::Rejected(r) => {
                line(&if people {
                    show::rejected(&r, self.pen)
                } else {
                    serde_json::to_string(&NoFrame::new(&r))? + "\n"
                })?;
                Ok(None)
            }
            Event::Noise(n) => {
                if people && n.iter().any(|b| !b.is_ascii_whitespace()) {
                    let text = self.pen.say("bytes of noise", "字节噪声");
                    line(&(self.pen.care(&format!("· {} {text}", n.len())) + "\n"))?;
                }
                Ok(None)
            }
        }
    }
}
