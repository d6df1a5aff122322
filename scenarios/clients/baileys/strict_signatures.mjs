/**
 * Makes Baileys' signature checks count.
 *
 * libsignal 6.0.0's `verifySignature` *returns* false for a bad signature and throws only for wrong lengths. Baileys
 * 7.0.0-rc14 (`Curve.verify`) waits for an exception and ignores what is returned, so any 64 bytes pass as the
 * signature of a Noise certificate or of a linked account. libsignal's own session builder ignores it too, and asks
 * for no check at all of a signed pre-key (`isInit`). A client that accepts everything proves nothing about a server.
 *
 * libsignal 2.0.1, under Baileys 6, throws on a bad signature and returns nothing on a good one: there it stays as it
 * is. What Baileys 6 does not look at, certificates above all, nothing here can make it look at.
 *
 * No file of either package is changed: the function is replaced on the loaded module object. It must happen before
 * Baileys is imported, because an ES module takes a copy of what a CommonJS module exports.
 */

/** Replaces `verifySignature` of libsignal's curve module by one that throws on a signature that does not verify. */
export function installStrictSignatures(curve) {
  const lenient = curve.verifySignature;
  if (lenient.strict) return;
  curve.verifySignature = function verifySignature(publicKey, message, signature) {
    const verdict = lenient(publicKey, message, signature);
    if (verdict !== true && verdict !== undefined) throw new Error('signature does not verify');
    return true;
  };
  curve.verifySignature.strict = true;
}
