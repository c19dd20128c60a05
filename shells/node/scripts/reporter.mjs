// A reporter for node:test: one line of JSON per test, for the table in the README.

export default async function* report(events) {
  for await (const { type, data } of events) {
    if (type === 'test:pass' || type === 'test:fail') {
      yield `${JSON.stringify({ file: data.file?.split(/[\\/]/).pop(), name: data.name, passed: type === 'test:pass' })}\n`;
    }
  }
}
