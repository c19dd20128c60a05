import * as undici7 from 'undici7';
import * as undici8 from 'undici8';
import * as forebay from '../..';

// Wherever undici wants a dispatcher, ours will do.
const seven: undici7.Dispatcher[] = [
  new forebay.Agent(), new forebay.Pool('http://a'), new forebay.Client('http://a'), new forebay.BalancedPool('http://a'),
  new forebay.RoundRobinPool('http://a'), new forebay.ProxyAgent('http://a'), new forebay.EnvHttpProxyAgent(),
  new forebay.H2CClient('http://a'), new forebay.RetryAgent(new forebay.Agent()),
];
const eight: undici8.Dispatcher[] = [
  new forebay.Agent(), new forebay.Pool('http://a'), new forebay.Client('http://a'), new forebay.BalancedPool('http://a'),
  new forebay.RoundRobinPool('http://a'), new forebay.ProxyAgent('http://a'), new forebay.EnvHttpProxyAgent(),
  new forebay.H2CClient('http://a'), new forebay.RetryAgent(new forebay.Agent()),
];
undici7.setGlobalDispatcher(seven[0]!);
undici8.setGlobalDispatcher(eight[0]!);
void undici7.fetch('http://a', { dispatcher: new forebay.Agent() });
void undici8.request('http://a', { dispatcher: new forebay.Agent() });
new undici7.RetryAgent(new forebay.Agent());

// undici's options are ours.
const options7: undici7.Agent.Options = { connections: 1, keepAliveTimeout: 1 };
new forebay.Agent(options7 as forebay.Agent.Options);
const options8: undici8.Client.Options = { maxRequestsPerClient: 1 };
new forebay.Client('http://a', options8 as forebay.Client.Options);

// undici's interceptors and handlers.
new forebay.Agent().compose(undici7.interceptors.redirect(), undici7.interceptors.retry());
new forebay.Agent().compose([undici8.interceptors.dump()]);
declare const handler7: undici7.Dispatcher.DispatchHandler;
declare const handler8: undici8.Dispatcher.DispatchHandler;
new forebay.Agent().dispatch({ path: '/', method: 'GET' }, handler7);
new forebay.Agent().dispatch({ path: '/', method: 'GET' }, handler8);

// The promise API.
async function use(): Promise<void> {
  const { statusCode, body, headers } = await new forebay.Agent().request({ origin: 'http://a', path: '/', method: 'GET' });
  const status: number = statusCode;
  const text: string = await body.text();
  const type: string | string[] | undefined = headers['content-type'];
  const { opaque } = await new forebay.Client('http://a').request<number>({ path: '/', method: 'GET', opaque: 1 });
  const number: number = opaque;
  void [status, text, type, number];
  // @ts-expect-error a path is needed
  await new forebay.Client('http://a').request({ method: 'GET' });
  // @ts-expect-error a number is no origin
  new forebay.Client(1);
}
void use;
