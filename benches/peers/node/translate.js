// What a team would write: bodies of calls, one a line of standard input, to charges, one a line of standard output.
import { createInterface } from 'node:readline';
import { parse } from 'node:querystring';
import { translate } from './charge.js';

let number = 0;
for await (const line of createInterface({ input: process.stdin, crlfDelay: Infinity })) {
  number += 1;
  let answer;
  try {
    answer = translate(parse(line), String(number));
  } catch (error) {
    answer = { line: number, error: error.message };
  }
  process.stdout.write(`${JSON.stringify(answer)}\n`);
}
