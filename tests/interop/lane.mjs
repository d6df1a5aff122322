/**
 * One client command against one mock of its own, over ws: or wss:. What the cases are written in.
 */
import { execFile } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { mkdir, mkdtemp, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { Client } from './client.mjs';
import { describe } from './history.mjs';
import { Mock } from './mock.mjs';

export const kQrWithinMs = 10_000;
export const kOpenWithinMs = 20_000;
export const kKeepAliveMs = 100;

export function assert(condition, text) {
  if (!condition) throw new Error(text);
}

export function assertEqual(actual, expected, what) {
  const [a, b] = [JSON.stringify(actual), JSON.stringify(expected)];
  assert(a === b, `${what}: expected ${b}, found ${a}`);
}

/** Node's own `cp` and `rm` take ten times as long for hundreds of files. */
const run = promisify(execFile);
const remove = (folder) => run('rm', ['-rf', '--', folder]);

export class Lane {
  #folder;
  #command;
  #scheme;
  #nextNumber = 15550200001;
  #running = new Set();
  #launched = [];
  #askedForCodes = 0;  // where to look for the next request

  /** A mock, and a folder below `workFolder` for what its clients store. `extra` are arguments of the mock. */
  static async open({ testline, command, scheme, workFolder, extra = [] }) {
    const lane = new Lane();
    lane.#folder = await mkdtemp(join(workFolder, 'lane-'));
    lane.#command = command;
    lane.#scheme = scheme;
    lane.engine = [testline, 'engine'];
    const mockFolder = join(lane.#folder, 'mock');
    await mkdir(mockFolder);
    lane.mock = await Mock.launch(testline, mockFolder, extra);
    lane.major = null;  // of the client, once one was launched
    if (scheme === 'wss') {
      assert(lane.mock.info.tls_ca_pem, 'the ready file has no tls_ca_pem');
      await writeFile(lane.#caFile, lane.mock.info.tls_ca_pem);
    }
    return lane;
  }

  get #caFile() { return join(this.#folder, 'ca.pem'); }

  /** Ends what the case left running, and the mock. */
  async close() {
    await Promise.all([...this.#running].map((client) => client.kill()));
    await this.mock.stop();
    await remove(this.#folder);
  }

  /** What happened so far, one object per line: the mock's events, then what each client said and wrote to stderr. */
  async trace(file) {
    const { events } = await this.mock.call('GET', '/v1/events');
    const clients = this.#launched.map((client) => (
      { client: client.name, events: client.events.all(), stderr: client.stderr.split('\n') }));
    await writeFile(file, [...events, ...clients].map((each) => `${JSON.stringify(each)}\n`).join(''));
  }

  url(label) { return this.mock.url(label, this.#scheme); }
  phone() { return this.mock.phone(String(this.#nextNumber++)); }
  stateFolder(label) { return join(this.#folder, label); }
  /** Whole: a client that runs may just be removing a key that was used, or be in the middle of a file. */
  async copyState(from, to) {
    const folder = this.stateFolder(to);
    for (let tries = 50; ; --tries) {
      try {
        await run('cp', ['-r', '--', this.stateFolder(from), folder]);
        for (const file of readdirSync(folder).filter((name) => name.endsWith('.json'))) {
          JSON.parse(readFileSync(join(folder, file), 'utf8'));
        }
        return;
      } catch (error) {
        if (tries === 0) throw error;
        await remove(folder);
      }
    }
  }

  /** A client process for one device with its own folder and label; another `command` is another client. */
  async launch(label, environment = {}, command = this.#command) {
    const client = await Client.launch(command, label, {
      TESTLINE_WS_URL: this.url(label),
      TESTLINE_NOISE_ROOT: this.mock.info.noise_root_public_key,
      TESTLINE_STATE_DIR: this.stateFolder(label),
      ...(this.#scheme === 'wss' && { TESTLINE_TLS_CA: this.#caFile }),
      ...environment,
    });
    this.#running.add(client);
    this.#launched.push(client);
    if (command === this.#command) this.major = Number(client.hello.version.split('.')[0]);
    return client;
  }

  /** Ends the client's stdin and waits for its exit. What it stored goes with `forget`. */
  async end(client, { forget } = {}) {
    this.#running.delete(client);
    await client.close();
    if (forget) await remove(this.stateFolder(forget));  // 800 files each
  }

  /**
   * Start, QR, picture, scan, 515, login. Every step once: a step that fails is the failure. `phone`: the one to link
   * with, else a new one.
   */
  async pair(client, { device, options, phone: given } = {}) {
    const of = device && { device };
    const phone = given ?? await this.phone();
    await client.command('start', { ...(device && { device, url: this.url(device) }), ...(options && { options }) });
    await client.state('waiting_for_scan', kQrWithinMs, of);
    const { data } = await client.event('qr', kQrWithinMs, (event) => event.device === device);
    const { device_jid: jid } = await this.mock.scan(phone, data).catch((error) => {
      throw new Error(`${error.message}; the client meanwhile: ${describe(client.events.rest())}`);
    });
    assert(/^\d+:\d+@/.test(jid ?? ''), `the scan answered no device_jid: ${jid}`);
    await client.state('connecting', kOpenWithinMs, { code: 515, ...of });
    await client.state('connected', kOpenWithinMs, of);
    return { phone, jid };
  }

  /** The next pairing code that a client shows, once the server knows of it, too: clients do not wait for that. */
  async pairingCode(client, label) {
    const { code } = await client.event('pairing_code', kOpenWithinMs);
    const asked = await this.mock.events({
      kind: 'stanza_in', device: label, from: this.#askedForCodes, what: 'a request for a pairing code',
      matches: ({ data }) => data.child === 'link_code_companion_reg',
    });
    this.#askedForCodes = asked.next;
    return code;
  }

  /**
   * Waits until a device is done with every request for this message that it has got so far: it acknowledges a request
   * behind its answer. Until then nothing should be said to a Baileys 7: what it decrypts while it encrypts for the same
   * peer is undone, since the session is stored as it was when the sending began. A key that was used is unused again.
   */
  async retriesAnswered(device, id) {
    const isRetry = (tag) => ({ data }) => data.tag === tag && data.type === 'retry' && data.id === id;
    const asked = await this.mock.eventsSoFar({ kind: 'stanza_out', device, matches: isRetry('receipt') });
    await this.mock.events({
      kind: 'stanza_in', device, count: asked.length, what: `answers to requests for ${id}`, matches: isRetry('ack'),
    });
    return asked.length;
  }

  /** Adds a fault that acts on one device. */
  fault(fault, args, device, when) {
    return this.mock.call('POST', '/v1/faults', { fault, args, where: { device }, ...(when && { when }) });
  }

  /** Adds a fault that acts at once, on the live connection of one device. */
  async strike(fault, args, device) {
    const { id } = await this.fault(fault, args, device, { manual: true });
    await this.mock.call('POST', `/v1/faults/${id}/fire`);
  }

  /** Cuts the one live connection of a device. */
  async cut(label, how) {
    const live = (await this.mock.connections()).filter((connection) => connection.label === label);
    assertEqual(live.length, 1, `connections of ${label} before ${how}`);
    await this.mock.call('DELETE', `/v1/connections/${live[0].id}?how=${how}`);
  }

  /** Waits until the server has seen `count` more pings of a device. */
  async seePings(label, count) {
    await this.mock.events({
      kind: 'stanza_in', device: label, count, withinMs: count * kKeepAliveMs * 5 + 5000, what: `w:p pings of ${label}`,
      matches: (event) => JSON.stringify(event.data).includes('w:p'),
    });
  }
}
