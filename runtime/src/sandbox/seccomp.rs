//! The system call filter: what no package script has a reason to call, refused before the kernel looks at it.
//!
//! A deny list: capabilities and namespaces already refuse nearly all of this, the filter keeps whole parts of the
//! kernel out of reach. Calls that a C library tries first and has a substitute for get `ENOSYS`, the others `EPERM`.

use crate::sys::FilterInstruction;

const LOAD_WORD: u16 = 0x20;
const JUMP: u16 = 0x05;
const JUMP_EQUAL: u16 = 0x15;
const JUMP_AT_LEAST: u16 = 0x35;
const JUMP_ANY_BIT: u16 = 0x45;
const RETURN: u16 = 0x06;

const OFFSET_NUMBER: u32 = 0;
const OFFSET_ARCHITECTURE: u32 = 4;

const ALLOW: u32 = 0x7fff_0000;
const KILL_PROCESS: u32 = 0x8000_0000;
const EPERM: u32 = 0x0005_0001;
const ENOSYS: u32 = 0x0005_0026;
const EAFNOSUPPORT: u32 = 0x0005_0061;

/// New namespaces: mnt, cgroup, uts, ipc, user, pid, net. (Time cannot be asked for by this call.)
const NAMESPACE_FLAGS: u32 = 0x0002_0000 | 0x7e00_0000;

/// `TIOCSTI` and `TIOCLINUX` put characters into a terminal as if they were typed.
const TYPING: [u32; 2] = [0x5412, 0x541c];

/// Unix, IPv4, IPv6, netlink. Others reach out of a net namespace (vsock) or only enlarge what can be attacked.
const FAMILIES: [u32; 4] = [1, 2, 10, 16];

/// The calls of one instruction set.
struct Calls {
    /// `AUDIT_ARCH_…`.
    architecture: u32,
    /// Refused with `EPERM`.
    denied: &'static [u32],
    /// Refused with `ENOSYS`.
    absent: &'static [u32],
    clone: u32,
    socket: u32,
    ioctl: u32,
}

/// Newer calls have one number everywhere. `open_tree`, `move_mount`, `fsopen`, `fsconfig`, `fsmount`, `fspick`,
/// `pidfd_getfd`, `mount_setattr`, `quotactl_fd`, `open_tree_attr`.
const DENIED_EVERYWHERE: [u32; 10] = [428, 429, 430, 431, 432, 433, 438, 442, 443, 467];

/// `io_uring_*`, which passes filters by, and `clone3`, whose flags a filter cannot see.
const ABSENT_EVERYWHERE: [u32; 4] = [425, 426, 427, 435];

#[cfg(target_arch = "x86_64")]
const NATIVE: &[Calls] = &[
    Calls {
        architecture: 0xc000_003e,
        // ptrace syslog vhangup modify_ldt pivot_root adjtimex acct settimeofday mount umount2 swapon swapoff reboot
        // sethostname setdomainname iopl ioperm create_module init_module delete_module get_kernel_syms query_module
        // quotactl nfsservctl lookup_dcookie clock_settime kexec_load add_key request_key keyctl move_pages unshare
        // perf_event_open fanotify_init open_by_handle_at clock_adjtime setns process_vm_readv process_vm_writev kcmp
        // finit_module kexec_file_load bpf userfaultfd
        denied: &[
            101, 103, 153, 154, 155, 159, 163, 164, 165, 166, 167, 168, 169, 170, 171, 172, 173,
            174, 175, 176, 177, 178, 179, 180, 212, 227, 246, 248, 249, 250, 272, 279, 298, 300,
            304, 305, 308, 310, 311, 312, 313, 320, 321, 323,
        ],
        absent: &[],
        clone: 56,
        socket: 41,
        ioctl: 16,
    },
    Calls {
        architecture: 0x4000_0003,
        // The same on i386, with mount's older forms, vm86 and the 64-bit time calls. socketcall is absent: its
        // address family lies where no filter can see it.
        denied: &[
            21, 22, 25, 26, 51, 52, 74, 79, 87, 88, 101, 103, 110, 111, 113, 115, 121, 123, 124,
            127, 128, 129, 130, 131, 166, 167, 169, 217, 253, 264, 283, 286, 287, 288, 310, 317,
            336, 338, 342, 343, 346, 347, 348, 349, 350, 357, 374, 404, 405,
        ],
        absent: &[102],
        clone: 120,
        socket: 359,
        ioctl: 54,
    },
];

#[cfg(target_arch = "aarch64")]
const NATIVE: &[Calls] = &[Calls {
    architecture: 0xc000_00b7,
    // The calls of the x86_64 list that exist here.
    denied: &[
        18, 39, 40, 41, 42, 58, 60, 89, 97, 104, 105, 106, 112, 116, 117, 142, 161, 162, 170, 171,
        217, 218, 219, 224, 225, 239, 241, 262, 265, 266, 268, 270, 271, 272, 273, 280, 282, 294,
    ],
    absent: &[],
    clone: 220,
    socket: 198,
    ioctl: 29,
}];

/// The filter. About 290 instructions; the kernel finds out once which calls always pass, and does not run it for them.
pub(super) fn program() -> Vec<FilterInstruction> {
    let mut program = Vec::new();
    for calls in NATIVE {
        let part = part(calls);
        program.push(load(OFFSET_ARCHITECTURE));
        program.push(jump(JUMP_EQUAL, calls.architecture, 1, 0));
        program.push(jump(
            JUMP,
            u32::try_from(part.len()).unwrap_or(u32::MAX),
            0,
            0,
        ));
        program.extend(part);
    }
    program.push(finish(KILL_PROCESS));
    program
}

fn part(calls: &Calls) -> Vec<FilterInstruction> {
    let mut program = vec![load(OFFSET_NUMBER)];
    if cfg!(target_arch = "x86_64") && calls.architecture == 0xc000_003e {
        // The x32 half of the table would be a second set of numbers for everything.
        program.extend([jump(JUMP_AT_LEAST, 0x4000_0000, 0, 1), finish(ENOSYS)]);
    }
    for &call in calls.denied.iter().chain(&DENIED_EVERYWHERE) {
        program.extend([jump(JUMP_EQUAL, call, 0, 1), finish(EPERM)]);
    }
    for &call in calls.absent.iter().chain(&ABSENT_EVERYWHERE) {
        program.extend([jump(JUMP_EQUAL, call, 0, 1), finish(ENOSYS)]);
    }
    program.extend([
        jump(JUMP_EQUAL, calls.clone, 0, 4),
        load(argument(0)),
        jump(JUMP_ANY_BIT, NAMESPACE_FLAGS, 0, 1),
        finish(EPERM),
        finish(ALLOW),
    ]);
    program.extend([
        jump(JUMP_EQUAL, calls.ioctl, 0, 5),
        load(argument(1)),
        jump(JUMP_EQUAL, TYPING[0], 1, 0),
        jump(JUMP_EQUAL, TYPING[1], 0, 1),
        finish(EPERM),
        finish(ALLOW),
    ]);
    program.extend([jump(JUMP_EQUAL, calls.socket, 0, 6), load(argument(0))]);
    for (place, family) in FAMILIES.into_iter().enumerate() {
        let to_allow = u8::try_from(FAMILIES.len() - place).unwrap_or(u8::MAX);
        program.push(jump(JUMP_EQUAL, family, to_allow, 0));
    }
    program.extend([finish(EAFNOSUPPORT), finish(ALLOW)]);
    program
}

/// The low word of an argument (little-endian machines only, as are all that NATIVE knows).
const fn argument(number: u32) -> u32 {
    16 + 8 * number
}

const fn load(offset: u32) -> FilterInstruction {
    jump(LOAD_WORD, offset, 0, 0)
}

const fn finish(action: u32) -> FilterInstruction {
    jump(RETURN, action, 0, 0)
}

const fn jump(code: u16, operand: u32, jump_true: u8, jump_false: u8) -> FilterInstruction {
    FilterInstruction {
        code,
        jump_true,
        jump_false,
        operand,
    }
}

#[cfg(all(test, target_arch = "x86_64"))]
mod tests {
    use super::*;

    const X86_64: u32 = 0xc000_003e;
    const I386: u32 = 0x4000_0003;

    /// What the kernel would do with a call: this filter's few instructions, run.
    fn decide(architecture: u32, number: u32, arguments: [u32; 2]) -> u32 {
        let program = program();
        let (mut place, mut value) = (0, 0);
        loop {
            let step = program[place];
            place += 1;
            let met = match step.code {
                LOAD_WORD => {
                    value = match step.operand {
                        OFFSET_NUMBER => number,
                        OFFSET_ARCHITECTURE => architecture,
                        16 => arguments[0],
                        24 => arguments[1],
                        other => unreachable!("reads at {other}"),
                    };
                    continue;
                }
                JUMP => {
                    place += step.operand as usize;
                    continue;
                }
                JUMP_EQUAL => value == step.operand,
                JUMP_AT_LEAST => value >= step.operand,
                JUMP_ANY_BIT => value & step.operand != 0,
                RETURN => return step.operand,
                other => unreachable!("instruction {other}"),
            };
            place += usize::from(if met { step.jump_true } else { step.jump_false });
        }
    }

    #[test]
    fn ordinary_calls_pass_in_both_instruction_sets() {
        // read, openat, execve, chroot, mknod, wait4, statx, openat2
        for number in [0, 257, 59, 161, 133, 61, 332, 437] {
            assert_eq!(decide(X86_64, number, [0; 2]), ALLOW, "{number}");
        }
        // read, execve, chroot, mknod, waitpid, openat
        for number in [3, 11, 61, 14, 7, 295] {
            assert_eq!(decide(I386, number, [0; 2]), ALLOW, "{number}");
        }
    }

    #[test]
    fn clone_is_judged_by_its_flags() {
        const SIGCHLD: u32 = 17;
        const THREAD: u32 = 0x003d_0f00;
        for (architecture, clone) in [(X86_64, 56), (I386, 120)] {
            assert_eq!(decide(architecture, clone, [SIGCHLD, 0]), ALLOW);
            assert_eq!(decide(architecture, clone, [THREAD, 0]), ALLOW);
            for namespace in [
                0x0002_0000,
                0x0200_0000,
                0x0400_0000,
                0x1000_0000,
                0x4000_0000,
            ] {
                assert_eq!(decide(architecture, clone, [SIGCHLD | namespace, 0]), EPERM);
            }
            assert_eq!(decide(architecture, 435, [0; 2]), ENOSYS);
        }
    }

    #[test]
    fn sockets_and_terminals_are_judged_by_their_arguments() {
        for (architecture, socket, ioctl) in [(X86_64, 41, 16), (I386, 359, 54)] {
            for family in 0..46 {
                let expected = if FAMILIES.contains(&family) {
                    ALLOW
                } else {
                    EAFNOSUPPORT
                };
                assert_eq!(
                    decide(architecture, socket, [family, 1]),
                    expected,
                    "{family}"
                );
            }
            assert_eq!(decide(architecture, ioctl, [0, 0x5413]), ALLOW);
            assert_eq!(decide(architecture, ioctl, [0, 0x5412]), EPERM);
            assert_eq!(decide(architecture, ioctl, [0, 0x541c]), EPERM);
        }
        assert_eq!(decide(I386, 102, [1, 0]), ENOSYS);
    }

    #[test]
    fn other_instruction_sets_and_x32_have_no_calls() {
        assert_eq!(decide(0xc000_00b7, 0, [0; 2]), KILL_PROCESS);
        assert_eq!(decide(X86_64, 0x4000_0000, [0; 2]), ENOSYS);
    }
}
