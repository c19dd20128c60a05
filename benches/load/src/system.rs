//! What the operating system says and is told: pinning, CPU clocks, resident memory.

use std::io;
use std::mem::MaybeUninit;

use rustix::thread::{CpuSet, sched_setaffinity};

/// Ties the calling thread, and what it starts from now on, to one CPU.
pub fn pin(cpu: usize) -> io::Result<()> {
    let mut set = CpuSet::new();
    set.set(cpu);
    Ok(sched_setaffinity(None, &set)?)
}

/// CPU time of all threads of another process, in ns, as the scheduler accounts it: the sum of the
/// first numbers of `/proc/<pid>/task/*/schedstat`, but up to date for a thread that runs now.
pub fn process_cpu_ns(pid: u32) -> io::Result<u64> {
    let pid = libc::pid_t::try_from(pid).map_err(io::Error::other)?;
    let mut clock = 0;
    // SAFETY: `clock` is a valid place for one clockid_t.
    let status = unsafe { libc::clock_getcpuclockid(pid, &raw mut clock) };
    if status != 0 {
        return Err(io::Error::from_raw_os_error(status));
    }
    let time = clock_ns(clock)?;
    Ok(time)
}

/// CPU time of the calling thread, in ns.
pub fn thread_cpu_ns() -> u64 {
    clock_ns(libc::CLOCK_THREAD_CPUTIME_ID).expect("Linux has this clock")
}

/// Seconds since 1970, at the resolution of the kernel's tick: the cheapest clock there is.
pub fn coarse_seconds() -> u64 {
    clock_ns(libc::CLOCK_REALTIME_COARSE).expect("Linux has this clock") / 1_000_000_000
}

fn clock_ns(clock: libc::clockid_t) -> io::Result<u64> {
    let mut time = MaybeUninit::<libc::timespec>::uninit();
    // SAFETY: `time` is a valid place for one timespec.
    let status = unsafe { libc::clock_gettime(clock, time.as_mut_ptr()) };
    if status != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the call above succeeded, so it has written the whole timespec.
    let time = unsafe { time.assume_init() };
    let (seconds, ns) = (u64::try_from(time.tv_sec), u64::try_from(time.tv_nsec));
    Ok(seconds.map_err(io::Error::other)? * 1_000_000_000 + ns.map_err(io::Error::other)?)
}

/// Resident memory of a process in bytes.
pub fn resident_bytes(pid: u32) -> io::Result<u64> {
    status_bytes(pid, "VmRSS:")
}

/// The most resident memory in bytes that a process ever had.
pub fn peak_resident_bytes(pid: u32) -> io::Result<u64> {
    status_bytes(pid, "VmHWM:")
}

/// A line of `/proc/<pid>/status`.
fn status_bytes(pid: u32, name: &str) -> io::Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    let kib = line.and_then(|rest| rest.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok());
    kib.map(|kib| kib * 1024).ok_or_else(|| io::Error::other(format!("no {name} line")))
}

/// The processes started by `pid` that live now.
pub fn children(pid: u32) -> io::Result<Vec<u32>> {
    let mut found = Vec::new();
    for task in std::fs::read_dir(format!("/proc/{pid}/task"))? {
        let list = std::fs::read_to_string(task?.path().join("children"))?;
        found.extend(list.split_ascii_whitespace().filter_map(|pid| pid.parse::<u32>().ok()));
    }
    Ok(found)
}

/// Raises the soft limit of open files to the hard one.
pub fn raise_open_files() -> io::Result<()> {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    Ok(setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum })?)
}
