//! The companies the stories are about.

use super::world::configuration;
use switchboard::config::Config;

/// The machine and its trunks: `airtel` writes Indian numbers in any form.
pub const MACHINE: &str = r#"
[sip]
listen = ["udp:203.0.113.10:5060"]

[control]
socket = "/tmp/unused.sock"

[trunks.airtel]
sources = ["192.0.2.0/28"]
proxy = "sip:192.0.2.1:5060"
country-code = "91"
national-prefix = "0"
international-prefix = "00"
"#;

/// One user's table.
pub fn user(extension: &str, more: &str) -> String {
    format!("[users.{extension}]\nname = \"User {extension}\"\npassword = \"secret-{extension}\"\n{more}\n")
}

/// Acme: sales rings 221, 222, 223; overflow differs by test.
pub fn acme(department: &str, users: &[(&str, &str)]) -> String {
    let mut text = format!(
        "name = \"Acme Traders\"\ndomain = \"acme.example\"\ntimezone = \"Asia/Kolkata\"\noutbound-trunk = \"airtel\"\n\n\
         [numbers.\"+918041234567\"]\nlabel = \"Sales\"\nroutes = [ {{ to = \"department:sales\" }} ]\n\n{department}\n"
    );
    for (extension, more) in users {
        text.push_str(&user(extension, more));
    }
    text
}

/// One company, one trunk.
pub fn one_company(department: &str, users: &[(&str, &str)]) -> Config {
    configuration(MACHINE, &[("acme", &acme(department, users))])
}
