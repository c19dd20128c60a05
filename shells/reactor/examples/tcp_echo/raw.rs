//! Loops without limits, timeouts or errors: bounds to measure against, not products.

use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

use io_uring::{IoUring, cqueue, opcode, types};
use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, EventData, EventFlags};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, SocketFlags};

type Result = core::result::Result<(), Box<dyn core::error::Error>>;

pub(crate) fn epoll(listener: OwnedFd) -> Result {
    let poll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
    epoll::add(&poll, &listener, EventData::new_u64(0), EventFlags::IN)?;
    let mut sockets: Vec<OwnedFd> = Vec::new();
    let mut events = Vec::with_capacity(256);
    let mut buf = vec![0; 4096];
    loop {
        events.clear();
        epoll::wait(&poll, spare_capacity(&mut events), None)?;
        for event in &events {
            let at = event.data.u64() as usize;
            if at == 0 {
                let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
                let socket = rustix::net::accept_with(&listener, flags)?;
                let data = EventData::new_u64(sockets.len() as u64 + 1);
                epoll::add(&poll, &socket, data, EventFlags::IN | EventFlags::ET)?;
                sockets.push(socket);
                continue;
            }
            let socket = &sockets[at - 1];
            match rustix::net::recv(socket, &mut buf[..], RecvFlags::empty()) {
                Ok((0, _)) => return Ok(()),
                Ok((len, _)) => {
                    rustix::net::send(socket, &buf[..len], SendFlags::NOSIGNAL)?;
                }
                Err(Errno::AGAIN) => {}
                Err(errno) => return Err(errno.into()),
            }
        }
    }
}

const BUFFERS: u16 = 1024;
const LEN: usize = 4096;
const ACCEPT: u64 = u64::MAX;

/// Multishot accept and receive, a ring of buffers, one enter per turn.
#[expect(unsafe_code, reason = "a bound, not a product")]
pub(crate) fn uring(listener: OwnedFd) -> Result {
    let mut ring: IoUring = IoUring::builder()
        .setup_single_issuer()
        .setup_defer_taskrun()
        .setup_cqsize(4096)
        .build(256)?;
    let layout = core::alloc::Layout::from_size_align(16 * BUFFERS as usize, 4096)?;
    // SAFETY: the layout is not empty.
    let base = unsafe { std::alloc::alloc_zeroed(layout) }.cast::<types::BufRingEntry>();
    // SAFETY: the ring of buffers has this many entries and is never freed.
    unsafe { ring.submitter().register_buf_ring_with_flags(base as u64, BUFFERS, 0, 0) }?;
    let mut buffers = vec![0u8; BUFFERS as usize * LEN];
    let start = buffers.as_mut_ptr();
    let mut tail = 0u16;
    let mut provide = |id: u16| {
        // SAFETY: the index is below the count of entries.
        let entry = unsafe { base.add(usize::from(tail & (BUFFERS - 1))) };
        // SAFETY: zeroed memory is an entry, and the kernel only reads those before the tail.
        let entry = unsafe { &mut *entry };
        // SAFETY: ids are below the count of buffers.
        entry.set_addr(unsafe { start.add(usize::from(id) * LEN) } as u64);
        entry.set_len(LEN as u32);
        entry.set_bid(id);
        tail = tail.wrapping_add(1);
        // SAFETY: the tail lies in the first entry.
        let at = unsafe { types::BufRingEntry::tail(base) }.cast_mut();
        // SAFETY: as above, and only this thread writes it.
        unsafe { at.write_volatile(tail) };
    };
    (0..BUFFERS).for_each(&mut provide);
    let accept =
        opcode::AcceptMulti::new(types::Fd(listener.as_raw_fd())).build().user_data(ACCEPT);
    // SAFETY: the entry points to no memory.
    unsafe { ring.submission().push(&accept) }?;
    let mut sockets = Vec::new();
    loop {
        ring.submit_and_wait(1)?;
        let (_, mut queue, done) = ring.split();
        for entry in done {
            let data = entry.user_data();
            if data == ACCEPT {
                // SAFETY: the kernel has just made this descriptor for us.
                let socket = unsafe { OwnedFd::from_raw_fd(entry.result()) };
                let fd = types::Fd(socket.as_raw_fd());
                let recv = opcode::RecvMulti::new(fd, 0).build().user_data(fd.0 as u64);
                // SAFETY: the buffers live until the process ends.
                unsafe { queue.push(&recv) }?;
                sockets.push(socket);
            } else if data >> 32 != 0 {
                provide((data >> 32) as u16 - 1);
            } else {
                let Some(id) = cqueue::buffer_select(entry.flags()) else { return Ok(()) };
                // SAFETY: the kernel was given this id, so it is one of a buffer.
                let from = unsafe { start.add(usize::from(id) * LEN) };
                let send = opcode::Send::new(types::Fd(data as i32), from, entry.result() as u32)
                    .build()
                    .user_data((u64::from(id) + 1) << 32);
                // SAFETY: the buffer is not given to the kernel before the send has ended.
                if unsafe { queue.push(&send) }.is_err() {
                    return Err("queue".into());
                }
            }
        }
    }
}
