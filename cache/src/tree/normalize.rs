//! Takes out of a built tree what would differ between two builds or must not be shared: node files, private keys,
//! machine ids, random seeds, caches and logs of package managers. Times are clamped.
//!
//! A container gets its own keys and ids at its first start. The table below is the whole policy; nothing else removes
//! names from a finished build.

use vzpkg_metadata::RelPath;
use vzpkg_metadata::tree::{Entry, NodeKind, Tree};

/// Which names below a directory a rule takes.
enum Names {
    /// Exactly this one.
    One(&'static str),
    /// Those that begin and end so.
    Like(&'static str, &'static str),
    /// Everything below, at any depth; the directory stays.
    All,
    /// Every file below, at any depth; directories stay.
    Files,
}

use Names::{All, Files, Like, One};

/// Directory, names, and why.
const RULES: &[(&str, Names, Why)] = &[
    ("etc", One("resolv.conf"), Why::NodeFile),
    ("etc", One("hostname"), Why::NodeFile),
    ("etc", One("hosts"), Why::NodeFile),
    ("etc", One("machine-id"), Why::NodeFile),
    ("etc/apt", One("sources.list"), Why::NodeFile),
    ("var/lib/dbus", One("machine-id"), Why::NodeFile),
    ("etc/ssh", Like("ssh_host_", "_key"), Why::PrivateKey),
    ("etc/ssh", Like("ssh_host_", "_key.pub"), Why::PrivateKey),
    (
        "etc/ssl/private",
        One("ssl-cert-snakeoil.key"),
        Why::PrivateKey,
    ),
    (
        "etc/ssl/certs",
        One("ssl-cert-snakeoil.pem"),
        Why::PrivateKey,
    ),
    ("var/lib/systemd", One("random-seed"), Why::Random),
    ("var/lib/systemd", One("credential.secret"), Why::Random),
    ("var/lib/urandom", One("random-seed"), Why::Random),
    ("var/cache/ldconfig", One("aux-cache"), Why::Cache),
    ("var/cache/apt", Like("", ".bin"), Why::Cache),
    ("var/cache/apt/archives", Like("", ".deb"), Why::Cache),
    ("var/cache/debconf", Like("", "-old"), Why::Cache),
    ("var/cache/debconf", One("tmp.ci"), Why::Cache),
    ("var/cache/dnf", All, Why::Cache),
    ("var/cache/yum", All, Why::Cache),
    ("var/cache/libdnf5", All, Why::Cache),
    ("var/lib/apt/lists", Files, Why::Cache),
    ("var/lib/dpkg", Like("", "-old"), Why::Cache),
    // Scratch of the journal; dpkg does not mind where it cannot remove it.
    ("var/lib/dpkg/updates", One("tmp.i"), Why::Cache),
    ("var/log", One("dpkg.log"), Why::Log),
    ("var/log", One("alternatives.log"), Why::Log),
    ("var/log", One("bootstrap.log"), Why::Log),
    ("var/log", One("fontconfig.log"), Why::Log),
    ("var/log", Like("dnf", ".log"), Why::Log),
    ("var/log", One("yum.log"), Why::Log),
    ("var/log", One("hawkey.log"), Why::Log),
    ("var/log/apt", Files, Why::Log),
    ("var/lib/mysql", All, Why::Database),
    ("run", All, Why::Volatile),
    ("tmp", All, Why::Volatile),
    ("var/tmp", All, Why::Volatile),
    ("proc", All, Why::Volatile),
    ("sys", All, Why::Volatile),
    ("dev", All, Why::Volatile),
];

/// Why a name is not part of a version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// Written for each container: resolv.conf, hostname, hosts, machine-id, apt's sources.
    NodeFile,
    /// A secret, or the public half of one.
    PrivateKey,
    /// Random bytes or an identity.
    Random,
    /// Data of a service: each container makes its own.
    Database,
    /// A package manager or the linker makes it again.
    Cache,
    /// A log of the build, not of the container.
    Log,
    /// In a file system of its own while the container runs.
    Volatile,
}

/// One name that was taken out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Removed {
    /// The name.
    pub path: RelPath,
    /// Why.
    pub why: Why,
}

/// Cleans `tree` and clamps its times to `epoch` seconds; returns what went, in path order. Linear.
pub fn normalize(tree: &mut Tree, epoch: i64) -> Vec<Removed> {
    let mut removed: Vec<Removed> = tree
        .iter()
        .filter_map(|(path, entry)| {
            let why = reason(path, entry)?;
            let path = path.clone();
            Some(Removed { path, why })
        })
        .collect();
    removed.extend(snakeoil_links(tree));
    removed.sort_by(|a, b| a.path.cmp(&b.path));
    for Removed { path, .. } in &removed {
        tree.remove_subtree(path);
    }
    for (_, entry) in tree.iter_mut() {
        if let Entry::Node(node) = entry {
            node.meta.mtime = node.meta.mtime.clamped(epoch);
        }
    }
    tree.canonicalize_links();
    removed
}

fn reason(path: &RelPath, entry: &Entry) -> Option<Why> {
    let is_directory = entry
        .as_node()
        .is_some_and(vzpkg_metadata::tree::Node::is_directory);
    let why = why_of(path, is_directory)?;
    // A package may ship `/var/lib/dbus/machine-id` as a link; the link is no identity.
    let link = matches!(
        entry.as_node().map(|node| &node.kind),
        Some(NodeKind::Symlink { .. })
    );
    let kept = link && why == Why::NodeFile && !path.as_bytes().starts_with(b"etc/");
    (!kept).then_some(why)
}

/// Why a name of this path is no part of a version, if it is not: what is a node's, a container's own, or made again.
pub fn why_of(path: &RelPath, is_directory: bool) -> Option<Why> {
    let bytes = path.as_bytes();
    RULES.iter().find_map(|(directory, names, why)| {
        let rest = bytes
            .strip_prefix(directory.as_bytes())?
            .strip_prefix(b"/")?;
        let taken = match names {
            One(name) => rest == name.as_bytes(),
            Like(start, end) => {
                !rest.contains(&b'/')
                    && rest.len() > start.len() + end.len()
                    && rest.starts_with(start.as_bytes())
                    && rest.ends_with(end.as_bytes())
            }
            All => true,
            Files => !is_directory,
        };
        taken.then_some(*why)
    })
}

/// The hash links that `c_rehash` made for the self-signed certificate.
fn snakeoil_links(tree: &Tree) -> Vec<Removed> {
    let Ok(directory) = "etc/ssl/certs".parse() else {
        return Vec::new();
    };
    let links = tree.below(&directory).filter(|(_, entry)| {
        matches!(
            entry.as_node().map(|node| &node.kind),
            Some(NodeKind::Symlink { target }) if target.ends_with(b"ssl-cert-snakeoil.pem")
        )
    });
    links
        .map(|(path, _)| Removed {
            path: path.clone(),
            why: Why::PrivateKey,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use vzpkg_metadata::Timestamp;
    use vzpkg_metadata::tree::Node;

    #[test]
    fn identities_and_caches_go_and_the_rest_stays() {
        let names = [
            ("etc/machine-id", true),
            ("etc/ssh/ssh_host_rsa_key", true),
            ("etc/ssh/ssh_config", false),
            ("var/lib/mysql/ibdata1", true),
            ("etc/ssh/ssh_host__key", false),
            ("var/cache/apt/pkgcache.bin", true),
            ("var/cache/apt/archives/partial", false),
            ("var/lib/apt/lists/x_Packages", true),
            ("var/lib/apt/lists/partial", false),
            ("var/lib/dpkg/status-old", true),
            ("var/lib/dpkg/status", false),
            ("run/lock", true),
            ("tmp", false),
        ];
        let mut tree: Tree = names
            .iter()
            .map(|(name, _)| {
                let time = Timestamp::from_seconds(50);
                let node = if name.ends_with("partial") || name.ends_with("tmp") {
                    Node::directory(0o700, time)
                } else {
                    Node::file(0o644, time, b"")
                };
                (name.parse().unwrap(), node.into())
            })
            .collect();
        let removed = normalize(&mut tree, 7);
        for (name, goes) in names {
            let path: RelPath = name.parse().unwrap();
            assert_eq!(tree.get(&path).is_none(), goes, "{name}");
            assert_eq!(removed.iter().any(|gone| gone.path == path), goes, "{name}");
        }
        for (path, entry) in tree.iter() {
            assert_eq!(entry.as_node().unwrap().meta.mtime.seconds, 7, "{path}");
        }
    }
}
