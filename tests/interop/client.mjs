/** A client under test: a child process that speaks the client driver protocol over its stdin and stdout. */
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { History } from './history.mjs';

const kHelloWithinMs = 20_000;
const kAnswerWithinMs = 15_000;
const kStderrBytes = 1 << 20;  // that are kept
const kExitWithinMs = 6_000;

export class Client {
  #name;
  #child;
  #events;
  #answers = new Map();  // ref → {resolve, reject}
  #stderr = '';
  #nextRef = 1;
  #exited;
  hello = null;

  static async launch(command, name, environment) {
    const client = new Client(command, name, environment);
    try {
      client.hello = await client.#events.next('hello', kHelloWithinMs, (event) => event.event === 'hello');
    } catch (error) {
      await client.kill();
      throw error;
    }
    return client;
  }

  constructor(command, name, environment) {
    this.#name = name;
    this.#events = new History(name);
    this.#child = spawn(command[0], command.slice(1), {
      env: { ...process.env, ...environment },
      stdio: ['pipe', 'pipe', 'pipe'],
    });
    this.#child.stdin.on('error', () => {});  // it has gone: the exit says so
    this.#child.stderr.on('data', (bytes) => { this.#stderr = (this.#stderr + bytes).slice(-kStderrBytes); });
    createInterface({ input: this.#child.stdout }).on('line', (text) => this.#onLine(text));
    this.#exited = new Promise((resolve) => {
      this.#child.on('error', (error) => resolve(`could not be started: ${error.message}`));
      this.#child.on('close', (code, signal) => resolve(`the process ended (${signal ?? code})`));
    }).then((how) => {
      this.#events.end(`${how}; its stderr: ${this.#stderr.slice(-4000).trim() || 'empty'}`);
      for (const { reject } of this.#answers.values()) reject(new Error(`${this.#name}: ${how}`));
      return how;
    });
  }

  get name() { return this.#name; }
  get stderr() { return this.#stderr; }
  get events() { return this.#events; }

  /** Sends a command and returns its `done`; an `error` answer, or none, throws. */
  command(cmd, fields = {}) {
    const ref = this.#nextRef++;
    return new Promise((resolve, reject) => {
      const timer = setTimeout(
        () => reject(new Error(`${this.#name}: ${cmd} was not answered within ${kAnswerWithinMs} ms`)), kAnswerWithinMs);
      const settle = (how) => (value) => {
        clearTimeout(timer);
        this.#answers.delete(ref);
        how(value);
      };
      this.#answers.set(ref, { resolve: settle(resolve), reject: settle(reject) });
      this.#child.stdin.write(`${JSON.stringify({ cmd, ref, ...fields })}\n`);
    });
  }

  state(word, withinMs, detail = {}) {
    const what = `state ${word}${Object.keys(detail).length ? ` ${JSON.stringify(detail)}` : ''}`;
    return this.#events.next(what, withinMs, (event) =>
      event.event === 'state' && event.state === word &&
      Object.entries(detail).every(([key, value]) => event[key] === value));
  }

  event(kind, withinMs, matches = () => true) {
    return this.#events.next(kind, withinMs, (event) => event.event === kind && matches(event));
  }

  /** States reported so far, in order. */
  states() {
    return this.#events.all().filter((event) => event.event === 'state').map((event) => event.state);
  }

  /** Ends stdin and waits for the exit that the protocol promises within 5 s. */
  async close() {
    this.#child.stdin.end();
    let timer;
    const late = new Promise((resolve) => { timer = setTimeout(resolve, kExitWithinMs, 'late'); });
    const how = await Promise.race([this.#exited, late]);
    clearTimeout(timer);
    if (how !== 'late') return;
    await this.kill();
    throw new Error(`${this.#name}: still running ${kExitWithinMs} ms after the end of its stdin`);
  }

  async kill() {
    this.#child.kill('SIGKILL');
    await this.#exited;
  }

  #onLine(text) {
    let line;
    try {
      line = JSON.parse(text);
    } catch {
      line = { event: 'not_json', text };
    }
    const answer = this.#answers.get(line.ref);
    if (line.event === 'done' && answer) return answer.resolve(line);
    if (line.event === 'error' && answer) return answer.reject(new Error(`${this.#name}: ${line.code}: ${line.text}`));
    this.#events.push(line);
  }
}
