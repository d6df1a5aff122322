/**
 * The `options` of a start command: what Baileys and this adapter can honour of them.
 *
 *   auto_renew_qr      windows of codes that are renewed after the first; then `qr_expired`
 *   unpaired_limit     closes before the first code, and 515s while unpaired; then `disconnected`
 *   takeover_after_ms  after `replaced`: log in again this much later, and at most once in "slow" time
 *   qr_first_ms, qr_rest_ms  how long QRs are shown, as TESTLINE_QR_FIRST_MS and TESTLINE_QR_MS
 *   version            of the app, as "2.3000.1043857760"
 *
 * Each is a capability of its own, `option.NAME`. Not `initial_prekeys`: that is a constant in Baileys.
 */

export class OptionError extends Error {
  constructor(code, text) {
    super(text);
    this.code = code;
  }
}

function wholeNumber(name, value, smallest) {
  if (!Number.isInteger(value) || value < smallest) {
    throw new OptionError('bad_request', `option ${name} takes a whole number from ${smallest}, not ${JSON.stringify(value)}`);
  }
  return value;
}

const kReaders = {
  auto_renew_qr: (name, value) => ({ autoRenewQr: wholeNumber(name, value, 0) }),
  unpaired_limit: (name, value) => ({ unpairedLimit: wholeNumber(name, value, 1) }),
  takeover_after_ms: (name, value) => ({ takeoverAfterMs: wholeNumber(name, value, 0) }),
  qr_first_ms: (name, value) => ({ qrFirstMs: wholeNumber(name, value, 1) }),
  qr_rest_ms: (name, value) => ({ qrRestMs: wholeNumber(name, value, 1) }),
  version: (name, value) => {
    const numbers = /^(\d+)\.(\d+)\.(\d+)$/.exec(value);
    if (!numbers) throw new OptionError('bad_request', `option version takes "2.3000.1", not ${JSON.stringify(value)}`);
    return { version: numbers.slice(1).map(Number) };
  },
};

export const kOptions = Object.keys(kReaders);

/** The options with what was not given at its default. Throws OptionError, which names the option. */
export function parseOptions(given = {}) {
  const parsed = { autoRenewQr: 2, unpairedLimit: 3 };
  for (const [name, value] of Object.entries(given)) {
    const read = Object.hasOwn(kReaders, name) ? kReaders[name] : null;
    if (!read) throw new OptionError('unsupported', `no option ${name}; there are ${kOptions.join(', ')}`);
    Object.assign(parsed, read(name, value));
  }
  return parsed;
}

/**
 * What Baileys is told of how long QRs live. It has one `qrTimeout` for the first and the later ones: the later ones'
 * time is used, so every QR on show is one that the server still takes, and the window ends earlier by the difference.
 * 60 s and 20 s are Baileys' own figures, which it keeps apart.
 */
export function qrTimeout(firstMs, restMs) {
  return firstMs === 60_000 && restMs === 20_000 ? {} : { qrTimeout: restMs };
}
