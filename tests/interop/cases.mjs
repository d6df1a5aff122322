/**
 * What is tried with every client and over every transport. A case gets a Lane; it throws, or its text is a note for
 * the report. Every case also fails on a protocol violation that the mock recorded, unless it lists the rule in `allow`.
 * `mock` are further arguments of `testline mock`, `schemes` the transports if not both, `majors` the versions of the
 * client if not all, `seconds` what a long case takes, by the version: those begin first.
 */
import { messageCases } from './message_cases.mjs';
import { assert, assertEqual, kKeepAliveMs, kOpenWithinMs, kQrWithinMs } from './lane.mjs';

const inspect = async (client, device) => (await client.command('inspect', device && { device })).credentials;

/** How many one-time keys a version of Baileys uploads at its first login, less the one that its phone takes. */
const kPreKeys = { 6: 29, 7: 811 };
const kPreKeysWithinMs = 5_000;

/** The phone takes one for its first words, shortly after the login. */
async function preKeysAre(lane, phone, count) {
  const giveUpAt = Date.now() + kPreKeysWithinMs;
  for (;;) {
    const [device] = await lane.mock.devices(phone);
    if (device.prekeys === count || Date.now() > giveUpAt) return assertEqual(device.prekeys, count, 'pre-keys at the server');
    await new Promise((done) => setTimeout(done, 20));
  }
}

/** What `<failure reason>` and stream errors end in: see scenarios/clients/baileys/close_policy.mjs. */
const kStop = { erased: false, again: false };
const kErased = { erased: true, again: false };
const kAgain = { erased: false, again: true };

const failures = {
  400: ['connecting', kAgain],
  401: ['logged_out', kErased],
  402: ['temporarily_banned', kStop],
  403: ['account_locked', kErased],
  405: ['client_outdated', kStop],
  406: ['banned', kErased],
  409: ['config_error', kStop],
  411: ['needs_relink', kStop],
  413: ['config_error', kStop],
  414: ['config_error', kStop],
  415: ['config_error', kStop],
  418: ['config_error', kStop],
  500: ['connecting', kAgain],
  501: ['connecting', kAgain],
  503: ['connecting', kAgain],
};

const streamError = (args) => ['stream_error', args];
const stanza = (node) => ['inject', { node }];

/** name → [the fault, Baileys' status code, what it ends in]. A 515 and a second login have cases of their own. */
const ends = {
  'code-516': [streamError({ code: 516 }), 516, ['logged_out', kErased]],
  'code-503': [streamError({ code: 503 }), 503, ['connecting', kAgain]],
  'removed-401': [streamError({ code: 401, conflict: 'device_removed' }), 401, ['logged_out', kErased]],
  'code-401': [streamError({ code: 401 }), 401, ['needs_relink', kStop]],
  replaced: [streamError({ conflict: 'replaced' }), 440, ['replaced', kStop]],
  'removed-only': [streamError({ conflict: 'device_removed' }), 440, ['logged_out', kErased]],
  'code-409': [streamError({ code: 409 }), 409, ['replaced', kStop]],
  'code-429': [streamError({ code: 429 }), 429, ['throttled', kAgain]],
  'xml-not-well-formed': [streamError({ child: 'xml-not-well-formed' }), 500, ['connecting', kAgain]],
  ack: [streamError({ child: 'ack' }), 500, ['connecting', kAgain]],
  empty: [stanza({ tag: 'stream:error' }), 500, ['connecting', kAgain]],
  xmlstreamend: [stanza({ tag: 'xmlstreamend' }), 428, ['connecting', kAgain]],
  downgrade: [stanza({ tag: 'ib', children: [{ tag: 'downgrade_webclient' }] }), 411, ['needs_relink', kStop]],
};

/** The end that a device reported is the one expected, and so is what became of its credentials. */
async function seeEnd(client, device, code, [state, { erased, again }], earned) {
  const event = await client.state(state, kOpenWithinMs, { device, code });
  assertEqual(event.next_attempt_ms !== undefined, again, `${device}: will it try again (${JSON.stringify(event)})`);
  assertEqual(await inspect(client, device), erased ? null : earned, `${device}: credentials after ${state}`);
}

/** A logged-in device: one of its own if its credentials will be erased, else the one that all such ends share. */
async function linked(lane, client, [, { erased }], name) {
  const kShared = 'kept';
  const device = erased ? name : kShared;
  const has = client.events.all().some((event) => event.device === device && event.state === 'connected');
  if (!has) await lane.pair(client, { device });
  return device;
}

export function makeCases({ pairings }) {
  return {
    'a QR picture pairs: pair-success, 515, reconnect, open': async (lane) => {
      const client = await lane.launch('qr');
      assertEqual(client.hello.protocol, 1, 'hello.protocol');
      const { phone, jid } = await lane.pair(client);
      const [device, ...others] = await lane.mock.devices(phone);
      assertEqual(others, [], 'further devices of the phone');
      assertEqual([device.device_jid, device.label, device.online], [jid, 'qr', true], 'the device as the server sees it');
      assertEqual(client.states(), ['connecting', 'waiting_for_scan', 'connecting', 'connecting', 'connected'], 'states');
      if (kPreKeys[lane.major]) await preKeysAre(lane, phone, kPreKeys[lane.major]);
      const credentials = await inspect(client);
      assert(/^[0-9a-f]{64}$/.test(credentials ?? ''), `a paired client has credentials: ${credentials}`);
      await lane.end(client);
    },

    'a pairing code links as a QR does': async (lane) => {
      const client = await lane.launch('code');
      assert(client.hello.capabilities.includes('pairing_code'), 'hello lists pairing_code');
      const phone = await lane.phone();
      await client.command('start', { pairing_number: phone.jid.split('@')[0] });
      const code = await lane.pairingCode(client, 'code');
      assert(/^[1-9A-HJ-NP-TV-Z]{8}$/.test(code), `a code has eight characters: ${code}`);
      const { device_jid: jid } = await lane.mock.call('POST', `/v1/phones/${phone.id}/pairing-code`, { code });
      await client.state('connecting', kOpenWithinMs, { code: 515 });
      await client.state('connected', kOpenWithinMs);
      const [device, ...others] = await lane.mock.devices(phone);
      assertEqual([device.device_jid, device.online, others], [jid, true, []], 'the device as the server sees it');
      const credentials = await inspect(client);
      await lane.end(client);
      const again = await lane.launch('code');
      await again.command('start');
      await again.state('connected', kOpenWithinMs);
      assertEqual(await inspect(again), credentials, 'credentials after a restart');
      await lane.end(again);
    },

    'a pairing that is interrupted after its code begins anew with another code': async (lane) => {
      const client = await lane.launch('cut-code');
      const phone = await lane.phone();
      await client.command('start', { pairing_number: phone.jid.split('@')[0] });
      const first = await lane.pairingCode(client, 'cut-code');
      await lane.cut('cut-code', 'fin');
      const second = await lane.pairingCode(client, 'cut-code');
      assert(first !== second, 'the code of a new connection is new');
      await lane.mock.call('POST', `/v1/phones/${phone.id}/pairing-code`, { code: second });
      await client.state('connected', kOpenWithinMs);
      await lane.end(client);
    },

    'a 515 while a QR is on show: it is marked stale, and gives way to a new one': async (lane) => {
      const client = await lane.launch('unpaired');
      const phone = await lane.phone();
      await client.command('start');
      const old = await client.event('qr', kQrWithinMs);
      await lane.strike('stream_error', { code: 515 }, 'unpaired');
      const marked = await client.event('qr', kQrWithinMs);
      assertEqual([marked.data, marked.stale], [old.data, true], 'the old QR');
      const fresh = await client.event('qr', kQrWithinMs);
      assert(fresh.data !== old.data && !fresh.stale, 'the new QR is another');
      await lane.mock.scan(phone, fresh.data);
      await client.event('qr_gone', kOpenWithinMs);
      await client.state('connected', kOpenWithinMs);
      await lane.end(client);
    },

    'a list without a single ref is a close before the first, and is given up': {
      mock: ['--set', 'refs.count=0'],
      async run(lane) {
        const client = await lane.launch('no-refs', { TESTLINE_TIME_SCALE: '0.02' });
        await client.command('start');
        await client.state('disconnected', kOpenWithinMs, { reason: 'closed_before_first_ref', code: 408 });
        assertEqual((await lane.mock.events({ kind: 'registration', device: 'no-refs', count: 3 })).events.length, 3, 'tries');
        assertEqual(client.events.all().filter(({ event }) => event === 'qr'), [], 'codes on show');
        await lane.end(client);
      },
    },

    'options: a window of codes that is not renewed ends in qr_expired, another version pairs all the same': {
      mock: ['--set', 'refs.count=2', '--set', 'refs.first=600ms', '--set', 'refs.rest=300ms'],
      async run(lane) {
        const client = await lane.launch('options');
        const options = { auto_renew_qr: 0, qr_first_ms: 300, qr_rest_ms: 300, version: '2.3000.1000000001' };
        await client.command('start', { options });
        for (const which of ['first', 'second']) await client.event('qr', kQrWithinMs, () => which);
        await client.state('qr_expired', kQrWithinMs, { code: 408 });
        assertEqual((await lane.mock.events({ kind: 'registration', device: 'options' })).events.length, 1, 'windows');
        await lane.pair(client, { options: { ...options, qr_rest_ms: 5000 } });
        await lane.end(client);
      },
    },

    'options: a device that may take over logs in again, later': async (lane) => {
      const first = await lane.launch('patient');
      await lane.pair(first, { options: { takeover_after_ms: 400 } });
      await lane.copyState('patient', 'rogue');
      const rogue = await lane.launch('rogue');
      await rogue.command('start');
      await rogue.state('connected', kOpenWithinMs);
      const replaced = await first.state('replaced', kOpenWithinMs, { code: 440 });
      assertEqual(replaced.next_attempt_ms, 400, 'the next attempt of the one that was replaced');
      await first.state('connected', kOpenWithinMs);
      await rogue.state('replaced', kOpenWithinMs, { code: 440 });
      await lane.end(first);
      await lane.end(rogue);
    },

    'a server whose certificate authority the client does not know is not talked to': {
      schemes: ['wss'],
      async run(lane) {
        const client = await lane.launch('wary', { TESTLINE_TLS_CA: '', NODE_EXTRA_CA_CERTS: '' });
        await client.command('start');
        const { next_attempt_ms: next } = await client.state('connecting', kOpenWithinMs, { reason: 'transport_closed' });
        assert(next > 0, 'it tries again later');
        assertEqual(await lane.mock.connections(), [], 'connections that the mock took for its own');
        await lane.end(client);
      },
    },

    'a restart of the process is a login without a QR': async (lane) => {
      const first = await lane.launch('restart');
      await lane.pair(first);
      const credentials = await inspect(first);
      await lane.end(first);
      const second = await lane.launch('restart');
      await second.command('start');
      await second.state('connected', kOpenWithinMs);
      assertEqual(second.states(), ['connecting', 'connected'], 'states');
      assertEqual(await inspect(second), credentials, 'credentials after the restart');
      await lane.end(second);
    },

    'ten keep-alives of an idle connection are seen by the server': async (lane) => {
      const client = await lane.launch('idle', { TESTLINE_KEEPALIVE_MS: String(kKeepAliveMs) });
      await lane.pair(client);
      await lane.seePings('idle', 10);
      assertEqual(client.events.rest().filter((event) => event.event === 'state'), [], 'states while idle');
      await lane.end(client);
    },

    'a 515 in mid-session is a reconnect and a login': async (lane) => {
      const client = await lane.launch('restarted');
      const { phone, jid } = await lane.pair(client);
      const credentials = await inspect(client);
      await lane.strike('stream_error', { code: 515 }, 'restarted');
      await client.state('connecting', kOpenWithinMs, { code: 515 });
      await client.state('connected', kOpenWithinMs);
      const [device] = await lane.mock.devices(phone);
      assertEqual([device.device_jid, device.online], [jid, true], 'the device as the server sees it');
      assertEqual(await inspect(client), credentials, 'credentials after the 515');
      await lane.end(client);
    },

    'a cut connection is a reconnect, and a dead one does not delay the exit': async (lane) => {
      const client = await lane.launch('cut');
      const { phone } = await lane.pair(client);
      for (const how of ['fin', 'rst']) {
        await lane.cut('cut', how);
        await client.state('connecting', kOpenWithinMs, { code: 428 });
        await client.state('connected', kOpenWithinMs);
      }
      assertEqual((await lane.mock.devices(phone)).map((device) => device.online), [true], 'devices online');
      await lane.cut('cut', 'blackhole');
      await lane.end(client);  // throws after the 5 s of the protocol
    },

    'one process serves several devices, and deletes one of them': async (lane) => {
      const client = await lane.launch('many');
      assert(client.hello.capabilities.includes('multi_device'), 'hello lists multi_device');
      const phones = {};
      for (const device of ['left', 'right']) phones[device] = (await lane.pair(client, { device })).phone;
      const kept = await inspect(client, 'right');
      assert(kept && await inspect(client, 'left') !== kept, 'two devices have two sets of credentials');
      await client.command('delete', { device: 'left' });
      assertEqual([await inspect(client, 'left'), await inspect(client, 'right')], [null, kept],
        'credentials after the delete');
      await lane.mock.events({ kind: 'closed', device: 'left', count: 2 });  // the 515's, and the delete's
      assertEqual(await lane.mock.devices(phones.left), [], 'devices of the phone whose companion was deleted');
      assertEqual((await lane.mock.devices(phones.right)).map((device) => device.online), [true],
        'devices of the other phone');
      await lane.end(client);
    },

    'a second login with the same credentials replaces the first': async (lane) => {
      const first = await lane.launch('first');
      const { phone } = await lane.pair(first);
      const credentials = await inspect(first);
      await lane.copyState('first', 'second');
      const second = await lane.launch('second', { TESTLINE_KEEPALIVE_MS: String(kKeepAliveMs) });
      await second.command('start');
      await second.state('connected', kOpenWithinMs);
      await first.state('replaced', kOpenWithinMs, { code: 440 });
      assertEqual(await inspect(first), credentials, 'credentials of the one that was replaced');
      // The first must not fight back: by the time of five more pings of the second it would have.
      await lane.seePings('second', 5);
      assertEqual(first.states().at(-1), 'replaced', 'the last state of the first');
      assertEqual(second.states().at(-1), 'connected', 'the last state of the second');
      assertEqual((await lane.mock.devices(phone)).length, 1, 'devices of the phone');
      await lane.end(first);
      await lane.end(second);
    },

    'an unlink by the phone logs the client out for good': async (lane) => {
      const client = await lane.launch('unlinked');
      const { phone, jid } = await lane.pair(client);
      await lane.mock.call('POST', `/v1/phones/${phone.id}/unlink`, { device_jid: jid });
      await client.state('logged_out', kOpenWithinMs, { code: 401 });
      assertEqual(await inspect(client), null, 'credentials after the unlink');
      assertEqual(await lane.mock.devices(phone), [], 'devices of the phone');
      await lane.end(client);
    },

    'a logout by the client removes the device from the phone': async (lane) => {
      const client = await lane.launch('leaver');
      const { phone } = await lane.pair(client);
      const { next } = await lane.mock.events({ kind: 'login', device: 'leaver' });
      await client.command('logout');
      await client.state('logged_out', kOpenWithinMs);
      await lane.mock.events({ kind: 'closed', device: 'leaver', from: next });
      assertEqual(await lane.mock.devices(phone), [], 'devices of the phone');
      await lane.end(client);
    },

    'a stop keeps the credentials, and a start after it logs in': async (lane) => {
      const client = await lane.launch('stopped');
      await lane.pair(client);
      const credentials = await inspect(client);
      await client.command('stop');
      await client.state('disconnected', kOpenWithinMs, { reason: 'stopped' });
      assertEqual(await inspect(client), credentials, 'credentials after the stop');
      await client.command('start');
      await client.state('connected', kOpenWithinMs);
      await lane.end(client);
    },

    [`every failure at login ends as it should: ${Object.keys(failures).join(' ')}`]: {
      seconds: { 6: 10, 7: 10 },
      async run(lane) {
        const client = await lane.launch('failures', { TESTLINE_TIME_SCALE: '60' });  // "slow" is an hour: nobody retries
        for (const [reason, end] of Object.entries(failures)) {
          const device = await linked(lane, client, end, `failure-${reason}`);
          const earned = await inspect(client, device);
          const { id } = await lane.fault('failure', { reason: Number(reason) }, device);
          await lane.strike('stream_error', { code: 515 }, device);
          await seeEnd(client, device, Number(reason), end, earned);
          await client.command('stop', { device });
          await lane.mock.call('DELETE', `/v1/faults/${id}`);
          // What was kept still is a login, what was erased is a device to be linked.
          await client.command('start', { device, url: lane.url(device) });
          await client.state(end[1].erased ? 'waiting_for_scan' : 'connected', kOpenWithinMs, { device });
          if (end[1].erased) await client.command('stop', { device });
        }
        await lane.end(client);
      },
    },

    [`whatever the server says, the stream ends as it should: ${Object.keys(ends).join(' ')}`]: {
      seconds: { 6: 10, 7: 10 },
      async run(lane) {
        const client = await lane.launch('ends', { TESTLINE_TIME_SCALE: '60' });
        for (const [name, [[fault, args], code, end]] of Object.entries(ends)) {
          const device = await linked(lane, client, end, name);
          const earned = await inspect(client, device);
          await lane.strike(fault, args, device);
          await seeEnd(client, device, code, end, earned);
          await client.command('stop', { device });
          if (end[1].erased) continue;
          await client.command('start', { device, url: lane.url(device) });
          await client.state('connected', kOpenWithinMs, { device });
        }
        await lane.end(client);
      },
    },

    ...messageCases,

    [`${pairings} pairings in a row, a new process every fifth, each at the first go`]: {
      schemes: ['ws'],
      seconds: { 6: pairings / 2, 7: pairings / 2 },
      async run(lane) {
        const kDevices = 5;  // of a process: most of the time of a pairing is the start of Node
        const took = [];
        let client;
        for (let number = 0; number < pairings; ++number) {
          const process = `row-${Math.floor(number / kDevices)}`;
          const device = `device-${number}`;
          const began = performance.now();
          try {
            if (number % kDevices === 0) client = await lane.launch(process);
            await lane.pair(client, { device });
            took.push(performance.now() - began);
            // One connection to register, one to log in, and nothing besides: no retry hides in here.
            const states = client.events.all().filter((event) => event.event === 'state' && event.device === device);
            assertEqual(states.map(({ state }) => state),
              ['connecting', 'waiting_for_scan', 'connecting', 'connecting', 'connected'], 'states');
            const { events } = await lane.mock.events({ kind: 'connected', device, count: 2 });
            assertEqual(events.length, 2, 'connections');
            if (number % kDevices === kDevices - 1 || number === pairings - 1) await lane.end(client, { forget: process });
          } catch (error) {
            throw new Error(`pairing ${number + 1} of ${pairings}: ${error.message}`);
          }
        }
        took.sort((a, b) => a - b);
        return `start to open: median ${took[took.length >> 1].toFixed(0)} ms, slowest ${took.at(-1).toFixed(0)} ms`;
      },
    },
  };
}
