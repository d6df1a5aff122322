/**
 * What a careful integrator of Baileys does when a connection ends: one table, no IO.
 *
 * `classify` turns what Baileys reports (a Boom: `output.statusCode`, `message`, `data`) into
 *   state   the word shown to the user while nothing better is known
 *   reason  a stable word
 *   code    Baileys' status code, or null
 *   retry   'now' | 'backoff' (1 s doubling to 60 s) | 'slow' (60 s) | 'stop' | {after_ms}
 *   wipe    whether the credentials are dead and the auth folder goes
 *
 * The status code alone is not enough. Baileys has 401 for an unlink, for an HTTP 401 on the upgrade and for a stream
 * error without a conflict, and 440 for every conflict, an unlink included: message and data tell them apart.
 */

const kFailure = {
  401: { state: 'logged_out', reason: 'logged_out', retry: 'stop', wipe: true },
  402: { state: 'temporarily_banned', reason: 'temporary_ban', retry: 'stop' },
  403: { state: 'account_locked', reason: 'account_locked', retry: 'stop', wipe: true },
  405: { state: 'client_outdated', reason: 'client_outdated', retry: 'stop' },
  406: { state: 'banned', reason: 'banned', retry: 'stop', wipe: true },
  409: { state: 'config_error', reason: 'bad_user_agent', retry: 'stop' },
  411: { state: 'needs_relink', reason: 'multi_device_mismatch', retry: 'stop' },
  413: { state: 'config_error', reason: 'token_expired', retry: 'stop' },
  414: { state: 'config_error', reason: 'token_invalid', retry: 'stop' },
  415: { state: 'config_error', reason: 'not_found', retry: 'stop' },
  418: { state: 'config_error', reason: 'client_unknown', retry: 'stop' },
  500: { state: 'connecting', reason: 'server_error', retry: 'backoff' },
  503: { state: 'connecting', reason: 'service_unavailable', retry: 'backoff' },
};

const kStreamError = {
  409: { state: 'replaced', reason: 'replaced', retry: 'stop' },
  429: { state: 'throttled', reason: 'rate_limited', retry: 'slow' },
  503: { state: 'connecting', reason: 'service_unavailable', retry: 'backoff' },
  515: { state: 'connecting', reason: 'restart_required', retry: 'now' },
  516: { state: 'logged_out', reason: 'device_removed', retry: 'stop', wipe: true },
};

const kRemoved = { state: 'logged_out', reason: 'device_removed', retry: 'stop', wipe: true };

/** A stream error: `data` is the whole stanza, or (Baileys 7) its first child if it has one. */
function classifyStreamError(code, data) {
  const child = Array.isArray(data?.content) ? data.content[0] : data;
  const conflict = child?.tag === 'conflict' ? child.attrs?.type : undefined;
  if (conflict === 'device_removed') return kRemoved;
  if (code === 401) return { state: 'needs_relink', reason: 'unauthorized', retry: 'stop' };
  if (conflict !== undefined || code === 440) return { state: 'replaced', reason: 'replaced', retry: 'stop' };
  return kStreamError[code] ?? { state: 'connecting', reason: 'stream_error', retry: 'backoff' };
}

/** `<failure>`: `data` holds its attributes. */
function classifyFailure(code, data) {
  const expire = Number(data?.expire);
  if (code === 402 && expire > 0) return { ...kFailure[402], retry: { after_ms: expire * 1000 } };
  return kFailure[code] ?? { state: 'connecting', reason: 'failure', retry: 'slow' };
}

/** See the top of this file. `error` is undefined when the connection was ended without one. */
export function classify(error) {
  const code = error?.output?.statusCode ?? null;
  const message = error?.message ?? '';
  const decide = () => {
    if (message.startsWith('Stream Errored')) return classifyStreamError(code, error.data);
    if (message === 'Connection Failure') return classifyFailure(code, error.data);
    if (message === 'Intentional Logout') return { ...kRemoved, reason: 'logged_out_by_user' };
    if (message === 'QR refs attempts ended') return { state: 'qr_expired', reason: 'refs_used_up', retry: 'now' };
    if (message === 'Multi-device beta not joined') return kFailure[411];
    if (/noise .*certificate|certification match/.test(message)) {
      return { state: 'config_error', reason: 'bad_certificate', retry: 'slow' };
    }
    if (/account signature|pair success node/.test(message)) {
      return { state: 'pairing_failed', reason: 'pairing_rejected', retry: 'stop' };
    }
    if (message.includes('Unexpected server response')) {
      return { state: 'connecting', reason: 'http_status', retry: 'backoff' };
    }
    if (message === 'Connection was lost') return { state: 'connecting', reason: 'keepalive_lost', retry: 'backoff' };
    return { state: 'connecting', reason: 'transport_closed', retry: 'backoff' };
  };
  return { wipe: false, ...decide(), code };
}
