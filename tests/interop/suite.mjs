/**
 * Interop: an unmodified Baileys against `testline mock`, over real sockets, in real time.
 *
 *   tests/interop/run [--testline PATH] [--client CMD] [--pairings N] [--only TEXT] [--keep]
 *
 * Prints one line per case and `N passed, N failed`. Exit codes: 0 all held, 1 a case failed, 2 usage, 3 the
 * environment (no binary, the mock does not start).
 */
import { cp, mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { Client } from './client.mjs';
import { describe } from './history.mjs';
import { Mock } from './mock.mjs';

const kHere = fileURLToPath(new URL('.', import.meta.url));
const kRoot = join(kHere, '..', '..');
const kQrWithinMs = 10_000;
const kOpenWithinMs = 20_000;
const kKeepAliveMs = 100;

const { options, mockUnderTest } = await prepare();
const workFolder = await mkdtemp(join(tmpdir(), 'testline-interop-'));

// ---- helpers ---------------------------------------------------------------------------------------------------

function assert(condition, text) {
  if (!condition) throw new Error(text);
}

function assertEqual(actual, expected, what) {
  const [a, b] = [JSON.stringify(actual), JSON.stringify(expected)];
  assert(a === b, `${what}: expected ${b}, found ${a}`);
}

let nextNumber = 15550200001;
const running = new Set();

/** A client process for one device with its own folder and label. */
async function launchClient(mock, label, environment = {}) {
  const client = await Client.launch(options.client, label, {
    TESTLINE_WS_URL: mock.url(label),
    TESTLINE_NOISE_ROOT: mock.info.noise_root_public_key,
    TESTLINE_STATE_DIR: join(workFolder, label),
    ...environment,
  });
  running.add(client);
  return client;
}

async function closeClient(client) {
  running.delete(client);
  await client.close();
}

/** Start, QR, picture, scan, 515, login. Every step once: a step that fails is the failure. */
async function pair(mock, client) {
  const phone = await mock.phone(String(nextNumber++));
  await client.command('start');
  await client.state('waiting_for_scan', kQrWithinMs);
  const { data } = await client.event('qr', kQrWithinMs);
  const { device_jid: jid } = await mock.scan(phone, data).catch((error) => {
    throw new Error(`${error.message}; the client meanwhile: ${describe(client.events.rest())}`);
  });
  assert(/^\d+:\d+@/.test(jid ?? ''), `the scan answered no device_jid: ${jid}`);
  await client.state('connecting', kOpenWithinMs, { code: 515 });
  await client.state('connected', kOpenWithinMs);
  return { phone, jid };
}

// ---- cases -----------------------------------------------------------------------------------------------------

const cases = {
  'a QR picture pairs: pair-success, 515, reconnect, open': async (mock) => {
    const client = await launchClient(mock, 'qr');
    assertEqual(client.hello.protocol, 1, 'hello.protocol');
    const { phone, jid } = await pair(mock, client);
    const [device, ...others] = await mock.devices(phone);
    assertEqual(others, [], 'further devices of the phone');
    assertEqual([device.device_jid, device.label, device.online], [jid, 'qr', true], 'the device as the server sees it');
    assertEqual(client.states(), ['connecting', 'waiting_for_scan', 'connecting', 'connecting', 'connected'], 'states');
    const { credentials } = await client.command('inspect');
    assert(/^[0-9a-f]{64}$/.test(credentials ?? ''), `a paired client has credentials: ${credentials}`);
    await closeClient(client);
  },

  'a restart of the process is a login without a QR': async (mock) => {
    const first = await launchClient(mock, 'restart');
    await pair(mock, first);
    const { credentials } = await first.command('inspect');
    await closeClient(first);
    const second = await launchClient(mock, 'restart');
    await second.command('start');
    await second.state('connected', kOpenWithinMs);
    assertEqual(second.states(), ['connecting', 'connected'], 'states');
    assertEqual((await second.command('inspect')).credentials, credentials, 'credentials after the restart');
    await closeClient(second);
  },

  'ten keep-alives of an idle connection are seen by the server': async (mock) => {
    const client = await launchClient(mock, 'idle', { TESTLINE_KEEPALIVE_MS: String(kKeepAliveMs) });
    await pair(mock, client);
    await seePings(mock, 'idle', 10);
    assertEqual(client.events.rest().filter((event) => event.event === 'state'), [], 'states while idle');
    await closeClient(client);
  },

  'a 515 in mid-session is a reconnect and a login': async (mock) => {
    const client = await launchClient(mock, 'restarted');
    const { phone, jid } = await pair(mock, client);
    const { credentials } = await client.command('inspect');
    const fault = await mock.call('POST', '/v1/faults', {
      fault: 'stream_error', args: { code: 515 }, where: { device: 'restarted' }, when: { manual: true },
    });
    await mock.call('POST', `/v1/faults/${fault.id}/fire`);
    await client.state('connecting', kOpenWithinMs, { code: 515 });
    await client.state('connected', kOpenWithinMs);
    const [device] = await mock.devices(phone);
    assertEqual([device.device_jid, device.online], [jid, true], 'the device as the server sees it');
    assertEqual((await client.command('inspect')).credentials, credentials, 'credentials after the 515');
    await closeClient(client);
  },

  'a cut connection is a reconnect, and a dead one does not delay the exit': async (mock) => {
    const client = await launchClient(mock, 'cut');
    const { phone } = await pair(mock, client);
    for (const how of ['fin', 'rst']) {
      await cut(mock, 'cut', how);
      await client.state('connecting', kOpenWithinMs, { code: 428 });
      await client.state('connected', kOpenWithinMs);
    }
    assertEqual((await mock.devices(phone)).map((device) => device.online), [true], 'devices online');
    await cut(mock, 'cut', 'blackhole');
    await closeClient(client);  // throws after the 5 s of the protocol
  },

  'one process serves several devices, and deletes one of them': async (mock) => {
    const client = await launchClient(mock, 'many');
    assert(client.hello.capabilities.includes('multi_device'), 'hello lists multi_device');
    const phones = {};
    for (const device of ['left', 'right']) {
      phones[device] = await mock.phone(String(nextNumber++));
      await client.command('start', { device, url: mock.url(device) });
      const { data } = await client.event('qr', kQrWithinMs, (event) => event.device === device);
      await mock.scan(phones[device], data);
      await client.state('connected', kOpenWithinMs, { device });
    }
    const inspect = async (device) => (await client.command('inspect', { device })).credentials;
    const kept = await inspect('right');
    assert(kept && await inspect('left') !== kept, 'two devices have two sets of credentials');
    await client.command('delete', { device: 'left' });
    assertEqual([await inspect('left'), await inspect('right')], [null, kept], 'credentials after the delete');
    await mock.events({ kind: 'closed', device: 'left', count: 2 });  // the 515's, and the delete's
    assertEqual(await mock.devices(phones.left), [], 'devices of the phone whose companion was deleted');
    assertEqual((await mock.devices(phones.right)).map((device) => device.online), [true], 'devices of the other phone');
    await closeClient(client);
  },

  'a second login with the same credentials replaces the first': async (mock) => {
    const first = await launchClient(mock, 'first');
    const { phone } = await pair(mock, first);
    const { credentials } = await first.command('inspect');
    await cp(join(workFolder, 'first'), join(workFolder, 'second'), { recursive: true });
    const second = await launchClient(mock, 'second', { TESTLINE_KEEPALIVE_MS: String(kKeepAliveMs) });
    await second.command('start');
    await second.state('connected', kOpenWithinMs);
    await first.state('replaced', kOpenWithinMs, { code: 440 });
    assertEqual((await first.command('inspect')).credentials, credentials, 'credentials of the one that was replaced');
    // The first must not fight back: by the time of five more pings of the second it would have.
    await seePings(mock, 'second', 5);
    assertEqual(first.states().at(-1), 'replaced', 'the last state of the first');
    assertEqual(second.states().at(-1), 'connected', 'the last state of the second');
    assertEqual((await mock.devices(phone)).length, 1, 'devices of the phone');
    await closeClient(first);
    await closeClient(second);
  },

  'an unlink by the phone logs the client out for good': async (mock) => {
    const client = await launchClient(mock, 'unlinked');
    const { phone, jid } = await pair(mock, client);
    await mock.call('POST', `/v1/phones/${phone.id}/unlink`, { device_jid: jid });
    await client.state('logged_out', kOpenWithinMs, { code: 401 });
    assertEqual((await client.command('inspect')).credentials, null, 'credentials after the unlink');
    assertEqual(await mock.devices(phone), [], 'devices of the phone');
    await closeClient(client);
  },

  'a logout by the client removes the device from the phone': async (mock) => {
    const client = await launchClient(mock, 'leaver');
    const { phone } = await pair(mock, client);
    const { next } = await mock.events({ kind: 'login', device: 'leaver' });
    await client.command('logout');
    await client.state('logged_out', kOpenWithinMs);
    await mock.events({ kind: 'closed', device: 'leaver', from: next });
    assertEqual(await mock.devices(phone), [], 'devices of the phone');
    await closeClient(client);
  },

  [`${options.pairings} pairings in a row, each a new process and a new phone`]: async (mock) => {
    const took = [];
    for (let number = 1; number <= options.pairings; ++number) {
      const label = `row-${number}`;
      const began = performance.now();
      try {
        const client = await launchClient(mock, label);
        await pair(mock, client);
        took.push(performance.now() - began);
        await closeClient(client);
      } catch (error) {
        throw new Error(`pairing ${number} of ${options.pairings}: ${error.message}`);
      }
      await rm(join(workFolder, label), { recursive: true });  // 800 files each
    }
    took.sort((a, b) => a - b);
    return `process start to open: median ${took[took.length >> 1].toFixed(0)} ms, slowest ${took.at(-1).toFixed(0)} ms`;
  },
};

/** Cuts the one live connection of a device. */
async function cut(mock, label, how) {
  const live = (await mock.connections()).filter((connection) => connection.label === label);
  assertEqual(live.length, 1, `connections of ${label} before ${how}`);
  await mock.call('DELETE', `/v1/connections/${live[0].id}?how=${how}`);
}

/** Waits until the server has seen `count` more pings of a device. */
async function seePings(mock, label, count) {
  const deadline = count * kKeepAliveMs * 5 + 5000;
  await mock.events({
    kind: 'stanza_in', device: label, count, withinMs: deadline, what: `w:p pings of ${label}`,
    matches: (event) => JSON.stringify(event.data).includes('w:p'),
  });
}

// ---- running ---------------------------------------------------------------------------------------------------

async function prepare() {
  let values;
  try {
    ({ values } = parseArgs({
      options: {
        testline: { type: 'string', default: process.env.TESTLINE || join(kRoot, 'build/release/bin/testline') },
        client: { type: 'string', default: join(kRoot, 'scenarios/clients/baileys/run') },
        pairings: { type: 'string', default: '50' },
        only: { type: 'string', default: '' },
        keep: { type: 'boolean', default: false },
      },
    }));
  } catch (error) {
    console.error(`${error.message}\nusage: tests/interop/run [--testline PATH] [--client CMD] [--pairings N] [--only TEXT] [--keep]`);
    process.exit(2);
  }
  const pairings = Number(values.pairings);
  if (!Number.isInteger(pairings) || pairings < 1) {
    console.error(`--pairings ${values.pairings}: a positive whole number is wanted`);
    process.exit(2);
  }
  return {
    options: { ...values, pairings, client: values.client.split(' ').filter(Boolean) },
    mockUnderTest: values.testline,
  };
}

/** Runs one case on its own mock; its verdict includes that the mock saw no violation and is still there. */
async function runCase(name, body) {
  const folder = await mkdtemp(join(workFolder, 'mock-'));
  const mock = await Mock.launch(mockUnderTest, folder);
  try {
    const note = await body(mock);
    const violations = await mock.violations();
    assert(violations.length === 0, `${violations.length} violations, the first: ${JSON.stringify(violations[0])}`);
    assert(mock.alive, 'the mock has died');
    return note;
  } finally {
    await Promise.all([...running].map((client) => client.kill()));
    running.clear();
    await mock.stop();
  }
}

async function main() {
  const chosen = Object.entries(cases).filter(([name]) => name.includes(options.only));
  if (chosen.length === 0) {
    console.error(`no case has ${JSON.stringify(options.only)} in its name; there are:\n  ${Object.keys(cases).join('\n  ')}`);
    return 2;
  }
  try {
    const probe = await Mock.launch(mockUnderTest, await mkdtemp(join(workFolder, 'probe-')));
    await probe.stop();
  } catch (error) {
    console.error(error.message);
    return 3;
  }
  let passed = 0;
  let failed = 0;
  for (const [name, body] of chosen) {
    const began = performance.now();
    const took = () => `${((performance.now() - began) / 1000).toFixed(1)} s`;
    try {
      const note = await runCase(name, body);
      passed += 1;
      console.log(`ok      ${name} (${took()})${note ? `: ${note}` : ''}`);
    } catch (error) {
      failed += 1;
      console.log(`FAILED  ${name} (${took()})\n        ${error.message}`);
    }
  }
  console.log(`${passed} passed, ${failed} failed`);
  return failed === 0 ? 0 : 1;
}

const exitCode = await main();
if (options.keep) {
  console.error(`kept: ${workFolder} (${(await readdir(workFolder)).length} entries)`);
} else {
  await rm(workFolder, { recursive: true, force: true });
}
process.exit(exitCode);
