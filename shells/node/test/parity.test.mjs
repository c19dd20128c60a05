// The same bytes of a server, to undici and to us: what is told is the same.

import { test } from 'node:test';
import assert from 'node:assert/strict';
import { forebay, rawServer, undici } from './support.mjs';

const OK = 'HTTP/1.1 200 OK\r\n';

/** What is accepted or refused, and with which words, is what Node.js's parser does with it. */
const SAME = {
  'two content-lengths': OK + 'content-length: 1\r\ncontent-length: 2\r\n\r\nab',
  'same content-lengths': OK + 'content-length: 2\r\ncontent-length: 2\r\n\r\nab',
  'list content-length': OK + 'content-length: 2, 2\r\n\r\nab',
  'content-length, then chunked': OK + 'content-length: 1\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n',
  'chunked, then content-length': OK + 'transfer-encoding: chunked\r\ncontent-length: 1\r\n\r\n0\r\n\r\n',
  'transfer-encoding gzip,chunked': OK + 'transfer-encoding: gzip, chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n',
  'transfer-encoding gzip': OK + 'transfer-encoding: gzip\r\n\r\nab',
  'transfer-encoding chunked,gzip': OK + 'transfer-encoding: chunked, gzip\r\n\r\n2\r\nab\r\n0\r\n\r\n',
  'obs-fold': OK + 'x: a\r\n b\r\ncontent-length: 0\r\n\r\n',
  'fold tab': OK + 'x: a\r\n\tb\r\ncontent-length: 0\r\n\r\n',
  'space before colon': OK + 'x : a\r\ncontent-length: 0\r\n\r\n',
  'empty name': OK + ': a\r\ncontent-length: 0\r\n\r\n',
  'no colon': OK + 'xa\r\ncontent-length: 0\r\n\r\n',
  'nul in value': OK + 'x: a\0b\r\ncontent-length: 0\r\n\r\n',
  'ctl in value': OK + 'x: a\x01b\r\ncontent-length: 0\r\n\r\n',
  'del in value': OK + 'x: a\x7fb\r\ncontent-length: 0\r\n\r\n',
  'high in value': OK + 'x: a\xe9b\r\ncontent-length: 0\r\n\r\n',
  'cr in value': OK + 'x: a\rb\r\ncontent-length: 0\r\n\r\n',
  'reason ctl': 'HTTP/1.1 200 O\x01K\r\ncontent-length: 0\r\n\r\n',
  'reason nul': 'HTTP/1.1 200 O\0K\r\ncontent-length: 0\r\n\r\n',
  'reason empty': 'HTTP/1.1 200 \r\ncontent-length: 0\r\n\r\n',
  'reason none': 'HTTP/1.1 200\r\ncontent-length: 0\r\n\r\n',
  'status 4 digits': 'HTTP/1.1 2000 OK\r\ncontent-length: 0\r\n\r\n',
  'status 2 digits': 'HTTP/1.1 20 OK\r\ncontent-length: 0\r\n\r\n',
  'status 600': 'HTTP/1.1 600 OK\r\ncontent-length: 0\r\n\r\n',
  'status 999': 'HTTP/1.1 999 OK\r\ncontent-length: 0\r\n\r\n',
  'http/1.0': 'HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\nok',
  'http/1.0 keep': 'HTTP/1.0 200 OK\r\nconnection: keep-alive\r\ncontent-length: 2\r\n\r\nok',
  'lower http': 'http/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok',
  'leading crlf': '\r\n' + OK + 'content-length: 0\r\n\r\n',
  'lf status': 'HTTP/1.1 200 OK\ncontent-length: 0\r\n\r\n',
  'lf header': OK + 'x: y\ncontent-length: 0\r\n\r\n',
  'lf end': OK + 'content-length: 0\r\n\n',
  'chunk lf': OK + 'transfer-encoding: chunked\r\n\r\n2\nab\r\n0\r\n\r\n',
  'chunk ext': OK + 'transfer-encoding: chunked\r\n\r\n2;a=b\r\nab\r\n0\r\n\r\n',
  'chunk ext quoted': OK + 'transfer-encoding: chunked\r\n\r\n2;a="b c"\r\nab\r\n0\r\n\r\n',
  'chunk space': OK + 'transfer-encoding: chunked\r\n\r\n2 \r\nab\r\n0\r\n\r\n',
  'chunk empty': OK + 'transfer-encoding: chunked\r\n\r\n\r\nab\r\n0\r\n\r\n',
  'chunk data long': OK + 'transfer-encoding: chunked\r\n\r\n2\r\nabc\r\n0\r\n\r\n',
  'chunk neg': OK + 'transfer-encoding: chunked\r\n\r\n-2\r\nab\r\n0\r\n\r\n',
  'chunk 0x': OK + 'transfer-encoding: chunked\r\n\r\n0x2\r\nab\r\n0\r\n\r\n',
  'trailer bad': OK + 'transfer-encoding: chunked\r\n\r\n0\r\na b: c\r\n\r\n',
  'trailer content-length': OK + 'transfer-encoding: chunked\r\n\r\n0\r\ncontent-length: 3\r\n\r\n',
  'content-length plus': OK + 'content-length: +2\r\n\r\nok',
  'content-length empty': OK + 'content-length: \r\n\r\n',
  'content-length inner space': OK + 'content-length: 2 2\r\n\r\nok',
  'content-length huge': OK + 'content-length: 99999999999999999999\r\n\r\nok',
  'content-length neg': OK + 'content-length: -1\r\n\r\nok',
  '204 with te': 'HTTP/1.1 204 No\r\ntransfer-encoding: chunked\r\n\r\n',
  'extra data': OK + 'content-length: 0\r\n\r\nextra',
  'two answers': OK + 'content-length: 0\r\n\r\n' + OK + 'content-length: 0\r\n\r\n',
  '102 then ok': 'HTTP/1.1 102 P\r\n\r\n' + OK + 'content-length: 2\r\n\r\nok',
  '103 content-length': 'HTTP/1.1 103 P\r\ncontent-length: 5\r\n\r\n' + OK + 'content-length: 2\r\n\r\nok',
  'connection upgrade ignored': OK + 'connection: upgrade\r\nupgrade: x\r\ncontent-length: 2\r\n\r\nok',
  'no space after colon': OK + 'x:a\r\ncontent-length:0\r\n\r\n',
  'two spaces status': 'HTTP/1.1  200 OK\r\ncontent-length: 0\r\n\r\n',
  'two spaces reason': 'HTTP/1.1 200  OK\r\ncontent-length: 0\r\n\r\n',
  'name sep': OK + 'x(y): a\r\ncontent-length: 0\r\n\r\n',
  'name high': OK + 'x\xe9: a\r\ncontent-length: 0\r\n\r\n',
  'eof head': 'HTTP/1.1 200 OK\r\nx: y\r\n',
  'eof chunk content-lengthose': OK + 'connection: close\r\ntransfer-encoding: chunked\r\n\r\n5\r\nab',
  'eof content-length content-lengthose': OK + 'connection: close\r\ncontent-length: 5\r\n\r\nab',
  'transfer-encoding identity': OK + 'transfer-encoding: identity\r\n\r\nab',
  'transfer-encoding CHUNKED': OK + 'transfer-encoding: CHUNKED\r\n\r\n2\r\nab\r\n0\r\n\r\n',
  'transfer-encoding twice': OK + 'transfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n',
  'transfer-encoding twice, the last chunked': OK + 'transfer-encoding: gzip\r\ntransfer-encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n',
  'transfer-encoding comma': OK + 'transfer-encoding: chunked,\r\n\r\n2\r\nab\r\n0\r\n\r\n',
  '205 content-length': 'HTTP/1.1 205 N\r\ncontent-length: 2\r\n\r\nab',
};

/** Where that parser is lax, or undici stumbles: what is told here. */
const OURS = {
  'a reason beyond ASCII is latin1': ['HTTP/1.1 200 O\xe9K\r\ncontent-length: 0\r\n\r\n', [200, 'O\xe9K', { 'content-length': '0' }, '']],
  'status 099': ['HTTP/1.1 099 OK\r\ncontent-length: 0\r\n\r\n', 'Response does not match the HTTP/1.1 protocol (Invalid status code)'],
  'http/2.0': ['HTTP/2.0 200 OK\r\ncontent-length: 2\r\n\r\nok', 'Response does not match the HTTP/1.1 protocol (Invalid HTTP version)'],
  'http/0.9': ['HTTP/0.9 200 OK\r\ncontent-length: 2\r\n\r\nok', 'Response does not match the HTTP/1.1 protocol (Invalid HTTP version)'],
  'ICE': ['ICE/1.0 200 OK\r\ncontent-length: 2\r\n\r\nok', 'Response does not match the HTTP/1.1 protocol (Expected HTTP/, RTSP/ or ICE/)'],
  'RTSP': ['RTSP/1.0 200 OK\r\ncontent-length: 2\r\n\r\nok', 'Response does not match the HTTP/1.1 protocol (Expected HTTP/, RTSP/ or ICE/)'],
  'a chunk extension that is none': [OK + 'transfer-encoding: chunked\r\n\r\n2;a b\r\nab\r\n0\r\n\r\n', [200, 'OK', { 'transfer-encoding': 'chunked' }, 'ab']],
  'a chunk size beyond 64 bits': [OK + 'transfer-encoding: chunked\r\n\r\nfffffffffffffffff\r\nab\r\n0\r\n\r\n', 'Response does not match the HTTP/1.1 protocol (Invalid character in chunk size)'],
  'LF behind chunk data': [OK + 'transfer-encoding: chunked\r\n\r\n2\r\nab\n0\r\n\r\n', 'Response does not match the HTTP/1.1 protocol (Expected LF after chunk data)'],
  'white space behind a length': [OK + 'content-length: 2 \r\n\r\nok', [200, 'OK', { 'content-length': '2' }, 'ok']],
  '204 with a length': ['HTTP/1.1 204 No\r\ncontent-length: 2\r\n\r\n', [204, 'No', { 'content-length': '2' }, '']],
  'white space behind a value': [OK + 'x:   a  \t\r\ncontent-length: 0\r\n\r\n', [200, 'OK', { x: 'a', 'content-length': '0' }, '']],
  '304 with a length': ['HTTP/1.1 304 N\r\ncontent-length: 5\r\n\r\n', [304, 'N', { 'content-length': '5' }, '']],
};

/** What a client of `from` tells of the answer `bytes`. */
async function told(t, from, bytes) {
  const server = await rawServer(t, (socket) => socket.once('data', () => {
    socket.write(Buffer.from(bytes, 'latin1'));
    setTimeout(() => socket.end(), 15);
  }));
  const client = new from.Client(server.origin);
  const got = { heads: [], body: '' };
  await new Promise((resolve) => client.dispatch({ path: '/', method: 'GET' }, {
    onRequestStart() {},
    onResponseStart(_, status, headers, text) { got.heads.push([status, text, { ...headers }]); },
    onResponseData(_, chunk) { got.body += chunk.toString('latin1'); },
    onResponseEnd(_, trailers) { resolve(got.end = { ...trailers }); },
    onResponseError(_, { name, code, message }) { resolve(got.error = { name, code, message }); },
  }));
  await client.destroy();
  return got;
}

for (const [what, bytes] of Object.entries(SAME)) {
  test(`as undici: ${what}`, async (t) => {
    assert.deepEqual(await told(t, forebay, bytes), await told(t, undici, bytes));
  });
}

for (const [what, [bytes, expected]] of Object.entries(OURS)) {
  test(`not as undici: ${what}`, async (t) => {
    const got = await told(t, forebay, bytes);
    assert.deepEqual(got.error?.message ?? [...got.heads.at(-1), got.body], expected);
    assert.notDeepEqual(got, await told(t, undici, bytes), 'no difference any more');
  });
}
