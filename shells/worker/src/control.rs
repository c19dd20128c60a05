//! The control plane: lines of the parent on stdin, ours on stdout.

use std::io::{self, Read, Write};
use std::sync::{Arc, Mutex};
use std::thread;

use forebay_core_procwire::child::{ChildControl, Command};
use forebay_core_procwire::control::{
    LINE_LEN_MAX, MethodDecl, PONG_LINE, write_error, write_init,
};
use forebay_core_procwire::{EventId, MethodId};

use crate::client::Shutdown;
use crate::connection::{Plan, Shared, locked};

/// Bytes of stack for the thread, which calls little.
const STACK_LEN: usize = 128 * 1024;

/// For a line that is cut. A process has one stdin, and memory that was never written costs
/// nothing.
static LINE: Mutex<[u8; LINE_LEN_MAX]> = Mutex::new([0; LINE_LEN_MAX]);

/// The `$init` line, or `None` when there are more names than ids.
pub(crate) fn init_line(plan: &Plan, pipe: &str) -> Option<Vec<u8>> {
    let id = |index: usize| u16::try_from(index + 1).ok();
    let methods = plan.names.iter().zip(&plan.kinds).enumerate();
    let methods: Option<Vec<MethodDecl<'_>>> = methods
        .map(|(index, (name, kind))| {
            let id = id(index).and_then(MethodId::new)?;
            Some(MethodDecl { name, id, response: kind.response })
        })
        .collect();
    let events = plan.events.iter().enumerate();
    let events: Option<Vec<(&str, EventId)>> = events
        .map(|(index, name)| Some((name.as_str(), id(index).and_then(EventId::new)?)))
        .collect();
    let (methods, events) = (methods?, events?);
    Some(sized(|out| {
        write_init(out, pipe, methods.iter().copied(), events.iter().copied())
            .map_err(|short| short.need)
    }))
}

/// The `$error` line.
pub(crate) fn error_line(message: &str) -> Vec<u8> {
    sized(|out| write_error(out, message).map_err(|short| short.need))
}

/// Asks for the length, then writes.
fn sized(mut write: impl FnMut(&mut [u8]) -> Result<usize, usize>) -> Vec<u8> {
    let mut line = vec![0; write(&mut []).err().unwrap_or(0)];
    let len = write(&mut line).unwrap_or(0);
    line.truncate(len);
    line
}

/// Writes a line to stdout, whole and at once.
///
/// # Errors
/// stdout's.
pub(crate) fn announce(line: &[u8]) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(line)?;
    stdout.flush()
}

/// Follows the parent's lines on a thread of its own, where no handler can hold it up.
///
/// # Errors
/// The thread could not be started.
pub(crate) fn follow(shared: Arc<Shared>) -> io::Result<()> {
    // Here, since the first allocation of a thread costs more memory than it asks for.
    let stdin = io::stdin();
    let thread = thread::Builder::new().name("procwire-stdin".to_owned()).stack_size(STACK_LEN);
    thread.spawn(move || {
        let mut line = locked(&LINE);
        let reason = read_to_end(&mut ChildControl::new(line.as_mut_slice()), stdin.lock());
        shared.stop(reason);
        // The program should return from `main` now. If it cannot, the process ends anyway:
        // nobody is left to end it.
        thread::sleep(shared.plan.limits.shutdown_grace);
        shared.remove_socket();
        std::process::exit(0);
    })?;
    Ok(())
}

/// Answers `$ping` until the parent wants the end or is gone.
fn read_to_end(control: &mut ChildControl<&mut [u8]>, mut stdin: io::StdinLock<'_>) -> Shutdown {
    let mut buf = [0; 4096];
    loop {
        let len = match stdin.read(&mut buf) {
            Ok(0) => return Shutdown::ParentGone,
            Ok(len) => len,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(_) => return Shutdown::ParentGone,
        };
        let mut input = buf.get(..len).unwrap_or(&[]);
        loop {
            let Ok(step) = control.handle_bytes(input) else { return Shutdown::ParentGone };
            input = input.get(step.used..).unwrap_or(&[]);
            match step.command {
                Some(Command::Pong) => pong(),
                Some(Command::Shutdown) => return Shutdown::Requested,
                None => break,
            }
        }
    }
}

/// A parent that does not read stdout gets no answer: to wait for it would be to miss what it
/// says next.
fn pong() {
    if is_writable(io::stdout()) {
        // Without stdout the parent is gone; stdin says so too.
        let _ = announce(PONG_LINE);
    }
}

/// Whether a line can be written without waiting.
#[cfg(unix)]
fn is_writable(fd: impl std::os::fd::AsFd) -> bool {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};

    let mut fds = [PollFd::new(&fd, PollFlags::OUT)];
    let now = Timespec { tv_sec: 0, tv_nsec: 0 };
    matches!(poll(&mut fds, Some(&now)), Ok(count) if count > 0)
}

#[cfg(not(unix))]
fn is_writable(_: io::Stdout) -> bool {
    true
}
