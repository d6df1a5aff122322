/**
 * Interop: unmodified clients against `testline mock`, over real sockets, in real time.
 *
 *   tests/interop/run [--testline PATH] [--client CMD]... [--scheme ws|wss]... [--pairings N] [--lanes N] [--only TEXT]
 *                     [--traces DIR] [--keep]
 *
 * Without --client: Baileys 7 and Baileys 6. Without --scheme: both. Every case has a mock, clients and folders of its
 * own, so `lanes` of them run side by side, those first that take longest. Prints one line per case, the slowest ones
 * once more, and `N passed, N failed`. With --traces the events of the mock in a case that failed are in
 * DIR, and what its clients wrote to stderr. Exit codes: 0 all held, 1 a case failed, 2 usage, 3 the environment (no binary,
 * the mock or a client does not start).
 */
import { access, constants, mkdir, mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { makeCases } from './cases.mjs';
import { Client } from './client.mjs';
import { engineCases } from './engine_cases.mjs';
import { assert, Lane } from './lane.mjs';
import { makePhoneCases } from './phone_cases.mjs';

const kRoot = fileURLToPath(new URL('../..', import.meta.url));
const kUsage = 'usage: tests/interop/run [--testline PATH] [--client CMD]... [--scheme ws|wss]... [--pairings N] ' +
  '[--lanes N] [--only TEXT] [--traces DIR] [--keep]';
const kSlowestShown = 8;

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
        lanes: { type: 'string', default: '4' },
        only: { type: 'string', default: '' },
        traces: { type: 'string' },
        keep: { type: 'boolean', default: false },
      },
    }));
  } catch (error) {
    fail(error.message);
  }
  const positive = (name) => {
    const number = Number(values[name]);
    if (!Number.isInteger(number) || number < 1) fail(`--${name} ${values[name]}: a positive whole number is wanted`);
    return number;
  };
  const strange = values.scheme.find((scheme) => !['ws', 'wss'].includes(scheme));
  if (strange) fail(`--scheme ${strange}: ws or wss is wanted`);
  return { ...values, pairings: positive('pairings'), lanes: positive('lanes') };
}

/** Runs one case in a lane of its own; its verdict includes that the mock saw no violation and is still there. */
async function runCase({ run, allow = [], mock: extra }, surroundings, traceFile) {
  const lane = await Lane.open({ ...surroundings, extra });
  try {
    const note = await run(lane);
    const violations = (await lane.mock.violations()).filter(({ rule }) => !allow.includes(rule));
    assert(violations.length === 0, `${violations.length} violations, the first: ${JSON.stringify(violations[0])}`);
    assert(lane.mock.alive, 'the mock has died');
    return note;
  } catch (error) {
    if (traceFile) await lane.trace(traceFile);
    throw error;
  } finally {
    await lane.close();
  }
}

/** Every case with every client over every transport, the longest first: {title, body, scheme, client}. */
function makeJobs(cases, clients, schemes) {
  const jobs = [];
  for (const client of clients) {
    for (const scheme of schemes) {
      for (const [title, body] of cases) {
        const { schemes: only = [scheme], majors = [client.major] } = body;
        if (only.includes(scheme) && majors.includes(client.major)) jobs.push({ title, body, scheme, client });
      }
    }
  }
  const seconds = ({ body, client }) => body.seconds?.[client.major] ?? 0;
  return jobs.sort((one, other) => seconds(other) - seconds(one));
}

/** Does the jobs in `lanes` lanes. Answers what became of each: {line, took, failed}. */
async function runJobs(jobs, options, workFolder) {
  const results = [];
  const waiting = [...jobs];
  const work = async () => {
    for (let job = waiting.shift(); job; job = waiting.shift()) {
      const { title, body, scheme, client } = job;
      const began = performance.now();
      let verdict = 'ok';
      let note;
      try {
        const traceFile = options.traces &&
          join(options.traces, `${client.name}-${scheme}-${title.slice(0, 50).replace(/[^a-z0-9]+/gi, '-')}.jsonl`);
        const surroundings = { testline: options.testline, command: client.command, scheme, workFolder };
        note = await runCase(body, surroundings, traceFile);
      } catch (error) {
        verdict = 'FAILED';
        note = error.message;
      }
      const took = (performance.now() - began) / 1000;
      const line = `${client.name.padEnd(8)} ${scheme.padEnd(3)} ${title} (${took.toFixed(1)} s)`;
      results.push({ line, took, failed: verdict !== 'ok' });
      const failed = verdict !== 'ok' ? `\n        ${note}` : '';
      console.log(`${verdict.padEnd(7)} ${line}${failed || (note ? `: ${note}` : '')}`);
    }
  };
  await Promise.all(Array.from({ length: options.lanes }, work));
  return results;
}

/** What a client command is called, and its major version: {command, name, major}. */
async function introduce(text, workFolder) {
  const command = text.split(' ').filter(Boolean);
  const client = await Client.launch(command, text, { TESTLINE_STATE_DIR: join(workFolder, 'hello') });
  await client.close();
  const name = text.replace(/\/run$/, '').split('/').at(-1);
  return { command, name, major: Number(client.hello.version.split('.')[0]) };
}

async function main(options, workFolder) {
  const all = Object.entries({ ...makeCases(options), ...makePhoneCases(), ...engineCases })
    .map(([title, body]) => [title, typeof body === 'function' ? { run: body } : body]);
  const chosen = all.filter(([title]) => title.includes(options.only));
  if (chosen.length === 0) {
    console.error(`no case has ${JSON.stringify(options.only)} in its name; there are:\n  ` +
      all.map(([title]) => title).join('\n  '));
    return 2;
  }
  const clients = [];
  try {
    const probe = await Lane.open({ testline: options.testline, command: [], scheme: 'ws', workFolder });
    await probe.close();
    clients.push(...await Promise.all(options.client.map((text) => introduce(text, workFolder))));
  } catch (error) {
    console.error(error.message);
    return 3;
  }
  if (options.traces) await mkdir(options.traces, { recursive: true });
  const began = performance.now();
  const results = await runJobs(makeJobs(chosen, clients, options.scheme), options, workFolder);
  const slowest = [...results].sort((one, other) => other.took - one.took).slice(0, kSlowestShown);
  console.log(`the slowest:\n${slowest.map(({ line }) => `  ${line}`).join('\n')}`);
  console.log(`${((performance.now() - began) / 1000).toFixed(0)} s in all, in ${options.lanes} lanes`);
  const failed = results.filter((result) => result.failed).length;
  console.log(`${results.length - failed} passed, ${failed} failed`);
  return failed === 0 ? 0 : 1;
}

/** In memory if that is possible: a login of Baileys 7 writes 812 files, and every case has logins of its own. */
async function temporaryFolder() {
  if (process.env.TMPDIR) return tmpdir();
  const kInMemory = '/dev/shm';
  return access(kInMemory, constants.W_OK).then(() => kInMemory, () => tmpdir());
}

const options = readOptions();
const workFolder = await mkdtemp(join(await temporaryFolder(), 'testline-interop-'));
const exitCode = await main(options, workFolder);
if (options.keep) {
  console.error(`kept: ${workFolder} (${(await readdir(workFolder)).length} entries)`);
} else {
  await rm(workFolder, { recursive: true, force: true });
}
process.exit(exitCode);
