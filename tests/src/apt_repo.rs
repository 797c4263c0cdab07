//! A signed apt repository made from real `.deb` files.
//!
//! The knobs are those that attacks and distributions turn: dates, by-hash, which compressions exist, which components
//! and architectures, an `InRelease` file or `Release` + `Release.gpg`, or no signature at all.

use crate::keys::TestKey;
use crate::tools::{DAY, EPOCH, command, rfc_date, run, sha256};
use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

/// Which signed files a suite has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signature {
    /// `InRelease` only.
    Inline,
    /// `Release` and `Release.gpg` only.
    Detached,
    /// `Release` only.
    None,
}

/// A repository directory: `pool/` and `dists/`. Change suites, then [`AptRepo::publish`]; again and again if wanted.
#[derive(Debug)]
pub struct AptRepo {
    root: PathBuf,
    suites: BTreeMap<String, Suite>,
}

/// One suite. Fields may be changed between two publications.
#[derive(Debug, Clone)]
pub struct Suite {
    /// `Origin`.
    pub origin: String,
    /// `Label`.
    pub label: String,
    /// `Codename`; the name of the suite's directory unless changed.
    pub codename: String,
    /// `Date`, seconds since 1970; [`EPOCH`] unless changed.
    pub date: i64,
    /// `Valid-Until`; a week after `date` unless changed.
    pub valid_until: Option<i64>,
    /// `Architectures`; `amd64` unless changed.
    pub architectures: Vec<String>,
    /// `Acquire-By-Hash`, and whether `by-hash/` directories are made; on.
    pub by_hash: bool,
    /// Which forms of `Packages` exist: `xz`, `zst`, `gz`, and the empty text for plain; `xz` and `gz` unless changed.
    pub compressions: Vec<&'static str>,
    /// Which signed files exist.
    pub signature: Signature,
    /// More lines for the `Release` file, without line ends.
    pub extra: Vec<String>,
    /// Component → its packages; filled by [`SuiteEditor::add`].
    pub packages: BTreeMap<String, Vec<Package>>,
    /// More indexes, by their names without an ending (`main/source/Sources`), with their texts.
    pub further: BTreeMap<String, String>,
}

/// One package of an index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Package {
    /// `Architecture`.
    pub arch: String,
    /// Its paragraph in `Packages`, with one line end.
    pub paragraph: String,
}

impl AptRepo {
    /// An empty repository at `root` (made if missing).
    pub fn new(root: impl Into<PathBuf>) -> Self {
        let root = root.into();
        fs::create_dir_all(&root).unwrap();
        Self {
            root,
            suites: BTreeMap::new(),
        }
    }

    /// The directory to serve: its URL is the `uri` of a sources line.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The suite of that name, made on first use.
    pub fn suite(&mut self, name: &str) -> SuiteEditor<'_> {
        let suite = self.suites.entry(name.to_owned()).or_insert_with(|| Suite {
            origin: "Test".into(),
            label: "Test".into(),
            codename: name.into(),
            date: EPOCH,
            valid_until: Some(EPOCH + 7 * DAY),
            architectures: vec!["amd64".into()],
            by_hash: true,
            compressions: vec!["xz", "gz"],
            signature: Signature::Inline,
            extra: Vec::new(),
            packages: BTreeMap::new(),
            further: BTreeMap::new(),
        });
        SuiteEditor {
            root: &self.root,
            suite,
        }
    }

    /// Writes every suite, signed by `key`. What an earlier publication left in `dists/` is removed first.
    pub fn publish(&self, key: &TestKey) {
        self.publish_with(&|text| key.sign_inline(text), &|data| {
            key.sign_detached(data)
        });
    }

    /// As [`AptRepo::publish`], with signers of the caller's: for files signed by nobody, by two, or by the wrong one.
    pub fn publish_with(
        &self,
        inline: &dyn Fn(&str) -> Vec<u8>,
        detached: &dyn Fn(&[u8]) -> Vec<u8>,
    ) {
        for (name, suite) in &self.suites {
            let directory = self.root.join("dists").join(name);
            if directory.exists() {
                fs::remove_dir_all(&directory).unwrap();
            }
            fs::create_dir_all(&directory).unwrap();
            let release = suite.write_indexes(name, &directory);
            match suite.signature {
                Signature::Inline => write(&directory.join("InRelease"), &inline(&release)),
                Signature::Detached => {
                    write(&directory.join("Release"), release.as_bytes());
                    write(
                        &directory.join("Release.gpg"),
                        &detached(release.as_bytes()),
                    );
                }
                Signature::None => write(&directory.join("Release"), release.as_bytes()),
            }
        }
    }
}

/// A suite of a repository, to be changed. Derefs to [`Suite`].
#[derive(Debug)]
pub struct SuiteEditor<'a> {
    root: &'a Path,
    suite: &'a mut Suite,
}

impl std::ops::Deref for SuiteEditor<'_> {
    type Target = Suite;

    fn deref(&self) -> &Suite {
        self.suite
    }
}

impl std::ops::DerefMut for SuiteEditor<'_> {
    fn deref_mut(&mut self) -> &mut Suite {
        self.suite
    }
}

impl SuiteEditor<'_> {
    /// Copies `deb` into the pool and adds it to a component. Returns its location below the root.
    pub fn add(&mut self, component: &str, deb: &Path) -> String {
        let bytes = fs::read(deb).unwrap();
        let file = deb.file_name().unwrap().to_str().unwrap();
        let location = format!("pool/{component}/{file}");
        write(&self.root.join(&location), &bytes);
        let control = run(command("dpkg-deb").arg("--field").arg(deb));
        let control = String::from_utf8(control).unwrap();
        let arch = control
            .lines()
            .find_map(|line| line.strip_prefix("Architecture: "))
            .unwrap();
        let package = Package {
            arch: arch.to_owned(),
            paragraph: format!(
                "{}Filename: {location}\nSize: {}\nSHA256: {}\n",
                control.trim_end_matches('\n').to_owned() + "\n",
                bytes.len(),
                sha256(&bytes)
            ),
        };
        self.add_package(component, package);
        location
    }

    /// Adds a paragraph of `Packages` as it is, for a package that does not exist or that lies.
    pub fn add_paragraph(&mut self, component: &str, arch: &str, paragraph: &str) {
        let package = Package {
            arch: arch.to_owned(),
            paragraph: format!("{}\n", paragraph.trim_end_matches('\n')),
        };
        self.add_package(component, package);
    }

    /// Takes all packages out of all components; what is in the pool stays.
    pub fn clear(&mut self) {
        self.suite.packages.clear();
    }

    /// Makes an empty component.
    pub fn component(&mut self, component: &str) {
        self.suite.packages.entry(component.to_owned()).or_default();
    }

    fn add_package(&mut self, component: &str, package: Package) {
        let packages = self.suite.packages.entry(component.to_owned());
        packages.or_default().push(package);
    }
}

impl Suite {
    /// Writes all indexes and returns the text of the `Release` file.
    fn write_indexes(&self, name: &str, directory: &Path) -> String {
        let mut table = String::new();
        for (component, packages) in &self.packages {
            for arch in &self.architectures {
                let text = index_text(packages, arch);
                let index = format!("{component}/binary-{arch}/Packages");
                self.write_index(directory, &index, &text, &mut table);
            }
        }
        for (index, text) in &self.further {
            self.write_index(directory, index, text, &mut table);
        }
        self.release_text(name, &table)
    }

    fn write_index(&self, directory: &Path, index: &str, text: &str, table: &mut String) {
        // The plain file is listed even where it does not exist, as Debian does.
        table.push_str(&table_line(index, text.as_bytes()));
        let place = index.rsplit_once('/').map_or("", |(place, _)| place);
        for compression in &self.compressions {
            let bytes = compress(text.as_bytes(), compression);
            let dot = if compression.is_empty() { "" } else { "." };
            let file = format!("{index}{dot}{compression}");
            write(&directory.join(&file), &bytes);
            if !compression.is_empty() {
                table.push_str(&table_line(&file, &bytes));
            }
            if self.by_hash {
                let by_hash = format!("{place}/by-hash/SHA256/{}", sha256(&bytes));
                write(&directory.join(by_hash), &bytes);
            }
        }
    }

    fn release_text(&self, name: &str, table: &str) -> String {
        let mut lines = vec![
            format!("Origin: {}", self.origin),
            format!("Label: {}", self.label),
            format!("Suite: {name}"),
            format!("Codename: {}", self.codename),
            format!("Date: {}", rfc_date(self.date, "UTC")),
        ];
        if let Some(until) = self.valid_until {
            lines.push(format!("Valid-Until: {}", rfc_date(until, "UTC")));
        }
        if self.by_hash {
            lines.push("Acquire-By-Hash: yes".into());
        }
        let components: Vec<&str> = self.packages.keys().map(String::as_str).collect();
        lines.push(format!("Architectures: {}", self.architectures.join(" ")));
        lines.push(format!("Components: {}", components.join(" ")));
        lines.extend(self.extra.iter().cloned());
        lines.push(format!("SHA256:\n{table}"));
        lines.join("\n")
    }
}

/// The paragraphs that belong to one architecture: its own and those for `all`.
fn index_text(packages: &[Package], arch: &str) -> String {
    let own = packages
        .iter()
        .filter(|package| package.arch == "all" || package.arch == arch);
    let own: Vec<&str> = own.map(|package| package.paragraph.as_str()).collect();
    own.join("\n")
}

fn table_line(path: &str, bytes: &[u8]) -> String {
    format!(" {} {} {path}\n", sha256(bytes), bytes.len())
}

/// Compresses with one of `xz`, `zst`, `gz`, or not at all.
pub fn compress(bytes: &[u8], compression: &str) -> Vec<u8> {
    match compression {
        "" => bytes.to_vec(),
        "xz" => {
            let mut encoder = liblzma::write::XzEncoder::new(Vec::new(), 1);
            encoder.write_all(bytes).unwrap();
            encoder.finish().unwrap()
        }
        "zst" => zstd::encode_all(bytes, 1).unwrap(),
        "gz" => {
            let level = flate2::Compression::fast();
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), level);
            encoder.write_all(bytes).unwrap();
            encoder.finish().unwrap()
        }
        other => panic!("no such compression: {other}"),
    }
}

fn write(path: &Path, bytes: &[u8]) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, bytes).unwrap();
}
