/**
 * Makes Baileys' signature checks count.
 *
 * libsignal 6.0.0's `verifySignature` *returns* false for a bad signature and throws only for wrong lengths. Baileys
 * 7.0.0-rc14 (`Curve.verify`) waits for an exception and ignores what is returned, so any 64 bytes pass as the
 * signature of a Noise certificate or of a linked account. libsignal's own session builder ignores it too, and asks
 * for no check at all of a signed pre-key (`isInit`). A client that accepts everything proves nothing about a server.
 *
 * No file of either package is changed: the function is replaced on the loaded module object. It must happen before
 * Baileys is imported, because an ES module takes a copy of what a CommonJS module exports.
 */
import { createRequire } from 'node:module';

/** The module object that Baileys and libsignal itself call: resolved the way Baileys resolves it. */
export function libsignalCurve() {
  const fromHere = createRequire(import.meta.url);
  const fromBaileys = createRequire(fromHere.resolve('@whiskeysockets/baileys'));
  return fromBaileys('libsignal/src/curve.js');
}

/** Replaces `verifySignature` by one that throws on a signature that does not verify. Idempotent. */
export function installStrictSignatures() {
  const curve = libsignalCurve();
  const lenient = curve.verifySignature;
  if (lenient.strict) return;
  curve.verifySignature = function verifySignature(publicKey, message, signature) {
    if (lenient(publicKey, message, signature) !== true) throw new Error('signature does not verify');
    return true;
  };
  curve.verifySignature.strict = true;
}
