//! `vzpkg mirror add NAME URL…`: says what a new mirror mirrors and who may sign it.

use crate::cli::MirrorAdd;
use crate::commands::Context;
use crate::error::{CommandError, CommandResult, Kind};
use crate::ops::mirrors;
use crate::output::Tone;
use std::collections::BTreeMap;
use vzpkg_metadata::template::Fingerprint;
use vzpkg_metadata::{Arch, Digest, Family, durable};
use vzpkg_repo_client::mirror::{
    AptUpstream, MirrorConfig, Part, Pin, Trust, Upstream, YumUpstream,
};
use vzpkg_repo_client::verify::keyring;

/// A keyring. Debian's whole one has 60 KB.
const KEYRING_BYTES: u64 = 4 << 20;

pub(super) fn run(context: &Context, arguments: &MirrorAdd) -> CommandResult {
    let mirrors = mirrors::open_for_writing(context)?;
    let name = mirrors::name(&arguments.name)?;
    let mut keys = Keys::default();
    for path in &arguments.keyrings {
        keys.add_file(path)?;
    }
    for typed in &arguments.keys {
        keys.add_pin(typed)?;
    }
    if keys.pins.is_empty() && !arguments.trusted {
        return Err(CommandError::message(
            Kind::Usage,
            "nobody is named who may sign this repository",
        )
        .hint("name a keyring: --keyring /usr/share/keyrings/debian-archive-keyring.gpg")
        .hint("or a fingerprint: --key FINGERPRINT"));
    }
    let part = Part {
        directory: String::new(),
        upstream: upstream(arguments)?,
        keys: keys
            .pins
            .into_iter()
            .map(|(fingerprint, places)| Pin {
                fingerprint,
                places,
            })
            .collect(),
        trust: Trust {
            trusted: arguments.trusted,
            ignore_valid_until: arguments.ignore_valid_until,
            unsigned_metadata: arguments.unsigned_metadata,
            legacy_signatures: arguments.legacy_signatures,
        },
    };
    let config = MirrorConfig::new(vec![part])?;
    if context.settings.dry_run {
        context
            .printer
            .status(Tone::Plain, "Would add", format_args!("mirror {name}"));
        return Ok(());
    }
    mirrors.add(&name, &config, &keys.files)?;
    let what = format_args!("mirror {name}; fill it: vzpkg mirror sync {name}");
    context.printer.status(Tone::Good, "Added", what);
    Ok(())
}

fn upstream(arguments: &MirrorAdd) -> CommandResult<Upstream> {
    let urls = arguments.urls.clone();
    if arguments.suites.is_empty() {
        return Ok(Upstream::Yum(YumUpstream {
            urls,
            mirror_lists: arguments.mirror_lists.clone(),
        }));
    }
    let flat = arguments.suites.iter().all(|suite| suite.ends_with('/'));
    let typed = match arguments.architectures.as_slice() {
        [] => vec![std::env::consts::ARCH.to_owned()],
        typed => typed.to_vec(),
    };
    let architecture = |text: &String| -> CommandResult<Arch> {
        let arch = text.parse::<Arch>()?;
        Ok(arch.in_family(Family::Deb))
    };
    Ok(Upstream::Apt(AptUpstream {
        urls,
        suites: arguments.suites.clone(),
        components: if flat {
            Vec::new()
        } else {
            arguments.components.clone()
        },
        architectures: typed
            .iter()
            .map(architecture)
            .collect::<CommandResult<_>>()?,
        languages: arguments.languages.clone(),
    }))
}

/// Pinned keys with their places, and certificates to be kept beside the configuration.
#[derive(Debug, Default)]
struct Keys {
    pins: BTreeMap<Fingerprint, Vec<String>>,
    files: Vec<(String, Vec<u8>)>,
}

impl Keys {
    /// Pins every key of a file and keeps a copy: the mirror needs no file that a package may remove.
    fn add_file(&mut self, path: &std::path::Path) -> CommandResult {
        let bytes = durable::read_file(path, KEYRING_BYTES)?;
        let fingerprints = keyring::fingerprints(&bytes);
        if fingerprints.is_empty() {
            let text = format!("`{}` holds no OpenPGP key", path.display());
            return Err(CommandError::message(Kind::Usage, text));
        }
        let file = format!("{}.pgp", Digest::of(&bytes).short());
        for fingerprint in fingerprints {
            self.pins.entry(fingerprint).or_default().push(file.clone());
        }
        self.files.push((file, bytes));
        Ok(())
    }

    fn add_pin(&mut self, typed: &str) -> CommandResult {
        let mut words = typed.split(',');
        let fingerprint = words.next().unwrap_or_default().parse::<Fingerprint>();
        let fingerprint = fingerprint.map_err(|error| CommandError::new(Kind::Usage, error))?;
        let places = self.pins.entry(fingerprint).or_default();
        for place in words {
            if !place.starts_with('/') && !place.contains("://") {
                let text = format!("`{place}` is neither an absolute path nor a URL");
                return Err(CommandError::message(Kind::Usage, text));
            }
            places.push(place.to_owned());
        }
        Ok(())
    }
}
