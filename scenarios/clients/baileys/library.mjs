/**
 * The Baileys under test: the one installed in the folder TESTLINE_BAILEYS_DIR, else in this one. Everything of it that
 * the adapter uses comes from here, with the same names for all versions.
 *
 *   baileys   what the package exports, its signature checks made to count (strict_signatures.mjs)
 *   version   of the package; major is its first number
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

// Baileys 7 guards an upload of pre-keys with a timer of 30 s that it does not clear. It does nothing any more; unless it
// is set aside, each stop would look as if something were still running.
if (major === 7) {
  const kGuardMs = 30_000;
  const original = globalThis.setTimeout;
  const setAside = (callback, ms, ...args) => {
    const timer = original(callback, ms, ...args);
    return ms === kGuardMs ? timer.unref() : timer;
  };
  globalThis.setTimeout = Object.defineProperties(setAside, Object.getOwnPropertyDescriptors(original));
}

const loaded = await import(pathToFileURL(entryPoint));
/** Baileys 7 is an ES module. Baileys 6 is CommonJS: what it exports is the whole of `default`. */
export const baileys = loaded.default?.makeWASocket ? loaded.default : loaded;
