//! Two versions side by side for a person: what changed, the risky first after the packages; what did not, in one line.

use super::table::Table;
use super::{Tone, local_time};
use vzpkg_cache::compare::{Changes, Comparison, PackageChange, PackageMove, Sizes};
use vzpkg_cache::store::VersionRow;
use vzpkg_cache::tree::diff::{Change, Difference};

/// What the two sides are called.
#[derive(Debug, Clone, Copy)]
pub struct Titles<'a> {
    /// The first version.
    pub from: &'a VersionRow,
    /// The second version.
    pub to: &'a VersionRow,
}

/// Colours a mark by what it means.
type Paint<'a> = &'a dyn Fn(Tone, &str) -> String;

/// Foreign text in one line: a package cannot make lines of its own here.
fn line(text: &str) -> String {
    super::clean(text).replace(['\n', '\t'], "\u{fffd}")
}

/// The whole text.
pub fn render(titles: &Titles<'_>, found: &Comparison, files: bool, paint: Paint<'_>) -> String {
    let mut text = heading(titles);
    if titles.from.digest == titles.to.digest {
        text.push_str("\nThe two have the same tree.\n");
        return text;
    }
    text.push_str(&packages(&found.packages, paint));
    let none = Changes::default();
    let aspects = [
        ("Rights of programs", &found.privileges),
        ("Services", &found.services),
        ("Users and groups", found.accounts.as_ref().unwrap_or(&none)),
        ("What listens", found.listening.as_ref().unwrap_or(&none)),
    ];
    for (title, changes) in aspects {
        text.push_str(&section(title, changes, paint));
    }
    let read = found.accounts.is_some();
    let same: Vec<String> = aspects
        .iter()
        .enumerate()
        .filter(|(index, (_, changes))| changes.is_empty() && (read || *index < 2))
        .map(|(_, (title, _))| title.to_lowercase())
        .collect();
    text.push_str(&sizes(&found.sizes));
    text.push_str(&names(&found.files, files, paint));
    if !same.is_empty() {
        text.push_str(&format!("\nUnchanged: {}\n", same.join(", ")));
    }
    for changelog in &found.changelogs {
        text.push_str(&format!("\nChangelog of {}\n", line(&changelog.package)));
        for line in changelog.text.lines() {
            text.push_str(format!("  {}", super::clean(line)).trim_end());
            text.push('\n');
        }
    }
    text
}

fn heading(titles: &Titles<'_>) -> String {
    let side = |row: &VersionRow| format!("{}, built {}", row.name, local_time(row.created));
    format!("{}\n{}\n", side(titles.from), side(titles.to))
}

fn packages(changes: &[PackageChange], paint: Paint<'_>) -> String {
    if changes.is_empty() {
        return "\nPackages: the same\n".to_owned();
    }
    let kinds = [
        (PackageMove::Up, "up"),
        (PackageMove::Down, "down"),
        (PackageMove::Added, "new"),
        (PackageMove::Removed, "gone"),
        (PackageMove::Rebuilt, "built again"),
    ];
    let counts: Vec<String> = kinds
        .iter()
        .map(|(kind, word)| {
            let count = changes
                .iter()
                .filter(|change| change.moved == *kind)
                .count();
            (count, word)
        })
        .filter(|(count, _)| *count > 0)
        .map(|(count, word)| format!("{count} {word}"))
        .collect();
    let mut table = Table::default();
    for change in changes {
        let (tone, mark) = mark(change.moved);
        let from = change.from.as_deref().unwrap_or_default();
        let to = change.to.as_deref().unwrap_or_default();
        let versions = match change.moved {
            PackageMove::Up | PackageMove::Down => format!("{from} → {to}"),
            PackageMove::Added => format!("{to}  ({})", change.reason),
            PackageMove::Removed => from.to_owned(),
            PackageMove::Rebuilt => format!("{to}, another file"),
        };
        table.row([
            format!("  {}", paint(tone, mark)),
            line(&change.name),
            line(&versions),
        ]);
    }
    format!("\nPackages: {}\n{}", counts.join(", "), table.render())
}

const fn mark(moved: PackageMove) -> (Tone, &'static str) {
    match moved {
        PackageMove::Added => (Tone::Good, "+"),
        PackageMove::Removed => (Tone::Bad, "-"),
        PackageMove::Up => (Tone::Plain, "↑"),
        PackageMove::Down => (Tone::Warning, "↓"),
        PackageMove::Rebuilt => (Tone::Plain, "~"),
    }
}

fn section(title: &str, changes: &Changes, paint: Paint<'_>) -> String {
    if changes.is_empty() {
        return String::new();
    }
    let mut table = Table::default();
    for fact in &changes.added {
        let mark = paint(Tone::Warning, "+");
        table.row([format!("  {mark}"), line(&fact.name), line(&fact.what)]);
    }
    for changed in &changes.changed {
        let what = format!("{} → {}", line(&changed.from), line(&changed.to));
        let mark = paint(Tone::Plain, "~");
        table.row([format!("  {mark}"), line(&changed.name), what]);
    }
    for fact in &changes.removed {
        let mark = paint(Tone::Plain, "-");
        table.row([format!("  {mark}"), line(&fact.name), line(&fact.what)]);
    }
    format!("\n{title}\n{}", table.render())
}

fn sizes(sizes: &Sizes) -> String {
    let (from, to) = (sizes.from, sizes.to);
    format!(
        "\nSize: {} → {}, {} → {} names; {} are new on the disk, {} are only in the first\n",
        from.bytes, to.bytes, from.names, to.names, to.own_bytes, from.own_bytes
    )
}

fn names(files: &[Difference], listed: bool, paint: Paint<'_>) -> String {
    let count = |wanted: fn(&Change) -> bool| {
        let wanted = files.iter().filter(|difference| wanted(&difference.change));
        wanted.count()
    };
    let mut text = format!(
        "Names: {} new, {} changed, {} gone{}\n",
        count(|change| matches!(change, Change::Added { .. })),
        count(|change| matches!(change, Change::Changed { .. })),
        count(|change| matches!(change, Change::Removed)),
        if listed { "" } else { "; --files lists them" },
    );
    for difference in files.iter().filter(|_| listed) {
        let (tone, mark) = match difference.change {
            Change::Added { .. } => (Tone::Good, "+"),
            Change::Removed => (Tone::Bad, "-"),
            Change::Changed { .. } => (Tone::Plain, "~"),
        };
        let path = line(&difference.path.to_string());
        text.push_str(&format!("  {} /{path}\n", paint(tone, mark)));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use vzpkg_cache::compare::{Changed, Fact, TreeSize};
    use vzpkg_cache::store::VersionState;
    use vzpkg_metadata::{ByteSize, Digest};

    fn row(name: &str) -> VersionRow {
        VersionRow {
            name: name.parse().unwrap(),
            digest: Digest::of(name.as_bytes()),
            parent: None,
            created: 0,
            state: VersionState::Good,
            kept: false,
            tags: Vec::new(),
        }
    }

    fn package(name: &str, moved: PackageMove, from: &str, to: &str) -> PackageChange {
        let text = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        PackageChange {
            name: name.to_owned(),
            arch: "amd64".to_owned(),
            moved,
            from: text(from),
            to: text(to),
            reason: "dependency:web".to_owned(),
        }
    }

    fn size(bytes: u64) -> TreeSize {
        TreeSize {
            names: 100,
            bytes: ByteSize(bytes),
            own_bytes: ByteSize(bytes / 10),
        }
    }

    #[test]
    fn a_comparison_reads_from_the_top() {
        let fact = |name: &str, what: &str| Fact {
            name: name.to_owned(),
            what: what.to_owned(),
        };
        let found = Comparison {
            packages: vec![
                package("gone", PackageMove::Removed, "1", ""),
                package("new\u{1b}[31m", PackageMove::Added, "", "1"),
                package("web", PackageMove::Up, "1.0-1", "1.1-1"),
            ],
            privileges: Changes {
                added: vec![fact("/usr/bin/su", "runs as user 0")],
                ..Changes::default()
            },
            services: Changes {
                changed: vec![Changed {
                    name: "web.service".to_owned(),
                    from: "disabled".to_owned(),
                    to: "enabled".to_owned(),
                }],
                ..Changes::default()
            },
            accounts: Some(Changes::default()),
            listening: Some(Changes::default()),
            sizes: Sizes {
                from: size(10_000),
                to: size(20_000),
            },
            files: Vec::new(),
            changelogs: Vec::new(),
        };
        let (from, to) = (row("tiny-1-x86_64@1"), row("tiny-1-x86_64@2"));
        let titles = Titles {
            from: &from,
            to: &to,
        };
        let text = render(&titles, &found, false, &|_, text| text.to_owned());
        let body: String = text.split_inclusive('\n').skip(2).collect();
        insta::assert_snapshot!(body, @r"
        
        Packages: 1 up, 1 new, 1 gone
          -  gone      1
          +  new�[31m  1  (dependency:web)
          ↑  web       1.0-1 → 1.1-1

        Rights of programs
          +  /usr/bin/su  runs as user 0

        Services
          ~  web.service  disabled → enabled

        Size: 9.8 KiB → 19.5 KiB, 100 → 100 names; 2.0 KiB are new on the disk, 1000 B are only in the first
        Names: 0 new, 0 changed, 0 gone; --files lists them

        Unchanged: users and groups, what listens
        ");
        let same = Titles {
            from: &from,
            to: &from,
        };
        assert!(render(&same, &found, false, &|_, text| text.to_owned()).contains("the same tree"));
    }
}
