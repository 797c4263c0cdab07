//! Node files (DESIGN §2): what says which machine this is. Written at `ct create` and `export`, never part of a tree.

use std::fmt::Write as _;
use std::path::Path;
use vzpkg_metadata::durable;
use vzpkg_metadata::template::{RepositoryLine, Template};

/// A file of a container or export: path below the root, permission bits, content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct File {
    /// Without a leading slash.
    pub(crate) path: &'static str,
    /// Permission bits.
    pub(crate) mode: u16,
    /// Content.
    pub(crate) content: Vec<u8>,
}

/// The node files of a container or export named `hostname`, with the repositories of `template` and the name servers
/// of this host.
pub(crate) fn of(template: &Template, hostname: &str, machine_id: Option<&str>) -> Vec<File> {
    let mut files = names(hostname).to_vec();
    files.extend([
        file(
            "etc/resolv.conf",
            resolv_conf(Path::new("/etc/resolv.conf")),
        ),
        file(
            "etc/machine-id",
            machine_id.map_or_else(String::new, |id| format!("{id}\n")),
        ),
    ]);
    let apt = apt_sources(&template.repositories);
    if !apt.is_empty() {
        files.push(file("etc/apt/sources.list", apt));
    }
    let yum = yum_repositories(&template.repositories);
    if !yum.is_empty() {
        files.push(file("etc/yum.repos.d/vzpkg.repo", yum));
    }
    files
}

/// Those that say the host name.
pub(crate) fn names(hostname: &str) -> [File; 2] {
    [
        file("etc/hostname", format!("{hostname}\n")),
        file("etc/hosts", hosts(hostname)),
    ]
}

fn file(path: &'static str, content: String) -> File {
    File {
        path,
        mode: 0o644,
        content: content.into_bytes(),
    }
}

fn hosts(hostname: &str) -> String {
    format!(
        "127.0.0.1\tlocalhost\n127.0.1.1\t{hostname}\n::1\tlocalhost ip6-localhost ip6-loopback\n"
    )
}

/// The host's name servers; a stub resolver on the loopback is of no use to a container with a network of its own, but
/// containers share the host's for now.
fn resolv_conf(path: &Path) -> String {
    durable::read_file(path, 64 << 10)
        .ok()
        .and_then(|bytes| String::from_utf8(bytes).ok())
        .unwrap_or_default()
}

fn apt_sources(repositories: &[RepositoryLine]) -> String {
    let mut text = String::new();
    for line in repositories {
        let RepositoryLine::Apt(source) = line else {
            continue;
        };
        let trusted = if source.trusted { "[trusted=yes] " } else { "" };
        // A repository of this host's file system is not there inside.
        let comment = if source.uri.starts_with("file:") {
            "# "
        } else {
            ""
        };
        // Writing to a String cannot fail.
        _ = writeln!(
            text,
            "{comment}deb {trusted}{} {} {}",
            source.uri,
            source.suite,
            source.components.join(" ")
        );
    }
    text
}

fn yum_repositories(repositories: &[RepositoryLine]) -> String {
    let mut text = String::new();
    for line in repositories {
        let RepositoryLine::Yum(source) = line else {
            continue;
        };
        let local = source.base_urls.iter().all(|url| url.starts_with("file:"));
        let enabled = u8::from(!(local && source.mirror_lists.is_empty()));
        _ = writeln!(
            text,
            "[{0}]\nname={0}\nenabled={enabled}\ngpgcheck={1}",
            source.id,
            u8::from(!source.trusted)
        );
        if !source.base_urls.is_empty() {
            _ = writeln!(text, "baseurl={}", source.base_urls.join("\n        "));
        } else if let Some(list) = source.mirror_lists.first() {
            _ = writeln!(text, "mirrorlist={list}");
        }
        text.push('\n');
    }
    text
}

/// A new machine id: 32 hexadecimal digits of a random (version 4) UUID, as systemd makes it.
///
/// # Errors
/// Where the kernel gives no random bytes.
pub(crate) fn new_machine_id() -> Result<String, durable::FileError> {
    use std::io::Read as _;
    let path = Path::new("/dev/urandom");
    let mut bytes = [0_u8; 16];
    std::fs::File::open(path)
        .and_then(|mut file| file.read_exact(&mut bytes))
        .map_err(durable::FileError::on("read", path))?;
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    Ok(bytes.iter().fold(String::new(), |mut text, byte| {
        _ = write!(text, "{byte:02x}");
        text
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use vzpkg_metadata::template::{AptSource, RepositoryOptions};

    #[test]
    fn a_repository_of_the_host_is_a_comment_inside() {
        let source = |uri: &str| {
            RepositoryLine::Apt(AptSource {
                id: "base0".parse().unwrap(),
                uri: uri.to_owned(),
                suite: "stable".to_owned(),
                components: vec!["main".to_owned()],
                trusted: false,
                options: RepositoryOptions::default(),
            })
        };
        let text = apt_sources(&[source("http://a.example/debian"), source("file:///srv/x")]);
        assert_eq!(
            text,
            "deb http://a.example/debian stable main\n# deb file:///srv/x stable main\n"
        );
    }

    #[test]
    fn machine_ids_are_uuids_and_differ() {
        let (a, b) = (new_machine_id().unwrap(), new_machine_id().unwrap());
        assert_eq!((a.len(), a.as_bytes()[12]), (32, b'4'));
        assert_ne!(a, b);
    }
}
