//! Names in scripts that make users and groups, found without running them. One too many does no harm.

const TOOLS: [&str; 4] = ["adduser", "addgroup", "useradd", "groupadd"];

/// Words that may be names in the command lines of [`TOOLS`], and in assignments of a script that uses them.
pub(super) fn names(text: &str) -> impl Iterator<Item = &str> {
    let uses_tools = TOOLS.iter().any(|tool| text.contains(tool));
    let mut continued = false;
    let lines = text.lines().filter(move |line| {
        let line = line.trim();
        let here = continued || TOOLS.iter().any(|tool| line.contains(tool));
        continued = here && line.ends_with('\\');
        let assignment = line.split_once('=').is_some_and(|(name, _)| {
            name.bytes()
                .all(|byte| byte.is_ascii_uppercase() || byte == b'_')
        });
        uses_tools && !line.starts_with('#') && (here || assignment)
    });
    let separators = |c: char| c.is_whitespace() || "\"'`=;()|&<>,:".contains(c);
    lines
        .flat_map(move |line| line.split(separators))
        .filter(|word| is_name(word) && !is_command(word))
}

/// Whether a word may be the name of a user or group.
pub(super) fn is_name(word: &str) -> bool {
    let mut bytes = word.bytes();
    word.len() <= 32
        && bytes
            .next()
            .is_some_and(|first| first.is_ascii_alphabetic() || first == b'_')
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte))
        && word.bytes().any(|byte| byte.is_ascii_lowercase())
}

/// Words of shell scripts that are no names, to keep the ids close.
fn is_command(word: &str) -> bool {
    TOOLS.contains(&word)
        || matches!(
            word,
            "if" | "then"
                | "else"
                | "fi"
                | "do"
                | "done"
                | "true"
                | "false"
                | "exit"
                | "return"
                | "echo"
                | "getent"
                | "passwd"
                | "group"
                | "dev"
                | "null"
                | "id"
                | "grep"
                | "exec"
                | "root"
                | "nogroup"
                | "nobody"
                | "bin"
                | "sbin"
                | "usr"
                | "test"
                | "not"
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_in_scripts_are_found_across_continued_lines_and_variables() {
        let script = "#!/bin/sh\nUSER=\"some-user\"\nadduser \\\n  --system --home /var/lib/redis \\\n  redis\n\
                      groupadd -r $GROUP\necho unrelated\n";
        let found: Vec<&str> = names(script).collect();
        assert_eq!(found, ["some-user", "redis"]);
        assert_eq!(names("USER=x\necho hi\n").count(), 0);
    }
}
