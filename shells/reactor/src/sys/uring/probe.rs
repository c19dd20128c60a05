//! Whether io_uring works here, and how much of it. The kernel's version cannot tell: containers
//! filter its system calls, and administrators switch it off.

use std::io;

use io_uring::{IoUring, Probe, opcode, types};

use crate::Tier;

/// Entries of the ring that the probe makes.
const ENTRIES: u32 = 8;

/// The highest tier that works, or why none does.
pub(super) fn tier() -> Result<Tier, String> {
    let release = rustix::system::uname();
    let release = release.release().to_string_lossy();
    if !is_kernel_new_enough(&release) {
        return Err(format!("kernel {release} is older than 5.1"));
    }
    let mut ring = IoUring::new(ENTRIES).map_err(|error| refusal(&error))?;
    let params = ring.params();
    // 5.11, and 5.13 for polls that tell more than once, which has no flag of its own.
    let features = params.is_feature_nodrop()
        && params.is_feature_ext_arg()
        && params.is_feature_fast_poll()
        && params.is_feature_resource_tagging();
    if !features {
        return Err(format!("kernel {release} lacks features of 5.13"));
    }
    let mut probe = Probe::new();
    ring.submitter().register_probe(&mut probe).map_err(|error| format!("probe: {error}"))?;
    let needed = [
        opcode::Accept::CODE,
        opcode::Recv::CODE,
        opcode::Send::CODE,
        opcode::SendMsg::CODE,
        opcode::Read::CODE,
        opcode::PollAdd::CODE,
        opcode::AsyncCancel::CODE,
    ];
    if !needed.iter().all(|code| probe.is_supported(*code)) {
        return Err("an operation is missing or filtered".into());
    }
    run_nop(&mut ring).map_err(|error| format!("a no-op did not complete: {error}"))?;
    // SEND_ZC came with multishot receive (6.0), SENDMSG_ZC with deferred task work (6.1).
    Ok(if probe.is_supported(opcode::SendMsgZc::CODE) {
        Tier::Three
    } else if probe.is_supported(opcode::SendZc::CODE) {
        Tier::Two
    } else {
        Tier::One
    })
}

/// Whether a kernel release is at least 5.1, where io_uring appeared; false for other text.
pub(crate) fn is_kernel_new_enough(release: &str) -> bool {
    let mut parts = release.split('.').map(|part| {
        let digits = part.find(|c: char| !c.is_ascii_digit()).unwrap_or(part.len());
        part[..digits].parse::<u32>().ok()
    });
    match (parts.next().flatten(), parts.next().flatten()) {
        (Some(major), Some(minor)) => major > 5 || (major == 5 && minor >= 1),
        _ => false,
    }
}

/// Words for an error of ring creation.
pub(super) fn refusal(error: &io::Error) -> String {
    use rustix::io::Errno;
    let hint = match error.raw_os_error().map(Errno::from_raw_os_error) {
        Some(Errno::PERM | Errno::ACCESS) => " (switched off or filtered)",
        Some(Errno::NOSYS) => " (not in this kernel)",
        Some(Errno::NOMEM) => " (limit of locked memory)",
        _ => "",
    };
    format!("ring refused: {error}{hint}")
}

/// A filter may let rings be made and stop their use.
fn run_nop(ring: &mut IoUring) -> io::Result<()> {
    let entry = opcode::Nop::new().build().user_data(7);
    // SAFETY: a no-op points to nothing.
    unsafe { ring.submission().push(&entry) }.map_err(io::Error::other)?;
    let second = types::Timespec::new().sec(1);
    let args = types::SubmitArgs::new().timespec(&second);
    ring.submitter().submit_with_args(1, &args)?;
    match ring.completion().next() {
        Some(entry) if entry.user_data() == 7 && entry.result() == 0 => Ok(()),
        Some(entry) => Err(io::Error::from_raw_os_error(entry.result().saturating_neg())),
        None => Err(io::ErrorKind::TimedOut.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::is_kernel_new_enough;

    /// reactor.md 1.5 and property B3: true exactly from 5.1 on, false for malformed text.
    #[test]
    fn kernel_releases() {
        for release in
            ["5.1", "5.1.0", "5.15.0-generic", "6.1.0+", "6.18.44-fc-v657", "10.0", "5.1-rc3"]
        {
            assert!(is_kernel_new_enough(release), "{release}");
        }
        for release in ["5.0.21", "4.19.0", "", "5", "x.y", "-5.1", "5.", ".1", "99999999999.1"] {
            assert!(!is_kernel_new_enough(release), "{release}");
        }
    }
}
