//! Which OCI runtime works here: the first of the known ones that runs a shell in a container, which finds what is mounted
//! there read-only all the way down.
//!
//! `--version` would not do: crun answers it and then refuses hosts with two kinds of cgroups. And a runtime passes over
//! options of mounts that it does not know: one that does not know `rro` would leave writable what lies below a read-only
//! mount. The answer is kept ([`crate::findings`]), so that only the first command after a boot pays (20–80 ms).

use super::bundle;
use super::runtime::OciError;
use super::runtime_binary::RuntimeBinary;
use super::trial::{self, Mode};
use crate::findings::{FileIdentity, Finding};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use vzpkg_metadata::Digest;

/// The runtimes that are tried, best first: by start-up time.
pub const KNOWN: [&str; 3] = ["crun", "runc", "youki"];

impl RuntimeBinary {
    /// Finds the runtime: `named` if there is one (a name or a path), else the first of [`KNOWN`] that passes. Its state
    /// lies below `state`, as [`RuntimeBinary::new`] has it; what was found out is kept in `memory`, which all roots may
    /// share.
    ///
    /// # Errors
    /// [`OciError::NoneWorks`] with what each one said.
    pub fn find(named: Option<&Path>, state: &Path, memory: &Path) -> Result<Self, OciError> {
        let names = named.map_or_else(
            || KNOWN.map(PathBuf::from).to_vec(),
            |name| vec![name.to_owned()],
        );
        let programs: Vec<Option<PathBuf>> = names.iter().map(|name| locate(name)).collect();
        let finding = finding(named, &programs, memory);
        let found = |works: Works| Self::new(works.program, state.to_owned()).waiting(works.waits);
        if let Some(works) = finding.recall() {
            return Ok(found(works));
        }
        let mut tried = Vec::new();
        for (name, program) in names.iter().zip(programs) {
            let Some(program) = program else {
                tried.push(format!("{}: not installed", name.display()));
                continue;
            };
            match self_test(&program, memory) {
                Ok(waits) => {
                    let works = Works { program, waits };
                    finding.keep(&works);
                    return Ok(found(works));
                }
                Err(words) => tried.push(format!("{}: {words}", name.display())),
            }
        }
        Err(OciError::NoneWorks { tried })
    }
}

/// A runtime that works here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Works {
    program: PathBuf,
    /// Whether it can be started before its bundle has a configuration.
    waits: bool,
}

/// A path as it is; a name in the usual directories, for what `PATH` of a caller says is not asked.
fn locate(name: &Path) -> Option<PathBuf> {
    if name.components().count() > 1 {
        return name.exists().then(|| name.to_owned());
    }
    bundle::PATH
        .split(':')
        .map(|directory| Path::new(directory).join(name))
        .find(|path| path.exists())
}

/// Which runtime works, as a finding about all that come into question: one that is installed or upgraded is tried.
fn finding(named: Option<&Path>, programs: &[Option<PathBuf>], memory: &Path) -> Finding {
    let found = programs.iter().flatten();
    let about: Vec<_> = found.map(|program| FileIdentity::of(program)).collect();
    let name = named.map_or_else(String::new, |name| {
        format!(
            ".{}",
            Digest::of(name.as_os_str().as_encoded_bytes()).short()
        )
    });
    Finding::new(memory.join(format!("runtime{name}")), &about)
}

/// Runs a shell of the host in a container of this runtime; whether it waits for its configuration. The error is what it
/// said.
fn self_test(program: &Path, memory: &Path) -> Result<bool, String> {
    let area = memory.join("self-test");
    trial::sweep(program, &area);
    let waits = Mode::Waiting.run(program, &area).is_ok();
    if !waits {
        Mode::Plain.run(program, &area)?;
    }
    Ok(waits)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::symlink;
    use std::process::Command;

    #[test]
    #[ignore = "needs root: make check runs it"]
    fn privileged_a_working_runtime_is_found() {
        let directory = tempfile::tempdir().unwrap();
        let (state, memory) = (directory.path().join("oci"), directory.path());
        let found = RuntimeBinary::find(None, &state, memory).unwrap();
        let again = RuntimeBinary::find(None, &state, memory).unwrap();
        assert_eq!(found, again);
        // Nothing lies where the runtime keeps its containers, and nothing of the test is left.
        assert!(!state.exists());
        let left = fs::read_dir(memory.join("self-test")).unwrap();
        assert_eq!(left.count(), 0);
        let none = directory.path().join("none");
        let program = PathBuf::from("/bin/false");
        assert!(self_test(&program, &none).is_err());
    }

    /// As a runtime from before `rro`, which passes over what it does not know and waits for no configuration.
    #[test]
    #[ignore = "needs root: make check runs it"]
    fn privileged_a_runtime_that_leaves_open_what_is_below_does_not_pass() {
        let directory = tempfile::tempdir().unwrap();
        let real = KNOWN.iter().find_map(|name| locate(Path::new(name)));
        let older = directory.path().join("older");
        let script = format!(
            "#!/bin/sh\nfor last; do bundle=$before before=$last; done\n\
             case \" $* \" in *' run '*) test -f \"$bundle/config.json\" || exit 1; sed -i s/\\\"rro\\\"/\\\"xro\\\"/ \"$bundle/config.json\";; esac\n\
             exec {} \"$@\"\n",
            real.unwrap().display()
        );
        // Written by another process: one that this one has open to be written, or that a child of it inherits, cannot run.
        let mut write = Command::new("sh");
        write.args(["-c", "printf %s \"$2\" >\"$1\"; chmod 755 \"$1\"", "sh"]);
        assert!(write.arg(&older).arg(script).status().unwrap().success());
        let tested = self_test(&older, directory.path());
        let words = tested.unwrap_err();
        assert!(words.contains("rro"), "{words}");
    }

    /// What the program does is told by where the link leads: it says yes, or no.
    #[test]
    fn a_runtime_is_tested_once_until_it_is_another_program() {
        let directory = tempfile::tempdir().unwrap();
        let (state, program) = (
            directory.path().join("state"),
            directory.path().join("program"),
        );
        let memory = directory.path().join("memory");
        symlink("/bin/true", &program).unwrap();
        let find = || RuntimeBinary::find(Some(&program), &state, &memory);
        let found = find().unwrap();
        // No second test: what the first one kept would have to be found by trying else.
        let kept = finding(Some(&program), &[Some(program.clone())], &memory);
        let works = |program: &Path| Works {
            program: program.to_owned(),
            waits: true,
        };
        assert_eq!(kept.recall(), Some(works(&program)));
        kept.keep(&works(Path::new("/kept")));
        assert_ne!(find().unwrap(), found);
        fs::remove_file(&program).unwrap();
        symlink("/bin/false", &program).unwrap();
        assert!(matches!(find(), Err(OciError::NoneWorks { .. })));
    }

    #[test]
    fn a_runtime_that_does_not_work_is_named_with_its_own_words() {
        let directory = tempfile::tempdir().unwrap();
        let find = |name| {
            let state = directory.path().join("state");
            RuntimeBinary::find(Some(Path::new(name)), &state, directory.path()).unwrap_err()
        };
        let error = find("/bin/false");
        assert!(error.to_string().contains("/bin/false"), "{error}");
        let error = find("no-such-runtime");
        assert!(error.to_string().contains("not installed"), "{error}");
    }
}
