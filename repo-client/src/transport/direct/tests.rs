//! A server that says exactly what it is told to, on exactly so many connections.

use super::*;
use crate::source::FileUrl;
use crate::transport::Validator;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::path::PathBuf;
use std::thread::{self, JoinHandle};

/// Answers one connection after the other, on each one request after the other, with these bytes; then closes it.
/// The requests in their order.
fn server(connections: Vec<Vec<&'static str>>) -> (FileUrl, JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/a%20b?c", listener.local_addr().unwrap());
    let thread = thread::spawn(move || {
        let mut requests = Vec::new();
        for answers in connections {
            let (mut stream, _) = listener.accept().unwrap();
            for answer in answers {
                let mut request = Vec::new();
                let mut byte = [0];
                while !request.ends_with(b"\r\n\r\n") && stream.read(&mut byte).unwrap() > 0 {
                    request.push(byte[0]);
                }
                requests.push(String::from_utf8(request).unwrap());
                stream.write_all(answer.as_bytes()).unwrap();
            }
        }
        requests
    });
    (FileUrl::parse(&url).unwrap(), thread)
}

fn direct() -> Arc<Direct> {
    let mut options = ClientOptions::new(PathBuf::new(), PathBuf::new(), 0);
    options.timeouts.no_progress = Duration::from_secs(5);
    Arc::new(Direct::new(&options))
}

fn open(direct: &Arc<Direct>, ask: &Ask<'_>) -> Result<Option<Answer>, TransportError> {
    direct.open(ask.url.remote().unwrap(), ask)
}

fn whole(answer: Option<Answer>) -> io::Result<String> {
    let Some(Answer::Body(mut body)) = answer else {
        panic!("no body: {answer:?}");
    };
    let mut text = String::new();
    body.reader.read_to_string(&mut text).map(|_| text)
}

const HELLO: &str = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nETag: \"x\"\r\n\r\nhello";

#[test]
fn a_connection_is_used_again_until_the_server_closes_it() {
    let close = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 1\r\n\r\nx";
    let more = "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nxHTTP/1.1 200 OK";
    // The third connection is closed after its answer without a word, the fourth says more than was asked.
    let (url, requests) = server(vec![
        vec![HELLO, HELLO, close],
        vec![HELLO],
        vec![more],
        vec![HELLO],
    ]);
    let direct = direct();
    for expected in ["hello", "hello", "x", "hello"] {
        assert_eq!(
            whole(open(&direct, &Ask::whole(&url)).unwrap()).unwrap(),
            expected
        );
    }
    // The end of a connection needs a moment to be seen; without it, the question is asked again all the same.
    for expected in ["x", "hello"] {
        assert_eq!(
            whole(open(&direct, &Ask::whole(&url)).unwrap()).unwrap(),
            expected
        );
    }
    let requests = requests.join().unwrap();
    assert_eq!(requests.len(), 6);
    assert!(
        requests[0].starts_with("GET /a%20b?c HTTP/1.1\r\nhost: 127.0.0.1:"),
        "{}",
        requests[0]
    );
}

#[test]
fn what_is_not_for_us_is_left_to_the_other_client_from_then_on() {
    for answer in [
        "HTTP/1.1 302 Found\r\nLocation: http://h/\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
        "HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n",
        "HTTP/1.1 100 Continue\r\n\r\n",
        "\u{16}\u{3}no http\r\n\r\n",
    ] {
        let (url, requests) = server(vec![vec![answer]]);
        let direct = direct();
        let remote = url.remote().unwrap();
        assert!(direct.reaches(remote));
        assert!(
            open(&direct, &Ask::whole(&url)).unwrap().is_none(),
            "{answer}"
        );
        assert!(!direct.reaches(remote));
        assert_eq!(requests.join().unwrap().len(), 1);
    }
}

#[test]
fn an_answer_without_a_length_ends_with_its_connection() {
    let (url, _) = server(vec![vec!["HTTP/1.0 200 OK\r\n\r\nto the end"], vec![HELLO]]);
    let direct = direct();
    for expected in ["to the end", "hello"] {
        let answer = open(&direct, &Ask::whole(&url)).unwrap();
        assert_eq!(whole(answer).unwrap(), expected);
    }
}

#[test]
fn an_answer_that_is_cut_is_an_error_wherever_it_is_cut() {
    for length in 1..HELLO.len() {
        let (url, _) = server(vec![vec![&HELLO[..length]]]);
        let answer = open(&direct(), &Ask::whole(&url));
        let end = answer.map(whole);
        assert!(!matches!(end, Ok(Ok(_))), "{length}: {end:?}");
    }
}

#[test]
fn parts_and_news_are_asked_for_and_told() {
    let part = "HTTP/1.1 206 Partial\r\nContent-Range: bytes 2-4/5\r\nContent-Length: 3\r\n\r\nllo";
    let same = "HTTP/1.1 304 Not Modified\r\nETag: \"x\"\r\n\r\n";
    let gone = "HTTP/1.1 404 Not Found\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n";
    let (url, requests) = server(vec![vec![part, same, gone], vec![HELLO]]);
    let direct = direct();
    let rest = Ask {
        from: 2,
        if_range: Some("\"x\""),
        ..Ask::whole(&url)
    };
    assert_eq!(whole(open(&direct, &rest).unwrap()).unwrap(), "llo");
    let known = Validator {
        etag: Some("\"x\"".into()),
        modified: None,
    };
    let news = Ask {
        unless: Some(&known),
        ..Ask::whole(&url)
    };
    assert!(matches!(
        open(&direct, &news),
        Ok(Some(Answer::NotModified))
    ));
    let error = open(&direct, &Ask::whole(&url)).unwrap_err();
    assert!(error.is_not_found(), "{error}");
    assert!(direct.reaches(url.remote().unwrap()));
    whole(open(&direct, &Ask::whole(&url)).unwrap()).unwrap();
    let requests = requests.join().unwrap();
    assert!(
        requests[0].contains("range: bytes=2-\r\nif-range: \"x\"\r\n"),
        "{}",
        requests[0]
    );
    assert!(
        requests[1].contains("if-none-match: \"x\"\r\n"),
        "{}",
        requests[1]
    );
}

#[test]
fn names_passwords_and_other_schemes_are_for_the_other_client() {
    let direct = direct();
    for address in ["https://h/", "http://user@h/", "http://user:secret@h/"] {
        assert!(!direct.reaches(&Url::parse(address).unwrap()), "{address}");
    }
    assert!(direct.reaches(&Url::parse("http://[::1]:80/").unwrap()));
    let mut options = ClientOptions::new(PathBuf::new(), PathBuf::new(), 0);
    options.proxies.http = Some("http://proxy/".into());
    assert!(!Direct::new(&options).reaches(&Url::parse("http://h/").unwrap()));
}
