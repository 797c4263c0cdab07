//! User names and passwords of addresses: used, and never told.

use crate::apt::Archive;
use crate::support::{Bench, chain, line, pin};
use std::fmt::{self, Write as _};
use std::fs;
use std::path::Path;
use std::sync::{LazyLock, Mutex};
use tracing::field::{Field, Visit};
use tracing::span;
use vzpkg_metadata::template::RepositoryLine;
use vzpkg_tests::http_server::{Fault, Times};

/// Part of every password here, and of nothing else.
const SECRET: &str = "open-sesame";

/// All that our own code logs in this process.
static LOG: LazyLock<Mutex<String>> = LazyLock::new(Mutex::default);

struct Log;

impl tracing::Subscriber for Log {
    /// What libraries log is not shown by the command either.
    fn enabled(&self, event: &tracing::Metadata<'_>) -> bool {
        event.target().starts_with("vzpkg")
    }

    fn new_span(&self, attributes: &span::Attributes<'_>) -> span::Id {
        attributes.record(&mut Fields);
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, values: &span::Record<'_>) {
        values.record(&mut Fields);
    }

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn event(&self, event: &tracing::Event<'_>) {
        event.record(&mut Fields);
    }

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}

struct Fields;

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        writeln!(LOG.lock().unwrap(), "{field}: {value:?}").unwrap();
    }
}

/// `http://user:open-sesame@host`.
fn with_password(url: &str) -> String {
    url.replace("://", &format!("://user:{SECRET}@"))
}

fn files_below(directory: &Path, text: &mut String) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files_below(&path, text);
        } else {
            writeln!(text, "{}", path.display()).unwrap();
            text.push_str(&String::from_utf8_lossy(&fs::read(&path).unwrap()));
        }
    }
}

#[test]
fn credentials_of_addresses_are_sent_and_never_told() {
    // Another test of this process cannot have set one.
    tracing::subscriber::set_global_default(Log).unwrap();
    let mut bench = Bench::new();
    let archive = Archive::new(&bench);
    let url = with_password(&archive.server.url());
    let keys = [pin(&archive.key)];
    bench.options.proxies.direct = Some("127.0.0.1".into());
    bench.options.proxies.http = Some(format!("user:{SECRET}@proxy.invalid:3128"));
    bench.options.proxies.https = Some(format!("http://user:{SECRET}@proxy.invalid:3128"));
    let mut told = format!("{:?}\n{:?}\n", bench.options, bench.client());

    let repository = bench.load(&line(&url), &keys).unwrap();
    let requests = archive.server.requests();
    let sent = |header: &str| requests[0].headers.keys().any(|name| name == header);
    assert!(sent("authorization"), "{requests:?}");
    let wanted = bench.package(&repository, "tool");
    writeln!(told, "{repository:?} {wanted:?}").unwrap();

    let path = format!("/{}", wanted.package.location);
    for fault in [
        Fault::CutAfter(0),
        Fault::Status(500),
        Fault::Body(b"wrong".to_vec()),
        Fault::Raw(b"nonsense\r\n\r\n".to_vec()),
        Fault::Redirect(with_password("http://localhost:1/")),
    ] {
        archive.server.fault(&path, Times::Always, fault);
        let error = bench
            .client()
            .fetch(std::slice::from_ref(&wanted))
            .unwrap_err();
        writeln!(told, "{} {error:?}", chain(&error)).unwrap();
        archive.server.heal();
    }
    for address in [
        with_password("http://127.0.0.1:1/debian"),
        with_password("http://host:port/debian"),
        with_password("ftp://host/debian"),
        with_password("http:///debian"),
        with_password("http://host/debian?query"),
        format!("user:{SECRET}@host/debian"),
    ] {
        let error = bench.load(&line(&address), &keys).unwrap_err();
        writeln!(told, "{} {error:?}", chain(&error)).unwrap();
        let RepositoryLine::Apt(source) = line(&address) else {
            unreachable!("`line` makes apt lines");
        };
        assert!(source.uri.contains(SECRET));
    }

    let recorder = &bench.recorder;
    writeln!(told, "{:?}", recorder.messages.lock().unwrap()).unwrap();
    writeln!(told, "{:?}", recorder.retries.lock().unwrap()).unwrap();
    assert!(told.contains("127.0.0.1:1/debian"), "{told}");
    files_below(&bench.env.path("index"), &mut told);
    files_below(&bench.env.path("packages"), &mut told);
    told.push_str(&LOG.lock().unwrap());
    assert!(told.contains("attempt failed"), "nothing was logged");
    let line = told.lines().find(|line| line.contains(SECRET));
    assert_eq!(line, None);
}
