//! Bound: a raw io_uring loop with httparse: multishot accept and receive, a provided buffer ring,
//! deferred task work, one system call per turn.

use std::io;
use std::mem::size_of;
use std::net::TcpListener;
use std::os::fd::AsRawFd as _;
use std::sync::atomic::{AtomicU16, Ordering};

use io_uring::types::{BufRingEntry, Fd};
use io_uring::{IoUring, cqueue, opcode, squeue};
use load::answer::Answer;
use load::bound;

const BUFFER_COUNT: u16 = 1024;
const BUFFER_LEN: usize = 4096;
const GROUP: u16 = 0;
const ENTRIES: u32 = 1024;

/// The upper half of a completion's user data, the lower one is the descriptor.
const ACCEPT: u64 = 0;
const RECEIVE: u64 = 1 << 32;
const SEND: u64 = 2 << 32;

/// Found by its descriptor.
#[derive(Default)]
struct Connection {
    cut: Vec<u8>,
    /// Lent to the kernel while `in_flight`.
    out: Vec<u8>,
    next: Vec<u8>,
    in_flight: bool,
}

fn main() -> io::Result<()> {
    let address = std::env::args().nth(1).expect("usage: peer_uring ADDRESS");
    let listener = TcpListener::bind(address)?;
    let mut ring = IoUring::builder()
        .setup_single_issuer()
        .setup_defer_taskrun()
        .setup_cqsize(ENTRIES * 4)
        .build(ENTRIES)?;
    let mut buffers = Buffers::register(&ring)?;
    let mut answer = Answer::new();
    let mut connections: Vec<Connection> = Vec::new();
    push(&mut ring, &opcode::AcceptMulti::new(Fd(listener.as_raw_fd())).build().user_data(ACCEPT));
    let mut batch: Vec<cqueue::Entry> = Vec::new();
    loop {
        match ring.submit_and_wait(1) {
            Ok(_) => {}
            Err(error) if error.raw_os_error() == Some(libc::EINTR) => continue,
            Err(error) => return Err(error),
        }
        answer.refresh();
        batch.extend(ring.completion());
        for completion in batch.drain(..) {
            let fd = (completion.user_data() & u64::from(u32::MAX)) as i32;
            match completion.user_data() >> 32 << 32 {
                ACCEPT => accepted(&mut ring, &mut connections, completion.result()),
                RECEIVE => {
                    let connection = &mut connections[fd as usize];
                    received(&mut ring, &mut buffers, connection, &answer, fd, &completion);
                }
                _ => sent(&mut ring, &mut connections[fd as usize], fd, completion.result()),
            }
        }
    }
}

fn accepted(ring: &mut IoUring, connections: &mut Vec<Connection>, fd: i32) {
    assert!(fd >= 0, "accept: {}", io::Error::from_raw_os_error(-fd));
    let one: libc::c_int = 1;
    // SAFETY: `one` is a valid c_int for the length given.
    let status = unsafe {
        libc::setsockopt(
            fd,
            libc::IPPROTO_TCP,
            libc::TCP_NODELAY,
            (&raw const one).cast(),
            size_of::<libc::c_int>() as libc::socklen_t,
        )
    };
    assert_eq!(status, 0);
    let len = connections.len().max(fd as usize + 1);
    connections.resize_with(len, Connection::default);
    connections[fd as usize] = Connection::default();
    push(ring, &receive(fd));
}

fn receive(fd: i32) -> squeue::Entry {
    opcode::RecvMulti::new(Fd(fd), GROUP).build().user_data(RECEIVE | fd as u64)
}

fn received(
    ring: &mut IoUring,
    buffers: &mut Buffers,
    connection: &mut Connection,
    answer: &Answer,
    fd: i32,
    completion: &cqueue::Entry,
) {
    if completion.result() == -libc::ENOBUFS {
        push(ring, &receive(fd));
        return;
    }
    if completion.result() <= 0 {
        push(
            ring,
            &opcode::Close::new(Fd(fd)).build().user_data(SEND).flags(squeue::Flags::SKIP_SUCCESS),
        );
        return;
    }
    let id = cqueue::buffer_select(completion.flags()).expect("a receive has a buffer");
    let len = completion.result() as usize;
    let input = buffers.bytes(id, len);
    let target = if connection.in_flight { &mut connection.next } else { &mut connection.out };
    if connection.cut.is_empty() {
        let used = bound::answer_all(input, answer, target);
        connection.cut.extend_from_slice(&input[used..]);
    } else {
        connection.cut.extend_from_slice(input);
        let used = bound::answer_all(&connection.cut, answer, target);
        connection.cut.drain(..used);
    }
    buffers.give_back(id);
    send_out(ring, connection, fd);
    if !cqueue::more(completion.flags()) {
        push(ring, &receive(fd));
    }
}

fn sent(ring: &mut IoUring, connection: &mut Connection, fd: i32, result: i32) {
    if result < 0 {
        return; // the receive reports the end too
    }
    assert_eq!(result as usize, connection.out.len(), "the bench's answers fit a socket buffer");
    connection.in_flight = false;
    connection.out.clear();
    std::mem::swap(&mut connection.out, &mut connection.next);
    send_out(ring, connection, fd);
}

fn send_out(ring: &mut IoUring, connection: &mut Connection, fd: i32) {
    if connection.in_flight || connection.out.is_empty() {
        return;
    }
    connection.in_flight = true;
    let (start, len) = (connection.out.as_ptr(), connection.out.len() as u32);
    let entry = opcode::Send::new(Fd(fd), start, len).flags(libc::MSG_NOSIGNAL | libc::MSG_WAITALL);
    push(ring, &entry.build().user_data(SEND | fd as u64));
}

fn push(ring: &mut IoUring, entry: &squeue::Entry) {
    // SAFETY: what an entry points to (a connection's `out`) is not touched until its completion.
    while unsafe { ring.submission().push(entry) }.is_err() {
        ring.submit().expect("the ring takes what is queued");
    }
}

/// The provided buffers and the ring that lends them to the kernel, both for the whole run.
struct Buffers {
    ring: *mut BufRingEntry,
    bytes: *mut u8,
    tail: u16,
}

impl Buffers {
    fn register(ring: &IoUring) -> io::Result<Self> {
        let entries = map(usize::from(BUFFER_COUNT) * size_of::<BufRingEntry>())?.cast();
        let bytes = map(usize::from(BUFFER_COUNT) * BUFFER_LEN)?;
        // SAFETY: the mapping has room for that many entries and is never unmapped.
        unsafe {
            ring.submitter().register_buf_ring_with_flags(
                entries as u64,
                BUFFER_COUNT,
                GROUP,
                0,
            )?;
        }
        let mut buffers = Self { ring: entries, bytes, tail: 0 };
        (0..BUFFER_COUNT).for_each(|id| buffers.give_back(id));
        Ok(buffers)
    }

    fn bytes(&self, id: u16, len: usize) -> &[u8] {
        assert!(id < BUFFER_COUNT && len <= BUFFER_LEN);
        // SAFETY: inside the mapping by the line above; the kernel wrote `len` bytes and does not
        // write again before `give_back`.
        unsafe { std::slice::from_raw_parts(self.bytes.add(usize::from(id) * BUFFER_LEN), len) }
    }

    fn give_back(&mut self, id: u16) {
        let index = usize::from(self.tail & (BUFFER_COUNT - 1));
        // SAFETY: the index is below the entry count, and the kernel reads an entry only below
        // tail.
        let entry = unsafe { &mut *self.ring.add(index) };
        // SAFETY: inside the mapping, since ids are below the count.
        entry.set_addr(unsafe { self.bytes.add(usize::from(id) * BUFFER_LEN) } as u64);
        entry.set_len(BUFFER_LEN as u32);
        entry.set_bid(id);
        self.tail = self.tail.wrapping_add(1);
        // SAFETY: the ring's first entry holds the tail, aligned and valid as long as the mapping.
        let tail = unsafe { &*BufRingEntry::tail(self.ring).cast::<AtomicU16>() };
        tail.store(self.tail, Ordering::Release);
    }
}

fn map(len: usize) -> io::Result<*mut u8> {
    // SAFETY: an anonymous mapping at an address of the kernel's choice touches nothing of ours.
    let start = unsafe {
        libc::mmap(
            std::ptr::null_mut(),
            len,
            libc::PROT_READ | libc::PROT_WRITE,
            libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
            -1,
            0,
        )
    };
    if start == libc::MAP_FAILED { Err(io::Error::last_os_error()) } else { Ok(start.cast()) }
}
