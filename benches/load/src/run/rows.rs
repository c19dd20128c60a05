//! What is measured: the rows, who runs in each, and the goals.

use super::server::Contender::{
    self, Epoll, Forebay, ForebayEpoll, ForebayUring, Hyper, May, Nginx, Proxy, Uring,
};

/// One kind of load, and everyone who serves it.
#[derive(Debug)]
pub struct Row {
    /// For `--only`.
    pub id: &'static str,
    pub title: &'static str,
    pub load: Load,
    /// The first one is what the ratios of the table are to.
    pub contenders: &'static [Contender],
    pub goals: &'static [Goal],
}

/// What the generator does.
#[derive(Clone, Copy, Debug)]
pub struct Load {
    pub request: &'static str,
    pub connections: usize,
    pub depth: usize,
    /// The generator sleeps until an answer comes, as ordinary clients do, and wakes for each.
    pub sleep: bool,
    /// Two connections by turns, one answered directly: what the other's way adds.
    pub added: bool,
    /// The connections do nothing; only memory is read.
    pub idle: bool,
    /// Allocations and copies are counted, which makes everything slower.
    pub tally: bool,
}

/// What a goal is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Figure {
    /// CPU time of the server per request, as a ratio.
    Cpu,
    /// Resident memory at the end of the window, as a ratio.
    Resident,
    /// p50 through a worker minus p50 of a direct answer, as a ratio.
    AddedLatency,
    /// Resident memory with no connection, in MiB.
    IdleMiB,
    /// Resident memory per idle connection, in bytes.
    BytesPerConnection,
    /// Allocations per request.
    Allocations,
    /// Bytes copied in the process for each byte that went through, there or back.
    Copies,
}

/// `forebay` against somebody; `bound` takes whichever raw loop is cheaper.
#[derive(Clone, Copy, Debug)]
pub struct Goal {
    pub figure: Figure,
    pub against: &'static [Contender],
    pub at_most: f64,
}

const fn cpu(against: &'static [Contender], at_most: f64) -> Goal {
    Goal { figure: Figure::Cpu, against, at_most }
}

const fn load(request: &'static str, connections: usize, depth: usize) -> Load {
    Load { request, connections, depth, sleep: false, added: false, idle: false, tally: false }
}

const BOUND: &[Contender] = &[Epoll, Uring];
const DIRECT_PEERS: &[Contender] =
    &[Hyper, Epoll, Uring, May, Nginx, Forebay, ForebayUring, ForebayEpoll];
const PROXIES: &[Contender] = &[Nginx, Forebay, ForebayUring, ForebayEpoll];
const PROXIES_AND_BOUND: &[Contender] = &[Nginx, Proxy, Forebay, ForebayUring, ForebayEpoll];

pub const ROWS: &[Row] = &[
    Row {
        id: "404-64",
        title: "404 by the gateway itself, 64 connections",
        load: load("404", 64, 1),
        contenders: DIRECT_PEERS,
        goals: &[cpu(&[Hyper], 0.86)],
    },
    Row {
        id: "404-512",
        title: "404 by the gateway itself, 512 connections",
        load: load("404", 512, 1),
        contenders: DIRECT_PEERS,
        goals: &[
            cpu(&[Hyper], 0.74),
            Goal { figure: Figure::Resident, against: &[Hyper], at_most: 0.45 },
        ],
    },
    Row {
        id: "404-64x16",
        title: "404 by the gateway itself, 64 connections, 16 pipelined",
        load: load("404", 64, 16),
        contenders: DIRECT_PEERS,
        goals: &[cpu(&[Hyper], 0.40), cpu(&[May], 0.85), cpu(BOUND, 1.10)],
    },
    Row {
        id: "rotating-64x16",
        title: "the same, 64 different heads in turn",
        load: load("404-rotating", 64, 16),
        contenders: &[Hyper, Epoll, Uring, May, Forebay],
        goals: &[],
    },
    Row {
        id: "sleeping-64",
        title: "404 by the gateway itself, 64 connections, a client that sleeps",
        load: Load { sleep: true, ..load("404", 64, 1) },
        contenders: &[Hyper, Epoll, Uring, Forebay],
        goals: &[],
    },
    Row {
        id: "post-64",
        title: "POST of 64 bytes to an echo worker or upstream, 64 connections",
        load: load("post-echo", 64, 1),
        contenders: PROXIES,
        goals: &[cpu(&[Nginx], 0.60)],
    },
    Row {
        id: "get-64",
        title: "GET to an echo worker or upstream, 64 connections",
        load: load("get-echo", 64, 1),
        contenders: PROXIES_AND_BOUND,
        goals: &[cpu(&[Nginx], 0.60)],
    },
    Row {
        id: "post-1m",
        title: "POST of 1 MiB to an echo worker or upstream, 4 connections",
        load: load("post-echo-large", 4, 1),
        contenders: PROXIES,
        goals: &[],
    },
    Row {
        id: "direct-1",
        title: "404 by the server itself, one connection",
        load: load("404", 1, 1),
        contenders: &[Nginx, Hyper, Epoll, Uring, Forebay, ForebayUring, ForebayEpoll],
        goals: &[],
    },
    Row {
        id: "get-1",
        title: "GET to an echo worker or upstream, one connection",
        load: load("get-echo", 1, 1),
        contenders: PROXIES_AND_BOUND,
        goals: &[],
    },
    Row {
        id: "added-1",
        title: "what the way to an echo worker or upstream adds, one request at a time",
        load: Load { added: true, ..load("get-echo", 1, 1) },
        contenders: PROXIES_AND_BOUND,
        goals: &[Goal { figure: Figure::AddedLatency, against: &[Nginx], at_most: 0.70 }],
    },
    Row {
        id: "tally-404",
        title: "what a 404 allocates, 64 connections",
        load: Load { tally: true, ..load("404", 64, 1) },
        contenders: &[Forebay, ForebayEpoll, Hyper],
        goals: &[Goal { figure: Figure::Allocations, against: &[], at_most: 0.0 }],
    },
    Row {
        id: "tally-post",
        title: "what a POST of 64 bytes to an echo worker allocates in the gateway, 64 connections",
        load: Load { tally: true, ..load("post-echo", 64, 1) },
        contenders: PROXIES,
        goals: &[Goal { figure: Figure::Allocations, against: &[], at_most: 0.0 }],
    },
    Row {
        id: "tally-1m",
        title: "what a POST of 1 MiB to an echo worker copies in the gateway, 4 connections",
        load: Load { tally: true, ..load("post-echo-large", 4, 1) },
        contenders: PROXIES,
        goals: &[Goal { figure: Figure::Copies, against: &[], at_most: 1.0 }],
    },
    Row {
        id: "idle-10000",
        title: "10,000 idle connections, each after one request",
        load: Load { idle: true, ..load("404", 10_000, 1) },
        contenders: &[Forebay, Hyper, Nginx],
        goals: &[
            Goal { figure: Figure::IdleMiB, against: &[], at_most: 5.0 },
            Goal { figure: Figure::BytesPerConnection, against: &[], at_most: 1024.0 },
        ],
    },
];
