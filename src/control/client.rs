//! The command line's end of the control socket.

use std::fmt;
use std::io::{self, BufRead, BufReader, ErrorKind, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::protocol::{Answer, Request};

/// How long the daemon may take to answer; longer than it allows itself.
const PATIENCE: Duration = Duration::from_secs(35);

/// Why there is no answer.
#[derive(Debug)]
pub enum AskError {
    /// No daemon can be reached there.
    Unreachable(PathBuf, io::Error),
    /// It was reached and said nothing we understand.
    Misunderstood(PathBuf, String),
}

impl fmt::Display for AskError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            AskError::Unreachable(path, error) => {
                let path = path.display();
                match error.kind() {
                    ErrorKind::NotFound => write!(f, "no daemon is running: there is no control socket {path}")?,
                    ErrorKind::ConnectionRefused => {
                        write!(f, "no daemon is running: nobody listens on its control socket {path}")?;
                    }
                    ErrorKind::PermissionDenied => {
                        return write!(
                            f,
                            "not permitted to use the daemon's control socket {path}; use sudo, or join the group that owns it"
                        );
                    }
                    ErrorKind::WouldBlock | ErrorKind::TimedOut => {
                        return write!(f, "the daemon behind {path} gives no answer; its log may say why");
                    }
                    _ => write!(f, "the daemon cannot be reached through {path}: {error}")?,
                }
                f.write_str("\nstart it with `systemctl start switchboard` or `switchboard run --config DIR`")
            }
            AskError::Misunderstood(path, error) => write!(f, "{}: {error}", path.display()),
        }
    }
}

impl std::error::Error for AskError {}

/// Asks the daemon behind that socket, and waits for its answer.
///
/// # Errors
/// There is no daemon, or it cannot be understood.
pub fn ask(socket: &Path, request: &Request) -> Result<Answer, AskError> {
    let unreachable = |error| AskError::Unreachable(socket.to_owned(), error);
    let stream = UnixStream::connect(socket).map_err(unreachable)?;
    stream.set_read_timeout(Some(PATIENCE)).map_err(unreachable)?;
    stream.set_write_timeout(Some(PATIENCE)).map_err(unreachable)?;
    let mut line = request.to_line();
    line.push('\n');
    (&stream).write_all(line.as_bytes()).map_err(unreachable)?;
    let mut answer = String::new();
    BufReader::new(&stream).read_line(&mut answer).map_err(unreachable)?;
    if answer.is_empty() {
        return Err(unreachable(io::Error::new(ErrorKind::UnexpectedEof, "it hung up without an answer")));
    }
    Answer::from_line(answer.trim_end()).map_err(|error| AskError::Misunderstood(socket.to_owned(), error))
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;
    use std::thread;

    use super::*;
    use crate::engine::{Command, Reply};

    #[test]
    fn without_a_daemon_the_error_names_the_socket_and_how_to_start_one() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("control.sock");
        let error = ask(&path, &Request::Reload).unwrap_err().to_string();
        assert!(error.contains("control.sock") && error.contains("switchboard run"), "{error}");

        drop(UnixListener::bind(&path).unwrap());
        let error = ask(&path, &Request::Reload).unwrap_err().to_string();
        assert!(error.contains("nobody listens"), "{error}");
    }

    #[test]
    fn an_answer_comes_back() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("control.sock");
        let listener = UnixListener::bind(&path).unwrap();
        let daemon = thread::spawn(move || {
            let (stream, _) = listener.accept().unwrap();
            let mut line = String::new();
            BufReader::new(&stream).read_line(&mut line).unwrap();
            (&stream).write_all(b"{\"reply\":\"done\",\"value\":\"resumed\"}\n").unwrap();
            line
        });
        let answer = ask(&path, &Request::Engine(Command::Resume { user: "221@acme".into() })).unwrap();
        assert!(matches!(answer, Answer::Engine(Reply::Done(text)) if text == "resumed"));
        assert_eq!(daemon.join().unwrap().trim(), r#"{"command":"resume","user":"221@acme"}"#);
    }

    #[test]
    fn a_daemon_that_hangs_up_is_an_error() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("control.sock");
        let listener = UnixListener::bind(&path).unwrap();
        let daemon = thread::spawn(move || drop(listener.accept().unwrap()));
        let error = ask(&path, &Request::Reload).unwrap_err();
        daemon.join().unwrap();
        assert!(matches!(error, AskError::Unreachable(..)), "{error:?}");
    }
}
