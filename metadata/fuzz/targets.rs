//! What is fuzzed: one function per parser, bytes in, nothing out. A panic or a broken promise is the finding.
//!
//! The same file is compiled twice: by the fuzz targets, and by the ordinary tests of `metadata`, which replay the
//! committed corpus through it (`tests/it/fuzz_corpus.rs`).

use std::hint::black_box;
use std::path::Path;
use vzpkg_metadata::dependency::Expression;
use vzpkg_metadata::index::{Index, IndexBuilder, IndexBytes};
use vzpkg_metadata::lock::Lock;
use vzpkg_metadata::saved_plan::SavedPlan;
use vzpkg_metadata::template::{TemplateArea, UrlMap};
use vzpkg_metadata::tree::Tree;
use vzpkg_metadata::yum::module_filter::ModuleRequest;
use vzpkg_metadata::{Digest, Family, RelPath, apt, version, yum};

/// A fuzzed function.
pub type Target = fn(&[u8]);

/// Every target by name; each has a file in `fuzz_targets/` and a folder in `corpus/`.
pub const TARGETS: [(&str, Target); 19] = [
    ("apt_control", apt_control),
    ("apt_packages", apt_packages),
    ("apt_release", apt_release),
    ("apt_sources", apt_sources),
    ("dependency", dependency),
    ("index_access", index_access),
    ("lock", lock),
    ("path", path),
    ("saved_plan", saved_plan),
    ("template", template),
    ("tree", tree),
    ("version", versions),
    ("yum_comps", yum_comps),
    ("yum_filelists", yum_filelists),
    ("yum_metalink", yum_metalink),
    ("yum_modules", yum_modules),
    ("yum_primary", yum_primary),
    ("yum_repomd", yum_repomd),
    ("yum_updateinfo", yum_updateinfo),
];

/// Uses a value whose making is all that matters.
fn see<T>(value: T) {
    drop(black_box(value));
}

fn text(data: &[u8]) -> Option<&str> {
    std::str::from_utf8(data).ok()
}

/// Control data, its single fields, and a list of conffiles.
pub fn apt_control(data: &[u8]) {
    let Some(text) = text(data) else { return };
    let file = apt::control::PackageFile {
        sha256: Digest::of(data),
        size: data.len() as u64,
        location: "",
    };
    if let Ok(record) = apt::control::parse(text, file) {
        let name = apt::control::field(text, "package").expect("the paragraph was read before");
        assert_eq!(name, Some(record.name));
    }
    for paragraph in apt::control::paragraphs(text) {
        see(apt::control::parse(paragraph, file));
    }
    if let Ok(files) = apt::control::conffiles(text) {
        assert!(files.iter().all(|file| !file.path.is_root()));
    }
}

/// A `Packages` index, and the mapped index made of it.
pub fn apt_packages(data: &[u8]) {
    let Some(text) = text(data) else { return };
    let mut builder = IndexBuilder::new(Family::Deb);
    let read = apt::packages::scan(text, &mut |record| {
        assert!(!record.name.is_empty() && !record.version.is_empty());
        assert!(!record.location.chars().any(|c| c.is_ascii_control()));
        builder.add(record);
    });
    if read.is_ok() {
        walk(&builder.finish().expect("a small index fits"));
    }
}

/// A `Release` file.
pub fn apt_release(data: &[u8]) {
    let Some(text) = text(data) else { return };
    if let Ok(release) = apt::release::Release::parse(text) {
        for path in release.files.keys() {
            let path = RelPath::parse(path.as_bytes()).expect("the table holds clean paths");
            assert!(!path.is_root());
        }
    }
    see(apt::date::parse(text));
}

/// `sources.list` and `.sources`.
pub fn apt_sources(data: &[u8]) {
    let Some(text) = text(data) else { return };
    for read in [
        apt::sources::parse_list(text),
        apt::sources::parse_deb822(text),
    ] {
        for source in read.unwrap_or_default() {
            assert!(!source.uris.is_empty() && !source.suites.is_empty());
        }
    }
}

/// Relations of both families: what is printed reads back as the same relation.
pub fn dependency(data: &[u8]) {
    let Some(text) = text(data) else { return };
    for family in [Family::Deb, Family::Rpm] {
        if let Ok(expression) = Expression::parse(family, text) {
            let printed = expression.display(family).to_string();
            let again = Expression::parse(family, &printed);
            assert_eq!(again.as_ref(), Ok(&expression), "{printed}");
        }
    }
}

/// The mapped index: damaged bytes are refused or read as something, never out of bounds.
pub fn index_access(data: &[u8]) {
    walk(&IndexBytes::copy_from(data));
}

fn walk(bytes: &IndexBytes) {
    let Ok(index) = Index::access(bytes) else {
        return;
    };
    for package in index.packages().take(1000) {
        see((package.version(), package.location(), package.summary()));
        for (_, clause) in package.relations().take(1000) {
            see(clause.expression());
        }
        see(index.by_name(package.name()).take(1000).count());
    }
    for name in index.names().take(1000) {
        see(index.providers(name).take(1000).count());
    }
}

/// The lock: what is printed reads back as the same lock.
pub fn lock(data: &[u8]) {
    let Some(text) = text(data) else { return };
    if let Ok(lock) = text.parse::<Lock>() {
        let again = lock.to_string().parse::<Lock>();
        assert_eq!(again.expect("a printed lock is a lock"), lock);
    }
}

/// A saved plan: what is printed reads back as the same plan.
pub fn saved_plan(data: &[u8]) {
    if let Ok(plan) = SavedPlan::parse(data) {
        let again = SavedPlan::parse(plan.to_string().as_bytes());
        assert_eq!(again.expect("a printed plan is a plan"), plan);
    }
}

/// Paths: nothing that is taken can leave the directory it is joined to.
pub fn path(data: &[u8]) {
    for path in [RelPath::parse(data), RelPath::parse_member(data)]
        .into_iter()
        .flatten()
    {
        assert!(path.components().all(|part| part != b".." && part != b"."));
        assert!(!path.as_path().is_absolute());
        assert_eq!(RelPath::parse(path.as_bytes()).as_ref(), Ok(&path));
    }
}

/// The files of a template: the input is cut at lines `%% name` and each part becomes the file of that name.
pub fn template(data: &[u8]) {
    const FILES: [&str; 9] = [
        "package_manager",
        "distribution",
        "packages",
        "packages_0",
        "repositories",
        "mirrorlist",
        "keys",
        "environment",
        "osrelease",
    ];
    let Some(text) = text(data) else { return };
    let map = UrlMap::parse(text, Path::new("url.map")).unwrap_or_else(|_| UrlMap::shipped());
    let area = tempfile::tempdir().expect("a temporary directory can be made");
    let directory = area.path().join("demo/1/x86_64/config/os/default");
    std::fs::create_dir_all(&directory).expect("a temporary directory can be filled");
    for part in text.split("%% ") {
        let (name, content) = part.split_once('\n').unwrap_or((part, ""));
        if FILES.contains(&name) {
            std::fs::write(directory.join(name), content).expect("a file can be written");
        }
    }
    let name = "demo-1-x86_64".parse().expect("a valid name");
    if let Ok(template) = TemplateArea::new(area.path()).load(&name, &map) {
        see(template.digest());
    }
}

/// The canonical tree: only what the encoder writes is taken.
pub fn tree(data: &[u8]) {
    if let Ok(tree) = Tree::decode(data) {
        assert_eq!(tree.encode(), data);
        see(tree.check());
    }
}

/// Two versions, one per line: the order has no contradictions.
pub fn versions(data: &[u8]) {
    let Some((left, right)) = text(data).and_then(|text| text.split_once('\n')) else {
        return;
    };
    for family in [Family::Deb, Family::Rpm] {
        let order = version::compare(family, left, right);
        assert_eq!(version::compare(family, right, left), order.reverse());
        assert!(version::compare(family, left, left).is_eq());
    }
}

/// Groups.
pub fn yum_comps(data: &[u8]) {
    if let Ok(comps) = yum::comps::parse(data) {
        assert!(comps.groups.keys().all(|id| !id.is_empty()));
        for id in comps.environments.keys() {
            see(comps.groups_of(id));
        }
    }
}

/// Module documents, and what they hide.
pub fn yum_modules(data: &[u8]) {
    let Ok(modules) = yum::modules::read(data) else {
        return;
    };
    let enabled = modules.streams.iter().take(3);
    let request = ModuleRequest {
        platform: Some("el9".to_owned()),
        arch: "x86_64".to_owned(),
        enabled: enabled
            .map(|it| (it.name.clone(), it.stream.clone()))
            .collect(),
    };
    if let Ok(filter) = modules.filter(&request) {
        assert!(
            filter
                .off
                .keys()
                .all(|artifact| !filter.on.contains(artifact))
        );
    }
}

/// `filelists.xml`.
pub fn yum_filelists(data: &[u8]) {
    see(yum::filelists::scan(data, &mut |_, path| {
        assert!(path.starts_with('/'));
    }));
}

/// Advisories.
pub fn yum_updateinfo(data: &[u8]) {
    see(yum::updateinfo::scan(data, &mut |advised| {
        assert!(!advised.name.is_empty() && advised.version.contains('-'));
    }));
}

/// Metalinks and mirror lists.
pub fn yum_metalink(data: &[u8]) {
    if let Ok(metalink) = yum::metalink::parse(data) {
        assert!(!metalink.digests.is_empty());
    }
    if let Some(text) = text(data) {
        for mirror in yum::mirrorlist::parse(text) {
            assert!(mirror.bytes().all(|byte| byte.is_ascii_graphic()));
        }
    }
}

/// `primary.xml`, and the mapped index made of it.
pub fn yum_primary(data: &[u8]) {
    let mut builder = IndexBuilder::new(Family::Rpm);
    let read = yum::primary::scan(data, &mut |record| {
        assert!(!record.name.is_empty() && !record.version.is_empty());
        assert!(!record.location.chars().any(char::is_control));
        builder.add(record);
    });
    if read.is_ok() {
        walk(&builder.finish().expect("a small index fits"));
    }
}

/// `repomd.xml`.
pub fn yum_repomd(data: &[u8]) {
    if let Ok(repomd) = yum::repomd::parse(data) {
        assert!(repomd.files.values().all(|file| !file.location.is_empty()));
        see(repomd.date());
    }
}
