//! libsolv's text format of solver cases, as far as the fixtures use it: repositories (`testtags`), jobs, expected results.

use crate::universe::Package;
use std::path::Path;
use vzpkg_metadata::Family;
use vzpkg_metadata::package::RelationKind;

/// One file.
#[derive(Debug, Default)]
pub(super) struct TestCase {
    /// Name, priority (higher wins), packages.
    pub(super) repositories: Vec<(String, i32, Vec<Package>)>,
    pub(super) arch: String,
    pub(super) has_rich_dependencies: bool,
    pub(super) jobs: Vec<Job>,
}

/// What is asked together, and what is to come of it.
#[derive(Debug, Default)]
pub(super) struct Job {
    pub(super) lines: Vec<String>,
    pub(super) flags: Vec<String>,
    /// `evrcmp A B` with the line of the result.
    pub(super) comparisons: Vec<(String, String)>,
    pub(super) transaction: Vec<String>,
    pub(super) has_problems: bool,
    pub(super) rules: Vec<String>,
}

impl TestCase {
    pub(super) fn read(path: &Path) -> Self {
        let text = std::fs::read_to_string(path).unwrap();
        let mut case = Self::default();
        let mut job = Job::default();
        let mut system_flags = Vec::new();
        let mut in_result = false;
        for line in text.lines().map(str::trim_end) {
            if let Some(inline) = line.strip_prefix("#>") {
                if in_result {
                    job.result(inline);
                } else {
                    tag(&mut case.repositories.last_mut().unwrap().2, inline);
                }
                continue;
            }
            let words: Vec<&str> = line.split_whitespace().collect();
            match words.as_slice() {
                [] => {}
                [word, ..] if word.starts_with('#') => {}
                ["repo", name, priority, rest @ ..] => {
                    let mut packages = Vec::new();
                    if let ["testtags", file] = rest
                        && *file != "<inline>"
                    {
                        let beside = path.with_file_name(file);
                        for line in std::fs::read_to_string(beside).unwrap().lines() {
                            tag(&mut packages, line);
                        }
                    }
                    let priority = priority.parse().unwrap();
                    case.repositories
                        .push(((*name).to_owned(), priority, packages));
                }
                ["system", arch, ..] => (*arch).clone_into(&mut case.arch),
                ["feature", "complex_deps"] => case.has_rich_dependencies = true,
                ["poolflags", flags @ ..] => system_flags.extend(owned(flags)),
                ["solverflags", flags @ ..] => job.flags.extend(owned(flags)),
                ["evrcmp", a, b] => job.comparisons.push((format!("{a} {b}"), String::new())),
                ["result", ..] => in_result = true,
                ["nextjob", ..] => {
                    case.jobs.push(std::mem::take(&mut job));
                    in_result = false;
                }
                [_, ..] => job.lines.push(line.to_owned()),
            }
        }
        case.jobs.push(job);
        for job in &mut case.jobs {
            job.flags.extend(system_flags.iter().cloned());
        }
        case
    }
}

impl Job {
    fn result(&mut self, line: &str) {
        let (kind, rest) = line.split_once(' ').unwrap_or((line, ""));
        match kind {
            "rule" => self.rules.push(rest.to_owned()),
            "problem" => self.has_problems = true,
            "alternative" => {}
            "job" => {
                let next = self
                    .comparisons
                    .iter_mut()
                    .find(|(_, result)| result.is_empty());
                rest.trim_start_matches("noop provides ")
                    .clone_into(&mut next.unwrap().1);
            }
            _ => self.transaction.push(line.to_owned()),
        }
    }
}

fn owned(words: &[&str]) -> Vec<String> {
    words.iter().map(|&word| word.to_owned()).collect()
}

/// One line of the `testtags` format.
fn tag(packages: &mut Vec<Package>, line: &str) {
    use RelationKind as Kind;
    let Some((tag, value)) = line
        .strip_prefix('=')
        .and_then(|line| line.split_once(": "))
    else {
        return;
    };
    let value = value.trim();
    let kind = match tag {
        "Pkg" => {
            let words: Vec<&str> = value.split_whitespace().collect();
            let version = format!("{}-{}", words[1], words[2]);
            let mut package = Package::new(Family::Rpm, words[0], &version);
            let arch = words.get(3).map_or("noarch", |&arch| arch);
            arch.clone_into(&mut package.arch);
            packages.push(package);
            return;
        }
        "Req" => Kind::Depends,
        "Prv" => Kind::Provides,
        "Con" => Kind::Conflicts,
        "Obs" => Kind::Obsoletes,
        "Rec" => Kind::Recommends,
        "Sug" => Kind::Suggests,
        "Sup" => Kind::Supplements,
        "Enh" => Kind::Enhances,
        _ => return,
    };
    let package = packages.last_mut().unwrap();
    package.relations.push((kind, rich(value)));
}

/// `A <IF> (B <ELSE> C)`, `A & B` and the like as rpm writes them.
fn rich(value: &str) -> String {
    let text = value
        .replace(" <IF> (", " if ")
        .replace(" <ELSE> ", " else ")
        .replace(" <IF> ", " if ")
        .replace(" & ", " and ")
        .replace(" | ", " or ");
    if text == value {
        return text;
    }
    let open = text.matches('(').count();
    let closed = text.matches(')').count();
    let text = if closed > open {
        text.trim_end_matches(')').to_owned()
    } else {
        text
    };
    format!("({text})")
}
