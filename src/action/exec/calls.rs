//! Owns which system calls are closed to a confined program: ways around Landlock's rules, that its hooks do not see.
//! Deliberately looks at numbers only, never at what an argument points to: that could change after the look.
//!
//! Landlock judges `connect` and `bind` of plain TCP. Multipath TCP, TCP Fast Open, raw packets and the sockets of other
//! families pass it by; so does a socket in the file system, at which a session bus, a container service or a terminal
//! multiplexer does for a program what the program itself may not.

use libc::{c_long, sock_filter};
use std::io;
use std::sync::LazyLock;

/// What one program may not call. Good for ever: a process between fork and exec allocates nothing.
#[derive(Clone, Copy)]
pub(super) struct Calls(&'static [sock_filter]);

/// `unix`: whether it may talk to the sockets of others in the file system.
pub(super) fn calls(unix: bool) -> Calls {
    static WITHOUT: LazyLock<Vec<sock_filter>> = LazyLock::new(|| filter(false));
    static WITH: LazyLock<Vec<sock_filter>> = LazyLock::new(|| filter(true));
    Calls(if unix { &WITH } else { &WITHOUT })
}

/// Whether this kernel can close any.
pub(super) fn are_to_be_had() -> bool {
    let here = cfg!(any(target_arch = "x86_64", target_arch = "aarch64", target_arch = "riscv64"));
    // SAFETY: a plain system call on numbers; it only asks.
    here && unsafe { libc::prctl(libc::PR_GET_SECCOMP, 0, 0, 0, 0) } >= 0
}

impl Calls {
    /// For a process between fork and exec that can gain no rights any more: only system calls.
    pub(super) fn enter(self) -> io::Result<()> {
        // No filter is as long as that; an empty one is refused.
        let len = u16::try_from(self.0.len()).unwrap_or(0);
        let program = libc::sock_fprog { len, filter: self.0.as_ptr().cast_mut() };
        // SAFETY: the call copies the program, which lives for ever.
        let done = unsafe { libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const program, 0, 0) };
        if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    }
}

#[cfg(target_arch = "x86_64")]
const MACHINE: u32 = 0xc000_003e;
#[cfg(target_arch = "aarch64")]
const MACHINE: u32 = 0xc000_00b7;
#[cfg(target_arch = "riscv64")]
const MACHINE: u32 = 0xc000_00f3;
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64", target_arch = "riscv64")))]
const MACHINE: u32 = 0;

/// Numbers of another table of calls, that of x32.
const OTHER_TABLE: u32 = 0x4000_0000;

const ALLOW: u32 = libc::SECCOMP_RET_ALLOW;

/// In the low half of a type of socket.
const KIND: u32 = 0xf;

const OPEN_FAST: u32 = libc::MSG_FASTOPEN as u32;

/// Where things stand in `seccomp_data`; of an argument the lower and the upper half, on the machines above.
const NUMBER: u32 = 0;
const ARCHITECTURE: u32 = 4;
const fn low(argument: u32) -> u32 {
    16 + 8 * argument
}
const fn high(argument: u32) -> u32 {
    low(argument) + 4
}

fn filter(unix: bool) -> Vec<sock_filter> {
    let mut all = vec![load(ARCHITECTURE), if_equal(MACHINE, 1, 0), deny(libc::ENOSYS)];
    all.extend([load(NUMBER), if_any(OTHER_TABLE, 0, 1), deny(libc::ENOSYS)]);
    all.extend(on(libc::SYS_socket, sockets(unix)));
    // Sends without `connect`.
    for (call, flags) in [(libc::SYS_sendto, 3), (libc::SYS_sendmsg, 2), (libc::SYS_sendmmsg, 3)] {
        all.extend(on(call, vec![load(low(flags)), if_any(OPEN_FAST, 0, 1), deny(libc::EOPNOTSUPP), give(ALLOW)]));
    }
    // Makes sockets and sends without the calls above.
    all.extend(on(libc::SYS_io_uring_setup, vec![deny(libc::ENOSYS)]));
    // Another process's limits: a run that may not use the processor any more is as good as killed.
    all.extend(on(
        libc::SYS_prlimit64,
        vec![
            load(low(0)),
            if_equal(0, 5, 0),
            load(low(2)),
            if_equal(0, 0, 2),
            load(high(2)),
            if_equal(0, 1, 0),
            deny(libc::EPERM),
            give(ALLOW),
        ],
    ));
    // What the user keeps in the kernel: tickets, passwords of disks.
    for call in [libc::SYS_add_key, libc::SYS_request_key, libc::SYS_keyctl] {
        all.extend(on(call, vec![deny(libc::ENOSYS)]));
    }
    all.push(give(ALLOW));
    all
}

/// TCP, UDP and ping over IP; questions to the kernel about the network; where it may, sockets of the file system.
fn sockets(unix: bool) -> Vec<sock_filter> {
    let mut all = vec![load(low(0))];
    let unix = if unix { give(ALLOW) } else { deny(libc::EACCES) };
    for (family, answer) in [(libc::AF_NETLINK, give(ALLOW)), (libc::AF_UNIX, unix)] {
        all.extend([if_equal(family as u32, 0, 1), answer]);
    }
    all.extend([if_equal(libc::AF_INET as u32, 2, 0), if_equal(libc::AF_INET6 as u32, 1, 0)]);
    all.push(deny(libc::EAFNOSUPPORT));
    all.extend([load(low(1)), and(KIND)]);
    all.extend([if_equal(libc::SOCK_STREAM as u32, 2, 0), if_equal(libc::SOCK_DGRAM as u32, 1, 0)]);
    all.extend([deny(libc::EPERM), load(low(2))]);
    for protocol in [0, libc::IPPROTO_TCP, libc::IPPROTO_UDP, libc::IPPROTO_ICMP, libc::IPPROTO_ICMPV6] {
        all.extend([if_equal(protocol as u32, 0, 1), give(ALLOW)]);
    }
    // As a kernel without it says, so that a program takes plain TCP.
    all.push(deny(libc::EPROTONOSUPPORT));
    all
}

/// What becomes of one call; the number is loaded, and `then` decides on every way through it.
fn on(call: c_long, then: Vec<sock_filter>) -> Vec<sock_filter> {
    // No call has a number, and no list here a length, that does not fit.
    let (number, length) = (u32::try_from(call).unwrap_or(u32::MAX), u8::try_from(then.len()).unwrap_or(u8::MAX));
    let mut all = vec![if_equal(number, 0, length)];
    all.extend(then);
    all
}

fn load(at: u32) -> sock_filter {
    statement(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, at)
}

fn and(mask: u32) -> sock_filter {
    statement(libc::BPF_ALU | libc::BPF_AND | libc::BPF_K, mask)
}

fn give(answer: u32) -> sock_filter {
    statement(libc::BPF_RET | libc::BPF_K, answer)
}

fn deny(error: i32) -> sock_filter {
    give(libc::SECCOMP_RET_ERRNO | error as u32)
}

/// So many statements are passed over where what is loaded equals `value`, and where not.
fn if_equal(value: u32, yes: u8, no: u8) -> sock_filter {
    jump(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, value, yes, no)
}

/// Where what is loaded has any of these bits, and where not.
fn if_any(bits: u32, yes: u8, no: u8) -> sock_filter {
    jump(libc::BPF_JMP | libc::BPF_JSET | libc::BPF_K, bits, yes, no)
}

fn statement(code: u32, value: u32) -> sock_filter {
    jump(code, value, 0, 0)
}

fn jump(code: u32, value: u32, yes: u8, no: u8) -> sock_filter {
    // Codes have 16 bits.
    sock_filter { code: code as u16, jt: yes, jf: no, k: value }
}
