//! What happens where io_uring cannot be had: a filter like those of containers, for one thread.

use core::mem::offset_of;

use forebay_reactor::{Backend, BackendKind, Config, Reactor, ReactorError};
use rustix::io::Errno;

/// Answers the system call `number` of this thread with `errno` from now on.
#[expect(unsafe_code, reason = "no crate in use here installs filters")]
fn refuse(number: libc::c_long, errno: Errno) {
    use libc::{
        BPF_ABS, BPF_JEQ, BPF_JMP, BPF_K, BPF_LD, BPF_RET, BPF_W, SECCOMP_RET_ALLOW,
        SECCOMP_RET_ERRNO,
    };
    let step = |code: u32, jt, jf, k| libc::sock_filter {
        code: u16::try_from(code).expect("a code"),
        jt,
        jf,
        k,
    };
    let number = u32::try_from(number).expect("a number");
    let at = u32::try_from(offset_of!(libc::seccomp_data, nr)).expect("an offset");
    let mut steps = [
        step(BPF_LD | BPF_W | BPF_ABS, 0, 0, at),
        step(BPF_JMP | BPF_JEQ | BPF_K, 0, 1, number),
        step(BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ERRNO | errno.raw_os_error().unsigned_abs()),
        step(BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW),
    ];
    let program = libc::sock_fprog { len: 4, filter: steps.as_mut_ptr() };
    // SAFETY: a plain flag of this thread.
    let flagged = unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) };
    assert_eq!(flagged, 0);
    // SAFETY: the program and its steps outlive the call, which copies them.
    let set = unsafe { libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &program) };
    assert_eq!(set, 0);
}

/// What becomes of `Auto`, and of io_uring by name, when a system call is refused.
fn outcome(number: libc::c_long, errno: Errno) -> String {
    let thread = std::thread::spawn(move || {
        refuse(number, errno);
        let config = Config { backend: Backend::IoUring, ..Config::default() };
        let named = match Reactor::new(&config) {
            Err(ReactorError::UringNotAvailable(reason)) => reason,
            other => panic!("{other:?}"),
        };
        let auto = Reactor::new(&Config::default()).expect("epoll works");
        assert_eq!(auto.backend().kind, BackendKind::Epoll);
        assert!(auto.backend().reason.contains(&named), "{}", auto.backend().reason);
        named
    });
    thread.join().expect("no panic")
}

#[test]
fn a_filtered_set_up_falls_to_epoll_and_says_so() {
    let reason = outcome(libc::SYS_io_uring_setup, Errno::PERM);
    assert!(reason.contains("filtered"), "{reason}");
    let reason = outcome(libc::SYS_io_uring_setup, Errno::NOSYS);
    assert!(reason.contains("kernel"), "{reason}");
}

#[test]
fn a_limit_of_locked_memory_falls_to_epoll_and_says_so() {
    let reason = outcome(libc::SYS_io_uring_setup, Errno::NOMEM);
    assert!(reason.contains("locked memory"), "{reason}");
}

/// Rings can be made, but not used: only a no-op that is run finds out.
#[test]
fn a_filtered_use_falls_to_epoll_and_says_so() {
    let reason = outcome(libc::SYS_io_uring_enter, Errno::PERM);
    assert!(reason.contains("no-op"), "{reason}");
    let reason = outcome(libc::SYS_io_uring_register, Errno::PERM);
    assert!(reason.contains("probe"), "{reason}");
}
