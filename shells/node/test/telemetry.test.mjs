// OpenTelemetry's instrumentation of undici sees our requests, and its trace context reaches the server.

import { test } from 'node:test';
import assert from 'node:assert/strict';
import { forebay, httpServer, require, until, using } from './support.mjs';

const { UndiciInstrumentation } = require('@opentelemetry/instrumentation-undici');
const { BasicTracerProvider, InMemorySpanExporter, SimpleSpanProcessor } = require('@opentelemetry/sdk-trace-base');
const { AsyncLocalStorageContextManager } = require('@opentelemetry/context-async-hooks');
const { context, trace, propagation } = require('@opentelemetry/api');

test('spans of requests: name, attributes, parent, propagation, errors', async (t) => {
  const exporter = new InMemorySpanExporter();
  const provider = new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] });
  context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
  propagation.setGlobalPropagator({
    inject: (given, carrier, setter) => setter.set(carrier, 'traceparent', trace.getSpanContext(given).traceId),
    extract: (given) => given,
    fields: () => ['traceparent'],
  });
  const instrumentation = new UndiciInstrumentation();
  instrumentation.setTracerProvider(provider);
  instrumentation.enable();
  t.after(() => instrumentation.disable());
  let arrived;
  const server = await httpServer(t, (request, response) => {
    arrived = request.headers.traceparent;
    response.writeHead(request.url === '/bad' ? 500 : 200).end('traced');
  });
  const agent = using(t, new forebay.Agent());
  const tracer = provider.getTracer('test');
  await tracer.startActiveSpan('parent', async (parent) => {
    const { body } = await agent.request({ origin: server.origin, path: '/a?b=c', method: 'GET' });
    assert.equal(await body.text(), 'traced');
    parent.end();
  });
  await until(() => exporter.getFinishedSpans().length === 2, 'the spans');
  const [span, parent] = exporter.getFinishedSpans();
  assert.equal(span.name, 'GET');
  assert.equal(span.attributes['http.request.method'], 'GET');
  assert.equal(span.attributes['http.response.status_code'], 200);
  assert.equal(span.attributes['url.path'], '/a');
  assert.equal(span.attributes['server.port'], server.port);
  assert.equal(span.attributes['network.peer.port'], server.port);
  assert.equal(span.spanContext().traceId, parent.spanContext().traceId);
  assert.equal(arrived, span.spanContext().traceId);
  exporter.reset();
  await (await agent.request({ origin: server.origin, path: '/bad', method: 'GET' })).body.dump();
  await server.close();
  await assert.rejects(agent.request({ origin: server.origin, path: '/', method: 'GET' }));
  await until(() => exporter.getFinishedSpans().length === 2, 'the other spans');
  const [bad, refused] = exporter.getFinishedSpans();
  assert.equal(bad.attributes['http.response.status_code'], 500);
  assert.equal(refused.status.code, 2);
});
