//! One connection. An idle one holds no buffer: bytes are read into the shard's scratch space and
//! parsed there; only an unfinished frame is kept.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use miyun_hj212::Framer;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use crate::shard::{Known, Shard, Turn};
use crate::writer::Class;

/// About the bytes of an answer.
const ANSWER_BYTES: usize = 128;

/// What a shard knows of a connection.
pub(crate) struct Conn {
    pub key: u32,
    pub generation: u32,
    pub address: IpAddr,
    pub opened_s: u32,
    pub active_s: Cell<u32>,
    /// When an unfinished frame began.
    pub begun_s: Cell<Option<u32>>,
    /// It has sent a good frame.
    pub proven: Cell<bool>,
    pub closing: Cell<bool>,
    /// The other side sends no more.
    ended: Cell<bool>,
    /// Whether it waits for room to read.
    pub turn: Cell<Turn>,
    /// Records that wait for the disk.
    pub outstanding: Cell<u32>,
    pub class: Cell<Class>,
    pub noise: Cell<u64>,
    /// Minute and number of quarantined candidates in it.
    pub quarantined: Cell<(u32, u32)>,
    pub framer: RefCell<Option<Box<Framer>>>,
    pub last: RefCell<Option<Rc<Known>>>,
    outbox: RefCell<Vec<u8>>,
    waker: RefCell<Option<Waker>>,
}

impl Conn {
    pub fn new(key: u32, generation: u32, address: IpAddr, now_s: u32) -> Self {
        Self {
            key,
            generation,
            address,
            opened_s: now_s,
            active_s: Cell::new(now_s),
            begun_s: Cell::new(None),
            proven: Cell::new(false),
            closing: Cell::new(false),
            ended: Cell::new(false),
            turn: Cell::new(Turn::Free),
            outstanding: Cell::new(0),
            class: Cell::new(Class::New),
            noise: Cell::new(0),
            quarantined: Cell::new((0, 0)),
            framer: RefCell::new(None),
            last: RefCell::new(None),
            outbox: RefCell::default(),
            waker: RefCell::new(None),
        }
    }

    /// Adds bytes to be written.
    pub fn push(&self, bytes: &[u8]) {
        self.outbox.borrow_mut().extend_from_slice(bytes);
    }

    /// Bytes that the peer has not taken.
    pub fn unread(&self) -> usize {
        self.outbox.borrow().len()
    }

    pub fn wake(&self) {
        if let Some(w) = self.waker.borrow().as_ref() {
            w.wake_by_ref();
        }
    }

    pub fn close(&self) {
        self.closing.set(true);
        self.wake();
    }

    /// The unfinished frame is given up; what follows its header is searched.
    pub fn give_up(&self, shard: &Shard) {
        let Some(mut framer) = self.framer.take() else {
            return;
        };
        framer.give_up();
        let go_on = shard.events(self, &mut framer);
        if framer.pending() > 0 {
            self.begun_s.set(Some(shard.seconds()));
            self.framer.replace(Some(framer));
        } else {
            self.begun_s.set(None);
        }
        if !go_on {
            self.close();
        }
    }

    fn drive<S: AsyncRead + AsyncWrite + Unpin>(
        self: &Rc<Self>,
        shard: &Shard,
        stream: &mut S,
        cx: &mut Context<'_>,
    ) -> Poll<()> {
        let polled = self.go_on(shard, stream, cx);
        // Whatever came of it, what was kept free for it is free again.
        shard.turn_over(self);
        polled
    }

    fn go_on<S: AsyncRead + AsyncWrite + Unpin>(
        self: &Rc<Self>,
        shard: &Shard,
        stream: &mut S,
        cx: &mut Context<'_>,
    ) -> Poll<()> {
        {
            let mut waker = self.waker.borrow_mut();
            if waker.as_ref().is_none_or(|w| !w.will_wake(cx.waker())) {
                *waker = Some(cx.waker().clone());
            }
        }
        // A turn reads a few times at most, so that an endless sender does not hold up the others.
        for _ in 0..4 {
            let before = self.unread();
            let flushed = match self.write(stream, cx) {
                Ok(f) => {
                    if self.unread() < before {
                        self.active_s.set(shard.seconds());
                    }
                    f
                }
                Err(_) => return Poll::Ready(()),
            };
            if self.closing.get() {
                return Poll::Ready(());
            }
            if self.ended.get() {
                return if self.outstanding.get() == 0 && flushed {
                    Poll::Ready(())
                } else {
                    Poll::Pending
                };
            }
            // One who does not read its answers is not read either; it is closed when it has been
            // silent too long.
            let owed = self.unread() + self.outstanding.get() as usize * ANSWER_BYTES;
            if owed > shard.common.limits.unread_answer_bytes {
                return Poll::Pending;
            }
            if !shard.may_read(self) {
                return Poll::Pending;
            }
            let mut scratch = shard.scratch.borrow_mut();
            let mut buffer = ReadBuf::new(&mut scratch);
            match Pin::new(&mut *stream).poll_read(cx, &mut buffer) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Err(_)) => return Poll::Ready(()),
                Poll::Ready(Ok(())) => {
                    let bytes = buffer.filled();
                    if bytes.is_empty() {
                        self.ended.set(true);
                        continue;
                    }
                    self.active_s.set(shard.seconds());
                    let go_on = shard.feed(self, bytes);
                    shard.turn_over(self);
                    if !go_on {
                        shard
                            .common
                            .stats
                            .turned_away
                            .fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                        return Poll::Ready(());
                    }
                }
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Writes what can be written; true if nothing is left.
    fn write<S: AsyncWrite + Unpin>(
        &self,
        stream: &mut S,
        cx: &mut Context<'_>,
    ) -> io::Result<bool> {
        let mut out = self.outbox.borrow_mut();
        let mut done = 0;
        while done < out.len() {
            match Pin::new(&mut *stream).poll_write(cx, &out[done..]) {
                Poll::Pending => break,
                Poll::Ready(Ok(0)) => return Err(io::ErrorKind::WriteZero.into()),
                Poll::Ready(Ok(n)) => done += n,
                Poll::Ready(Err(e)) => return Err(e),
            }
        }
        if done == out.len() {
            out.clear();
            // What a burst needed is given back.
            if out.capacity() > 4_096 {
                *out = Vec::new();
            }
        } else {
            out.drain(..done);
        }
        match Pin::new(&mut *stream).poll_flush(cx) {
            Poll::Ready(Err(e)) => Err(e),
            Poll::Ready(Ok(())) => Ok(out.is_empty()),
            Poll::Pending => Ok(false),
        }
    }
}

pub(crate) async fn run(shard: Rc<Shard>, conn: Rc<Conn>, mut stream: TcpStream) {
    poll_fn(|cx| conn.drive(&shard, &mut stream, cx)).await;
    shard.forget(&conn);
}

/// How long a TLS handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(10);

pub(crate) async fn run_tls(shard: Rc<Shard>, conn: Rc<Conn>, stream: TcpStream) {
    let Some(acceptor) = shard.common.tls.clone() else {
        shard.forget(&conn);
        return;
    };
    // Boxed: a handshake's state is large and short-lived.
    let hands = Box::pin(tokio::time::timeout(HANDSHAKE, acceptor.accept(stream)));
    match hands.await {
        Ok(Ok(stream)) => {
            let mut stream = Box::new(stream);
            poll_fn(|cx| conn.drive(&shard, &mut *stream, cx)).await;
        }
        Ok(Err(e)) => tracing::debug!("{}: TLS: {e}", conn.address),
        Err(_) => tracing::debug!("{}: TLS handshake took too long", conn.address),
    }
    shard.forget(&conn);
}
