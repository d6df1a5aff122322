/**
 * Interop: unmodified clients against `testline mock`, over real sockets, in real time.
 *
 *   tests/interop/run [--testline PATH] [--client CMD]... [--scheme ws|wss]... [--pairings N] [--only TEXT] [--keep]
 *
 * Without --client: Baileys 7 and Baileys 6, at the same time. Without --scheme: both. Prints one line per case and
 * `N passed, N failed`. Exit codes: 0 all held, 1 a case failed, 2 usage, 3 the environment (no binary, the mock does
 * not start).
 */
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { makeCases } from './cases.mjs';
import { assert, Lane } from './lane.mjs';
import { makePhoneCases } from './phone_cases.mjs';

const kRoot = fileURLToPath(new URL('../..', import.meta.url));
const kUsage = 'usage: tests/interop/run [--testline PATH] [--client CMD]... [--scheme ws|wss]... [--pairings N] ' +
  '[--only TEXT] [--keep]';

function readOptions() {
  const fail = (text) => {
    console.error(`${text}\n${kUsage}`);
    process.exit(2);
  };
  let values;
  try {
    ({ values } = parseArgs({
      options: {
        testline: { type: 'string', default: process.env.TESTLINE || join(kRoot, 'build/release/bin/testline') },
        client: {
          type: 'string',
          multiple: true,
          default: ['baileys', 'baileys6'].map((name) => join(kRoot, 'scenarios/clients', name, 'run')),
        },
        scheme: { type: 'string', multiple: true, default: ['ws', 'wss'] },
        pairings: { type: 'string', default: '50' },
        only: { type: 'string', default: '' },
        keep: { type: 'boolean', default: false },
      },
    }));
  } catch (error) {
    fail(error.message);
  }
  const pairings = Number(values.pairings);
  if (!Number.isInteger(pairings) || pairings < 1) fail(`--pairings ${values.pairings}: a positive whole number is wanted`);
  const strange = values.scheme.find((scheme) => !['ws', 'wss'].includes(scheme));
  if (strange) fail(`--scheme ${strange}: ws or wss is wanted`);
  return { ...values, pairings };
}

/** Runs one case in a lane of its own; its verdict includes that the mock saw no violation and is still there. */
async function runCase(body, surroundings) {
  const { run, allow = [], mock: extra } = typeof body === 'function' ? { run: body } : body;
  const lane = await Lane.open({ ...surroundings, extra });
  try {
    const note = await run(lane);
    const violations = (await lane.mock.violations()).filter(({ rule }) => !allow.includes(rule));
    assert(violations.length === 0, `${violations.length} violations, the first: ${JSON.stringify(violations[0])}`);
    assert(lane.mock.alive, 'the mock has died');
    return note;
  } finally {
    await lane.close();
  }
}

/** All cases with one client, one after the other. Answers how many passed and failed. */
async function runClient(client, cases, options, workFolder) {
  const name = client.replace(/\/run$/, '').split('/').at(-1).padEnd(8);
  const counts = { passed: 0, failed: 0 };
  for (const scheme of options.scheme) {
    for (const [title, body] of cases) {
      if (!(body.schemes ?? ['ws', 'wss']).includes(scheme)) continue;
      const began = performance.now();
      const took = () => `${((performance.now() - began) / 1000).toFixed(1)} s`;
      const line = (verdict) => `${verdict.padEnd(7)} ${name} ${scheme.padEnd(3)} ${title} (${took()})`;
      try {
        const note = await runCase(body, {
          testline: options.testline, command: client.split(' ').filter(Boolean), scheme, workFolder,
        });
        counts.passed += 1;
        console.log(line('ok') + (note ? `: ${note}` : ''));
      } catch (error) {
        counts.failed += 1;
        console.log(`${line('FAILED')}\n        ${error.message}`);
      }
    }
  }
  return counts;
}

async function main(options, workFolder) {
  const cases = Object.entries({ ...makeCases(options), ...makePhoneCases() });
  const chosen = cases.filter(([title]) => title.includes(options.only));
  if (chosen.length === 0) {
    console.error(`no case has ${JSON.stringify(options.only)} in its name; there are:\n  ` +
      cases.map(([title]) => title).join('\n  '));
    return 2;
  }
  try {
    const probe = await Lane.open({ testline: options.testline, command: [], scheme: 'ws', workFolder });
    await probe.close();
  } catch (error) {
    console.error(error.message);
    return 3;
  }
  const began = performance.now();
  const all = await Promise.all(options.client.map((client) => runClient(client, chosen, options, workFolder)));
  const sum = (what) => all.reduce((total, counts) => total + counts[what], 0);
  console.log(`${((performance.now() - began) / 1000).toFixed(0)} s in all`);
  console.log(`${sum('passed')} passed, ${sum('failed')} failed`);
  return sum('failed') === 0 ? 0 : 1;
}

const options = readOptions();
const workFolder = await mkdtemp(join(tmpdir(), 'testline-interop-'));
const exitCode = await main(options, workFolder);
if (options.keep) {
  console.error(`kept: ${workFolder} (${(await readdir(workFolder)).length} entries)`);
} else {
  await rm(workFolder, { recursive: true, force: true });
}
process.exit(exitCode);
