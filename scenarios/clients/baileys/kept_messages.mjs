/**
 * The messages that a device has sent and received, the newest 1000: a file of JSON Lines beside Baileys' own, so that a
 * peer's retry is answered after a restart, too, and messages from before it can be answered, read and edited.
 */
import { appendFile, mkdir, readFile, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { baileys } from './library.mjs';

const { Message } = baileys.proto;

export class KeptMessages {
  #path;
  #most;
  #byId = new Map();  // id → {key, message}, the oldest first
  #lines = 0;         // in the file
  #last = Promise.resolve();

  constructor(path, most = 1000) {
    this.#path = path;
    this.#most = most;
  }

  /** What the file has. A line that was cut off by the end of the process is passed over. */
  async load() {
    this.#byId.clear();
    const text = await readFile(this.#path, 'utf8').catch((error) => {
      if (error.code === 'ENOENT') return '';
      throw error;
    });
    const lines = text.split('\n').filter(Boolean);
    this.#lines = lines.length;
    // The next line must not be joined to one that was cut off.
    if (text !== '' && !text.endsWith('\n')) await appendFile(this.#path, '\n');
    for (const line of lines) {
      try {
        const { key, message } = JSON.parse(line);
        this.#remember(key, Message.decode(Buffer.from(message, 'base64')));
      } catch {
        continue;
      }
    }
  }

  get(id) {
    return this.#byId.get(id);
  }

  /** Resolves once it is in the file. */
  add(key, message) {
    this.#remember(key, message);
    const lineOf = ([each, content]) => `${JSON.stringify({ key: each, message: Buffer.from(Message.encode(content).finish()).toString('base64') })}\n`;
    const line = lineOf([key, message]);
    const write = this.#last.catch(() => {}).then(async () => {
      await mkdir(dirname(this.#path), { recursive: true });
      this.#lines += 1;
      if (this.#lines <= 2 * this.#most) return appendFile(this.#path, line);
      this.#lines = this.#byId.size;
      return writeFile(this.#path, [...this.#byId.values()].map((kept) => lineOf([kept.key, kept.message])).join(''));
    });
    this.#last = write;
    return write;
  }

  #remember(key, message) {
    this.#byId.delete(key.id);
    this.#byId.set(key.id, { key, message });
    if (this.#byId.size > this.#most) this.#byId.delete(this.#byId.keys().next().value);
  }
}
