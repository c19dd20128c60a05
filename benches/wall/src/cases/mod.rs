//! One case is one contender's way to do one thing, over inputs that rotate.

pub mod frame;
pub mod head;
pub mod inputs;
pub mod response;
pub mod route;

/// Something that can be measured: a batch is prepared, which does not count, and then run.
pub trait Case {
    /// Brings everything into the state in which a batch can run.
    fn prepare(&mut self) {}

    /// Runs one batch; returns how many operations it was.
    fn run(&mut self) -> usize;
}

/// A case and what it is called in rows, baselines and tables.
#[derive(Clone, Copy)]
pub struct Named {
    pub name: &'static str,
    pub build: fn() -> Box<dyn Case>,
}

/// All cases.
pub const ALL: &[Named] = &[
    Named { name: "httparse, 132 B", build: || Box::new(head::Httparse::new(inputs::SMALL)) },
    Named { name: "httparse, 703 B", build: || Box::new(head::Httparse::new(inputs::LARGE)) },
    Named { name: "head to decision, 132 B", build: || Box::new(head::Decide::new(inputs::SMALL)) },
    Named { name: "head to decision, 703 B", build: || Box::new(head::Decide::new(inputs::LARGE)) },
    Named { name: "head alone, 132 B", build: || Box::new(head::Parse::new(inputs::SMALL)) },
    Named { name: "head alone, 703 B", build: || Box::new(head::Parse::new(inputs::LARGE)) },
    Named { name: "same head, 132 B", build: || Box::new(head::Same::new(inputs::SMALL)) },
    Named { name: "same head, 703 B", build: || Box::new(head::Same::new(inputs::LARGE)) },
    Named { name: "route, 8 services", build: || Box::new(route::Route::new(8)) },
    Named { name: "route, 4096 services", build: || Box::new(route::Route::new(4096)) },
    Named { name: "tokio-util, 64 B", build: || Box::new(frame::TokioUtil::new(64)) },
    Named { name: "tokio-util, 1 KiB", build: || Box::new(frame::TokioUtil::new(1024)) },
    Named { name: "tokio-util, 10 MB", build: || Box::new(frame::TokioUtil::new(frame::LARGE)) },
    Named { name: "frame decode, 64 B", build: || Box::new(frame::Forebay::new(64)) },
    Named { name: "frame decode, 1 KiB", build: || Box::new(frame::Forebay::new(1024)) },
    Named { name: "frame decode, 10 MB", build: || Box::new(frame::Forebay::new(frame::LARGE)) },
    Named { name: "404 from a template", build: || Box::new(response::Answer::new()) },
    Named { name: "response head, 3 fields", build: || Box::new(response::Head::new()) },
];

/// The case of that name.
///
/// # Panics
///
/// When there is none: rows and cases are in one crate.
pub fn named(name: &str) -> Box<dyn Case> {
    let found = ALL.iter().find(|case| case.name == name);
    (found.unwrap_or_else(|| panic!("no case {name}")).build)()
}
