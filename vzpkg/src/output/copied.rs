//! Commands that are shown so that they can be copied: they act on the root that this one was told, not on another.

use crate::cli::Cli;
use crate::config::{Key, Origin};
use crate::settings::Settings;
use clap::CommandFactory as _;

/// What begins a command.
const PROGRAM: &str = "vzpkg ";

/// The flag without which a copied command would act on another root; none where the environment or the settings name it.
pub(super) fn root_flag(settings: &Settings) -> Option<String> {
    let (_, origin) = settings.layers.get(Key::Root);
    let root = settings.root.display().to_string();
    matches!(origin, Origin::Flag(_)).then(|| format!("--root {}", quoted(&root)))
}

/// `text` with this flag in every command of ours that is in it.
pub(super) fn with_flag(text: &str, flag: Option<&str>) -> String {
    let Some(flag) = flag.filter(|_| text.contains(PROGRAM)) else {
        return text.to_owned();
    };
    let program = Cli::command();
    let verbs: Vec<&str> = program
        .get_subcommands()
        .map(clap::Command::get_name)
        .collect();
    let mut parts = text.split(PROGRAM);
    let mut said = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let word: &str = part
            .split(|c: char| !c.is_ascii_alphanumeric() && c != '-')
            .next()
            .unwrap_or_default();
        let begins = !said.ends_with(|c: char| c.is_alphanumeric() || "/-_.".contains(c));
        said.push_str(PROGRAM);
        if begins && verbs.contains(&word) {
            said.push_str(flag);
            said.push(' ');
        }
        said.push_str(part);
    }
    said
}

/// An error as it is rendered, with this flag in the commands of its hints: other lines may tell what somebody else runs.
pub(super) fn hints_with_flag(rendered: &str, flag: Option<&str>) -> String {
    if flag.is_none() {
        return rendered.to_owned();
    }
    let lines = rendered.split('\n').map(|line| {
        if line.starts_with("hint: ") {
            with_flag(line, flag)
        } else {
            line.to_owned()
        }
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// For a shell: as it is, or between quotes.
pub fn quoted(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_=/.:,@%+".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_act_on_the_root_that_this_one_was_told() {
        let flag = Some("--root /x");
        for (text, expected) in [
            ("vzpkg ct rollback web", "vzpkg --root /x ct rollback web"),
            (
                "free space: vzpkg gc, vzpkg clean",
                "free space: vzpkg --root /x gc, vzpkg --root /x clean",
            ),
            (
                "`vzpkg update --rebuild` makes one, `sudo vzpkg doctor` looks",
                "`vzpkg --root /x update --rebuild` makes one, `sudo vzpkg --root /x doctor` looks",
            ),
            (
                "use the vzpkg that made it, or this vzpkg: it",
                "use the vzpkg that made it, or this vzpkg: it",
            ),
            (
                "vzpkg --root DIRECTORY create-cache T",
                "vzpkg --root DIRECTORY create-cache T",
            ),
            ("see /run/vzpkg list", "see /run/vzpkg list"),
        ] {
            assert_eq!(with_flag(text, flag), expected);
            assert_eq!(with_flag(text, None), text);
        }
    }

    #[test]
    fn of_an_error_only_the_hints_are_for_copying() {
        let error = "in use by vzpkg update x\n\nhint: wait, or vzpkg ct stop web";
        assert_eq!(
            hints_with_flag(error, Some("--root /x")),
            "in use by vzpkg update x\n\nhint: wait, or vzpkg --root /x ct stop web"
        );
    }

    #[test]
    fn a_shell_reads_one_word() {
        assert_eq!(quoted("/srv/vz"), "/srv/vz");
        assert_eq!(quoted("/it's here"), "'/it'\\''s here'");
    }
}
