//! `switchboard passwd`: the digests that stand for a password in the configuration (RFC 7616 §3.4.2), and tokens of the JSON API
//! with the hashes that stand for them.

use std::io::{self, BufRead, IsTerminal, Write};
use std::process::{Command, Stdio};

use super::outcome::{Failure, Outcome};
use super::place::Place;
use super::screen::Screen;
use crate::auth::Secret;
use crate::config::{self, Domains};

/// Asks for the password twice without showing it, or reads one line from standard input where that is no terminal.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The user: 221@acme, or with the company's SIP domain 221@acme.example
    #[arg(long, value_name = "EXT@COMPANY", value_parser = account, required_unless_present = "token")]
    user: Option<Account>,
    /// Make a strong password and print it as well
    #[arg(long)]
    generate: bool,
    /// Make a token of the JSON API instead, and print it once with the line for its table in switchboard.toml
    #[arg(long, conflicts_with_all = ["user", "generate"])]
    token: bool,
}

/// Whose password it is.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Account {
    extension: String,
    /// A company's id or SIP domain.
    company: String,
}

fn account(text: &str) -> Result<Account, String> {
    match text.split_once('@') {
        Some((extension, company)) if !extension.is_empty() && !company.is_empty() && !company.contains('@') => {
            let extension = config::extension(extension)?.as_str().to_owned();
            Ok(Account { extension, company: company.to_owned() })
        }
        Some(_) | None => Err("write the extension and the company: 221@acme, or 221@acme.example".into()),
    }
}

/// The SIP domain that is meant: the digest's realm. A company's id has no dot, so that it is not taken for a domain.
fn realm(company: &str, place: &Place) -> Result<String, Failure> {
    let directory = place.directory();
    let domains = config::domains(&directory);
    let known = domains.as_ref().ok();
    if let Some(domain) = known.and_then(|domains| domains.get(company)) {
        return domain.clone().ok_or_else(|| {
            let file = directory.join("companies").join(format!("{company}.toml"));
            Failure::no(format!(
                "{} has no `domain` that can be understood, and the digest is made with it",
                file.display()
            ))
        });
    }
    let domain = company.to_ascii_lowercase();
    let is_a_companys = known.is_some_and(|domains| domains.values().flatten().any(|other| *other == domain));
    if is_a_companys || (domain.contains('.') && config::domain(&domain).is_ok()) {
        return Ok(domain);
    }
    let companies = match &domains {
        Ok(domains) if domains.is_empty() => format!("{} has no companies", directory.display()),
        Ok(domains) => format!("{} has {}", directory.display(), listed(domains)),
        Err(error) => format!("{} cannot be looked up in: {error}", directory.join("companies").display()),
    };
    Err(Failure::usage(format!(
        "`{company}` is neither a company nor a SIP domain; {companies}; write --user 221@acme, or 221@acme.example for a company that is not there yet"
    )))
}

fn listed(domains: &Domains) -> String {
    let company = |(id, domain): (&crate::id::CompanyId, &Option<String>)| match domain {
        Some(domain) => format!("{id} ({domain})"),
        None => id.to_string(),
    };
    domains.iter().map(company).collect::<Vec<_>>().join(", ")
}

/// Prints the line for the user's table in the company's file, or for the token's in switchboard.toml.
pub(super) fn run(place: &Place, arguments: &Arguments, screen: &mut Screen) -> Result<Outcome, Failure> {
    let Some(Account { extension, company }) = &arguments.user else { return token(screen) };
    let domain = realm(company, place)?;
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
    let (sha256, md5) = Secret::from_password(extension, &domain, &password).to_hex();
    screen.line(format!("# for {extension}@{domain}"))?;
    screen.line(digest_line(sha256.as_deref(), md5.as_deref()))?;
    Ok(Outcome::Done)
}

fn digest_line(sha256: Option<&str>, md5: Option<&str>) -> String {
    let part = |(name, digest): (&str, Option<&str>)| digest.map(|digest| format!("{name} = \"{digest}\""));
    let parts: Vec<String> = [("sha-256", sha256), ("md5", md5)].into_iter().filter_map(part).collect();
    format!("digest = {{ {} }}", parts.join(", "))
}

/// A new token, and the line that stands for it.
fn token(screen: &mut Screen) -> Result<Outcome, Failure> {
    let mut bits = [0; 32];
    getrandom::fill(&mut bits).map_err(|error| Failure::no(format!("the system gives no randomness: {error}")))?;
    let token = format!("sb_{}", hexadecimal(&bits));
    screen.line(format!("# for the program, shown only now: {token}"))?;
    screen.line("# under [control.tokens.NAME] in switchboard.toml, with its `role` and `companies` or `user`")?;
    screen.line(format!("sha-256 = \"{}\"", hexadecimal(&config::token_hash(&token))))?;
    Ok(Outcome::Done)
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
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
    fn a_token_is_made_for_nobody_in_particular() {
        use clap::Parser;

        #[derive(Debug, clap::Parser)]
        struct Line {
            #[command(flatten)]
            arguments: Arguments,
        }
        let read = |line: &str| Line::try_parse_from(line.split_whitespace()).map(|line| line.arguments);
        let arguments = read("passwd --token").unwrap();
        assert!(arguments.token && arguments.user.is_none());
        assert!(read("passwd --user 221@acme --generate").is_ok());
        for wrong in ["passwd", "passwd --token --user 221@acme", "passwd --token --generate", "passwd --generate"] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
        assert_eq!(hexadecimal(&[0x00, 0x0f, 0xff]), "000fff");
    }

    #[test]
    fn an_account_is_an_extension_at_a_company() {
        let expected = Account { extension: "221".into(), company: "acme".into() };
        assert_eq!(account("221@acme"), Ok(expected));
        for wrong in ["221", "@acme.example", "221@", "a@b@c"] {
            assert!(account(wrong).is_err(), "{wrong}");
        }
        assert!(account("2 1@acme").unwrap_err().contains("letters, digits"), "no such extension can be");
    }

    #[test]
    fn the_realm_is_the_companys_domain_however_it_is_written() {
        let directory = tempfile::tempdir().unwrap();
        let companies = directory.path().join("companies");
        std::fs::create_dir(&companies).unwrap();
        // A file with problems: this user's password is what is missing.
        std::fs::write(companies.join("acme.toml"), "domain = \"Acme.Example\"\n[users.221]\n").unwrap();
        std::fs::write(companies.join("globex.toml"), "name = \"Globex\"\n").unwrap();
        let place = Place::new(Some(directory.path().into()), None);
        for text in ["acme", "acme.example", "ACME.example"] {
            assert_eq!(realm(text, &place).as_deref(), Ok("acme.example"), "{text}");
        }
        assert_eq!(realm("new.example", &place).as_deref(), Ok("new.example"), "a company that is not there yet");
        let said = |text| match realm(text, &place) {
            Err(Failure::Said { message, .. }) => message,
            other => panic!("{other:?}"),
        };
        assert!(said("acne").contains("acme (acme.example), globex"), "{}", said("acne"));
        assert!(said("globex").contains("no `domain`"), "{}", said("globex"));
        assert!(said("192.0.2.1").contains("neither"), "{}", said("192.0.2.1"));
        let nowhere = Place::new(Some(directory.path().join("none")), None);
        assert!(realm("acme", &nowhere).is_err());
        assert_eq!(realm("acme.example", &nowhere).as_deref(), Ok("acme.example"));
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
