//! The crossing between the engine and JavaScript.
//!
//! Few calls, each for many things: `submit` takes packed commands, `wake` (JavaScript's) is called
//! once when events wait, `drain` copies packed events into JavaScript's memory. The records are
//! described in [`commands`] and [`events`]; `lib/link.ts` is their other end.
//!
//! An environment may be told to end at any moment, from another thread. From then on most calls
//! into JavaScript fail, and neon panics where a boxed value or an external buffer cannot be made
//! or recognised: so there are none here, and the functions know their environment by closure.

mod borrowed;
mod commands;
mod events;
mod options;
mod sockets;

use core::cell::RefCell;
use core::panic::AssertUnwindSafe;
use std::panic::catch_unwind;
use std::rc::Rc;
use std::sync::Arc;

use neon::event::Channel;
use neon::handle::Root;
use neon::object::Object as _;
use neon::prelude::{
    Context as _, Cx, FunctionContext, Handle, JsArray, JsBoolean, JsFunction, JsNumber, JsObject,
    JsResult, JsString, JsUint8Array, JsUndefined, ModuleContext, NeonResult,
};
use neon::types::buffer::TypedArray as _;

use crate::engine::{ClientOptions, Command, Engine, Look};
use events::{Drained, Queue, Sink};
use sockets::Sockets;

/// One Node.js environment: the main thread, or one worker thread.
struct Environment {
    engine: Engine,
    queue: Arc<Queue>,
    /// For what is told on this thread.
    here: RefCell<Sink<fn()>>,
    /// Referenced exactly while JavaScript wants to live.
    channel: RefCell<Channel>,
    options: RefCell<Profiles>,
    sockets: RefCell<Sockets>,
}

/// What clients are opened with; numbers are used again.
#[derive(Default)]
struct Profiles {
    all: Vec<Option<Arc<ClientOptions>>>,
    /// What clients trust that name no roots of their own.
    roots: Arc<[String]>,
}

#[neon::main]
fn main(mut cx: ModuleContext<'_>) -> NeonResult<()> {
    cx.export_function("start", start)
}

/// `start(wake)`: an engine, as an object with the functions below. `wake` is called without
/// arguments when events wait.
fn start(mut cx: FunctionContext<'_>) -> JsResult<'_, JsObject> {
    let wake = Arc::new(cx.argument::<JsFunction>(0)?.root(&mut cx));
    let mut channel = cx.channel();
    channel.unref(&mut cx);
    let queue = Arc::new(Queue::default());
    let waker = channel.clone();
    let sink = Sink::new(Arc::clone(&queue), move || {
        let wake = Arc::clone(&wake);
        // An environment that is shutting down takes no more: nobody waits for these events.
        let _sent = waker.try_send(move |mut cx| {
            call(&mut cx, &wake);
            Ok(())
        });
    });
    let engine =
        Engine::start(Box::new(sink)).or_else(|error| cx.throw_error(error.to_string()))?;
    let (channel, options) = (RefCell::new(channel), RefCell::default());
    let here = RefCell::new(Sink::new(Arc::default(), (|| {}) as fn()));
    let sockets = RefCell::default();
    let environment = Rc::new(Environment { engine, queue, here, channel, options, sockets });
    let functions = cx.empty_object();
    export(&mut cx, functions, "roots", &environment, Environment::roots)?;
    export(&mut cx, functions, "define", &environment, Environment::define)?;
    export(&mut cx, functions, "forget", &environment, Environment::forget)?;
    export(&mut cx, functions, "submit", &environment, Environment::submit)?;
    export(&mut cx, functions, "look", &environment, Environment::look)?;
    export(&mut cx, functions, "drain", &environment, Environment::drain)?;
    export(&mut cx, functions, "pair", &environment, Environment::pair)?;
    export(&mut cx, functions, "take", &environment, Environment::take)?;
    export(&mut cx, functions, "hold", &environment, Environment::hold)?;
    Ok(functions)
}

/// Calls `wake`, which catches what its callees throw: an exception that is left says that the
/// environment ends. neon would make an error of it, fail at that too, and end the process.
fn call(cx: &mut Cx<'_>, wake: &Root<JsFunction>) {
    let function = wake.to_inner(cx);
    let run = || cx.try_catch(|cx| function.bind(cx).exec());
    let _ended = catch_unwind(AssertUnwindSafe(run));
}

fn export<V: neon::types::Value>(
    cx: &mut FunctionContext<'_>,
    functions: Handle<'_, JsObject>,
    name: &str,
    environment: &Rc<Environment>,
    body: for<'cx> fn(&Environment, FunctionContext<'cx>) -> JsResult<'cx, V>,
) -> NeonResult<()> {
    let environment = Rc::clone(environment);
    let function = JsFunction::new(cx, move |cx: FunctionContext<'_>| body(&environment, cx))?;
    functions.prop(cx, name).set(function)?;
    Ok(())
}

impl Environment {
    /// `roots(pems)`: what clients trust that name no roots of their own.
    fn roots<'cx>(&self, mut cx: FunctionContext<'cx>) -> JsResult<'cx, JsUndefined> {
        let list = cx.argument::<JsArray>(0)?;
        let mut pems = Vec::new();
        for index in 0..list.len(&mut cx) {
            let pem: Handle<'_, JsString> = list.get(&mut cx, index)?;
            pems.push(pem.value(&mut cx));
        }
        self.options.borrow_mut().roots = pems.into();
        Ok(cx.undefined())
    }

    /// `define(json)`: the number under which commands name these options.
    fn define<'cx>(&self, mut cx: FunctionContext<'cx>) -> JsResult<'cx, JsNumber> {
        let json = cx.argument::<JsString>(0)?.value(&mut cx);
        let mut known = self.options.borrow_mut();
        let parsed = options::parse(&json, &known.roots);
        let parsed = parsed.or_else(|error| cx.throw_type_error(error.to_string()))?;
        let free = known.all.iter().position(Option::is_none);
        let index = free.unwrap_or(known.all.len());
        if index == known.all.len() {
            known.all.push(None);
        }
        known.all[index] = Some(Arc::new(parsed));
        Ok(cx.number(index as f64))
    }

    /// `forget(number)`: no command will name these options any more.
    fn forget<'cx>(&self, mut cx: FunctionContext<'cx>) -> JsResult<'cx, JsUndefined> {
        let number = cx.argument::<JsNumber>(0)?.value(&mut cx) as usize;
        if let Some(options) = self.options.borrow_mut().all.get_mut(number) {
            *options = None;
        }
        Ok(cx.undefined())
    }

    /// `submit(commands, length, bodies)`: `bodies` is an array of `Uint8Array`, or undefined.
    /// Returns whether the answer is to be looked for.
    fn submit<'cx>(&self, mut cx: FunctionContext<'cx>) -> JsResult<'cx, JsBoolean> {
        let commands = cx.argument::<JsUint8Array>(0)?;
        let length = cx.argument::<JsNumber>(1)?.value(&mut cx) as usize;
        let bodies = self.bodies(&mut cx)?;
        let decoded = {
            let all = commands.as_slice(&cx);
            let packed = all.get(..length).unwrap_or(all);
            let sockets = &mut self.sockets.borrow_mut();
            commands::decode(packed, bodies, &self.options.borrow().all, sockets)
        };
        match decoded {
            Ok(batch) => {
                let looks = self.engine.submit(batch);
                Ok(cx.boolean(looks))
            }
            Err(error) => cx.throw_range_error(error.to_string()),
        }
    }

    /// `look(slab)`: copies the events of the answer into `slab`. Returns the bytes written, 0 when
    /// it has to be looked for again, and -1 when the engine will tell of it.
    fn look<'cx>(&self, mut cx: FunctionContext<'cx>) -> JsResult<'cx, JsNumber> {
        let mut slab = cx.argument::<JsUint8Array>(0)?;
        let mut sink = self.here.borrow_mut();
        let bytes = match self.engine.look(&mut *sink) {
            Look::Answered => sink.copy(slab.as_mut_slice(&mut cx)) as f64,
            Look::Waiting => 0.0,
            Look::Left => -1.0,
        };
        Ok(cx.number(bytes))
    }

    /// `drain(slab)`: copies whole batches of packed events into `slab`. Returns twice the bytes
    /// written, plus one when more wait; when not even one batch fits, its size as a negative
    /// number.
    fn drain<'cx>(&self, mut cx: FunctionContext<'cx>) -> JsResult<'cx, JsNumber> {
        let mut slab = cx.argument::<JsUint8Array>(0)?;
        let drained = self.queue.drain(slab.as_mut_slice(&mut cx));
        self.queue.release(&mut cx);
        self.tell_of_room();
        Ok(match drained {
            Drained::Copied { bytes, more } => {
                cx.number(bytes as f64 * 2.0 + f64::from(u8::from(more)))
            }
            Drained::TooLarge { bytes } => cx.number(-(bytes as f64)),
        })
    }

    /// `pair()`: the descriptor of a local socket; an answer that names it brings the engine the
    /// other end.
    fn pair<'cx>(&self, mut cx: FunctionContext<'cx>) -> JsResult<'cx, JsNumber> {
        let pair = self.sockets.borrow_mut().pair();
        let number = pair.or_else(|error| cx.throw_error(error.to_string()))?;
        Ok(cx.number(number))
    }

    /// `take(into)`: the bytes that the next record of the kind "owned" announces.
    fn take<'cx>(&self, mut cx: FunctionContext<'cx>) -> JsResult<'cx, JsUndefined> {
        let mut into = cx.argument::<JsUint8Array>(0)?;
        self.queue.take(into.as_mut_slice(&mut cx));
        self.tell_of_room();
        Ok(cx.undefined())
    }

    /// `hold(on)`: whether the process has to live for what is in flight.
    fn hold<'cx>(&self, mut cx: FunctionContext<'cx>) -> JsResult<'cx, JsUndefined> {
        let on = cx.argument::<JsBoolean>(0)?.value(&mut cx);
        let mut channel = self.channel.borrow_mut();
        if on {
            channel.reference(&mut cx);
        } else {
            channel.unref(&mut cx);
        }
        Ok(cx.undefined())
    }

    fn tell_of_room(&self) {
        if self.queue.starved() {
            self.engine.submit(vec![Command::Drained]);
        }
    }

    /// Bodies that JavaScript did not write into the commands.
    fn bodies(&self, cx: &mut FunctionContext<'_>) -> NeonResult<Vec<bytes::Bytes>> {
        let Some(list) = cx.argument_opt(2).and_then(|value| value.downcast::<JsArray, _>(cx).ok())
        else {
            return Ok(Vec::new());
        };
        let count = list.len(cx);
        let mut bodies = Vec::with_capacity(count as usize);
        for index in 0..count {
            let body: Handle<'_, JsUint8Array> = list.get(cx, index)?;
            bodies.push(borrowed::bytes_of(cx, body, &self.queue));
        }
        Ok(bodies)
    }
}
