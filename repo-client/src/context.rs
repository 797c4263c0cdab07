//! What every part of a client shares: its options, its reporter and its way to the network.

use crate::error::FetchError;
use crate::options::ClientOptions;
use crate::report::FetchReporter;
use crate::retry;
use crate::servers::Servers;
use crate::source::FileUrl;
use crate::transport::{Answer, Ask, Failure, Network, Pace, Stop, Validator};
use crate::verify::keyring;
use sequoia_openpgp::Cert;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

/// Shared by all threads of a client.
pub(crate) struct Context {
    pub(crate) options: Arc<ClientOptions>,
    pub(crate) reporter: Arc<dyn FetchReporter>,
    pub(crate) network: Network,
    pub(crate) servers: Servers,
    host_keys: OnceLock<BTreeMap<String, Cert>>,
    one_index: Mutex<()>,
}

/// A small file that has no signed size, or word that it has not changed.
#[derive(Debug)]
pub(crate) enum Small {
    /// It is still the one that the validator describes.
    NotModified,
    /// Its bytes, and how the server will know them again.
    Bytes(Vec<u8>, Validator),
}

impl Context {
    pub(crate) fn new(options: ClientOptions, reporter: Arc<dyn FetchReporter>) -> Self {
        let options = Arc::new(options);
        Self {
            network: Network::new(Arc::clone(&options)),
            servers: Servers::default(),
            options,
            reporter,
            host_keys: OnceLock::new(),
            one_index: Mutex::new(()),
        }
    }

    /// Held while an index is made, which takes memory: one at a time.
    pub(crate) fn one_index(&self) -> MutexGuard<'_, ()> {
        self.one_index
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// The certificates of the host's keyrings, by fingerprint; read when first needed.
    pub(crate) fn host_keys(&self) -> &BTreeMap<String, Cert> {
        self.host_keys
            .get_or_init(|| keyring::read_host_keys(&self.options.keyring_dirs))
    }

    /// The addresses that may be used: all, or `file://` only when offline.
    pub(crate) fn reachable(
        &self,
        name: &str,
        urls: Vec<FileUrl>,
    ) -> Result<Vec<FileUrl>, FetchError> {
        if !self.options.offline || urls.is_empty() {
            return Ok(urls);
        }
        let local: Vec<FileUrl> = urls
            .into_iter()
            .filter(|url| url.remote().is_none())
            .collect();
        if local.is_empty() {
            return Err(FetchError::Offline { name: name.into() });
        }
        Ok(local)
    }

    /// Fetches a file of at most `limit` bytes into memory.
    pub(crate) fn small(
        &self,
        stop: &Stop,
        name: &str,
        urls: Vec<FileUrl>,
        limit: u64,
        unless: Option<&Validator>,
    ) -> Result<Small, FetchError> {
        let urls = self.reachable(name, urls)?;
        retry::over_mirrors(self, stop, name, &urls, &mut |url| {
            self.small_once(stop, url, limit, unless)
        })
    }

    /// Asks one address once for a file of at most `limit` bytes.
    pub(crate) fn small_once(
        &self,
        stop: &Stop,
        url: &FileUrl,
        limit: u64,
        unless: Option<&Validator>,
    ) -> Result<Small, Failure> {
        let ask = Ask {
            unless: unless.filter(|validator| !validator.is_empty()),
            ..Ask::whole(url)
        };
        let mut body = match self.network.open(&ask)? {
            Answer::NotModified => return Ok(Small::NotModified),
            Answer::Body(body) => body,
        };
        let mut bytes = Vec::new();
        let mut pace = Pace::new(&self.options);
        body.drain(limit, &mut pace, stop, &mut |chunk| {
            bytes.extend_from_slice(chunk);
            Ok(())
        })?;
        Ok(Small::Bytes(bytes, body.validator))
    }
}
