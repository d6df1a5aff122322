/** `testline mock` as a child process, and its control API. */
import { execFile, spawn } from 'node:child_process';
import { watch } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { promisify } from 'node:util';

const kReadyWithinMs = 20_000;
const kCallWithinMs = 30_000;

/** The file's JSON once it is there and whole. Watches the folder: no polling, no sleep. */
function readyDocument(path, child) {
  return new Promise((resolve, reject) => {
    let stderr = '';
    const watcher = watch(dirname(path), (kind, name) => { if (name === basename(path)) void look(); });
    const finish = (settle, value) => {
      clearTimeout(timer);
      watcher.close();
      settle(value);
    };
    const look = async () => {
      try {
        finish(resolve, JSON.parse(await readFile(path, 'utf8')));
      } catch {
        // Not there yet, or half written: the next change of the folder tells.
      }
    };
    const timer = setTimeout(
      () => finish(reject, new Error(`no ready file within ${kReadyWithinMs} ms; stderr: ${stderr}`)), kReadyWithinMs);
    child.stderr.on('data', (bytes) => { stderr = (stderr + bytes).slice(-4000); });
    child.on('error', (error) => finish(reject, error));
    child.on('exit', (code, signal) => finish(reject, new Error(`it ended (${signal ?? code}); stderr: ${stderr}`)));
    void look();  // it may have been faster than the watch
  });
}

export class Mock {
  #testline;
  #child;
  #folder;
  #pictures = 0;
  info = null;

  static async launch(testline, folder, extra = []) {
    const mock = new Mock();
    mock.#testline = testline;
    mock.#folder = folder;
    const readyFile = join(folder, 'ready.json');
    mock.#child = spawn(testline, [
      'mock', '--listen', '127.0.0.1:0', '--control', '127.0.0.1:0', '--profile', 'fast', '--ready-file', readyFile,
      ...extra,
    ], { stdio: ['ignore', 'ignore', 'pipe'] });
    try {
      mock.info = await readyDocument(readyFile, mock.#child);
    } catch (error) {
      mock.#child.kill('SIGKILL');
      throw new Error(`${testline} mock did not start: ${error.message}`);
    }
    return mock;
  }

  async stop() {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const ended = new Promise((resolve) => this.#child.on('exit', resolve));
    this.#child.kill('SIGTERM');
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), 5000);
    await ended;
    clearTimeout(timer);
  }

  get alive() { return this.#child.exitCode === null && this.#child.signalCode === null; }

  /** The URL for a device with a label. */
  url(label, scheme = 'ws') {
    const base = this.info[`${scheme}_url`];
    if (!base) throw new Error(`the ready file has no ${scheme}_url`);
    const url = new URL(base);
    url.searchParams.set('device', label);
    return url.href;
  }

  /** One call of the control API. `body` is an object (JSON), bytes, or nothing. Throws unless the answer is 2xx. */
  async call(method, path, body, { accept = [] } = {}) {
    const bytes = body instanceof Uint8Array;
    const response = await fetch(new URL(path, this.info.control_url), {
      method,
      headers: {
        accept: 'application/json',
        ...(body !== undefined && { 'content-type': bytes ? 'application/octet-stream' : 'application/json' }),
      },
      body: body === undefined || bytes ? body : JSON.stringify(body),
      signal: AbortSignal.timeout(kCallWithinMs),
    }).catch((error) => { throw new Error(`${method} ${path}: ${error.cause?.message ?? error.message}`); });
    const text = await response.text();
    if (!response.ok && !accept.includes(response.status)) {
      throw new Error(`${method} ${path} answered ${response.status}: ${text.slice(0, 500)}`);
    }
    return text === '' ? null : JSON.parse(text);
  }

  phone(number) { return this.call('POST', '/v1/phones', { number }); }

  /** Draws the text as a QR picture and holds it in front of the phone's camera. Answers when the link is verified. */
  async scan(phone, qrText) {
    const file = join(this.#folder, `qr-${++this.#pictures}.png`);
    await promisify(execFile)(this.#testline, ['qr', qrText, '--out', file], { timeout: 10_000 });
    const picture = await readFile(file);
    if (picture.subarray(1, 4).toString('latin1') !== 'PNG') throw new Error(`${file} is not a PNG`);
    return this.call('POST', `/v1/phones/${encodeURIComponent(phone.id)}/scan`, picture);
  }

  /**
   * Events of one kind after `from`, waiting until `count` of them satisfy `matches`. Answers {events, next}; throws at
   * the deadline with what did arrive.
   */
  async events({ kind, device, from = 0, count = 1, withinMs = 10_000, matches = () => true, what = kind }) {
    const deadline = performance.now() + withinMs;
    const found = [];
    const seen = new Map();  // kinds of what did not match, for the message
    let next = from;
    for (let wait = false; found.length < count; wait = !wait) {  // what is there by now, then the next one
      const left = Math.ceil(deadline - performance.now());
      if (wait && left <= 0) {
        const others = [...seen].map(([text, times]) => `${times}x ${text}`).join(', ') || 'nothing';
        throw new Error(`${found.length} of ${count} ${what} within ${withinMs} ms; also arrived: ${others}`);
      }
      const query = new URLSearchParams({ from: String(next), kind, ...(wait && { limit: '1', within: `${left}ms` }) });
      if (device) query.set('device', device);
      const body = await this.call('GET', `/v1/events?${query}`, undefined, { accept: [408] });
      for (const event of listIn(body, 'events')) {
        if (found.length === count) break;
        next = Math.max(next, event.seq + 1);
        if (matches(event)) {
          found.push(event);
        } else {
          const text = JSON.stringify(event.data).slice(0, 60);
          seen.set(text, (seen.get(text) ?? 0) + 1);
        }
      }
    }
    return { events: found, next };
  }

  /** Events of one kind so far. */
  async eventsSoFar({ kind, device, matches = () => true }) {
    const query = new URLSearchParams({ kind, ...(device && { device }) });
    return listIn(await this.call('GET', `/v1/events?${query}`), 'events').filter(matches);
  }

  /** Protocol violations recorded so far. */
  async violations() { return listIn(await this.call('GET', '/v1/violations'), 'violations'); }
  async connections() { return listIn(await this.call('GET', '/v1/connections'), 'connections'); }
  /** What a phone has sent and received, oldest first. */
  async messages(phone) {
    return listIn(await this.call('GET', `/v1/phones/${encodeURIComponent(phone.id)}/messages`), 'messages');
  }
  /** A phone sends a text, or whatever `what` says. Answers the message's id. */
  async say(phone, to, what) {
    const content = typeof what === 'string' ? { text: what } : what;
    return (await this.call('POST', `/v1/phones/${encodeURIComponent(phone.id)}/messages`, { to: to.number, ...content })).id;
  }
  async devices(phone) { return (await this.call('GET', `/v1/phones/${encodeURIComponent(phone.id)}`)).devices; }
}

/** A list that stands alone, or in an object under its name. */
function listIn(body, name) {
  const list = Array.isArray(body) ? body : body?.[name] ?? body?.error?.[name];
  if (!Array.isArray(list)) throw new Error(`no list of ${name} in ${JSON.stringify(body).slice(0, 200)}`);
  return list;
}
