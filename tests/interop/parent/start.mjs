// A Node.js parent of our worker: `node start.mjs <scenario> <worker>`, or `--list`.
//
// A scenario is an exported function of one of these modules; it throws when something is wrong.

import * as answers from "./answers.mjs";
import * as flow from "./flow.mjs";
import * as life from "./life.mjs";
import * as values from "./values.mjs";

const scenarios = { ...answers, ...values, ...flow, ...life };
const snake = (name) => name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);

const [wanted, worker] = process.argv.slice(2);
if (wanted === "--list") {
  console.log(Object.keys(scenarios).map(snake).sort().join("\n"));
} else {
  const name = Object.keys(scenarios).find((name) => snake(name) === wanted);
  if (!name) throw new Error(`no scenario ${wanted}`);
  await scenarios[name](worker);
}
