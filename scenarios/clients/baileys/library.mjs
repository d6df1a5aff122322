/**
 * The Baileys under test: the one installed in the folder TESTLINE_BAILEYS_DIR, else in this one. Everything of it that
 * the adapter uses comes from here, with the same names for all versions.
 *
 *   baileys   what the package exports, its signature checks made to count (strict_signatures.mjs)
 *   version   of the package; major is its first number
 *   setAside  names timers that Baileys forgets
 *
 * TESTLINE_BAILEYS_LENIENT leaves the checks as they are: for the test that shows the difference.
 */
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { installStrictSignatures } from './strict_signatures.mjs';

const folder = process.env.TESTLINE_BAILEYS_DIR || dirname(fileURLToPath(import.meta.url));
const entryPoint = createRequire(join(folder, 'package.json')).resolve('@whiskeysockets/baileys');

/** The module object that Baileys and libsignal itself call: resolved the way Baileys resolves it. */
export const libsignalCurve = createRequire(entryPoint)('libsignal/src/curve.js');

export const { version } = JSON.parse(readFileSync(join(dirname(entryPoint), '..', 'package.json')));
export const major = Number(version.split('.')[0]);

if (process.env.TESTLINE_BAILEYS_LENIENT === undefined) installStrictSignatures(libsignalCurve);

// Timers that Baileys does not clear when a connection ends, by their length. They do nothing any more; unless they are
// set aside, each stop would look as if something were still running. Baileys 7: the guard of an upload of pre-keys
// (30 s), and the wait for the first history (20 s). Baileys 6: the time before it asks its phone for a message that it
// cannot read (5 s), and for the phone's answer (15 s).
const forgotten = new Set(major === 7 ? [30_000, 20_000] : [5000, 15_000]);
const original = globalThis.setTimeout;
const setTimeoutAside = (callback, ms, ...args) => {
  const timer = original(callback, ms, ...args);
  return forgotten.has(ms) ? timer.unref() : timer;
};
globalThis.setTimeout = Object.defineProperties(setTimeoutAside, Object.getOwnPropertyDescriptors(original));

/** The same for timers of this length, which should be nobody else's. */
export function setAside(ms) {
  forgotten.add(ms);
}

/** Baileys 7 is an ES module. Baileys 6 is CommonJS, and starts a third faster than if it were imported, too. */
export const baileys = major > 6 ? await import(pathToFileURL(entryPoint)) : createRequire(entryPoint)(entryPoint);
