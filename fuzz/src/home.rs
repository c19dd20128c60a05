//! A home with one worker, for the targets of `dispatch`.

use core::time::Duration;

use forebay_core_dispatch::home::{
    Action, Body, Call, Home, Instance, Memory, NewCall, REQUESTS_PER_CALL, Request, Storage,
    Worker, WorkerConfig,
};
use forebay_core_dispatch::message::SLOT_LEN;
use forebay_core_dispatch::{CallId, InstanceId, Refusal, Slot, WorkerId};
use forebay_core_time::{Instant, TimerSlot};

/// Eight calls, three instances, one worker.
#[derive(Debug)]
pub struct Arrays;

impl Storage for Arrays {
    type Calls = [Slot<Call>; 8];
    type Instances = [Slot<Instance>; 3];
    type Workers = [Slot<Worker>; 1];
    type Timers = [TimerSlot; 12];
    type Requests = [Request; 3 * 4 * REQUESTS_PER_CALL];
}

/// What a worker announces: streams, with parts of bodies and grants.
pub const INIT: &[u8] = br#"{"method":"$init","params":{"pipe":"/w","schema":{"methods":{"http":{"id":1,"response":"stream"},"http.body":{"id":2,"response":"ack"},"http.grant":{"id":3,"response":"none"}},"events":{}}}}"#;
/// The same with a stream only.
pub const PLAIN_INIT: &[u8] = br#"{"method":"$init","params":{"pipe":"/w","schema":{"methods":{"http":{"id":1,"response":"stream"}},"events":{}}}}"#;

/// A home and its worker.
#[must_use]
pub fn home() -> (Home<Arrays>, WorkerId) {
    let mut home = Home::new(Memory {
        calls: Default::default(),
        instances: Default::default(),
        workers: Default::default(),
        timers: Default::default(),
        requests: [Request::default(); 3 * 4 * REQUESTS_PER_CALL],
    });
    let config = WorkerConfig {
        max_instances: 2,
        max_concurrency: 3,
        max_calls: 9,
        queue_len: 4,
        window: 64,
        chunk: 16,
        max_frame: 1 << 16,
        ping_interval: Duration::from_secs(5),
        ..WorkerConfig::DEFAULT
    };
    let worker = home.deploy(Instant::ZERO, config).expect("a free place");
    (home, worker)
}

/// Hands a call in.
///
/// # Errors
/// What its client is told.
pub fn call(
    home: &mut Home<Arrays>,
    now: Instant,
    worker: WorkerId,
    origin: u64,
    body: Body,
) -> Result<CallId, Refusal> {
    home.handle_call(now, NewCall { origin, worker, message_len: 40, body, idempotent: true })
}

/// A home whose only instance has one call, with the name 1 and the request 1.
#[must_use]
pub fn waiting(init: &[u8]) -> (Home<Arrays>, InstanceId) {
    let now = Instant::ZERO;
    let (mut home, worker) = home();
    call(&mut home, now, worker, 1, Body::None).expect("room for a call");
    let Some(Action::Spawn { instance, .. }) = home.poll_action(now) else { panic!("no spawn") };
    home.handle_spawned(now, instance, 0);
    let _ = home.handle_line(now, instance, init, &mut [0; 108]);
    home.handle_connected(now, instance);
    let frame = home.poll_transmit(now, instance, &mut [0; SLOT_LEN]);
    assert!(frame.is_some());
    (home, instance)
}
