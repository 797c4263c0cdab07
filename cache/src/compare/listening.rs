//! What is configured to listen for others: sockets of systemd, inetd, and the ports of ssh and web servers.
//!
//! What a program listens on that has no such file is not seen here.

use super::Facts;
use super::view::View;
use crate::store::ObjectError;

/// Where socket units lie.
const UNITS: [&str; 3] = [
    "usr/lib/systemd/system",
    "lib/systemd/system",
    "etc/systemd/system",
];

/// The settings of a socket unit that open something.
const SOCKET_SETTINGS: [&str; 4] = [
    "ListenStream",
    "ListenDatagram",
    "ListenSequentialPacket",
    "ListenNetlink",
];

/// Files of lines `WORD VALUE` and the words, in lower case, that say where to listen. A directory stands for the files
/// in it.
const DIRECTIVES: [(&str, &[&str]); 7] = [
    ("etc/ssh/sshd_config", &["port", "listenaddress"]),
    ("etc/ssh/sshd_config.d", &["port", "listenaddress"]),
    ("etc/apache2/ports.conf", &["listen"]),
    ("etc/httpd/conf/httpd.conf", &["listen"]),
    ("etc/httpd/conf.d", &["listen"]),
    ("etc/nginx/sites-available", &["listen"]),
    ("etc/nginx/conf.d", &["listen"]),
];

/// Each place that says so, by file: `ssh.socket` → `ListenStream=22`.
pub(super) fn facts(view: &View<'_>) -> Result<Facts, ObjectError> {
    let mut facts = Facts::new();
    for directory in UNITS {
        for (name, _) in view.entries(directory) {
            if name.ends_with(".socket") {
                let text = view
                    .text(&format!("{directory}/{name}"))?
                    .unwrap_or_default();
                add(&mut facts, name, &socket_settings(&text));
            }
        }
    }
    for (path, words) in DIRECTIVES {
        if view
            .node(path)
            .is_some_and(vzpkg_metadata::tree::Node::is_directory)
        {
            for (name, _) in view.entries(path) {
                let path = format!("{path}/{name}");
                let text = view.text(&path)?.unwrap_or_default();
                add(&mut facts, format!("/{path}"), &directives(&text, words));
            }
        } else if let Some(text) = view.text(path)? {
            add(&mut facts, format!("/{path}"), &directives(&text, words));
        }
    }
    let inetd = view.text("etc/inetd.conf")?.unwrap_or_default();
    add(
        &mut facts,
        "/etc/inetd.conf".to_owned(),
        &inetd_services(&inetd),
    );
    for (name, _) in view.entries("etc/xinetd.d") {
        let path = format!("etc/xinetd.d/{name}");
        let text = view.text(&path)?.unwrap_or_default();
        add(&mut facts, format!("/{path}"), &xinetd_services(&text));
    }
    Ok(facts)
}

fn add(facts: &mut Facts, name: String, what: &[String]) {
    if !what.is_empty() {
        facts.insert(name, what.join(", "));
    }
}

fn words(line: &str) -> impl Iterator<Item = &str> {
    line.split([' ', '\t']).filter(|word| !word.is_empty())
}

fn socket_settings(text: &str) -> Vec<String> {
    let settings = text.lines().filter_map(|line| line.split_once('='));
    settings
        .map(|(name, value)| (name.trim(), value.trim()))
        .filter(|(name, value)| SOCKET_SETTINGS.contains(name) && !value.is_empty())
        .map(|(name, value)| format!("{name}={value}"))
        .collect()
}

fn directives(text: &str, wanted: &[&str]) -> Vec<String> {
    let line = |line: &str| {
        let mut words = words(line);
        let word = words.next()?.to_ascii_lowercase();
        let value: Vec<&str> = words.collect();
        let value = value.join(" ");
        wanted
            .contains(&word.as_str())
            .then(|| format!("{word} {}", value.trim_end_matches(';')))
    };
    text.lines().filter_map(line).collect()
}

/// `ftp/tcp` of each line that is not commented out.
fn inetd_services(text: &str) -> Vec<String> {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines
        .filter_map(|line| {
            let mut words = words(line);
            let (service, _, protocol) = (words.next()?, words.next()?, words.next()?);
            Some(format!("{service}/{protocol}"))
        })
        .collect()
}

/// The services of a file of xinetd that are not disabled.
fn xinetd_services(text: &str) -> Vec<String> {
    let mut services = Vec::new();
    for line in text.lines() {
        let words: Vec<&str> = words(line).collect();
        match words.as_slice() {
            ["service", name, ..] => services.push((*name).to_owned()),
            ["disable", "=", "yes"] => drop(services.pop()),
            _ => {}
        }
    }
    services
}
