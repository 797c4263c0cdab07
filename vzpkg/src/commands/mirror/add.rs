//! `vzpkg mirror add NAME URL…`: says what a new mirror mirrors and who may sign it.

use crate::cli::MirrorAdd;
use crate::commands::Context;
use crate::error::{CommandError, CommandResult, Kind};
use crate::ops::mirror_for::{self, Wanted};
use crate::ops::{mirrors, node};
use crate::output::Tone;
use std::collections::BTreeMap;
use vzpkg_metadata::template::Fingerprint;
use vzpkg_metadata::{Arch, Digest, Family, durable};
use vzpkg_repo_client::mirror::{
    AptUpstream, MirrorConfig, MirrorError, Part, Pin, Selection, Trust, Upstream, YumUpstream,
};
use vzpkg_repo_client::verify::keyring;

/// A keyring. Debian's whole one has 60 KB.
const KEYRING_BYTES: u64 = 4 << 20;

pub(super) fn run(context: &Context, arguments: &MirrorAdd) -> CommandResult {
    let mirrors = mirrors::open_for_writing(context)?;
    let name = mirrors::name(&arguments.name)?;
    let (config, files) = if arguments.templates.is_empty() {
        named(arguments)?
    } else {
        for_templates(context, &arguments.templates)?
    };
    let selection = Selection {
        templates: config.selection().templates.clone(),
        ..selection(arguments)?
    };
    let config = config.with_selection(selection);
    if context.settings.dry_run {
        if mirrors.names()?.contains(&name) {
            return Err(MirrorError::Exists(name).into());
        }
        context
            .printer
            .status(Tone::Plain, "Would add", format_args!("mirror {name}"));
        return Ok(());
    }
    mirrors.add(&name, &config, &files)?;
    context
        .printer
        .status(Tone::Good, "Added", format_args!("mirror {name}"));
    let next = format_args!("{:>12} fill it: vzpkg mirror sync {name}", "");
    context.printer.note(next);
    Ok(())
}

/// What templates read.
fn for_templates(context: &Context, typed: &[String]) -> CommandResult<Wanted> {
    let area = node::templates(context)?;
    let template = |typed: &String| node::load(&area, &node::locate(&area, typed)?.1);
    let templates = typed.iter().map(template);
    let templates = templates.collect::<CommandResult<Vec<_>>>()?;
    mirror_for::config(&templates, &node::layout(context).mirrors())
}

/// The repository that was named.
fn named(arguments: &MirrorAdd) -> CommandResult<Wanted> {
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
    let pins = keys.pins.into_iter();
    let part = Part {
        directory: String::new(),
        upstream: upstream(arguments)?,
        keys: pins
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
    Ok((MirrorConfig::new(vec![part])?, keys.files))
}

/// What of it is brought here.
fn selection(arguments: &MirrorAdd) -> CommandResult<Selection> {
    // Of an apt repository the architectures say which indexes there are.
    let archs = if arguments.suites.is_empty() {
        arguments.architectures.as_slice()
    } else {
        &[]
    };
    let archs = archs.iter().map(|typed| typed.parse::<Arch>());
    Ok(Selection {
        packages: arguments.packages.clone(),
        sections: arguments.sections.clone(),
        newest: arguments.newest.and_then(|count| count.try_into().ok()),
        architectures: archs.collect::<Result<_, _>>()?,
        on_demand: arguments.on_demand,
        ..Selection::default()
    })
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
        contents: arguments.contents,
        catalogs: !arguments.no_catalogs,
        sources: arguments.sources,
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
