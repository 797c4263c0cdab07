//! Builds a version of a made-up template from a folder of `.deb` files: the builder alone, without repositories and
//! without a resolver. For measuring and for comparing its trees with those of other tools.
//!
//! ```text
//! build_deb ROOT FOLDER [--update] [--remove NAME]… [--threads N] [--list FILE] [--quiet]
//! ```
//!
//! `ROOT` is a store (made if missing). Without `--update` every package of the folder is installed from nothing; with
//! it they are installed or upgraded on the newest version of the store. `--list` writes one line for each name of
//! the built tree: path, type, mode, owner, group, and content.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program for people"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};
use vzpkg_cache::build::deb::paragraph;
use vzpkg_cache::build::{BuildError, BuildReporter, BuildRequest, Step, build};
use vzpkg_cache::import::unpack::{ContentSink, UnpackLimits};
use vzpkg_cache::import::{Fetched, ImportReporter, deb};
use vzpkg_cache::store::{Access, Store, VersionRecord};
use vzpkg_metadata::template::{
    DEFAULT_SET, Script, ScriptKind, Scripts, Template, TemplateLocation,
};
use vzpkg_metadata::transaction::{Action, PackageRef, Reason, Step as PackageStep, Transaction};
use vzpkg_metadata::tree::{Entry, NodeKind, Tree};
use vzpkg_metadata::{ByteSize, Digest, Family, TemplateName};
use vzpkg_runtime::HelperCommand;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

struct Arguments {
    root: PathBuf,
    folder: PathBuf,
    update: bool,
    remove: Vec<String>,
    scripts: Option<PathBuf>,
    threads: usize,
    list: Option<PathBuf>,
    quiet: bool,
}

impl Arguments {
    fn parse() -> Result<Self> {
        let mut arguments = std::env::args_os().skip(1);
        let mut next = || {
            arguments
                .next()
                .ok_or("usage: build_deb ROOT FOLDER [OPTION]…")
        };
        let mut parsed = Self {
            root: next()?.into(),
            folder: next()?.into(),
            update: false,
            remove: Vec::new(),
            scripts: None,
            threads: 2,
            list: None,
            quiet: false,
        };
        while let Ok(option) = next() {
            match option.to_str() {
                Some("--update") => parsed.update = true,
                Some("--quiet") => parsed.quiet = true,
                Some("--remove") => parsed.remove.push(next()?.to_string_lossy().into_owned()),
                Some("--threads") => parsed.threads = next()?.to_string_lossy().parse()?,
                Some("--list") => parsed.list = Some(next()?.into()),
                Some("--scripts") => parsed.scripts = Some(next()?.into()),
                _ => return Err(format!("unknown option {}", option.display()).into()),
            }
        }
        Ok(parsed)
    }
}

fn main() -> ExitCode {
    if std::env::args().nth(1).as_deref() == Some("__helper") {
        return vzpkg_runtime::helper_main();
    }
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            let mut cause = error.source();
            while let Some(error) = cause {
                eprintln!("  caused by: {error}");
                cause = error.source();
            }
            if let Some(BuildError::Script(failure)) = error.downcast_ref() {
                eprintln!("{}", failure.output.join("\n"));
            }
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<()> {
    let arguments = Arguments::parse()?;
    let store = Store::open(&arguments.root, Access::ReadWrite)?;
    let template = template(&arguments)?;
    let base = if arguments.update {
        Some(newest(&store)?)
    } else {
        None
    };
    let packages = read_folder(&arguments.folder)?;
    let transaction = transaction(&packages, base.as_ref(), &arguments.remove)?;
    let epoch = packages
        .iter()
        .map(|package| package.newest)
        .max()
        .unwrap_or_default();
    let helper = HelperCommand::new(std::env::current_exe()?, ["__helper"]);
    let tier = vzpkg_runtime::rootfs::probe(&store.layout.store())?.best();
    let reporter = Reporter {
        quiet: arguments.quiet,
    };
    let started = Instant::now();
    let (sender, arrivals) = std::sync::mpsc::channel();
    for package in &packages {
        sender.send(package.fetched.clone())?;
    }
    drop(sender);
    let ids = BTreeMap::new();
    let request = BuildRequest {
        store: &store,
        template: &template,
        applications: &[],
        name: &template.name,
        base: base.as_ref(),
        parent: base.as_ref().map(|base| base.digest),
        transaction: &transaction,
        epoch,
        ids: &ids,
        helper: &helper,
        tier,
        threads: arguments.threads,
        timeout: Duration::from_mins(10),
        who: "example",
        why: "build_deb",
        now: epoch,
        reporter: &reporter,
        cancel: &AtomicBool::new(false),
    };
    let published = build(&request, arrivals)?;
    let record = published.record();
    println!(
        "{} {} in {:?}",
        record.name(),
        record.digest,
        started.elapsed()
    );
    for timing in &record.timings {
        println!("  {:>9} {} ms", timing.step, timing.milliseconds);
    }
    if let Some(list) = arguments.list {
        fs::write(list, listing(&store.images.read(&record.digest)?))?;
    }
    Ok(())
}

struct Reporter {
    quiet: bool,
}

impl ImportReporter for Reporter {}

impl BuildReporter for Reporter {
    fn step(&self, step: Step) {
        if !self.quiet {
            eprintln!("== {}", step.name());
        }
    }

    fn output(&self, line: &[u8]) {
        if !self.quiet {
            eprintln!("   {}", String::from_utf8_lossy(line));
        }
    }
}

fn template(arguments: &Arguments) -> Result<Template> {
    let mut scripts = Scripts::default();
    if let Some(folder) = &arguments.scripts {
        for kind in ScriptKind::ALL {
            if let Ok(content) = fs::read(folder.join(kind.file_name())) {
                scripts.insert(Script { kind, content });
            }
        }
    }
    Ok(Template {
        name: "folder-1-x86_64".parse()?,
        location: TemplateLocation::os_template("folder", "1", "x86_64", DEFAULT_SET)?,
        family: Family::Deb,
        arch: "x86_64".parse()?,
        package_manager: "dpkgx64".to_owned(),
        packages: Vec::new(),
        packages_0: Vec::new(),
        packages_1: Vec::new(),
        repositories: Vec::new(),
        keys: Vec::new(),
        environment: Vec::new(),
        scripts,
        distribution: String::new(),
        osrelease: String::new(),
        technologies: Vec::new(),
        upgradable_versions: Vec::new(),
        summary: String::new(),
        description: Vec::new(),
        golden_image: true,
        multiarch: None,
        cache_type: None,
        no_pkg_actions: false,
        repository_texts: Vec::new(),
    })
}

fn newest(store: &Store) -> Result<VersionRecord> {
    let name: TemplateName = "folder-1-x86_64".parse()?;
    let mut versions = Vec::new();
    for digest in store.versions.list()? {
        versions.extend(store.versions.read_all(&digest)?);
    }
    versions.retain(|version| version.template == name);
    let newest = versions.into_iter().max_by_key(|version| version.number);
    newest.ok_or_else(|| "the store has no version to update".into())
}

struct Package {
    fetched: Fetched,
    essential: bool,
    newest: i64,
}

/// Only hashes: the control data is all that is wanted here.
struct HashOnly;

impl ContentSink for HashOnly {
    fn put(&mut self, content: &mut dyn Read, _size: u64) -> std::io::Result<Digest> {
        std::io::copy(content, &mut std::io::sink())?;
        Ok(Digest::of(b""))
    }
}

fn read_folder(folder: &Path) -> Result<Vec<Package>> {
    let mut paths: Vec<PathBuf> = fs::read_dir(folder)?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<std::io::Result<_>>()?;
    paths.retain(|path| path.extension().is_some_and(|ending| ending == "deb"));
    paths.sort();
    paths.iter().map(|path| read_package(path)).collect()
}

fn read_package(path: &Path) -> Result<Package> {
    let bytes = fs::read(path)?;
    let size = ByteSize(bytes.len() as u64);
    let bounds = UnpackLimits::for_package(size, ByteSize(4 << 30));
    let contents = deb::read(&mut File::open(path)?, bounds, &mut HashOnly)?;
    let control = contents.control.get("control").ok_or("no control file")?;
    let control = String::from_utf8_lossy(control);
    let field = |name| paragraph::field(&control, name).unwrap_or_default();
    let newest = contents.unpacked.tree.iter();
    let newest =
        newest.filter_map(|(_, entry)| entry.as_node().map(|node| node.meta.mtime.seconds));
    let installed: u64 = field("Installed-Size").parse().unwrap_or_default();
    Ok(Package {
        fetched: Fetched {
            package: PackageRef {
                name: field("Package").parse()?,
                arch: field("Architecture").parse()?,
                version: field("Version").to_owned(),
                sha256: Digest::of(&bytes),
                size,
                installed_size: ByteSize(installed << 10),
                repository: None,
                location: String::new(),
            },
            path: path.to_owned(),
        },
        essential: field("Essential") == "yes",
        newest: newest.max().unwrap_or_default(),
    })
}

fn transaction(
    packages: &[Package],
    base: Option<&VersionRecord>,
    remove: &[String],
) -> Result<Transaction> {
    let installed: BTreeMap<_, _> = base
        .iter()
        .flat_map(|base| &base.lock.packages)
        .map(|package| (package.name.as_str(), package))
        .collect();
    let mut steps = Vec::new();
    for name in remove {
        let package = installed.get(name.as_str()).ok_or("it is not installed")?;
        steps.push(PackageStep {
            action: Action::Remove,
            package: PackageRef {
                name: package.name.clone(),
                arch: package.arch.clone(),
                version: package.version.clone(),
                sha256: package.sha256,
                size: package.size,
                installed_size: ByteSize(0),
                repository: None,
                location: String::new(),
            },
            reason: package.reason.clone(),
        });
    }
    let mut seen = BTreeSet::new();
    for Package {
        fetched, essential, ..
    } in packages
    {
        let package = fetched.package.clone();
        if !seen.insert(package.name.clone()) {
            return Err(format!("{} is there twice", package.name).into());
        }
        let action = match installed.get(package.name.as_str()) {
            Some(old) if old.sha256 == package.sha256 => continue,
            Some(old) => Action::Upgrade {
                from: old.version.clone(),
            },
            None => Action::Install,
        };
        let reason = if *essential {
            Reason::Essential
        } else {
            Reason::Requested
        };
        steps.push(PackageStep {
            action,
            package,
            reason,
        });
    }
    Ok(Transaction {
        family: Family::Deb,
        steps,
    })
}

fn listing(tree: &Tree) -> String {
    let mut text = String::new();
    for (path, entry) in tree.iter() {
        let Some(node) = tree.node(path) else {
            continue;
        };
        let meta = &node.meta;
        let what = match &node.kind {
            NodeKind::Directory => "d".to_owned(),
            NodeKind::File { digest, .. } => format!("f {digest}"),
            NodeKind::Symlink { target } => format!("l {}", String::from_utf8_lossy(target)),
            NodeKind::CharacterDevice { major, minor } => format!("c {major}:{minor}"),
            NodeKind::BlockDevice { major, minor } => format!("b {major}:{minor}"),
            NodeKind::Fifo => "p".to_owned(),
        };
        let link = matches!(entry, Entry::HardLink(_));
        let _ = writeln!(
            text,
            "/{path}\t{:o}\t{}:{}\t{what}\t{}\t{}",
            meta.mode,
            meta.uid,
            meta.gid,
            if link { "hard" } else { "" },
            meta.mtime.seconds,
        );
    }
    text
}
