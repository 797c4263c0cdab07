//! What a hostile script may try from inside a session, by class of attack. Each attempt is made with the means of a
//! script: shell, coreutils, perl.

use crate::fixture::helper;
use crate::sandbox::{on_host, printed, shell, text};
use std::fs;
use std::net::TcpListener;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixListener};
use vzpkg_runtime::sandbox::{Bind, Root, Sandbox, SandboxSpec};

const EPERM: &str = "1";
const ENOSYS: &str = "38";

/// The error number of a system call made from inside. Pointers are null: where the filter lets a call through, the
/// kernel complains of something else.
fn attempt(sandbox: &mut Sandbox, call: &str) -> String {
    let script = format!("perl -e 'my $r = syscall({call}); print $r < 0 ? $!+0 : \"done\"'");
    printed(sandbox, &script)
}

#[test]
#[ignore = "needs root: make check runs it"]
fn privileged_script_escape_a_disk_node_opens_nothing() {
    let mut sandbox = on_host();
    // The first disk of most machines, and the kernel's memory; in every place where a node can be made.
    let script = "for at in /tmp /run /dev /dev/shm /root; do
        mknod $at/disk b 254 0; mknod $at/sda b 8 0; mknod $at/mem c 1 1; mknod $at/null2 c 1 3
        for name in disk sda mem null2; do
            test -e $at/$name && head -c 1 $at/$name >/dev/null 2>&1 && echo opened $at/$name
        done
    done; echo tried; echo fine > /dev/null && head -c 2 /dev/zero | wc -c";
    assert_eq!(printed(&mut sandbox, script), "tried\n2\n");
}

#[cfg(target_arch = "x86_64")] // by the numbers of its system calls
#[test]
#[ignore = "needs root: make check runs it"]
fn privileged_script_escape_nothing_can_be_mounted() {
    let mut sandbox = on_host();
    let script = "mount -t tmpfs none /tmp && echo mounted; umount -l /proc && echo unmounted
        mount -o remount,rw /sys && echo remounted; unshare -m true && echo unshared
        unshare -Ur true && echo user namespace; nsenter -t 1 -m true && echo entered; echo tried";
    assert_eq!(printed(&mut sandbox, script), "tried\n");
    // fsopen, open_tree, move_mount, mount_setattr, pivot_root, setns, clone(CLONE_NEWUSER)
    for call in ["430, 0, 0", "428, -100, 0, 1", "429, 0, 0, 0, 0, 4"] {
        assert_eq!(attempt(&mut sandbox, call), EPERM, "{call}");
    }
    for call in [
        "442, -1, 0, 0, 0, 0",
        "155, 0, 0",
        "308, 0, 0",
        "56, 0x10000011, 0, 0, 0, 0",
    ] {
        assert_eq!(attempt(&mut sandbox, call), EPERM, "{call}");
    }
    // clone3 is absent, so that a C library falls back to the call that can be filtered.
    assert_eq!(attempt(&mut sandbox, "435, 0, 0"), ENOSYS);
}

#[test]
#[ignore = "needs root: make check runs it"]
fn privileged_script_escape_the_hosts_settings_cannot_be_written() {
    let before = fs::read_to_string("/proc/sys/kernel/core_pattern").unwrap();
    let mut sandbox = on_host();
    let script = "for file in /proc/sys/kernel/core_pattern /proc/sys/kernel/hostname \
            /proc/sys/vm/drop_caches /sys/kernel/uevent_helper /sys/power/state /proc/self/oom_score_adj; do
            test -e $file && (echo x > $file) 2>/dev/null && echo wrote $file
        done; test -e /proc/sysrq-trigger && echo b > /proc/sysrq-trigger
        test -e /proc/kallsyms && head -c 1 /proc/kallsyms; chmod 666 /proc/sys/kernel/core_pattern;
        ls /sys/firmware | wc -l";
    assert_eq!(printed(&mut sandbox, script), "0\n");
    let after = fs::read_to_string("/proc/sys/kernel/core_pattern").unwrap();
    assert_eq!(before, after);
}

#[test]
#[ignore = "needs root: make check runs it"]
fn privileged_script_escape_a_changed_device_is_not_the_hosts() {
    use std::os::unix::fs::PermissionsExt as _;
    let mode = || fs::metadata("/dev/null").unwrap().permissions().mode();
    let before = mode();
    let mut sandbox = on_host();
    let seen = printed(
        &mut sandbox,
        "chmod 600 /dev/null; chown 5 /dev/null; stat -c '%a %u' /dev/null",
    );
    assert_eq!(seen, "600 5\n");
    assert_eq!(mode(), before);
}

#[cfg(target_arch = "x86_64")] // by the numbers of its system calls
#[test]
#[ignore = "needs root: make check runs it"]
fn privileged_script_escape_dangerous_calls_are_refused() {
    let mut sandbox = on_host();
    for (name, call) in [
        ("ptrace", "101, 16, 1, 0, 0"),
        ("process_vm_readv", "310, 1, 0, 0, 0, 0, 0"),
        ("pidfd_getfd", "438, 0, 0, 0"),
        ("keyctl", "250, 0, -3, 0"),
        ("add_key", "248, 0, 0, 0, 1, -3"),
        ("bpf", "321, 0, 0, 0"),
        ("kexec_load", "246, 0, 0, 0, 0"),
        ("init_module", "175, 0, 0, 0"),
        ("open_by_handle_at", "304, 0, 0, 0"),
        ("perf_event_open", "298, 0, 0, 0, 0, 0"),
        ("userfaultfd", "323, 0"),
        ("reboot", "169, 0, 0, 0, 0"),
        ("swapoff", "168, 0"),
        ("settimeofday", "164, 0, 0"),
        ("TIOCSTI", "16, 0, 0x5412, 0"),
    ] {
        assert_eq!(attempt(&mut sandbox, call), EPERM, "{name}");
    }
    for (name, call) in [
        ("io_uring_setup", "425, 1, 0"),
        ("x32 getpid", "0x40000027"),
    ] {
        assert_eq!(attempt(&mut sandbox, call), ENOSYS, "{name}");
    }
}

#[test]
#[ignore = "needs root: make check runs it"]
fn privileged_script_escape_there_is_no_network_and_no_socket_of_the_host() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let name = format!("vzpkg-test-{}", std::process::id());
    let address = SocketAddr::from_abstract_name(name.as_bytes()).unwrap();
    let _abstract = UnixListener::bind_addr(&address).unwrap();
    let mut sandbox = on_host();
    let connect = |family: u8, kind: &str, address: &str| {
        format!(
            "perl -MSocket -e 'socket(S, {family}, {kind}, 0) or print(\"no socket \", $!+0), exit; \
             print connect(S, {address}) ? \"connected\" : $!+0'"
        )
    };
    let host = format!("pack_sockaddr_in({port}, inet_aton(\"127.0.0.1\"))");
    let world = "pack_sockaddr_in(80, inet_aton(\"192.0.2.1\"))";
    let hidden = format!("pack(\"Sx\", 1) . \"{name}\"");
    assert_eq!(
        printed(&mut sandbox, &connect(2, "SOCK_STREAM", &host)),
        "111"
    ); // refused by its own loopback
    assert_eq!(
        printed(&mut sandbox, &connect(2, "SOCK_STREAM", world)),
        "101"
    ); // unreachable
    assert_eq!(
        printed(&mut sandbox, &connect(1, "SOCK_STREAM", &hidden)),
        "111"
    );
    // vsock reaches the hypervisor past every net namespace; packet sockets and kernel crypto are not for scripts.
    for family in [40, 17, 38] {
        assert_eq!(
            printed(&mut sandbox, &connect(family, "SOCK_STREAM", "0")),
            "no socket 97"
        );
    }
    let interfaces = printed(&mut sandbox, "cut -d: -f1 -s /proc/net/dev | tr -d ' \\n'");
    assert!(
        interfaces.contains("lo") && !interfaces.contains("eth"),
        "{interfaces}"
    );
}

#[test]
#[ignore = "needs root: make check runs it"]
fn privileged_script_escape_pid_1_and_the_hosts_processes_are_out_of_reach() {
    let mut sandbox = on_host();
    let script = "for file in root/etc/passwd mem environ fd/3 maps cwd/etc; do
            head -c 1 /proc/1/$file >/dev/null 2>&1 && echo read $file
        done; readlink /proc/1/root /proc/1/exe /proc/1/ns/mnt
        kill -9 1; kill -STOP 1; kill -TERM 1
        for p in /proc/[0-9]*; do test $(cut -d' ' -f2 < $p/stat) = \\(vzpkg-runtime-h\\) || echo other; done | sort -u; echo alive";
    let seen = printed(&mut sandbox, script);
    assert!(!seen.contains("read"), "{seen}");
    assert!(!seen.contains('/') && !seen.contains("mnt:"), "{seen}");
    assert!(seen.ends_with("alive\n"));
    let highest = printed(&mut sandbox, "ls /proc | grep '^[0-9]' | sort -n | tail -1");
    assert!(highest.trim().parse::<u32>().unwrap() < 1000, "{highest}");
}

#[test]
#[ignore = "needs root: make check runs it"]
fn privileged_script_escape_breaking_out_of_a_chroot_ends_in_the_session() {
    let secret = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    fs::write(secret.path().join("secret"), "of the host").unwrap();
    let mut sandbox = on_host();
    let script = format!(
        "perl -e 'mkdir \"/tmp/a\"; chroot \"/tmp/a\"; chdir \"..\" for 1..64; chroot \".\"; \
         print -e \"{0}/secret\" ? \"found\" : \"nothing\"; print -e \"/proc/self\" ? \" session\" : \" lost\"'",
        secret.path().display()
    );
    assert_eq!(printed(&mut sandbox, &script), "nothing session");
}

#[test]
#[ignore = "needs root: make check runs it"]
fn privileged_script_escape_read_only_binds_stay_so() {
    let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    fs::write(directory.path().join("package"), "signed").unwrap();
    let mut spec = SandboxSpec::new(Root::Host);
    spec.binds
        .push(Bind::read_only(directory.path(), "/run/packages"));
    let mut sandbox = Sandbox::start(&spec, &helper()).unwrap();
    let script =
        "cat /run/packages/package; echo x > /run/packages/package; touch /run/packages/new
        chmod 777 /run/packages; touch /usr/bin/vzpkg-was-here && echo wrote";
    let outcome = sandbox.run(&shell(script), &()).unwrap();
    assert_eq!(text(&outcome), "signed");
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    assert_eq!(
        fs::read(directory.path().join("package")).unwrap(),
        b"signed"
    );
}

#[test]
#[ignore = "needs root: make check runs it"]
fn privileged_script_escape_the_host_root_shows_only_programs() {
    let mut sandbox = on_host();
    assert_eq!(
        printed(
            &mut sandbox,
            "ls /root /home /var /boot /srv 2>/dev/null; echo end"
        ),
        "/root:\nend\n"
    );
    let etc = printed(
        &mut sandbox,
        "ls /etc; cat /etc/shadow; cut -d: -f1 /etc/passwd",
    );
    assert!(
        etc.ends_with("root\nnobody\n") && !etc.contains("shadow"),
        "{etc}"
    );
    assert_eq!(
        printed(
            &mut sandbox,
            "touch /etc/x /x && rm /etc/x /x; echo a | sed s/a/b/ | awk 1"
        ),
        "b\n"
    );
}
