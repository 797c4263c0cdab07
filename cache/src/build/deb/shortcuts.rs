//! Short cuts for what maintainer scripts call most and what mostly has nothing to do: a shell finds that in a
//! millisecond, where the program itself starts perl (70 ms) or several processes (15 ms) to find the same.
//!
//! Each asks the question that the program would ask, before anything else; where the answer is not "nothing to do", the
//! program itself is run. They lie first in `PATH` ([`super::stubs`]) and never meet the tree.

use super::perl;

/// What is put in front of which program of `/usr/bin`.
pub(super) fn shortcuts() -> [(&'static str, String); 3] {
    let call = perl::call("/usr/bin/deb-systemd-helper");
    [
        ("dpkg-divert", DIVERT.to_owned()),
        ("dpkg-maintscript-helper", MAINTSCRIPT_HELPER.to_owned()),
        (
            "deb-systemd-helper",
            format!("{SYSTEMD_HELPER}{call}{SYSTEMD_HELPER_ITSELF}"),
        ),
    ]
}

/// dpkg-maintscript-helper(1): conffiles and links are moved when a package is upgraded from a version that is not newer
/// than the one named; a script that is called without an old version has none to be upgraded from. The one thing that is
/// done all the same is to take away the backup of a link or directory.
const MAINTSCRIPT_HELPER: &str = "#!/bin/sh
case $1 in
    rm_conffile | mv_conffile | symlink_to_dir | dir_to_symlink)
        path=$2 seen= action= old=
        for word; do
            case $seen in
                '') [ \"$word\" != -- ] || seen=0 ;;
                0) action=$word seen=1 ;;
                1) old=$word seen=2 ;;
            esac
        done
        case $DPKG_MAINTSCRIPT_NAME:$action:$old:$path in
            preinst:install::/* | postinst:configure::/*)
                [ -e \"$path.dpkg-backup\" ] || [ -h \"$path.dpkg-backup\" ] || exit 0
                ;;
        esac
        ;;
esac
exec /usr/bin/dpkg-maintscript-helper \"$@\"
";

/// dpkg-divert(1): the true name of a file that is not diverted is its own, and no package diverted it. Three lines of
/// the database tell of each diversion: the file, where it goes, whose it is.
const DIVERT: &str = "#!/bin/sh
case $#:$1:$2:$DPKG_ROOT:${DPKG_ADMINDIR:-/var/lib/dpkg} in
    2:--truename:*//*:*:* | 2:--listpackage:*//*:*:* | 2:*:*/./*:*:* | 2:*:*/:*:*) ;;
    2:--truename:/*::/var/lib/dpkg | 2:--listpackage:/*::/var/lib/dpkg)
        known=
        [ ! -e /var/lib/dpkg/diversions ] || while IFS= read -r line; do
            [ \"$line\" != \"$2\" ] || known=1
        done </var/lib/dpkg/diversions
        if [ -z \"$known\" ]; then
            [ $1 = --listpackage ] || printf '%s\\n' \"$2\"
            exit 0
        fi
        ;;
esac
exec /usr/bin/dpkg-divert \"$@\"
";

/// deb-systemd-helper(1p): `unmask` takes away the mask that an earlier removal of the package left, and `was-enabled` is
/// true for a unit that was never enabled or disabled. Neither can be another way where no state was ever written.
const SYSTEMD_HELPER: &str = "#!/bin/sh
user= quiet=
for word; do
    case $word in
        --quiet) quiet=--quiet ;;
        --user) user=--user ;;
        *) break ;;
    esac
    shift
done
if [ $# = 2 ] && [ -n \"$DPKG_MAINTSCRIPT_PACKAGE\" ] && [ -z \"$DPKG_ROOT\" ]; then
    state=/var/lib/systemd/deb-systemd${user:+-user}-helper
    case $quiet$1 in
        unmask | --quietunmask) [ -e $state-masked ] || exit 0 ;;
        --quietwas-enabled) [ -e \"$state-enabled/${2##*/}.dsh-also\" ] || exit 0 ;;
    esac
fi
";

const SYSTEMD_HELPER_ITSELF: &str = "exec /usr/bin/deb-systemd-helper $quiet $user \"$@\"\n";

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::path::Path;
    use std::process::Command;

    /// Runs a short cut over a program that says what it was asked; returns that, or nothing where it was not run.
    fn ask(root: &Path, program: &str, script: &str, words: &[&str]) -> String {
        let shortcuts = shortcuts();
        let (_, text) = shortcuts.iter().find(|(name, _)| *name == program).unwrap();
        let place = root.display().to_string();
        let text = text
            .replace("/usr/bin/", &format!("{place}/real-"))
            .replace("/var/lib/systemd", &format!("{place}/state"))
            .replace("/var/lib/dpkg", &place);
        let aside = root.join("aside");
        fs::write(&aside, "#!/bin/sh\necho \"$@\"\n").unwrap();
        // By a process of its own: a child of another test may hold open what this one writes, and nobody runs that then.
        let mut install = Command::new("install");
        install.args(["-m", "755"]).arg(aside);
        install.arg(root.join(format!("real-{program}")));
        assert!(install.status().unwrap().success());
        let output = Command::new("sh")
            .args(["-c", &text, program])
            .args(words)
            .env("DPKG_MAINTSCRIPT_PACKAGE", "p")
            .env("DPKG_MAINTSCRIPT_NAME", script)
            .env_remove("DPKG_ROOT")
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    #[test]
    fn conffiles_of_a_package_that_was_never_here_are_not_moved() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path();
        let helper = "dpkg-maintscript-helper";
        let backup = root.join("was.dpkg-backup").display().to_string();
        let was = root.join("was").display().to_string();
        let remove = ["rm_conffile", "/etc/a", "1-2~", "p", "--"];
        let with = |words: &[&str], rest: &[&'static str]| [words, rest].concat().join(" ");
        let asked = |words: &str, script: &str| {
            let words: Vec<&str> = words.split(' ').collect();
            ask(root, helper, script, &words)
        };
        for (script, action) in [("preinst", "install"), ("postinst", "configure")] {
            assert_eq!(asked(&with(&remove, &[action]), script), "");
            // An old version: whether it is old enough is for the program to say.
            let upgraded = with(&remove, &[action, "1-1"]);
            assert_eq!(asked(&upgraded, script), upgraded);
        }
        for words in [
            with(&remove, &["abort-install"]),
            with(&["rm_conffile", "etc/relative", "--"], &["install"]),
            with(&["supports", "rm_conffile"], &[]),
            with(&["rm_conffile", "/etc/a"], &[]),
        ] {
            assert_eq!(asked(&words, "preinst"), words);
        }
        let link = ["symlink_to_dir", &was, "/old", "1-2~", "p", "--"];
        assert_eq!(asked(&with(&link, &["configure"]), "postinst"), "");
        std::os::unix::fs::symlink("nowhere", backup).unwrap();
        let left = with(&link, &["configure"]);
        assert_eq!(asked(&left, "postinst"), left);
    }

    #[test]
    fn only_what_is_diverted_is_asked_for() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path();
        let asked = |words: &str| {
            let words: Vec<&str> = words.split(' ').collect();
            ask(root, "dpkg-divert", "postinst", &words)
        };
        for diversions in ["", "/bin/sh\n/bin/sh.distrib\ndash\n"] {
            fs::write(root.join("diversions"), diversions).unwrap();
            assert_eq!(asked("--truename /bin/zcat"), "/bin/zcat");
            assert_eq!(asked("--listpackage /bin/zcat"), "");
            for work in [
                "--truename /bin//zcat",
                "--truename /./bin/zcat",
                "--truename /bin/zcat/",
                "--truename bin/zcat",
                "--list",
                "--list /bin/zcat",
                "--truename /bin/zcat more",
                "--quiet --truename /bin/zcat",
                "--add /bin/zcat",
            ] {
                assert_eq!(asked(work), work);
            }
        }
        for known in [
            "--truename /bin/sh",
            "--listpackage /bin/sh",
            "--truename /bin/sh.distrib",
        ] {
            assert_eq!(asked(known), known);
        }
    }

    #[test]
    fn units_without_state_are_neither_masked_nor_disabled() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path();
        let asked = |words: &str| {
            let words: Vec<&str> = words.split(' ').collect();
            ask(root, "deb-systemd-helper", "postinst", &words)
        };
        let questions = [
            "unmask a.timer",
            "--quiet was-enabled a.timer",
            "--quiet --user was-enabled a.timer",
        ];
        for nothing_to_do in questions {
            assert_eq!(asked(nothing_to_do), "");
        }
        for work in [
            "enable a.timer",
            "update-state a.timer",
            "was-enabled a.timer",
            "unmask a.timer b.timer",
            "--quiet debian-installed a.timer",
            "purge a.timer",
        ] {
            assert_eq!(asked(work), work);
        }
        for state in ["helper-masked", "helper-enabled", "user-helper-enabled"] {
            let place = root.join("state").join(format!("deb-systemd-{state}"));
            fs::create_dir_all(&place).unwrap();
            fs::write(place.join("a.timer.dsh-also"), "").unwrap();
        }
        for known in questions {
            assert_eq!(asked(known), known);
        }
        assert_eq!(asked("--quiet was-enabled b.timer"), "");
    }
}
