//! An overlay for kernels that take its layers by name only, and none that is attached nowhere: before Linux 6.15.
//!
//! The layers are attached in a mount namespace of a thread of its own, in a root that has nothing else; the overlay
//! keeps copies of its own and outlives both. Costs a thread and a copy of the host's mounts. Nothing here asks for a
//! kernel version: a kernel that takes descriptors never comes here.

use super::aside::on_own_mounts;
use super::overlay::Stack;
use crate::sys::{Kernel, MountAttributes, Setting};
use std::ffi::OsStr;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

/// Where upper and work directory are.
const PRIVATE: &str = "private";

/// Where the contents of files are.
const DATA: &str = "data";

/// The longest option that `fsconfig` takes, in bytes.
const OPTION_BYTES: usize = 255;

/// Calls `create`, which configures and creates the overlay with the names it is given, where these names hold.
pub(super) fn with_names<T: Send>(
    kernel: &dyn Kernel,
    stack: &Stack,
    create: impl FnOnce(&Names) -> io::Result<T> + Send,
) -> io::Result<T> {
    on_own_mounts(kernel, || create(&Names::give(kernel, stack)?))?
}

/// The names of the layers, as options of the overlay.
#[derive(Debug)]
pub(super) struct Names {
    lowers: String,
    private: Option<(PathBuf, PathBuf)>,
}

impl Names {
    /// Makes a root of nothing but the layers and enters it.
    fn give(kernel: &dyn Kernel, stack: &Stack) -> io::Result<Self> {
        let context = kernel.new_filesystem("tmpfs")?;
        let root = kernel.create(&context, MountAttributes::empty())?;
        kernel.attach(&root, &kernel.open_path(Path::new("/"))?)?;
        let attach = |mount: &OwnedFd, name: &str| {
            kernel.make_directory(&root, name)?;
            kernel.attach(mount, &kernel.open_beneath(&root, Path::new(name))?)
        };
        let mut lowers = String::new();
        for (number, lower) in stack.lowers.iter().enumerate() {
            let name = number.to_string();
            attach(lower, &name)?;
            lowers = if lowers.is_empty() {
                name
            } else {
                format!("{lowers}:{name}")
            };
        }
        if let Some(data) = &stack.data {
            attach(data, DATA)?;
            // Two colons: a layer that has contents only. Since Linux 6.5.
            lowers = format!("{lowers}::{DATA}");
        }
        if lowers.len() > OPTION_BYTES {
            let why = format!("{} layers are too many for this kernel", stack.lowers.len());
            return Err(io::Error::other(why));
        }
        let private = stack.upper.as_ref().map(|parts| -> io::Result<_> {
            attach(&parts.both, PRIVATE)?;
            let inside = |name: &OsStr| Path::new(PRIVATE).join(name);
            Ok((inside(&parts.upper), inside(&parts.work)))
        });
        let private = private.transpose()?;
        kernel.change_root(&root)?;
        Ok(Self { lowers, private })
    }

    /// Tells the overlay its layers.
    pub(super) fn configure(&self, kernel: &dyn Kernel, context: &OwnedFd) -> io::Result<()> {
        let text = |key, value: &OsStr| kernel.configure(context, key, Setting::Text(value));
        text("lowerdir", self.lowers.as_ref())?;
        if let Some((upper, work)) = &self.private {
            text("upperdir", upper.as_os_str())?;
            text("workdir", work.as_os_str())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::overlay::{Overlay, PRIVATE, VERSION};
    use super::super::{IdMap, Lower, MountSpec, Owners, Tier, Upper, directory, write_stubs};
    use super::*;
    use crate::sys::Linux;
    use rustix::fs::{AtFlags, Mode, OFlags};
    use std::fs;
    use std::io::Write as _;
    use vzpkg_metadata::tree::{Node, Tree};
    use vzpkg_metadata::{Digest, RelPath, Timestamp};

    const CONTENT: &[u8] = b"of the version\n";

    /// A version of one file as stubs and objects, read through two overlays as tier 2 does; written to in the upper one.
    fn use_it(place: &Path, id_map: Option<IdMap>) {
        let of = |name: &str| place.join(name);
        let digest = Digest::of(CONTENT).to_string();
        let (shard, rest) = digest.split_at(2);
        for name in [
            "stubs",
            "objects",
            "ct/upper",
            "ct/work",
            &format!("objects/{shard}"),
        ] {
            fs::create_dir_all(of(name)).unwrap();
        }
        fs::write(of("objects").join(shard).join(rest), CONTENT).unwrap();
        let mut tree = Tree::new();
        let time = Timestamp::from_seconds(0);
        tree.insert(RelPath::root(), Node::directory(0o755, time));
        tree.insert(
            RelPath::parse(b"file").unwrap(),
            Node::file(0o644, time, CONTENT),
        );
        write_stubs(&tree, &of("stubs")).unwrap();
        let mut spec = MountSpec::new(
            Tier::Stubs,
            Lower {
                digest: Digest::of(CONTENT),
                image: of("image"),
                objects: of("objects"),
                stubs: Some(of("stubs")),
                materialized: None,
            },
        );
        spec.id_map = id_map;
        let owners = Owners::new(&Linux, &spec).unwrap();
        let stack = Stack {
            lowers: vec![directory::lower(&Linux, &of("stubs"), &owners).unwrap()],
            data: Some(directory::data(&Linux, &of("objects")).unwrap()),
            upper: None,
        };
        let create = |stack: &Stack, options: &[(&str, &str)]| {
            let (stack, spec) = (stack, &spec);
            let overlay = Overlay {
                stack,
                options,
                spec,
            };
            overlay.create_by_name(&Linux).unwrap()
        };
        let version = create(&stack, &VERSION);
        let private = Upper {
            upper: of("ct/upper"),
            work: of("ct/work"),
        };
        let stack = Stack {
            lowers: vec![version],
            data: None,
            upper: Some(directory::upper(&Linux, &private, false, &owners).unwrap()),
        };
        let root = create(&stack, &PRIVATE);
        drop(stack);
        let open = |flags| rustix::fs::openat(&root, "file", flags, Mode::empty()).unwrap();
        let file = fs::File::from(open(OFlags::RDONLY));
        assert_eq!(io::read_to_string(file).unwrap().as_bytes(), CONTENT);
        let owner = rustix::fs::statat(&root, "file", AtFlags::empty()).unwrap();
        assert_eq!(owner.st_uid, id_map.map_or(0, |map| map.first));
        let mut file = fs::File::from(open(OFlags::RDWR | OFlags::APPEND));
        file.write_all(b"private\n").unwrap();
        let copied = fs::read(of("ct/upper/file")).unwrap();
        assert_eq!(copied, [CONTENT, b"private\n"].concat());
        let object = fs::read(of("objects").join(shard).join(rest)).unwrap();
        assert_eq!(object, CONTENT);
    }

    #[test]
    #[ignore = "needs root: make check runs it"]
    fn privileged_layers_by_name_are_the_layers() {
        let directory = tempfile::tempdir().unwrap();
        use_it(&directory.path().join("own"), None);
        let shifted = IdMap {
            first: 300_000,
            count: 65_536,
        };
        use_it(&directory.path().join("shifted"), Some(shifted));
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
        assert!(!mounts.contains(&directory.path().display().to_string()));
    }

    #[test]
    fn more_layers_than_an_option_holds_are_refused_by_count() {
        let layer = || Linux.open_path(Path::new("/")).unwrap();
        let stack = Stack {
            lowers: (0..100).map(|_| layer()).collect(),
            ..Stack::default()
        };
        let error = with_names(&crate::sys::Recording::new(), &stack, |_| Ok(())).unwrap_err();
        assert_eq!(error.to_string(), "100 layers are too many for this kernel");
    }
}
