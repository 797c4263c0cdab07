//! `config.json` of a container: namespaces, process 1, hooks.
//!
//! A pure function of the configuration and of what process 1 is; what it may do is in `rights`, what it sees in
//! `mounts`, what it is limited to in `resources`.

use super::{Disk, mounts, resources, rights};
use crate::container::config::ID_COUNT;
use crate::container::{Config, Network, UserNamespace};
use oci_spec::OciSpecError;
use oci_spec::runtime::{
    Hook, HookBuilder, Hooks, HooksBuilder, Linux, LinuxBuilder, LinuxIdMapping,
    LinuxIdMappingBuilder, LinuxNamespaceBuilder, LinuxNamespaceType, PosixRlimitBuilder,
    PosixRlimitType, Process, ProcessBuilder, RootBuilder, Spec, SpecBuilder,
};
use std::path::PathBuf;

/// Where commands are looked for in a container.
pub const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// What process 1 of a container is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InitKind {
    /// systemd: wants a cgroup file system of its own, `container=`, and SIGRTMIN+3 to shut down.
    Systemd,
    /// Another init (sysvinit, openrc) or a command from the configuration: TERM stops it.
    Command(Vec<String>),
    /// Nothing in the template: its shell, which reaps orphans and waits.
    Pause,
}

impl InitKind {
    /// The command line of process 1.
    pub fn argv(&self) -> Vec<String> {
        match self {
            Self::Systemd => vec!["/sbin/init".to_owned()],
            Self::Command(argv) => argv.clone(),
            // The template's own shell, for a program of the host would need the host's C library. `wait` reaps every
            // child, adopted ones included; TERM ends it at once instead of after the sleep.
            Self::Pause => [
                "/bin/sh",
                "-c",
                "trap 'exit 0' TERM; while :; do sleep 86400 & wait $!; done",
            ]
            .map(str::to_owned)
            .into(),
        }
    }

    /// The signal that asks it to shut down.
    pub fn stop_signal(&self) -> i32 {
        match self {
            Self::Systemd => libc::SIGRTMIN() + 3,
            Self::Command(_) | Self::Pause => libc::SIGTERM,
        }
    }
}

/// How long the lines of [`BundleSpec::prepare`] may take together.
const HOOK_SECONDS: i64 = 3600;

/// Everything that `config.json` says.
#[derive(Debug, Clone)]
pub struct BundleSpec<'a> {
    /// The container.
    pub config: &'a Config,
    /// The mounted root file system.
    pub rootfs: PathBuf,
    /// What runs as process 1.
    pub init: InitKind,
    /// Its cgroup in each hierarchy, absolute.
    pub cgroup: PathBuf,
    /// The disk that its private area lies on, which its limit of input and output is about.
    pub disk: Option<Disk>,
    /// Shell lines that run as root inside, before process 1, whatever their outcome.
    pub prepare: Vec<String>,
    /// How many files a process may ever allow itself to open; not more than our own limit, which nobody in a user
    /// namespace may exceed.
    pub open_files: u64,
}

impl BundleSpec<'_> {
    /// The content of `config.json`.
    ///
    /// # Errors
    /// `OciSpecError` where the specification crate finds a part inconsistent, which the configuration cannot cause.
    pub fn to_spec(&self) -> Result<Spec, OciSpecError> {
        let root = RootBuilder::default()
            .path(self.rootfs.clone())
            .readonly(false)
            .build()?;
        let mut spec = SpecBuilder::default()
            .version("1.0.2")
            .root(root)
            .hostname(self.config.hostname.clone())
            .mounts(mounts::of(self.config, &self.init)?)
            .process(self.process()?)
            .linux(self.linux()?);
        if !self.prepare.is_empty() {
            spec = spec.hooks(self.hooks()?);
        }
        spec.build()
    }

    fn process(&self) -> Result<Process, OciSpecError> {
        let open_files = PosixRlimitBuilder::default()
            .typ(PosixRlimitType::RlimitNofile)
            .soft(self.open_files.min(1024))
            .hard(self.open_files)
            .build()?;
        ProcessBuilder::default()
            .terminal(false)
            .args(self.init.argv())
            .env(environment(self.config))
            .cwd("/")
            .no_new_privileges(false)
            .capabilities(rights::capabilities(
                self.config.user_namespace,
                &self.init,
            )?)
            .rlimits(vec![open_files])
            .build()
    }

    fn linux(&self) -> Result<Linux, OciSpecError> {
        let mut namespaces = vec![
            LinuxNamespaceType::Pid,
            LinuxNamespaceType::Ipc,
            LinuxNamespaceType::Uts,
            LinuxNamespaceType::Mount,
            LinuxNamespaceType::Cgroup,
        ];
        if self.config.network == Network::None {
            namespaces.push(LinuxNamespaceType::Network);
        }
        let mut linux = LinuxBuilder::default()
            .cgroups_path(self.cgroup.clone())
            .resources(resources::of(&self.config.limits, self.disk)?)
            .seccomp(rights::seccomp()?)
            .masked_paths(rights::MASKED.map(str::to_owned).to_vec())
            .readonly_paths(rights::READ_ONLY.map(str::to_owned).to_vec());
        if let UserNamespace::Private { first_id } = self.config.user_namespace {
            namespaces.push(LinuxNamespaceType::User);
            let ids = vec![id_mapping(first_id)?];
            linux = linux.uid_mappings(ids.clone()).gid_mappings(ids);
        }
        let namespaces: Result<Vec<_>, _> = namespaces
            .into_iter()
            .map(|typ| LinuxNamespaceBuilder::default().typ(typ).build())
            .collect();
        linux.namespaces(namespaces?).build()
    }

    fn hooks(&self) -> Result<Hooks, OciSpecError> {
        // One shell for all; its stdin is the state that the runtime hands to hooks, which nobody here reads. It has time: a
        // cluster takes long where the container has little of a processor, and a start that was cut short would begin it
        // anew each time. Not for ever, for what runs are programs of the container, and who starts it holds its guard.
        let script = format!("exec </dev/null\n{}\nexit 0\n", self.prepare.join("\n"));
        let hook: Hook = HookBuilder::default()
            .path("/bin/sh")
            .args(["sh".to_owned(), "-c".to_owned(), script].to_vec())
            .env(environment(self.config))
            .timeout(HOOK_SECONDS)
            .build()?;
        HooksBuilder::default().start_container(vec![hook]).build()
    }
}

/// `NAME=value` for process 1 and for every `exec`: ours, then the configuration's, which win.
pub fn environment(config: &Config) -> Vec<String> {
    let mut environment = std::collections::BTreeMap::from([
        ("PATH".to_owned(), PATH.to_owned()),
        // What systemd and others look at to know that they are in a container.
        ("container".to_owned(), "vzpkg".to_owned()),
        ("HOME".to_owned(), "/root".to_owned()),
    ]);
    environment.extend(config.environment.clone());
    environment
        .into_iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect()
}

fn id_mapping(first: u32) -> Result<LinuxIdMapping, OciSpecError> {
    LinuxIdMappingBuilder::default()
        .container_id(0_u32)
        .host_id(first)
        .size(ID_COUNT)
        .build()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::container::config::Bind;
    use serde_json::Value;

    fn spec(config: &Config, init: InitKind) -> Value {
        let spec = BundleSpec {
            config,
            rootfs: "/r".into(),
            init,
            cgroup: "/vzpkg/web".into(),
            disk: Some(Disk { major: 8, minor: 0 }),
            prepare: vec!["ldconfig".into()],
            open_files: 4096,
        };
        serde_json::to_value(spec.to_spec().unwrap()).unwrap()
    }

    fn config(user_namespace: UserNamespace) -> Config {
        Config::new("web".parse().unwrap(), 0, user_namespace)
    }

    fn names(list: &Value, key: &str) -> Vec<String> {
        let list = list.as_array().unwrap();
        list.iter()
            .map(|item| item[key].as_str().unwrap().to_owned())
            .collect()
    }

    #[test]
    fn a_user_namespace_of_65536_ids_is_the_default_form() {
        let spec = spec(
            &config(UserNamespace::Private { first_id: 200_000 }),
            InitKind::Pause,
        );
        let linux = &spec["linux"];
        assert!(names(&linux["namespaces"], "type").contains(&"user".to_owned()));
        assert_eq!(linux["uidMappings"][0]["hostID"], 200_000);
        assert_eq!(linux["uidMappings"][0]["size"], 65_536);
        assert_eq!(linux["uidMappings"], linux["gidMappings"]);
    }

    #[test]
    fn the_host_user_namespace_maps_nothing() {
        let spec = spec(&config(UserNamespace::Host), InitKind::Systemd);
        assert!(!names(&spec["linux"]["namespaces"], "type").contains(&"user".to_owned()));
        assert!(spec["linux"]["uidMappings"].is_null());
    }

    #[test]
    fn run_tmp_dev_and_proc_are_submounts() {
        let spec = spec(&config(UserNamespace::Host), InitKind::Pause);
        let destinations = names(&spec["mounts"], "destination");
        for wanted in ["/proc", "/sys", "/dev", "/run", "/tmp", "/sys/fs/cgroup"] {
            assert!(destinations.contains(&wanted.to_owned()), "{wanted}");
        }
    }

    /// The options of the mount at `destination`.
    fn options(spec: &Value, destination: &str) -> Vec<String> {
        let mounts = spec["mounts"].as_array().unwrap();
        let found = mounts
            .iter()
            .find(|mount| mount["destination"] == destination);
        let options = found.unwrap()["options"].as_array().unwrap();
        let words = options.iter().map(|option| option.as_str().unwrap());
        words.map(str::to_owned).collect()
    }

    #[test]
    fn what_lies_below_a_mount_of_the_host_is_as_closed_as_its_top() {
        let mut config = config(UserNamespace::Private { first_id: 200_000 });
        config.network = Network::Host;
        for (target, read_only) in [("/closed", true), ("/open", false)] {
            config.binds.push(Bind {
                source: "/srv".into(),
                target: target.into(),
                read_only,
            });
        }
        let spec = spec(&config, InitKind::Pause);
        for (destination, recursive) in [
            ("/closed", &["rnosuid", "rnodev", "rro"][..]),
            ("/open", &["rnosuid", "rnodev"][..]),
            ("/sys", &["rnosuid", "rnodev", "rnoexec", "rro"][..]),
        ] {
            let options = options(&spec, destination);
            for word in recursive {
                assert!(options.contains(&(*word).to_owned()), "{destination}");
            }
        }
        assert!(!options(&spec, "/open").contains(&"rro".to_owned()));
    }

    #[test]
    fn only_systemd_writes_to_control_groups_as_the_host_s_root() {
        let own = UserNamespace::Private { first_id: 200_000 };
        let command = || InitKind::Command(vec!["/bin/true".into()]);
        for (users, init, access) in [
            (UserNamespace::Host, InitKind::Systemd, "rw"),
            (UserNamespace::Host, InitKind::Pause, "ro"),
            (UserNamespace::Host, command(), "ro"),
            (own, InitKind::Systemd, "rw"),
            (own, command(), "rw"),
        ] {
            let spec = spec(&config(users), init);
            assert!(options(&spec, "/sys/fs/cgroup").contains(&access.to_owned()));
        }
    }

    #[test]
    fn limits_and_the_configured_environment_are_passed_on() {
        let mut config = config(UserNamespace::Host);
        config.limits.memory = Some(vzpkg_metadata::ByteSize(1 << 20));
        config.limits.milli_cpus = Some(1500);
        config.limits.processes = Some(9);
        config.limits.io = Some(vzpkg_metadata::ByteSize(1 << 20));
        config.environment.insert("PATH".into(), "/x".into());
        let spec = spec(&config, InitKind::Command(vec!["/bin/true".into()]));
        let resources = &spec["linux"]["resources"];
        assert_eq!(resources["memory"]["limit"], 1 << 20);
        assert_eq!(resources["cpu"]["quota"], 150_000);
        assert_eq!(resources["pids"]["limit"], 9);
        for direction in ["throttleReadBpsDevice", "throttleWriteBpsDevice"] {
            let throttled = &resources["blockIO"][direction][0];
            assert_eq!(
                (&throttled["major"], &throttled["rate"]),
                (&8.into(), &(1 << 20).into())
            );
        }
        let environment = spec["process"]["env"].as_array().unwrap();
        assert!(environment.contains(&Value::from("PATH=/x")));
        assert!(environment.contains(&Value::from("container=vzpkg")));
        let hook = &spec["hooks"]["startContainer"][0];
        assert_eq!(hook["path"], "/bin/sh");
        // A start that is slow is none that fails.
        assert_eq!(hook["timeout"], HOOK_SECONDS);
    }

    #[test]
    fn only_systemd_gets_sys_admin() {
        for (init, has) in [(InitKind::Systemd, true), (InitKind::Pause, false)] {
            let spec = spec(&config(UserNamespace::Host), init);
            let bounding = spec["process"]["capabilities"]["bounding"]
                .as_array()
                .unwrap()
                .clone();
            assert_eq!(bounding.contains(&Value::from("CAP_SYS_ADMIN")), has);
            assert!(bounding.contains(&Value::from("CAP_NET_BIND_SERVICE")));
        }
    }
}
