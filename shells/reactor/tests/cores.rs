//! One thread for each core: all of them or none, pinned, stopped and joined.

use core::sync::atomic::{AtomicUsize, Ordering};
use core::time::Duration;
use std::sync::{Arc, Barrier};

use forebay_reactor::{
    Backend, Completion, Config, Core, CoreOptions, Flags, Pinning, StartError, allowed_cpus, start,
};

const DEADLINE: Duration = Duration::from_secs(20);

fn options(count: usize) -> CoreOptions {
    // Small rings: without root the kernel limits their memory.
    let config = Config { entries: 8, ..Config::default() };
    CoreOptions { count: Some(count), pin: true, config }
}

/// Waits until it is asked to stop; the messages that came.
fn run(mut core: Core) -> Vec<u64> {
    let mut out = [Completion::EMPTY; 8];
    let mut messages = Vec::new();
    while !core.is_stopping() {
        let count = core.reactor.wait(&mut out, Some(DEADLINE)).expect("the loop goes on");
        let posted = out[..count].iter().filter(|seen| seen.flags.contains(Flags::MESSAGE));
        messages.extend(posted.map(|seen| seen.token));
    }
    messages
}

/// reactor.md P8: exactly N workers, counted by a barrier that only N can pass.
#[test]
fn exactly_as_many_threads_run_as_were_asked_for() {
    for count in [1, 2, 3, 8] {
        let barrier = Arc::new(Barrier::new(count + 1));
        let ran = Arc::new(AtomicUsize::new(0));
        let (inner, counted) = (Arc::clone(&barrier), Arc::clone(&ran));
        let running = start(
            &options(count),
            |_| Ok::<_, String>(()),
            move |core, ()| {
                counted.fetch_add(1, Ordering::SeqCst);
                inner.wait();
                (core.index, std::thread::current().name().map(str::to_owned), run(core))
            },
        )
        .expect("started");
        barrier.wait();
        assert_eq!(ran.load(Ordering::SeqCst), count);
        running.shutdown();
        let outputs = running.join();
        assert_eq!(outputs.len(), count);
        for (at, output) in outputs.into_iter().enumerate() {
            let (index, name, _) = output.expect("no panic");
            assert_eq!((index, name), (at, Some(format!("forebay-{at}"))));
        }
    }
}

#[test]
fn threads_are_pinned_to_the_allowed_cpus_in_turn() {
    let cpus = allowed_cpus();
    let count = cpus.len() + 1;
    let running =
        start(&options(count), |_| Ok::<_, String>(()), |core, ()| (core.pinning, allowed_cpus()))
            .expect("started");
    for (at, output) in running.join().into_iter().enumerate() {
        let (pinning, mine) = output.expect("no panic");
        let cpu = cpus[at % cpus.len()];
        assert_eq!(pinning, Pinning::Shared(cpu), "there are more threads than CPUs");
        assert_eq!(mine, [cpu]);
    }
    let off = CoreOptions { pin: false, ..options(1) };
    let running = start(&off, |_| Ok::<_, String>(()), |core, ()| core.pinning).expect("started");
    assert_eq!(running.join().pop().and_then(Result::ok), Some(Pinning::Off));
}

#[test]
fn a_failure_of_one_thread_stops_all() {
    let ran = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&ran);
    let refused = start(
        &options(4),
        |core: &mut Core| if core.index == 2 { Err("not here") } else { Ok(()) },
        move |_, ()| counted.fetch_add(1, Ordering::SeqCst),
    );
    match refused {
        Err(StartError::Init(2, "not here")) => {}
        other => panic!("{other:?}"),
    }
    assert_eq!(ran.load(Ordering::SeqCst), 0);
}

#[test]
fn a_panic_before_the_start_is_an_error() {
    let refused = start(
        &options(2),
        |core: &mut Core| {
            assert!(core.index == 0, "a bug in init");
            Ok::<_, String>(())
        },
        |_, ()| (),
    );
    assert!(matches!(refused, Err(StartError::Thread(_))), "{refused:?}");
}

#[test]
fn counts_out_of_range_are_refused() {
    for count in [0, 1025] {
        let refused = start(&options(count), |_| Ok::<_, String>(()), |_, ()| ());
        assert!(matches!(refused, Err(StartError::InvalidOptions(_))));
    }
    let broken = CoreOptions { config: Config { entries: 0, ..Config::default() }, ..options(2) };
    let refused = start(&broken, |_| Ok::<_, String>(()), |_, ()| ());
    assert!(matches!(refused, Err(StartError::Reactor(_, _))));
}

#[test]
fn cores_reach_each_other() {
    const COUNT: usize = 3;
    for backend in [Backend::Epoll, Backend::Auto] {
        let mut options = options(COUNT);
        options.config.backend = backend;
        let running = start(
            &options,
            |core| {
                assert!(core.remotes().is_empty(), "nobody else may be ready");
                Ok::<_, String>(())
            },
            |mut core, ()| {
                for (at, remote) in core.remotes().iter().enumerate() {
                    if at != core.index {
                        remote.post(core.index as u64).expect("room");
                    }
                }
                let mut out = [Completion::EMPTY; 8];
                let mut from = Vec::new();
                while from.len() < COUNT - 1 {
                    let count = core.reactor.wait(&mut out, Some(DEADLINE)).expect("goes on");
                    from.extend(out[..count].iter().map(|seen| seen.token));
                }
                from.sort_unstable();
                from
            },
        )
        .expect("started");
        for (at, output) in running.join().into_iter().enumerate() {
            let others: Vec<u64> = (0..COUNT as u64).filter(|other| *other != at as u64).collect();
            assert_eq!(output.expect("no panic"), others);
        }
    }
}
