// Whatever a server does and a handler answers: the same callbacks as with undici, and the same bytes on the wire.
//
//   FOREBAY_SEED=7 FOREBAY_COUNT=1000 npm test -- differential

import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Readable } from 'node:stream';
import { besideUndici } from './random.mjs';
import { forebay, rawServer, undici, until, within } from './support.mjs';

const BODIES = {
  string: () => 'hello',
  buffer: () => Buffer.from('hello'),
  empty: () => '',
  large: () => Buffer.alloc(100_000, 'a'),
  stream: () => Readable.from([Buffer.from('he'), Buffer.from('llo')], { objectMode: false }),
  iterable: () => ['he', 'llo'],
  generator: async function* () { yield 'he'; await sleep(2); yield 'llo'; },
  throwing: async function* () { yield 'he'; throw new Error('the body throws'); },
  failing: () => Readable.from((function* () { yield 'he'; throw new Error('the body fails'); })()),
};

/** What the server writes, in pieces, and how it leaves. */
function response(random, method) {
  const status = random.pick([200, 200, 200, 204, 304, 404, 500, 301]);
  const bodiless = status === 204 || status === 304 || method === 'HEAD';
  const text = 'x'.repeat(random.pick([0, 1, 5, 5, 300, 70_000]));
  let framing = random.pick(['length', 'length', 'chunked', 'close', 'empty']);
  if (framing === 'chunked' && bodiless) {
    framing = 'empty';
  }
  let head = `HTTP/1.1 ${status} ${random.pick(['OK', 'Not So', ''])}\r\nX-Case: v\r\n`;
  head += random.chance(3) ? 'set-cookie: a\r\nset-cookie: b\r\n' : '';
  head += random.chance(8) ? `keep-alive: timeout=${random.pick([1, 2, 3, 5, 700])}\r\n` : '';
  head += framing === 'close' || random.chance(6) ? 'connection: close\r\n' : '';
  const parts = random.chance(6) ? ['HTTP/1.1 103 Early\r\nlink: a\r\n\r\n'] : [];
  if (framing === 'chunked') {
    const end = random.chance(12) ? 'zz\r\n' : random.chance(4) ? '0\r\nt: u\r\n\r\n' : '0\r\n\r\n';
    parts.push(`${head}transfer-encoding: chunked\r\n\r\n`, text && `${text.length.toString(16)}\r\n${text}\r\n`, end);
  } else if (framing === 'length' && !bodiless) {
    parts.push(`${head}content-length: ${text.length}\r\n\r\n`, text);
  } else if (framing === 'close') {
    parts.push(`${head}\r\n`, bodiless ? '' : text);
  } else {
    parts.push(`${head}content-length: 0\r\n\r\n`);
  }
  // A reset may overtake a body that is not sent yet.
  const leaves = text.length > 1000 ? ['', '', 'end'] : ['', '', '', '', 'end', 'destroy', 'reset'];
  let leave = framing === 'close' ? 'end' : random.pick(leaves);
  const cut = random.chance(8) ? random.below(parts.length) : parts.length;
  if (cut < parts.length) {
    leave ||= random.pick(['end', 'destroy']);
  }
  const pieces = parts.slice(0, cut).filter(Boolean);
  return { pieces: random.chance(2) ? [pieces.join('')] : pieces, leave };
}

function request(random) {
  const method = random.pick(['GET', 'GET', 'GET', 'POST', 'PUT', 'PATCH', 'HEAD', 'DELETE', 'OPTIONS']);
  const sends = ['POST', 'PUT', 'PATCH'].includes(method) && !random.chance(3);
  const body = sends ? random.pick(Object.keys(BODIES)) : null;
  const headers = random.chance(4) ? { 'x-a': random.pick(['1', ['1', '2'], '', 'ü']) } : {};
  if (body === 'string' || body === 'stream') {
    Object.assign(headers, random.chance(4) ? { 'content-length': random.pick([3, 5, 7]) } : {});
  }
  const reset = random.chance(8) ? { reset: random.chance(2) } : {};
  const answer = response(random, method);
  const hook = {};
  if (random.chance(4)) {
    hook[random.pick(['onResponseStart', 'onResponseData', 'onResponseEnd'])] = random.pick(['abort', 'reason', 'throw']);
    // Who gives up may do so before or after a reset.
    answer.leave = answer.leave === 'reset' ? 'end' : answer.leave;
  }
  return { method, body, headers, ...reset, ...answer, hook };
}

function scenario(random) {
  const requests = Array.from({ length: 1 + random.below(3) }, () => request(random));
  const options = random.chance(8) ? { maxHeaderSize: random.pick([20, 64, 1000]) } : random.chance(8) ? { pipelining: 0 } : {};
  return { requests, options };
}

/** A reset and an end may be mistaken for each other when the server's buffers are full, or empty. */
const LEFT = /^(Error.*ECONNRESET|SocketError.*other side closed).*/;
const words = (error) => error && [error.constructor.name, error.name, error.code, error.message.replace(/:\d+/, ''), error.cause?.code].join('|');

/** Answers requests in their order, and writes down what came. */
function serve(t, { requests }) {
  const seen = [];
  const answer = async (socket) => {
    const { pieces, leave } = requests[seen.length - 1];
    for (const piece of pieces) {
      socket.write(piece, 'latin1');
      await sleep(2);
    }
    if (leave) {
      socket[{ end: 'end', destroy: 'destroy', reset: 'resetAndDestroy' }[leave]]();
    }
  };
  const server = rawServer(t, (socket) => {
    let text = '';
    socket.setNoDelay(true);
    socket.on('data', (chunk) => {
      text += chunk.toString('latin1');
      const end = text.indexOf('\r\n\r\n');
      const length = Number(/content-length: (\d+)/.exec(text)?.[1] ?? 0);
      const chunked = /transfer-encoding: chunked/.test(text);
      const whole = end >= 0 && (chunked ? text.endsWith('0\r\n\r\n') : text.length >= end + 4 + length);
      if (whole) {
        // Chunks are cut as the body comes.
        const body = text.slice(end + 4).replace(/(^|\r\n)[0-9a-f]+\r\n/g, '');
        seen.push(`${text.slice(0, end).replace(/host: .*/, 'host')} ${body.length > 100 ? body.length : body}`);
        text = '';
        void answer(socket);
      }
    });
  });
  return { seen, server };
}

function handler({ hook, leave }, log, settle) {
  let controller;
  const hooked = new Set();
  const act = (name) => {
    if (!hook[name] || hooked.has(name)) {
      return;
    }
    hooked.add(name);
    if (hook[name] === 'throw') {
      throw new RangeError('thrown');
    }
    controller.abort(hook[name] === 'reason' ? new TypeError('why') : undefined);
  };
  return {
    onRequestStart(given) { controller = given; log.push('start'); },
    onResponseStart(given, ...head) {
      log.push(['head', ...head, given === controller, given.rawHeaders.map(String)]);
      act('onResponseStart');
    },
    onResponseData(_, chunk) {
      const last = log.at(-1);
      last[0] === 'data' ? last[1] += chunk.length : log.push(['data', chunk.length]);
      act('onResponseData');
    },
    onResponseEnd(_, trailers) {
      log.push(['end', trailers]);
      settle();
      act('onResponseEnd');
    },
    onResponseError(given, error) {
      if (log.at(-1)?.[0] === 'data') {
        // How much came before depends on how it was read.
        log.at(-1)[1] = 'some';
      }
      const said = leave === 'reset' ? words(error).replace(LEFT, 'the server left') : words(error);
      log.push(['error', said, given?.aborted ?? false, words(given?.reason) ?? null]);
      settle();
    },
  };
}

/** Plays a scenario, one request after the other; what the handlers were told, and what the server saw. */
async function play(t, library, all) {
  const { seen, server } = serve(t, all);
  const { origin, close } = await server;
  const client = new library.Client(origin, all.options);
  let gone = 0;
  client.on('disconnect', () => gone++);
  const told = [];
  for (const [index, request] of all.requests.entries()) {
    const { method, body, headers, reset, leave } = request;
    const log = [];
    told.push(log);
    const before = gone;
    const given = { path: `/${index}`, method, headers: { ...headers }, body: body && BODIES[body](), ...(reset === undefined ? {} : { reset }) };
    await within(new Promise((settle) => client.dispatch(given, handler(request, log, settle))), 20_000, `request ${index} of ${JSON.stringify(all)}`);
    if (leave && seen.length > index) {
      await until(() => gone > before, 'the end of the connection');
    }
    // Nothing may follow, and who was aborted is gone.
    await sleep(10);
  }
  await client.destroy();
  await close();
  return { told, seen };
}

test('callbacks and bytes are the same as with undici, whatever happens', (t) => (
  besideUndici(120, scenario, (all, ours) => play(t, ours ? forebay : undici, all))
));
