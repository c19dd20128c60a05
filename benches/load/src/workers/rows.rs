//! What is measured of workers: the rows, who runs in each, and the goals.

use Contender::{Bound, Forebay, ForebayMsgpack, Npm, ProcwireClient, TokioUtil, TokioUtilForward};

/// A worker program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Contender {
    /// The SDK with raw payloads.
    Forebay,
    /// The SDK with bytes in MessagePack, as `procwire-client` has them.
    ForebayMsgpack,
    /// tokio with frames answered in place.
    Bound,
    /// A write for each answer.
    TokioUtil,
    /// A write for all that was read.
    TokioUtilForward,
    ProcwireClient,
    Npm,
}

impl Contender {
    pub fn name(self) -> &'static str {
        match self {
            Self::Forebay => "forebay-worker, raw",
            Self::ForebayMsgpack => "forebay-worker, MessagePack",
            Self::Bound => "bound: tokio, in place",
            Self::TokioUtil => "tokio-util framing, send",
            Self::TokioUtilForward => "tokio-util framing, forward",
            Self::ProcwireClient => "procwire-client 2.0.0, MessagePack",
            Self::Npm => "npm @procwire/client 1.3.1, raw",
        }
    }

    /// The method that echoes, by the worker's codec.
    pub fn method(self) -> &'static str {
        match self {
            Self::Forebay | Self::Bound | Self::TokioUtil | Self::TokioUtilForward | Self::Npm => {
                "echo_raw"
            }
            Self::ForebayMsgpack | Self::ProcwireClient => "echo",
        }
    }
}

/// One kind of load, and everyone who takes it.
#[derive(Debug)]
pub struct Row {
    /// For `--only`.
    pub id: &'static str,
    pub title: &'static str,
    /// As `load drive` takes it.
    pub kind: &'static str,
    pub len: usize,
    pub depth: usize,
    pub total: usize,
    pub contenders: &'static [Contender],
    pub goals: &'static [Goal],
}

/// A bound on a figure, alone or as the ratio to another contender's.
#[derive(Debug)]
pub struct Goal {
    pub figure: Figure,
    pub ours: Contender,
    pub against: Option<Contender>,
    pub limit: f64,
}

/// What a goal is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Figure {
    /// CPU time of the worker per request.
    Cpu,
    P50,
    P99Us,
    /// At least.
    PerSecond,
    /// At least; MB/s, each way.
    Throughput,
    PeakMb,
    ResidentMb,
}

const fn goal(figure: Figure, against: Option<Contender>, limit: f64) -> Goal {
    Goal { figure, ours: Forebay, against, limit }
}

const fn row(id: &'static str, title: &'static str, kind: &'static str) -> Row {
    Row { id, title, kind, len: 1024, depth: 1, total: 0, contenders: SDKS, goals: &[] }
}

const SDKS: &[Contender] = &[Forebay, ForebayMsgpack, ProcwireClient, Npm];
const ALL: &[Contender] =
    &[Forebay, ForebayMsgpack, Bound, TokioUtil, TokioUtilForward, ProcwireClient, Npm];
const MB: usize = 1_000_000;

pub const ROWS: &[Row] = &[
    Row {
        depth: 64,
        contenders: ALL,
        goals: &[
            goal(Figure::Cpu, Some(TokioUtil), 0.26),
            goal(Figure::Cpu, Some(Bound), 1.25),
            goal(Figure::Cpu, Some(ProcwireClient), 0.5),
            goal(Figure::PerSecond, None, 500_000.0),
        ],
        ..row("1k-64", "1 KiB, one connection, 64 in flight, native parent", "echo")
    },
    Row {
        contenders: ALL,
        goals: &[goal(Figure::P50, Some(Bound), 1.05), goal(Figure::P99Us, None, 100.0)],
        ..row("1k-1", "1 KiB, one in flight, spinning native parent", "echo")
    },
    Row {
        depth: 64,
        goals: &[
            goal(Figure::Cpu, Some(ProcwireClient), 0.6),
            Goal { ours: ForebayMsgpack, ..goal(Figure::Cpu, Some(ProcwireClient), 0.6) },
        ],
        ..row("1k-64-node", "1 KiB, 64 in flight, Node.js parent", "node")
    },
    Row {
        len: 10 * MB,
        contenders: ALL,
        goals: &[
            goal(Figure::Cpu, Some(TokioUtil), 0.78),
            goal(Figure::PeakMb, Some(ProcwireClient), 0.6),
            goal(Figure::Throughput, None, 2000.0),
        ],
        ..row("10m", "10 MB echo, one in flight, native parent", "echo")
    },
    Row {
        len: 64,
        goals: &[Goal {
            ours: ForebayMsgpack,
            ..goal(Figure::PerSecond, Some(ProcwireClient), 2.0)
        }],
        contenders: &[ForebayMsgpack, ProcwireClient, Npm],
        ..row("stream-64", "chunks of 64 bytes, one stream", "stream")
    },
    Row {
        len: 65_536,
        total: 1000 * MB,
        contenders: &[ForebayMsgpack, ProcwireClient, Npm],
        goals: &[Goal { ours: ForebayMsgpack, ..goal(Figure::PeakMb, None, 8.0) }],
        ..row("1g-stream", "1 GB as chunks of 64 KiB", "stream-total")
    },
    Row {
        len: 10 * MB,
        total: 1000 * MB,
        goals: &[goal(Figure::PeakMb, None, 32.0)],
        ..row("1g-echo", "1 GB as echoes of 10 MB", "echo-total")
    },
    Row {
        len: 100 * MB,
        total: 100 * MB,
        goals: &[goal(Figure::PeakMb, None, 220.0)],
        ..row("100m-echo", "an echo of 100 MB", "echo-total")
    },
    Row {
        goals: &[goal(Figure::ResidentMb, None, 2.8)],
        ..row("idle", "idle, after one request", "idle")
    },
];
