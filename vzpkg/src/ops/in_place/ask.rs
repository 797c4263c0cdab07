//! What a container's own package manager says that it has.

use super::inside::{Inside, owned};
use super::judge::Present;
use crate::error::{CommandError, CommandResult, Kind};
use vzpkg_metadata::Family;

impl Inside<'_> {
    /// The packages that it has; keys are none.
    ///
    /// # Errors
    /// [`Kind::Script`] where its package manager does not say.
    pub(super) fn packages(&self) -> CommandResult<Vec<Present>> {
        let words: &[&str] = match self.family {
            Family::Rpm => &[
                "rpm",
                "-qa",
                "--qf",
                "%{NAME}\\t%{EPOCHNUM}:%{VERSION}-%{RELEASE}\\t%{ARCH}\\n",
            ],
            Family::Deb => &[
                "dpkg-query",
                "-W",
                "-f",
                "${Package}\\t${Version}\\t${Architecture}\\t${db:Status-Abbrev}\\n",
            ],
        };
        let said = self.run(owned(words))?;
        if said.truncated {
            let text = format!(
                "`{}` in container `{}` does not end",
                words.join(" "),
                self.paths.id
            );
            return Err(CommandError::message(Kind::Script, text));
        }
        let text = String::from_utf8_lossy(&said.stdout);
        Ok(text
            .lines()
            .filter_map(|line| present(self.family, line))
            .collect())
    }
}

/// One line of the list; `None` for what is no package, or is not there.
fn present(family: Family, line: &str) -> Option<Present> {
    let mut fields = line.split('\t');
    let (name, version, arch) = (fields.next()?, fields.next()?, fields.next()?);
    let status = fields.next().unwrap_or_default();
    let (version, whole) = match family {
        Family::Rpm if name == "gpg-pubkey" => return None,
        Family::Rpm => (version.strip_prefix("0:").unwrap_or(version), true),
        Family::Deb => match status.chars().nth(1)? {
            // Not there, or only its configuration.
            'n' | 'c' => return None,
            'i' => (
                version,
                status.chars().nth(2).is_none_or(char::is_whitespace),
            ),
            _ => (version, false),
        },
    };
    Some(Present {
        name: name.to_owned(),
        version: version.to_owned(),
        arch: arch.to_owned(),
        whole,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_package_managers_are_understood() {
        let read = |family, line: &str| {
            present(family, line)
                .map(|of| format!("{} {} {} {}", of.name, of.version, of.arch, of.whole))
        };
        for (family, line, expected) in [
            (
                Family::Rpm,
                "bash\t0:4.2-1.el7\tx86_64",
                Some("bash 4.2-1.el7 x86_64 true"),
            ),
            (
                Family::Rpm,
                "bind\t32:9-1\tx86_64",
                Some("bind 32:9-1 x86_64 true"),
            ),
            (Family::Rpm, "gpg-pubkey\t0:f4a80eb5-53a7ff4b\t(none)", None),
            (Family::Rpm, "rubbish", None),
            (Family::Deb, "a\t1:2-3\tall\tii ", Some("a 1:2-3 all true")),
            (Family::Deb, "a\t1\tamd64\thi ", Some("a 1 amd64 true")),
            (Family::Deb, "a\t1\tamd64\tiU ", Some("a 1 amd64 false")),
            (Family::Deb, "a\t1\tamd64\tiiR", Some("a 1 amd64 false")),
            (Family::Deb, "a\t1\tamd64\trc ", None),
            (Family::Deb, "a\t\t\tun ", None),
        ] {
            assert_eq!(read(family, line).as_deref(), expected, "{line}");
        }
    }
}
