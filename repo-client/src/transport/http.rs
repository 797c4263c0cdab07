//! HTTP as `reqwest` speaks it: TLS, proxies, redirects (bounded) and every form of body. Header values stay values.

use super::head::{self, Head};
use super::{Answer, Ask, Body, CHUNK, Validator};
use crate::error::TransportError;
use crate::options::ClientOptions;
use reqwest::blocking::{Client, Response};
use reqwest::header::{self, HeaderMap, HeaderName};
use reqwest::{NoProxy, Proxy, redirect};
use std::io::{self, BufReader};

/// Redirects that are followed for one file. Debian's own redirector needs one, a mirror list two.
const REDIRECTS: usize = 5;

/// A client that connects as the options say; never looks at the environment.
pub(super) fn make_client(options: &ClientOptions) -> Result<Client, reqwest::Error> {
    let timeouts = &options.timeouts;
    let mut builder = Client::builder()
        .user_agent(concat!("vzpkg/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(timeouts.connect)
        // In the blocking client this bounds the wait for the headers and then each single read, not the whole file.
        .timeout(timeouts.no_progress)
        .redirect(redirect::Policy::custom(follow))
        .pool_max_idle_per_host(options.connections)
        .no_proxy();
    let direct = options.proxies.direct.as_deref();
    let direct = direct.and_then(NoProxy::from_string);
    if let Some(url) = &options.proxies.http {
        builder = builder.proxy(Proxy::http(url)?.no_proxy(direct.clone()));
    }
    if let Some(url) = &options.proxies.https {
        builder = builder.proxy(Proxy::https(url)?.no_proxy(direct));
    }
    builder.build()
}

/// Why a redirect was not followed.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("{0}")]
struct Refused(&'static str);

fn follow(attempt: redirect::Attempt<'_>) -> redirect::Action {
    let was_secret = attempt
        .previous()
        .last()
        .is_some_and(|url| url.scheme() == "https");
    if attempt.previous().len() > REDIRECTS {
        attempt.error(Refused("too many redirects"))
    } else if was_secret && attempt.url().scheme() != "https" {
        attempt.error(Refused("it leads from https to http"))
    } else {
        attempt.follow()
    }
}

/// Sends one request and looks at the head of its answer.
pub(super) fn open(client: &Client, ask: &Ask<'_>) -> Result<Answer, TransportError> {
    let Some(url) = ask.url.remote() else {
        return Err(TransportError::Redirect {
            reason: "not a network address",
        });
    };
    let mut request = client
        .get(url.clone())
        .header(header::ACCEPT_ENCODING, "identity");
    for (name, value) in ask.conditions() {
        request = request.header(name, value);
    }
    let response = request.send().map_err(send_error)?;
    judge(ask, response)
}

fn send_error(error: reqwest::Error) -> TransportError {
    let mut cause = std::error::Error::source(&error);
    while let Some(inner) = cause {
        if let Some(Refused(reason)) = inner.downcast_ref() {
            return TransportError::Redirect { reason };
        }
        cause = inner.source();
    }
    // The URL may hold a password; whoever shows the error adds the address without it.
    TransportError::Connect {
        source: error.without_url().into(),
    }
}

fn judge(ask: &Ask<'_>, response: Response) -> Result<Answer, TransportError> {
    let field = |name| text(response.headers(), &name);
    let head = Head {
        status: response.status().as_u16(),
        range: field(header::CONTENT_RANGE).map(str::to_owned),
        length: field(header::CONTENT_LENGTH).and_then(|text| text.parse().ok()),
        validator: Validator {
            etag: head::kept(field(header::ETAG)),
            modified: head::kept(field(header::LAST_MODIFIED)),
        },
    };
    Ok(match head.judge(ask)? {
        None => Answer::NotModified,
        Some(offset) => Answer::Body(Body {
            offset,
            length: head.length,
            validator: head.validator,
            reader: Box::new(BufReader::with_capacity(CHUNK, response)),
        }),
    })
}

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

/// An I/O error of a body without the address in it, which may hold a password.
pub(super) fn without_url(error: io::Error) -> io::Error {
    let kind = error.kind();
    match error.downcast::<reqwest::Error>() {
        Ok(inner) => io::Error::new(kind, inner.without_url()),
        Err(error) => error,
    }
}

/// Whether reading a body failed because nothing came for [`crate::Timeouts::no_progress`].
pub(super) fn is_timeout(error: &io::Error) -> bool {
    let inner = error.get_ref();
    let inner = inner.and_then(|inner| inner.downcast_ref::<reqwest::Error>());
    error.kind() == io::ErrorKind::TimedOut || inner.is_some_and(reqwest::Error::is_timeout)
}
