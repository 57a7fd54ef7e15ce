//! A connection whose peer is waited for, though not for ever.
//!
//! The HTTP library bounds how long a request may take to arrive, but not how long its answer may
//! take to be read: a scrape that is read one byte a second would be kept for hours. And it closes
//! a connection with what it has not read, which makes the system throw the answer away.

use std::io::{self, ErrorKind};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Sleep, sleep};

/// How long and how much is still read of a client that was answered and sends on.
const LINGER: Duration = Duration::from_secs(1);
const MOST_DISCARDED: usize = 1 << 20;

/// A TCP connection that breaks when what was answered is not taken in time.
pub(super) struct Patient {
    stream: TcpStream,
    /// Longest time from the first stop of an answer to its end.
    limit: Duration,
    /// Runs while an answer waits to be read.
    waiting: Option<Pin<Box<Sleep>>>,
    /// Set when an answer was given before the request had been read.
    hasty: Arc<AtomicBool>,
    parting: Parting,
}

/// How far the goodbye is.
enum Parting {
    NotYet,
    /// Nothing more is said; what still comes is thrown away.
    Listening {
        until: Pin<Box<Sleep>>,
        discarded: usize,
    },
}

// === impl Patient ===

impl Patient {
    pub(super) fn new(stream: TcpStream, limit: Duration, hasty: Arc<AtomicBool>) -> Self {
        Self { stream, limit, waiting: None, hasty, parting: Parting::NotYet }
    }

    /// Lets a write wait only as long as the whole answer may.
    fn bound<T>(
        &mut self,
        context: &mut Context<'_>,
        written: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if written.is_ready() {
            return written;
        }
        let limit = self.limit;
        let waiting = self.waiting.get_or_insert_with(|| Box::pin(sleep(limit)));
        ready!(waiting.as_mut().poll(context));
        let why = "the client did not read its answer in time";
        Poll::Ready(Err(io::Error::new(ErrorKind::TimedOut, why)))
    }

    /// Throws away what comes, until the peer has closed too, or long enough.
    fn poll_discard(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let Parting::Listening { until, discarded } = &mut self.parting else {
            return Poll::Ready(());
        };
        let mut space = [0; 4096];
        // Who was answered in full has nothing more to say.
        let wait = self.hasty.load(Ordering::Relaxed);
        while *discarded < MOST_DISCARDED && until.as_mut().poll(context).is_pending() {
            let mut buffer = ReadBuf::new(&mut space);
            match Pin::new(&mut self.stream).poll_read(context, &mut buffer) {
                Poll::Ready(Ok(())) if !buffer.filled().is_empty() => {
                    *discarded += buffer.filled().len();
                }
                Poll::Pending if wait || *discarded > 0 => return Poll::Pending,
                _ => break,
            }
        }
        Poll::Ready(())
    }
}

impl AsyncRead for Patient {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Patient {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.bound(context, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, parts);
        self.bound(context, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    /// Is reached when all that was answered so far has been handed over.
    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut self.stream).poll_flush(context))?;
        self.waiting = None;
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if matches!(self.parting, Parting::NotYet) {
            ready!(Pin::new(&mut self.stream).poll_shutdown(context))?;
            let until = Box::pin(sleep(LINGER));
            self.parting = Parting::Listening { until, discarded: 0 };
        }
        ready!(self.poll_discard(context));
        Poll::Ready(Ok(()))
    }
}
