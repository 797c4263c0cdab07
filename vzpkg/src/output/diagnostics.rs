//! How an error is shown: what failed, its causes, what helps.

use crate::error::CommandError;
use crate::output::printer::clean;

/// The text after `error: `: the message, a line for each cause that says something new, a blank line, the hints.
pub fn render(error: &CommandError) -> String {
    let mut text = clean(&error.source.to_string());
    let mut said = text.clone();
    let mut cause = error.source.source();
    while let Some(error) = cause {
        let message = clean(&error.to_string());
        if !said.contains(&message) {
            text.push_str(&format!(
                "\n  caused by: {}",
                message.replace('\n', "\n    ")
            ));
        }
        said = message;
        cause = error.source();
    }
    if !error.hints.is_empty() {
        text.push('\n');
    }
    for hint in &error.hints {
        text.push_str(&format!("\nhint: {hint}"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Kind;
    use vzpkg_metadata::durable::FileError;

    #[test]
    fn an_error_says_what_why_and_what_helps() {
        let cause = std::io::Error::from(std::io::ErrorKind::PermissionDenied);
        let error = CommandError::new(Kind::Environment, FileError::on("read", "/vz/x")(cause))
            .hint("run it as root");
        insta::assert_snapshot!(render(&error), @r"
        cannot read `/vz/x`
          caused by: permission denied

        hint: run it as root
        ");
    }

    #[test]
    fn evil_names_cannot_write_escapes() {
        let error = CommandError::message(Kind::Unmet, "no package \u{1b}[2J");
        assert!(!render(&error).contains('\u{1b}'));
    }
}
