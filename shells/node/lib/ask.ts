// What the engine asks of the caller's own functions: `lookup` and `checkServerIdentity`.

import { X509Certificate } from 'node:crypto';
import { isIP } from 'node:net';
import type { Question } from './records';

/** Called once: with an error, or with addresses. */
type Done = (error: unknown, addresses?: string[]) => void;

/** Asks the function of `connect` that knows; `done` is called once, maybe at once. */
export function ask(connect: any, question: Question, done: Done): void {
  let isDone = false;
  const once: Done = (error, addresses) => {
    if (!isDone) {
      isDone = true;
      done(error, addresses);
    }
  };
  try {
    if (question.kind === 'lookup') {
      lookUp(connect, question.host, once);
    } else {
      once(connect.checkServerIdentity(question.host, certificate(question.chain!)));
    }
  } catch (error) {
    once(error);
  }
}

function lookUp(connect: any, host: string, done: Done): void {
  const options = { family: connect.family ?? 0, hints: connect.hints ?? 0, all: true };
  connect.lookup(host, options, (error: unknown, found: any) => {
    if (error) {
      done(error);
      return;
    }
    // A function that does not know `all` gives one address.
    const all: any[] = (Array.isArray(found) ? found : [found]).map((each) => each?.address ?? each);
    const wrong = all.filter((address) => isIP(address) === 0);
    if (wrong.length > 0) {
      done(Object.assign(new TypeError(`Invalid IP address: ${wrong[0]}`), { code: 'ERR_INVALID_IP_ADDRESS' }));
      return;
    }
    done(null, all.map((address) => address.replace(/%.*/, '')));
  });
}

/** As `getPeerCertificate(true)` gives it: each with the one that issued it. */
export function certificate(chain: string[]): object {
  const all: any[] = chain.map((der) => new X509Certificate(Buffer.from(der, 'hex')).toLegacyObject());
  all.forEach((each, i) => { each.issuerCertificate = all[i + 1] ?? each; });
  return all[0];
}
