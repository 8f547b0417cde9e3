//! `switchboard passwd`: the digests that stand for a password in the configuration (RFC 7616 §3.4.2).

use std::io::{self, BufRead, IsTerminal, Write};
use std::process::{Command, Stdio};

use super::outcome::{Failure, Outcome};
use super::screen::Screen;
use crate::auth::Secret;

/// Asks for the password twice without showing it, or reads one line from standard input where that is no terminal.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The extension and the company's SIP domain: 221@acme.example
    #[arg(long, value_name = "EXT@DOMAIN", value_parser = account)]
    user: Account,
    /// Make a strong password and print it as well
    #[arg(long)]
    generate: bool,
}

/// Whose password it is: both are part of the digest.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Account {
    extension: String,
    domain: String,
}

fn account(text: &str) -> Result<Account, String> {
    match text.split_once('@') {
        Some((extension, domain)) if !extension.is_empty() && !domain.is_empty() && !domain.contains('@') => {
            Ok(Account { extension: extension.to_owned(), domain: domain.to_ascii_lowercase() })
        }
        Some(_) | None => Err("write the extension and the company's SIP domain: 221@acme.example".into()),
    }
}

/// Prints the line for the user's table in the company's file.
pub(super) fn run(arguments: &Arguments, screen: &mut Screen) -> Result<Outcome, Failure> {
    let password = if arguments.generate {
        let password = generate(random_byte)?;
        screen.line(format!("# for the phone: {password}"))?;
        password
    } else if io::stdin().is_terminal() {
        ask_twice()?
    } else {
        one_line(&mut io::stdin().lock())?
    };
    if password.is_empty() {
        return Err(Failure::no("the password is empty"));
    }
    let Account { extension, domain } = &arguments.user;
    let (sha256, md5) = Secret::from_password(extension, domain, &password).to_hex();
    screen.line(digest_line(sha256.as_deref(), md5.as_deref()))?;
    Ok(Outcome::Done)
}

fn digest_line(sha256: Option<&str>, md5: Option<&str>) -> String {
    let part = |(name, digest): (&str, Option<&str>)| digest.map(|digest| format!("{name} = \"{digest}\""));
    let parts: Vec<String> = [("sha-256", sha256), ("md5", md5)].into_iter().filter_map(part).collect();
    format!("digest = {{ {} }}", parts.join(", "))
}

/// Letters and digits that are not mistaken for one another when typed into a phone.
const ALPHABET: &[u8] = b"abcdefghijkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789";
/// 20 letters of 56: 116 bits.
const LENGTH: usize = 20;

fn generate(mut random: impl FnMut() -> Result<u8, Failure>) -> Result<String, Failure> {
    let mut password = String::with_capacity(LENGTH);
    while password.len() < LENGTH {
        // Six bits; what falls beyond the alphabet is drawn again, so that every letter is as likely as any other.
        let drawn = usize::from(random()? & 0x3f);
        if let Some(letter) = ALPHABET.get(drawn) {
            password.push(char::from(*letter));
        }
    }
    Ok(password)
}

fn random_byte() -> Result<u8, Failure> {
    let mut byte = [0];
    getrandom::fill(&mut byte).map_err(|error| Failure::no(format!("the system gives no randomness: {error}")))?;
    Ok(u8::from_le_bytes(byte))
}

fn ask_twice() -> Result<String, Failure> {
    let silence = Silence::begin()?;
    let first = prompt("Password: ")?;
    let second = prompt("Once more: ")?;
    drop(silence);
    if first != second {
        return Err(Failure::no("the two passwords are not the same; nothing was made"));
    }
    Ok(first)
}

/// On standard error, so that standard output can be piped.
fn prompt(text: &str) -> Result<String, Failure> {
    let mut stderr = io::stderr();
    let told = write!(stderr, "{text}").and_then(|()| stderr.flush());
    told.map_err(|error| Failure::no(format!("cannot ask for the password: {error}")))?;
    let line = one_line(&mut io::stdin().lock());
    // The line's end that was typed was not shown either.
    let _ = writeln!(stderr);
    line
}

fn one_line(reader: &mut impl BufRead) -> Result<String, Failure> {
    let mut line = String::new();
    reader.read_line(&mut line).map_err(|error| Failure::no(format!("cannot read the password: {error}")))?;
    Ok(line.trim_end_matches(['\r', '\n']).to_owned())
}

/// The terminal shows nothing of what is typed, until dropped. By way of `stty`, which POSIX has everywhere.
struct Silence;

impl Silence {
    fn begin() -> Result<Silence, Failure> {
        if echo("-echo") {
            Ok(Silence)
        } else {
            Err(Failure::no(
                "the terminal cannot be kept from showing the password; pipe it in instead: switchboard passwd --user … < FILE",
            ))
        }
    }
}

impl Drop for Silence {
    fn drop(&mut self) {
        echo("echo");
    }
}

fn echo(setting: &str) -> bool {
    let mut stty = Command::new("stty");
    stty.arg(setting).stdin(Stdio::inherit()).stdout(Stdio::null()).stderr(Stdio::null());
    stty.status().is_ok_and(|status| status.success())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_is_what_the_configuration_takes() {
        assert_eq!(digest_line(Some("aa"), Some("bb")), r#"digest = { sha-256 = "aa", md5 = "bb" }"#);
        assert_eq!(digest_line(Some("aa"), None), r#"digest = { sha-256 = "aa" }"#);
    }

    #[test]
    fn an_account_is_an_extension_at_a_domain() {
        let expected = Account { extension: "221".into(), domain: "acme.example".into() };
        assert_eq!(account("221@Acme.Example"), Ok(expected), "domains are lower case in the realm");
        for wrong in ["221", "@acme.example", "221@", "a@b@c"] {
            assert!(account(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_made_password_has_its_length_and_only_clear_letters() {
        let mut next = 0_u8;
        let password = generate(|| {
            next = next.wrapping_add(7);
            Ok(next)
        })
        .unwrap();
        assert_eq!(password.len(), LENGTH);
        assert!(password.bytes().all(|letter| ALPHABET.contains(&letter)));
        assert!(!password.contains(['0', 'O', 'o', '1', 'l', 'I']));
    }

    #[test]
    fn draws_beyond_the_alphabet_are_drawn_again() {
        let mut draws = [0x3f_u8, 0x3e, 0].into_iter().cycle();
        let password = generate(|| Ok(draws.next().unwrap_or_default())).unwrap();
        assert_eq!(password, "a".repeat(LENGTH));
    }

    #[test]
    fn a_piped_password_loses_its_line_end_and_nothing_else() {
        assert_eq!(one_line(&mut " pass word \r\nmore".as_bytes()), Ok(" pass word ".to_owned()));
    }
}
