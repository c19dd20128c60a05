//! What is compared with what, and the goals.

/// One line of the table.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    pub case: &'static str,
    /// The case that the ratio is to.
    pub against: Option<&'static str>,
    pub goal: Goal,
}

/// What has to be reached.
#[derive(Clone, Copy, Debug)]
pub enum Goal {
    /// The ratio to the other case.
    Ratio(f64),
    /// ns per operation.
    Ns(f64),
    /// Only told.
    None,
}

const fn ratio(case: &'static str, against: &'static str, at_most: f64) -> Row {
    Row { case, against: Some(against), goal: Goal::Ratio(at_most) }
}

const fn told(case: &'static str, against: Option<&'static str>) -> Row {
    Row { case, against, goal: Goal::None }
}

pub const ROWS: &[Row] = &[
    ratio("head to decision, 132 B", "httparse, 132 B", 1.8),
    ratio("head to decision, 703 B", "httparse, 703 B", 1.4),
    told("head alone, 132 B", Some("httparse, 132 B")),
    told("head alone, 703 B", Some("httparse, 703 B")),
    ratio("same head, 132 B", "httparse, 132 B", 0.25),
    ratio("same head, 703 B", "httparse, 703 B", 0.25),
    Row { case: "route, 8 services", against: None, goal: Goal::Ns(150.0) },
    Row { case: "route, 4096 services", against: None, goal: Goal::Ns(150.0) },
    ratio("route, 4096 services", "route, 8 services", 1.3),
    ratio("frame decode, 64 B", "tokio-util, 64 B", 0.12),
    ratio("frame decode, 1 KiB", "tokio-util, 1 KiB", 0.12),
    told("frame decode, 10 MB", Some("tokio-util, 10 MB")),
    told("404 from a template", None),
    told("response head, 3 fields", None),
];
