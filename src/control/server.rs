//! The daemon's end of the control socket. Whoever may write to its file (mode 0660) may command the daemon.

use std::fmt;
use std::fs;
use std::io::{self, ErrorKind};
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::protocol::{Answer, Request};
use crate::daemon::{self, Client};
use crate::engine::{Command, Refusal, Reply};

/// The longest request line, in bytes.
const LONGEST_LINE: u64 = 64 * 1024;
/// The most connections at once; who comes then waits in the socket's own line.
const CONNECTIONS: usize = 32;
/// How long a connection may say nothing.
const SILENCE: Duration = Duration::from_secs(30);
/// How long the daemon may think, and how long a client may take to read its answer.
const PATIENCE: Duration = Duration::from_secs(30);

/// Why the control socket cannot be had.
#[derive(Debug)]
pub enum SocketError {
    /// A running daemon answers on it.
    Taken(PathBuf),
    /// Something that is no socket stands there; it is not ours to remove.
    NotASocket(PathBuf),
    /// The system refused.
    System(PathBuf, io::Error),
}

impl fmt::Display for SocketError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SocketError::Taken(path) => write!(
                f,
                "another switchboard is running: it answers on {}; stop it, or give this one its own [control] socket",
                path.display()
            ),
            SocketError::NotASocket(path) => {
                write!(f, "{} exists and is no socket; remove it or choose another [control] socket", path.display())
            }
            SocketError::System(path, error) => write!(
                f,
                "cannot open the control socket {}: {error}; choose a [control] socket in a directory this user may write to",
                path.display()
            ),
        }
    }
}

impl std::error::Error for SocketError {}

/// A bound control socket. Removes its file when dropped.
#[derive(Debug)]
pub struct Server {
    listener: UnixListener,
    path: PathBuf,
    /// Device and inode of the file: if another daemon has put its own there, it is not ours to remove.
    file: Option<(u64, u64)>,
}

impl Server {
    /// Binds. A file left behind by a daemon that is dead is replaced; missing directories are made.
    ///
    /// # Errors
    /// What stands in the way.
    pub fn bind(path: &Path) -> Result<Server, SocketError> {
        let system = |error| SocketError::System(path.to_owned(), error);
        match fs::symlink_metadata(path) {
            Ok(file) if !file.file_type().is_socket() => return Err(SocketError::NotASocket(path.to_owned())),
            Ok(_) => match UnixStream::connect(path) {
                Ok(_) => return Err(SocketError::Taken(path.to_owned())),
                // Nobody listens: its owner is dead.
                Err(error) if error.kind() == ErrorKind::ConnectionRefused => {}
                Err(error) => return Err(system(error)),
            },
            Err(error) if error.kind() == ErrorKind::NotFound => {
                if let Some(directory) = path.parent() {
                    fs::create_dir_all(directory).map_err(system)?;
                }
            }
            Err(error) => return Err(system(error)),
        }
        // Bound under another name and moved into place once nobody but owner and group may use it.
        let mut name = path.file_name().unwrap_or_default().to_owned();
        name.push(format!(".{}", std::process::id()));
        let before = path.with_file_name(name);
        // Left by a process that had our number and died in this very place.
        let _ = fs::remove_file(&before);
        let listener = UnixListener::bind(&before).map_err(system)?;
        let placed = fs::set_permissions(&before, fs::Permissions::from_mode(0o660))
            .and_then(|()| fs::rename(&before, path))
            .and_then(|()| listener.set_nonblocking(true));
        if let Err(error) = placed {
            let _ = fs::remove_file(&before);
            return Err(system(error));
        }
        let file = identity(path);
        Ok(Server { listener, path: path.to_owned(), file })
    }

    /// Serves until dropped. Inside a runtime.
    pub async fn serve(self, client: Client) {
        let listener = self.listener.try_clone().and_then(tokio::net::UnixListener::from_std);
        let listener = match listener {
            Ok(listener) => listener,
            Err(error) => {
                tracing::error!("cannot serve the control socket {}: {error}", self.path.display());
                return;
            }
        };
        let room = Arc::new(Semaphore::new(CONNECTIONS));
        // Ends every connection when this future is dropped.
        let mut connections = tokio::task::JoinSet::new();
        loop {
            while connections.try_join_next().is_some() {}
            // The semaphore is never closed.
            let Ok(place) = Arc::clone(&room).acquire_owned().await else { return };
            match listener.accept().await {
                Ok((stream, _)) => {
                    let client = client.clone();
                    connections.spawn(async move {
                        // How a conversation ends is the other side's business.
                        let _ = converse(stream, &client).await;
                        drop(place);
                    });
                }
                Err(error) => {
                    // Out of file descriptors, most likely: it passes.
                    tracing::warn!("the control socket took no connection: {error}");
                    tokio::time::sleep(Duration::from_millis(200)).await;
                }
            }
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if self.file.is_some() && identity(&self.path) == self.file {
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn identity(path: &Path) -> Option<(u64, u64)> {
    fs::symlink_metadata(path).ok().map(|file| (file.dev(), file.ino()))
}

/// Whoever can answer: the daemon, or a test's stand-in.
pub(super) trait Answers {
    /// The answer to a request; `None`: nobody is there any more.
    fn answer(&self, request: Request) -> impl Future<Output = Option<Answer>> + Send;
}

impl Answers for Client {
    async fn answer(&self, request: Request) -> Option<Answer> {
        match request {
            Request::Reload => self.reload().await.ok().map(Answer::Reloaded),
            Request::LogLevel(level) => Some(Answer::Engine(log_level(level))),
            Request::Engine(Command::Status) => match self.command(Command::Status).await.ok()? {
                Reply::Status(status) => {
                    let report = self.report().await.ok()?;
                    Some(Answer::Status(status, Box::new(report)))
                }
                other => Some(Answer::Engine(other)),
            },
            Request::Engine(command) => self.command(command).await.ok().map(Answer::Engine),
        }
    }
}

fn log_level(level: Option<String>) -> Reply {
    match level {
        None => daemon::log_level()
            .map_or_else(|| Reply::Refused("this daemon does not write its program's log".into()), Reply::Done),
        Some(level) => match daemon::change_log_level(&level) {
            Ok(words) => Reply::Done(words),
            Err(why) => Reply::Refused(Refusal::wrong_question(why)),
        },
    }
}

/// Line by line until the client goes, is silent for too long, or says something too long.
pub(super) async fn converse<S>(stream: S, answers: &impl Answers) -> io::Result<()>
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
{
    let (reader, mut writer) = tokio::io::split(stream);
    let mut reader = BufReader::new(reader);
    loop {
        let mut line = Vec::new();
        let read = timeout(SILENCE, (&mut reader).take(LONGEST_LINE).read_until(b'\n', &mut line)).await??;
        if read == 0 {
            return Ok(());
        }
        let whole = line.last() == Some(&b'\n');
        let too_long = !whole && u64::try_from(read).is_ok_and(|read| read >= LONGEST_LINE);
        let answer = if too_long {
            refused(format!("the line is longer than {LONGEST_LINE} bytes"))
        } else {
            match Request::from_line(String::from_utf8_lossy(&line).trim()) {
                Err(error) => refused(error),
                Ok(request) => match timeout(PATIENCE, answers.answer(request)).await {
                    Ok(Some(answer)) => answer,
                    Ok(None) => refused("the daemon is ending".into()),
                    Err(_) => refused(format!("the daemon gave no answer for {} s", PATIENCE.as_secs())),
                },
            }
        };
        let mut text = answer.to_line();
        text.push('\n');
        timeout(PATIENCE, async {
            writer.write_all(text.as_bytes()).await?;
            writer.flush().await
        })
        .await??;
        if !whole {
            // The rest of a line that is too long is nothing we could make sense of; without a line's end nothing follows.
            return Ok(());
        }
    }
}

fn refused(why: String) -> Answer {
    Answer::Engine(Reply::Refused(why.into()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::daemon::ReloadOutcome;

    /// Stands in for the daemon.
    struct Fake;

    impl Answers for Fake {
        async fn answer(&self, request: Request) -> Option<Answer> {
            match request {
                Request::Reload => Some(Answer::Reloaded(ReloadOutcome::Adopted {
                    at: 1,
                    changes: "no change".into(),
                    warnings: Default::default(),
                })),
                Request::Engine(Command::Pause { user }) => {
                    Some(Answer::Engine(Reply::Done(format!("{user} is paused"))))
                }
                Request::Engine(_) | Request::LogLevel(_) => None,
            }
        }
    }

    async fn say(text: &str) -> Vec<String> {
        let (here, there) = tokio::io::duplex(1 << 20);
        let (mut reader, mut writer) = tokio::io::split(here);
        let speaking = async {
            writer.write_all(text.as_bytes()).await.unwrap();
            writer.shutdown().await.unwrap();
        };
        let mut heard = String::new();
        let (_, conversation, _) = tokio::join!(speaking, converse(there, &Fake), async {
            reader.read_to_string(&mut heard).await.unwrap();
        });
        conversation.unwrap();
        heard.lines().map(str::to_owned).collect()
    }

    #[tokio::test]
    async fn every_line_gets_one_line() {
        let heard = say("{\"command\":\"pause\",\"user\":\"221@acme\"}\n{\"command\":\"reload\"}\n").await;
        assert_eq!(heard.len(), 2);
        assert!(heard[0].contains("221@acme is paused"), "{heard:?}");
        assert!(heard[1].contains("reloaded"), "{heard:?}");
    }

    #[tokio::test]
    async fn bad_json_is_answered_and_the_conversation_goes_on() {
        let heard = say("nonsense\n{\"command\":\"reload\"}\n").await;
        assert!(heard[0].contains("refused") && heard[0].contains("not a line of JSON"), "{heard:?}");
        assert!(heard[1].contains("reloaded"), "{heard:?}");
    }

    #[tokio::test]
    async fn bytes_that_are_no_text_are_bad_json_too() {
        let (mut here, there) = tokio::io::duplex(1024);
        let speaking = async {
            here.write_all(b"\xff\xfe\n").await.unwrap();
            here.shutdown().await.unwrap();
            let mut heard = String::new();
            here.read_to_string(&mut heard).await.unwrap();
            heard
        };
        let (heard, conversation) = tokio::join!(speaking, converse(there, &Fake));
        conversation.unwrap();
        assert!(heard.contains("not a line of JSON"), "{heard}");
    }

    #[tokio::test]
    async fn a_line_without_end_is_answered_and_ends_it() {
        let heard = say("{\"command\":\"reload\"}").await;
        assert_eq!(heard.len(), 1);
        assert!(heard[0].contains("reloaded"));
    }

    #[tokio::test]
    async fn a_line_that_is_too_long_is_refused_and_ends_it() {
        let heard = say(&format!("{}\n{{\"command\":\"reload\"}}\n", "x".repeat(70_000))).await;
        assert_eq!(heard.len(), 1, "{heard:?}");
        assert!(heard[0].contains("longer than"), "{heard:?}");
    }

    #[tokio::test]
    async fn a_daemon_that_ends_says_so() {
        let heard = say("{\"command\":\"calls\"}\n").await;
        assert!(heard[0].contains("the daemon is ending"), "{heard:?}");
    }

    #[test]
    fn a_live_socket_is_taken_and_a_dead_ones_file_is_replaced() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("run/control.sock");
        let first = Server::bind(&path).unwrap();
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o660);
        let error = Server::bind(&path).unwrap_err().to_string();
        assert!(error.contains("another switchboard") && error.contains("control.sock"), "{error}");
        drop(first);
        assert!(!path.exists(), "it cleans up after itself");

        drop(UnixListener::bind(&path).unwrap());
        assert!(path.exists(), "a dead daemon leaves its file");
        assert!(Server::bind(&path).is_ok());
    }

    #[test]
    fn what_is_no_socket_is_left_alone() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("control.sock");
        fs::write(&path, "precious").unwrap();
        assert!(matches!(Server::bind(&path), Err(SocketError::NotASocket(_))));
        assert_eq!(fs::read_to_string(&path).unwrap(), "precious");
    }

    #[test]
    fn anothers_file_is_not_removed() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("control.sock");
        let ours = Server::bind(&path).unwrap();
        fs::remove_file(&path).unwrap();
        let theirs = Server::bind(&path).unwrap();
        drop(ours);
        assert!(path.exists());
        drop(theirs);
        assert!(!path.exists());
    }
}
