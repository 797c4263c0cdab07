//! HTTP: one request with `reqwest`, its redirects bounded, its answer checked. Header values stay values.

use super::{Answer, Ask, Body, Validator};
use crate::error::TransportError;
use crate::options::ClientOptions;
use reqwest::blocking::{Client, Response};
use reqwest::header::{self, HeaderMap, HeaderName};
use reqwest::{NoProxy, Proxy, redirect};
use std::io;

/// Redirects that are followed for one file. Debian's own redirector needs one, a mirror list two.
const REDIRECTS: usize = 5;

/// A validator longer than this is not kept.
const VALIDATOR_BYTES: usize = 256;

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
    if ask.from > 0 {
        request = request.header(header::RANGE, format!("bytes={}-", ask.from));
        if let Some(value) = ask.if_range {
            request = request.header(header::IF_RANGE, value);
        }
    } else if let Some(validator) = ask.unless {
        if let Some(etag) = &validator.etag {
            request = request.header(header::IF_NONE_MATCH, etag);
        }
        if let Some(modified) = &validator.modified {
            request = request.header(header::IF_MODIFIED_SINCE, modified);
        }
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
        source: error.without_url(),
    }
}

fn judge(ask: &Ask<'_>, response: Response) -> Result<Answer, TransportError> {
    let status = response.status().as_u16();
    let offset = match status {
        200 => 0,
        206 if ask.from > 0 => {
            let begins = text(response.headers(), &header::CONTENT_RANGE).and_then(|range| {
                range
                    .strip_prefix("bytes ")?
                    .split_once('-')?
                    .0
                    .parse()
                    .ok()
            });
            if begins != Some(ask.from) {
                return Err(TransportError::Status { status });
            }
            ask.from
        }
        304 if ask.unless.is_some() => return Ok(Answer::NotModified),
        _ => return Err(TransportError::Status { status }),
    };
    let keep = |name| {
        let value: Option<String> = text(response.headers(), &name).map(str::to_owned);
        value.filter(|value| value.len() <= VALIDATOR_BYTES)
    };
    Ok(Answer::Body(Body {
        offset,
        length: text(response.headers(), &header::CONTENT_LENGTH)
            .and_then(|text| text.parse().ok()),
        validator: Validator {
            etag: keep(header::ETAG),
            modified: keep(header::LAST_MODIFIED),
        },
        reader: Box::new(response),
    }))
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
