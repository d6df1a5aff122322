/**
 * Baileys as a client under test: JSON Lines on stdin and stdout, one object per line.
 *
 * Commands `{cmd, ref, device?}` are answered by `{event: "done", ref}` or `{event: "error", ref, code, text}`. Lines
 * without `device` speak of the one device whose auth folder is TESTLINE_STATE_DIR itself; a device that is named has a
 * folder of its own below it. End of stdin: connections end, credentials stay, the process exits within 5 s.
 *
 * Environment:
 *   TESTLINE_BAILEYS_DIR   where the Baileys is installed that runs, see library.mjs
 *   TESTLINE_WS_URL        where to connect, unless `start` says
 *   TESTLINE_NOISE_ROOT    hex: the root key that must have signed the server's Noise certificates
 *   TESTLINE_STATE_DIR     the auth folder
 *   TESTLINE_KEEPALIVE_MS  period of the keep-alive ping. Baileys calls a connection dead after this plus 5 s, a
 *                          figure of its own that nothing scales
 *   TESTLINE_QR_FIRST_MS, TESTLINE_QR_MS  how long the first QR and each later one is shown, see options.mjs
 *   TESTLINE_TIME_SCALE    factor on the adapter's delays and Baileys' deadlines
 *   TESTLINE_BAILEYS_LOG   level of Baileys' log on stderr (default `error`)
 * The CA of a wss: server comes from NODE_EXTRA_CA_CERTS, which `run` sets from TESTLINE_TLS_CA.
 */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { CommandError, Device } from './device.mjs';
import { baileys, setAside, version } from './library.mjs';
import { kOptions, parseOptions } from './options.mjs';

const kCapabilities = ['multi_device', 'pairing_code', 'delete', 'inspect', 'send', 'read', 'groups', 'presence', ...kOptions.map((name) => `option.${name}`)];
const kExitWithinMs = 4000;

// ---- output: nothing but JSON Lines on stdout ------------------------------------------------------------------

const stdout = process.stdout;

function emit(event, device) {
  const line = { ...event, ...(device !== undefined && { device }), t_us: Number(process.hrtime.bigint() / 1000n) };
  stdout.write(`${JSON.stringify(line)}\n`);
}

/** libsignal prints whole sessions, keys included, to the console: keep the words, drop the objects. */
function redirectConsole() {
  for (const method of ['log', 'info', 'warn', 'error', 'debug', 'trace']) {
    console[method] = (...args) => {
      process.stderr.write(`${args.map((arg) => (typeof arg === 'object' ? '{…}' : String(arg))).join(' ')}\n`);
    };
  }
}

/** A logger as Baileys wants it. It prints messages and error texts, never the objects: they hold credentials. */
function makeLogger(level) {
  const levels = ['trace', 'debug', 'info', 'warn', 'error'];
  const logger = { level, child: () => logger };
  for (const name of levels) {
    const wanted = level !== 'silent' && levels.indexOf(name) >= levels.indexOf(level);
    logger[name] = !wanted ? () => {} : (subject, text) => {
      const error = subject?.err ?? subject?.error ?? subject?.e;
      const words = typeof subject === 'string' ? [subject] : [text, error?.message, subject?.trace];
      process.stderr.write(`${name}: ${words.filter(Boolean).join(': ')}\n`);
    };
  }
  return logger;
}

// ---- settings --------------------------------------------------------------------------------------------------

function fail(text) {
  process.stderr.write(`baileys adapter: ${text}\n`);
  process.exit(2);
}

function positiveNumber(name) {
  const text = process.env[name];
  if (text === undefined || text === '') return undefined;
  const value = Number(text);
  if (!(value > 0)) fail(`${name}=${text} is not a positive number`);
  return value;
}

function readSettings() {
  const timeScale = positiveNumber('TESTLINE_TIME_SCALE') ?? 1;
  const deadline = (ms) => Math.max(250, ms * timeScale);
  const keepAliveIntervalMs = positiveNumber('TESTLINE_KEEPALIVE_MS');
  return {
    url: process.env.TESTLINE_WS_URL,
    stateDir: process.env.TESTLINE_STATE_DIR || fail('TESTLINE_STATE_DIR is not set'),
    timeScale,
    socket: {
      connectTimeoutMs: deadline(20_000),
      defaultQueryTimeoutMs: deadline(60_000) + 1,  // unlike any other: see below
      retryRequestDelayMs: Math.max(20, 250 * timeScale),
      ...(keepAliveIntervalMs && { keepAliveIntervalMs }),
    },
    qrFirstMs: positiveNumber('TESTLINE_QR_FIRST_MS') ?? 60_000,
    qrRestMs: positiveNumber('TESTLINE_QR_MS') ?? 20_000,
  };
}

function trustNoiseRoot() {
  const hex = process.env.TESTLINE_NOISE_ROOT;
  if (!hex) return;
  if (!/^[0-9a-fA-F]{64}$/.test(hex)) fail('TESTLINE_NOISE_ROOT is not 64 hex digits');
  baileys.WA_CERT_DETAILS.PUBLIC_KEY = Buffer.from(hex, 'hex');
}

// ---- commands --------------------------------------------------------------------------------------------------

const settings = readSettings();
// A query that waits for its answer is not told that the connection has ended.
setAside(settings.socket.defaultQueryTimeoutMs);
const logger = makeLogger(process.env.TESTLINE_BAILEYS_LOG || 'error');
const underWay = new Set();  // promises of commands not answered yet
const devices = new Map();  // name, or undefined for the only one → {device, lane}

function deviceNamed(name) {
  if (name !== undefined && !/^[A-Za-z0-9_-]{1,64}$/.test(name)) {
    throw new CommandError('bad_request', 'a device name is 1 to 64 of A-Z a-z 0-9 _ -');
  }
  let entry = devices.get(name);
  if (!entry) {
    const folder = name === undefined ? settings.stateDir : join(settings.stateDir, name);
    entry = {
      device: new Device(settings, folder, (event) => emit(event, name), logger),
      lane: Promise.resolve(),  // start, stop, logout and delete of one device happen one after the other
    };
    devices.set(name, entry);
  }
  return entry;
}

function inLane(entry, work) {
  const result = entry.lane.then(work);
  entry.lane = result.catch(() => {});
  return result;
}

function processFigures() {
  return {
    rss_bytes: process.memoryUsage.rss(),
    open_files: readdirSync('/proc/self/fd').length,
    timers: process.getActiveResourcesInfo().filter((kind) => kind === 'Timeout').length,
  };
}

async function perform(command) {
  const entry = deviceNamed(command.device);
  const { device } = entry;
  switch (command.cmd) {
    case 'start': {
      const options = parseOptions(command.options);
      return inLane(entry, () => device.start(command, options));
    }
    case 'stop': return inLane(entry, () => device.stop());
    case 'logout': return inLane(entry, () => device.logout());
    case 'delete': return inLane(entry, () => device.delete());
    case 'send': return device.send(command);
    case 'read': return device.read(command);
    case 'group_create': return device.groupCreate(command);
    case 'group_add': return device.groupChange('add', command);
    case 'group_remove': return device.groupChange('remove', command);
    case 'presence': return device.presence(command);
    case 'typing': return device.typing(command);
    case 'inspect': return { ...(await device.inspect()), ...processFigures() };
    default: throw new CommandError('unsupported', `no command ${JSON.stringify(command.cmd)}`);
  }
}

async function onLine(text) {
  if (text.trim() === '') return;
  let command;
  try {
    command = JSON.parse(text);
    if (typeof command !== 'object' || command === null) throw new Error('not an object');
  } catch (error) {
    emit({ event: 'error', ref: null, code: 'bad_request', text: `not a JSON object: ${error.message}` });
    return;
  }
  const answer = { ref: command.ref ?? null };
  try {
    emit({ event: 'done', ...answer, ...(await perform(command)) }, command.device);
  } catch (error) {
    emit({ event: 'error', ...answer, code: error.code ?? 'failed', text: error.message }, command.device);
  }
}

async function shutDown(exitCode) {
  const deadline = new Promise((resolve) => setTimeout(resolve, kExitWithinMs));
  const stops = [...devices.values()].map((entry) => inLane(entry, () => entry.device.stop()));
  await Promise.race([Promise.allSettled([...underWay, ...stops]), deadline]);
  stdout.write('', () => process.exit(exitCode));
  setTimeout(() => process.exit(exitCode), 500);  // nobody reads our output any more
}

// Baileys leaves some promises to themselves, a frame that does not decrypt among them. A bot that runs for months
// has this handler; without it one bad frame ends the process.
process.on('unhandledRejection', (error) => {
  emit({ event: 'log', text: `unhandled rejection: ${error?.message ?? error}` });
});
process.on('SIGTERM', () => void shutDown(0));
stdout.on('error', () => process.exit(0));  // the reader is gone

redirectConsole();
trustNoiseRoot();
emit({ event: 'hello', protocol: 1, name: 'baileys', version, capabilities: kCapabilities });

const lines = createInterface({ input: process.stdin });
lines.on('line', (text) => {
  const command = onLine(text);
  underWay.add(command);
  command.then(() => underWay.delete(command));
});
lines.on('close', () => void shutDown(0));
