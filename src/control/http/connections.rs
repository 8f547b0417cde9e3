//! Connections: a bound on how many, and on how long each may do nothing. A slow client holds its own place and no other's.

use std::fmt;
use std::future::Future;
use std::io::{self, ErrorKind};
use std::net::{SocketAddr, TcpListener};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, Sleep, sleep_until};

/// The most connections at once; who comes then waits in the system's own line.
pub(super) const CONNECTIONS: usize = 128;

/// How long a connection may say nothing: since it began, or since it was last answered. Longer than a scraper's usual
/// interval, so that it keeps its connection.
const SILENCE: Duration = Duration::from_secs(75);

/// How long it may take from the first byte of a request to the first of its answer; longer than an answer may take.
const EXCHANGE: Duration = Duration::from_secs(45);

/// How long a client may not take a single byte of its answer.
const STALL: Duration = Duration::from_secs(10);

/// How long any connection lasts. Clients open another.
const LIFETIME: Duration = Duration::from_secs(15 * 60);

/// Why `[control] http` cannot be listened on.
#[derive(Debug)]
pub struct HttpError {
    /// The address as configured.
    pub address: SocketAddr,
    /// What the system said.
    pub cause: io::Error,
}

impl fmt::Display for HttpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let HttpError { address, cause } = self;
        match cause.kind() {
            ErrorKind::AddrInUse => write!(
                f,
                "cannot serve HTTP on {address}: another program listens there; stop it, or give [control] another `http`"
            ),
            ErrorKind::AddrNotAvailable => write!(
                f,
                "cannot serve HTTP on {address}: this machine has no such address; `ip addr` lists those it has"
            ),
            _ => write!(f, "cannot serve HTTP on {address}: {cause}; see `http` of [control]"),
        }
    }
}

impl std::error::Error for HttpError {}

/// Binds.
pub(super) fn bind(address: SocketAddr) -> Result<TcpListener, HttpError> {
    let refused = |cause| HttpError { address, cause };
    let listener = TcpListener::bind(address).map_err(refused)?;
    listener.set_nonblocking(true).map_err(refused)?;
    Ok(listener)
}

/// Accepts as many as there is room for.
pub(super) struct Door {
    listener: tokio::net::TcpListener,
    room: Arc<Semaphore>,
}

impl Door {
    /// `room` is shared by all doors of the daemon, also the one that is just being left.
    pub(super) fn new(listener: TcpListener, room: Arc<Semaphore>) -> io::Result<Door> {
        Ok(Door { listener: tokio::net::TcpListener::from_std(listener)?, room })
    }
}

impl axum::serve::Listener for Door {
    type Io = Connection<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Connection<TcpStream>, SocketAddr) {
        // The semaphore is never closed; if it were, nobody would be let in.
        let Ok(place) = Arc::clone(&self.room).acquire_owned().await else { return std::future::pending().await };
        loop {
            match self.listener.accept().await {
                Ok((stream, from)) => {
                    // Without it small answers wait for the client's acknowledgement.
                    let _ = stream.set_nodelay(true);
                    return (Connection::new(stream, Some(place)), from);
                }
                Err(error) => {
                    // Out of file descriptors, most likely: it passes.
                    tracing::warn!("the HTTP address took no connection: {error}");
                    tokio::time::sleep(Duration::from_millis(200)).await;
                }
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

/// A connection that ends when nothing goes on, or at the end of its time.
pub(super) struct Connection<S> {
    stream: S,
    end: Instant,
    /// When it is let go if nothing is answered.
    waiting: Pin<Box<Sleep>>,
    turn: Turn,
    /// When the client must have taken something; `None` while nothing waits for it.
    stalled: Option<Pin<Box<Sleep>>>,
    _place: Option<OwnedSemaphorePermit>,
}

/// Whose turn it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Turn {
    /// Nothing has come since the last answer.
    Silent,
    /// A request has begun.
    Asking,
}

impl<S> Connection<S> {
    fn new(stream: S, place: Option<OwnedSemaphorePermit>) -> Connection<S> {
        let now = Instant::now();
        let waiting = Box::pin(sleep_until(now + SILENCE));
        Connection { stream, end: now + LIFETIME, waiting, turn: Turn::Silent, stalled: None, _place: place }
    }

    /// Something was written, or could not be.
    fn wrote<T>(&mut self, context: &mut Context<'_>, poll: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        match poll {
            Poll::Ready(done) => {
                self.stalled = None;
                self.turn = Turn::Silent;
                let until = (Instant::now() + SILENCE).min(self.end);
                self.waiting.as_mut().reset(until);
                Poll::Ready(done)
            }
            Poll::Pending => {
                let stalled = self.stalled.get_or_insert_with(|| Box::pin(sleep_until(Instant::now() + STALL)));
                ready!(stalled.as_mut().poll(context));
                Poll::Ready(Err(ErrorKind::TimedOut.into()))
            }
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Connection<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.waiting.as_mut().poll(context).is_ready() {
            return Poll::Ready(Err(ErrorKind::TimedOut.into()));
        }
        ready!(Pin::new(&mut self.stream).poll_read(context, buffer))?;
        if self.turn == Turn::Silent {
            // Bytes that trickle in are no request: the first alone gives more time.
            self.turn = Turn::Asking;
            self.waiting.as_mut().reset(Instant::now() + EXCHANGE);
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Connection<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let poll = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.wrote(context, poll)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let poll = Pin::new(&mut self.stream).poll_write_vectored(context, parts);
        self.wrote(context, poll)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    use super::*;

    /// Time that passes when everybody waits.
    fn run<T>(story: impl Future<Output = T>) -> T {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(story)
    }

    #[test]
    fn who_trickles_bytes_is_let_go() {
        run(async {
            let (mut client, server) = duplex(64);
            let mut connection = Connection::new(server, None);
            client.write_all(b"G").await.unwrap();
            assert_eq!(connection.read_u8().await.unwrap(), b'G');
            let until = connection.waiting.deadline();
            client.write_all(b"E").await.unwrap();
            assert_eq!(connection.read_u8().await.unwrap(), b'E');
            assert_eq!(connection.waiting.deadline(), until, "the second byte gives no more time");
            connection.waiting.as_mut().reset(Instant::now());
            tokio::time::sleep(Duration::from_millis(2)).await;
            client.write_all(b"T").await.unwrap();
            assert_eq!(connection.read_u8().await.unwrap_err().kind(), ErrorKind::TimedOut);
        });
    }

    #[test]
    fn an_answer_gives_time_for_the_next_request_but_not_beyond_the_end() {
        run(async {
            let (_client, server) = duplex(64);
            let mut connection = Connection::new(server, None);
            connection.waiting.as_mut().reset(Instant::now());
            connection.write_all(b"answer").await.unwrap();
            assert!(connection.waiting.deadline() > Instant::now() + SILENCE / 2);
            connection.end = Instant::now();
            connection.write_all(b"answer").await.unwrap();
            assert_eq!(connection.waiting.deadline(), connection.end);
        });
    }

    #[test]
    fn who_does_not_read_is_let_go() {
        run(async {
            let (_client, server) = duplex(4);
            let mut connection = Connection::new(server, None);
            connection.stalled = Some(Box::pin(sleep_until(Instant::now())));
            assert_eq!(connection.write(b"full").await.unwrap(), 4);
            assert!(connection.stalled.is_none(), "what was taken is no stall");
            connection.stalled = Some(Box::pin(sleep_until(Instant::now())));
            assert_eq!(connection.write(b"more").await.unwrap_err().kind(), ErrorKind::TimedOut);
        });
    }
}
