/**
 * Tests of the adapter without a server, with the Baileys that TESTLINE_BAILEYS_DIR names, else the one installed here:
 *   node --test adapter_test.mjs
 *
 * The signature tests build what a server sends (a Noise ServerHello with its certificate chain, a pair-success) with
 * the signatures right, then spoil one at a time. The last of them shows what Baileys alone does with each: when that
 * test fails for Baileys 7, Baileys checks by itself and strict_signatures.mjs can go.
 */
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { createCipheriv, createHash, createHmac, hkdfSync } from 'node:crypto';
import { appendFileSync, copyFileSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { classify } from './close_policy.mjs';
import { credentialsHash } from './device.mjs';
import { KeptMessages } from './kept_messages.mjs';
import { baileys, libsignalCurve, major } from './library.mjs';
import { ackEvent, messageEvent, sendArguments, shownEvent } from './messages.mjs';
import { parseOptions, qrTimeout } from './options.mjs';

const kHere = dirname(fileURLToPath(import.meta.url));
const kLenient = process.env.TESTLINE_BAILEYS_LENIENT !== undefined;  // the child of one test below
const { Curve, proto } = baileys;

const kLogger = { level: 'silent', child: () => kLogger };
for (const level of ['trace', 'debug', 'info', 'warn', 'error']) kLogger[level] = () => {};
console.error = () => {};  // libsignal remarks on 32-byte keys

const spoilt = (bytes) => Buffer.from(bytes).fill(bytes[10] ^ 1, 10, 11);

// ---- what a server sends ---------------------------------------------------------------------------------------

const root = Curve.generateKeyPair();

function certificateChain(serverStatic, { spoil } = {}) {
  const intermediate = Curve.generateKeyPair();
  const { Details } = proto.CertChain.NoiseCertificate;
  const sign = (key, fields) => {
    const details = Buffer.from(Details.encode(fields).finish());
    return { details, signature: Curve.sign(key.private, details) };
  };
  const chain = {
    intermediate: sign(root, { serial: 7, issuerSerial: 0, key: intermediate.public }),
    leaf: sign(intermediate, { serial: 8, issuerSerial: 7, key: serverStatic }),
  };
  if (spoil) chain[spoil].signature = spoilt(chain[spoil].signature);
  return Buffer.from(proto.CertChain.encode(chain).finish());
}

/** The responder's half of Noise XX as far as ServerHello. */
function serverHello(clientEphemeral, options) {
  const name = Buffer.from('Noise_XX_25519_AESGCM_SHA256\0\0\0\0');
  let [hash, salt, key, counter] = [name, name, name, 0];
  const mixHash = (data) => { hash = createHash('sha256').update(hash).update(data).digest(); };
  const mixKey = (secret) => {
    const derived = Buffer.from(hkdfSync('sha256', secret, salt, '', 64));
    [salt, key, counter] = [derived.subarray(0, 32), derived.subarray(32), 0];
  };
  const encrypt = (plain) => {
    const nonce = Buffer.alloc(12);
    nonce.writeUInt32BE(counter++, 8);
    const cipher = createCipheriv('aes-256-gcm', key, nonce).setAAD(hash);
    const sealed = Buffer.concat([cipher.update(plain), cipher.final(), cipher.getAuthTag()]);
    mixHash(sealed);
    return sealed;
  };
  const [ephemeral, identity] = [Curve.generateKeyPair(), Curve.generateKeyPair()];
  mixHash(baileys.NOISE_WA_HEADER);
  mixHash(clientEphemeral);
  mixHash(ephemeral.public);
  mixKey(Curve.sharedKey(ephemeral.private, clientEphemeral));
  const sealedStatic = encrypt(identity.public);
  mixKey(Curve.sharedKey(identity.private, clientEphemeral));
  const payload = encrypt(certificateChain(identity.public, options));
  return { serverHello: { ephemeral: ephemeral.public, static: sealedStatic, payload } };
}

async function handshake(options) {
  const keyPair = Curve.generateKeyPair();
  const handler = baileys.makeNoiseHandler({ keyPair, NOISE_HEADER: baileys.NOISE_WA_HEADER, logger: kLogger });
  return handler.processHandshake(serverHello(keyPair.public, options), Curve.generateKeyPair());
}

/** A pair-success for these credentials, as a phone signs it. */
function pairSuccess(creds, { spoil } = {}) {
  const account = Curve.generateKeyPair();
  const details = Buffer.from(proto.ADVDeviceIdentity.encode({ rawId: 1, timestamp: 1, keyIndex: 1 }).finish());
  const message = Buffer.concat([Buffer.from([6, 0]), details, creds.signedIdentityKey.public]);
  const accountSignature = Curve.sign(account.private, message);
  const identity = Buffer.from(proto.ADVSignedDeviceIdentity.encode({
    details,
    accountSignatureKey: account.public,
    accountSignature: spoil ? spoilt(accountSignature) : accountSignature,
  }).finish());
  const hmac = createHmac('sha256', Buffer.from(creds.advSecretKey, 'base64')).update(identity).digest();
  const container = proto.ADVSignedDeviceIdentityHMAC.encode({ details: identity, hmac }).finish();
  return {
    tag: 'iq',
    attrs: { id: '1' },
    content: [{
      tag: 'pair-success',
      attrs: {},
      content: [
        { tag: 'device-identity', attrs: {}, content: Buffer.from(container) },
        { tag: 'device', attrs: { jid: '15550100001:1@s.whatsapp.net', lid: '987650000000001:1@lid' } },
      ],
    }],
  };
}

// ---- signatures ------------------------------------------------------------------------------------------------

const spoiltCases = {
  'leaf certificate': () => handshake({ spoil: 'leaf' }),
  'intermediate certificate': () => handshake({ spoil: 'intermediate' }),
  'account signature': async () => {
    const creds = baileys.initAuthCreds();
    baileys.configureSuccessfulPairing(pairSuccess(creds, { spoil: true }), creds);
  },
};

/** What Baileys itself notices of the above, and what strict_signatures.mjs adds. */
const kNoticedAlone = { 6: ['account signature'], 7: [] }[major];
const kNoticed = { 6: ['account signature'], 7: Object.keys(spoiltCases) }[major];

baileys.WA_CERT_DETAILS.PUBLIC_KEY = root.public;

if (kLenient) {
  for (const [name, run] of Object.entries(spoiltCases)) {
    const noticed = kNoticedAlone.includes(name);
    test(`Baileys alone ${noticed ? 'refuses' : 'accepts'} a spoilt ${name}`,
      () => (noticed ? assert.rejects(run) : assert.doesNotReject(run)));
  }
} else {
  test('a signature that verifies passes, a spoilt one throws', () => {
    const pair = Curve.generateKeyPair();
    const message = Buffer.from('a message');
    const key = Buffer.concat([Buffer.from([5]), pair.public]);
    for (let round = 0; round < 20; ++round) {  // both values of the sign bit occur
      const signature = Curve.sign(pair.private, message);
      assert.equal(libsignalCurve.verifySignature(key, message, signature), true);
      assert.equal(Curve.verify(pair.public, message, signature), true);
      assert.equal(Curve.verify(pair.public, message, spoilt(signature)), false);
    }
    assert.throws(() => libsignalCurve.verifySignature(key, message, Buffer.alloc(64)), /does not verify|Invalid signature/);
    assert.throws(() => libsignalCurve.verifySignature(key, message, Buffer.alloc(64), true), /does not verify|Invalid signature/);
    assert.throws(() => libsignalCurve.verifySignature(key, message, Buffer.alloc(63)), /Invalid signature/);
  });

  test('a handshake whose chain the root signed passes', () => handshake());

  for (const name of ['leaf certificate', 'intermediate certificate']) {
    if (kNoticed.includes(name)) {
      test(`a spoilt ${name} ends the handshake`,
        () => assert.rejects(spoiltCases[name], /noise (intermediate )?certificate signature invalid/));
    } else {
      test(`Baileys ${major} does not look at the ${name}: nothing here can make it`,
        () => assert.doesNotReject(spoiltCases[name]));
    }
  }

  test('a chain whose intermediate does not come from the root ends the handshake', async () => {
    if (major === 6) {  // it compares the issuer's serial with the root's, and nothing else
      baileys.WA_CERT_DETAILS.SERIAL = 5;
      await assert.rejects(handshake(), /certification match failed/);
      baileys.WA_CERT_DETAILS.SERIAL = 0;
      return;
    }
    baileys.WA_CERT_DETAILS.PUBLIC_KEY = Curve.generateKeyPair().public;
    await assert.rejects(handshake(), /noise intermediate certificate signature invalid/);
    baileys.WA_CERT_DETAILS.PUBLIC_KEY = root.public;
  });

  test('a pair-success with a good account signature passes, a spoilt one is refused', async () => {
    const creds = baileys.initAuthCreds();
    const { creds: update } = baileys.configureSuccessfulPairing(pairSuccess(creds), creds);
    assert.match(credentialsHash({ ...creds, ...update }), /^[0-9a-f]{64}$/);
    assert.equal(credentialsHash(creds), null);
    await assert.rejects(spoiltCases['account signature'], /Failed to verify account signature/);
  });

  test('Baileys alone notices what it is said to: the wrapper does the rest', () => {
    const child = spawnSync(process.execPath, [fileURLToPath(import.meta.url)], {
      encoding: 'utf8', env: { ...process.env, NODE_TEST_CONTEXT: '', TESTLINE_BAILEYS_LENIENT: '1' },
    });
    assert.equal(child.status, 0, child.stdout);
    assert.match(child.stdout, /pass 3/);
  });

  // ---- the close policy ----------------------------------------------------------------------------------------

  const boom = (message, statusCode, data) => Object.assign(new Error(message), { output: { statusCode }, data });
  const child = (tag, attrs = {}) => ({ tag, attrs });
  const whole = (type) => ({ ...child('stream:error'), content: [child('conflict', { type })] });
  const rows = [
    ['515 is a restart', boom('Stream Errored (restart required)', 515, child('stream:error')), 'connecting', 'now', false],
    ['an unlink', boom('Stream Errored (conflict)', 401, child('conflict', { type: 'device_removed' })), 'logged_out', 'stop', true],
    ['an unlink without a code', boom('Stream Errored (conflict)', 440, child('conflict', { type: 'device_removed' })), 'logged_out', 'stop', true],
    ['401 without a conflict', boom('Stream Errored (unknown)', 401, child('stream:error')), 'needs_relink', 'stop', false],
    ['an unlink as Baileys 6 reports it', boom('Stream Errored (conflict)', 401, whole('device_removed')), 'logged_out', 'stop', true],
    ['replaced as Baileys 6 reports it', boom('Stream Errored (conflict)', 440, whole('replaced')), 'replaced', 'stop', false],
    ['replaced', boom('Stream Errored (conflict)', 440, child('conflict', { type: 'replaced' })), 'replaced', 'stop', false],
    ['516', boom('Stream Errored (unknown)', 516, child('stream:error')), 'logged_out', 'stop', true],
    ['429', boom('Stream Errored (unknown)', 429, child('stream:error')), 'throttled', 'slow', false],
    ['an unacked stanza', boom('Stream Errored (ack)', 500, child('ack')), 'connecting', 'backoff', false],
    ['failure 401', boom('Connection Failure', 401, { reason: '401' }), 'logged_out', 'stop', true],
    ['failure 403', boom('Connection Failure', 403, {}), 'account_locked', 'stop', true],
    ['failure 405', boom('Connection Failure', 405, {}), 'client_outdated', 'stop', false],
    ['failure 406', boom('Connection Failure', 406, {}), 'banned', 'stop', true],
    ['failure 411', boom('Connection Failure', 411, {}), 'needs_relink', 'stop', false],
    ['failure 503', boom('Connection Failure', 503, {}), 'connecting', 'backoff', false],
    ['an unknown failure', boom('Connection Failure', 599, {}), 'connecting', 'slow', false],
    ['HTTP 401 is no logout', boom('WebSocket Error (Unexpected server response: 401)', 401), 'connecting', 'backoff', false],
    ['HTTP 403 is no logout', boom('WebSocket Error (Unexpected server response: 403)', 403), 'connecting', 'backoff', false],
    ['a lost connection', boom('Connection Terminated', 428), 'connecting', 'backoff', false],
    ['silence', boom('Connection was lost', 408), 'connecting', 'backoff', false],
    ['refs used up', boom('QR refs attempts ended', 408), 'qr_expired', 'now', false],
    ['a bad certificate', boom('noise certificate signature invalid', 400), 'config_error', 'slow', false],
    ['a spoilt account signature', boom('Failed to verify account signature', 500), 'pairing_failed', 'stop', false],
    ['an error without a code', new Error('Unsupported state or unable to authenticate data'), 'connecting', 'backoff', false],
  ];
  for (const [name, error, state, retry, wipe] of rows) {
    test(`close policy: ${name}`, () => {
      const verdict = classify(error);
      assert.deepEqual([verdict.state, verdict.retry, verdict.wipe], [state, retry, wipe]);
      assert.equal(verdict.code, error.output?.statusCode ?? null);
    });
  }

  test('close policy: a temporary ban ends when the server says', () => {
    const { state, retry } = classify(boom('Connection Failure', 402, { reason: '402', code: '101', expire: '3600' }));
    assert.deepEqual([state, retry], ['temporarily_banned', { after_ms: 3_600_000 }]);
  });

  // ---- options -------------------------------------------------------------------------------------------------

  test('options: what is not given has its default, what is given is taken over', () => {
    assert.deepEqual(parseOptions(), { autoRenewQr: 2, unpairedLimit: 3 });
    assert.deepEqual(
      parseOptions({ auto_renew_qr: 0, unpaired_limit: 7, takeover_after_ms: 1500, qr_first_ms: 30, qr_rest_ms: 20, version: '2.3000.17' }),
      { autoRenewQr: 0, unpairedLimit: 7, takeoverAfterMs: 1500, qrFirstMs: 30, qrRestMs: 20, version: [2, 3000, 17] });
  });

  test('options: nonsense and what Baileys cannot honour are errors that name the option', () => {
    for (const [given, code] of [
      [{ auto_renew_qr: -1 }, 'bad_request'], [{ unpaired_limit: 0 }, 'bad_request'], [{ takeover_after_ms: 1.5 }, 'bad_request'],
      [{ qr_rest_ms: '20s' }, 'bad_request'], [{ version: '2.3000' }, 'bad_request'], [{ version: null }, 'bad_request'],
      [{ initial_prekeys: 30 }, 'unsupported'], [{ proxy: 'socks5://127.0.0.1:1' }, 'unsupported'], [{ toString: 1 }, 'unsupported'],
    ]) {
      assert.throws(() => parseOptions(given), (error) => error.code === code && error.message.includes(Object.keys(given)[0]));
    }
  });

  test('options: Baileys is told a QR life only when it is not its own', () => {
    assert.deepEqual(qrTimeout(60_000, 20_000), {});
    assert.deepEqual(qrTimeout(6000, 2000), { qrTimeout: 2000 });
  });

  // ---- messages ------------------------------------------------------------------------------------------------

  const known = { key: { id: 'A1', remoteJid: '15550100002@s.whatsapp.net', fromMe: false }, message: { conversation: 'hello' } };
  const kept = new Map([['A1', known]]);

  test('send: each kind is what Baileys takes, with the key of the message that it is about', () => {
    const jid = '15550100002@s.whatsapp.net';
    const vcard = 'BEGIN:VCARD';
    for (const [command, content, options] of [
      [{ text: 'hi' }, { text: 'hi' }, {}],
      [{ text: 'hi', id: 'B2' }, { text: 'hi' }, { messageId: 'B2' }],
      [{ text: 'hi', reply_to: 'A1' }, { text: 'hi' }, { quoted: known }],
      [{ reaction: { id: 'A1', emoji: '👍' } }, { react: { text: '👍', key: known.key } }, {}],
      [{ edit: { id: 'A1', text: 'ho' } }, { text: 'ho', edit: known.key }, {}],
      [{ revoke: 'A1' }, { delete: known.key }, {}],
      [{ contact: { name: 'Ann', vcard } }, { contacts: { displayName: 'Ann', contacts: [{ displayName: 'Ann', vcard }] } }, {}],
      [{ location: { latitude: 52.5, longitude: 13, name: 'B' } }, { location: { degreesLatitude: 52.5, degreesLongitude: 13, name: 'B' } }, {}],
    ]) {
      assert.deepEqual(sendArguments({ cmd: 'send', ref: 1, to: '+1 555 010 0002', ...command }, kept), { jid, content, options });
    }
    assert.equal(sendArguments({ to: '1-2@g.us', text: '' }, kept).jid, '1-2@g.us');
  });

  test('send: nonsense is an error that names the member', () => {
    for (const [command, code, word] of [
      [{ to: '1' }, 'bad_request', 'one of text'], [{ to: '1', text: 'a', revoke: 'A1' }, 'bad_request', '"text" and "revoke"'],
      [{ text: 'a' }, 'bad_request', '"to"'], [{ to: '1', text: 5 }, 'bad_request', '"text"'],
      [{ to: '1', txt: 'a' }, 'bad_request', '"txt"'], [{ to: '1', revoke: 'A1', reply_to: 'A1' }, 'bad_request', 'reply_to'],
      [{ to: '1', reaction: 'A1' }, 'bad_request', '"reaction"'], [{ to: '1', reaction: { id: 'A1' } }, 'bad_request', '"emoji"'],
      [{ to: '1', location: { latitude: 91, longitude: 0 } }, 'bad_request', '"latitude"'],
      [{ to: '1', text: 'a', id: '' }, 'bad_request', '"id"'],
      [{ to: '1', text: 'a', reply_to: 'Z9' }, 'unknown_message', 'Z9'], [{ to: '1', revoke: 'Z9' }, 'unknown_message', 'Z9'],
    ]) {
      assert.throws(() => sendArguments(command, kept), (error) => error.code === code && error.message.includes(word));
    }
  });

  test('message: what a user sees becomes an event, what devices tell each other does not', () => {
    const { Type } = proto.Message.ProtocolMessage;
    const event = (message, key = {}) => messageEvent(
      { key: { ...known.key, id: 'M1', ...key }, message }, '15550100001:3@s.whatsapp.net', false);
    const said = (message) => {
      const { kind, text, about } = event(message);
      return [kind, text, about];
    };
    assert.deepEqual(event({ conversation: 'hi' }), {
      event: 'message', id: 'M1', chat: '15550100002@s.whatsapp.net', from: '15550100002@s.whatsapp.net', kind: 'text', text: 'hi',
      from_me: false, offline: false,
    });
    assert.deepEqual(said({ extendedTextMessage: { text: 'yes', contextInfo: { stanzaId: 'A1' } } }), ['text', 'yes', 'A1']);
    assert.deepEqual(said({ reactionMessage: { text: '👍', key: known.key } }), ['reaction', '👍', 'A1']);
    assert.deepEqual(said({ protocolMessage: { type: Type.REVOKE, key: known.key } }), ['revoke', '', 'A1']);
    assert.deepEqual(
      said({ editedMessage: { message: { protocolMessage: { type: Type.MESSAGE_EDIT, key: known.key, editedMessage: { conversation: 'ho' } } } } }),
      ['edit', 'ho', 'A1']);
    assert.deepEqual(said({ contactMessage: { displayName: 'Ann', vcard: 'x' } }), ['contact', 'Ann', undefined]);
    assert.equal(event({ protocolMessage: { type: Type.APP_STATE_SYNC_KEY_SHARE } }), null);
    assert.equal(event(undefined), null);
    const own = event({ conversation: 'hi' }, { fromMe: true });
    assert.deepEqual([own.from_me, own.from], [true, '15550100001:3@s.whatsapp.net']);
    const { CIPHERTEXT } = baileys.WAMessageStubType;
    const stub = messageEvent({ key: known.key, messageStubType: CIPHERTEXT, messageStubParameters: ['Bad MAC'] }, 'me', false);
    assert.deepEqual([stub.event, stub.id, stub.text], ['undecryptable', 'A1', 'Bad MAC']);
  });

  test('ack: one with an error is a failure with its code', () => {
    assert.deepEqual(ackEvent({ attrs: { id: 'B2' } }), { event: 'sent', id: 'B2' });
    assert.deepEqual(ackEvent({ attrs: { id: 'B2', error: '463' } }), { event: 'send_failed', id: 'B2', reason: 'refused', code: 463 });
  });

  test('what somebody shows has one event, whatever Baileys makes of it', () => {
    const ann = '15550100001@s.whatsapp.net';
    const typing = (tag, attrs = {}, more = {}) => shownEvent({ tag: 'chatstate', attrs: { from: ann, ...more }, content: [{ tag, attrs }] });
    assert.deepEqual(shownEvent({ tag: 'presence', attrs: { from: ann } }), { event: 'presence', from: ann, kind: 'available' });
    assert.deepEqual(shownEvent({ tag: 'presence', attrs: { from: ann, type: 'unavailable', last: '17' } }),
      { event: 'presence', from: ann, kind: 'unavailable', last_seen: 17 });
    assert.deepEqual(shownEvent({ tag: 'presence', attrs: { from: ann, type: 'unavailable', last: 'deny' } }),
      { event: 'presence', from: ann, kind: 'unavailable' });
    assert.deepEqual(typing('composing', { media: 'audio' }), { event: 'typing', chat: ann, from: ann, kind: 'recording' });
    assert.deepEqual(typing('paused', {}, { from: '1203@g.us', participant: '15550100002:3@s.whatsapp.net' }),
      { event: 'typing', chat: '1203@g.us', from: '15550100002@s.whatsapp.net', kind: 'paused' });
    assert.equal(typing('dancing'), null);
    assert.equal(shownEvent({ tag: 'presence', attrs: {} }), null);
  });

  test('kept messages are there after a restart, the oldest go, and a line that was cut off harms no other', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'baileys-adapter-'));
    const path = join(folder, 'state', 'messages.jsonl');
    const first = new KeptMessages(path, 2);
    await first.load();
    for (let i = 1; i <= 5; ++i) await first.add({ id: `M${i}`, fromMe: true }, { conversation: `text ${i}` });
    appendFileSync(path, '{"key":{"id":"M6"');
    const second = new KeptMessages(path, 2);
    await second.load();
    assert.deepEqual(['M3', 'M4', 'M5', 'M6'].map((id) => second.get(id)?.message.conversation), [undefined, 'text 4', 'text 5', undefined]);
    await second.add({ id: 'M7' }, { conversation: 'text 7' });
    const third = new KeptMessages(path, 2);
    await third.load();
    assert.deepEqual([third.get('M5').message.conversation, third.get('M7').message.conversation], ['text 5', 'text 7']);
    assert.ok(readFileSync(path, 'utf8').split('\n').length <= 6);
    rmSync(folder, { recursive: true });
  });

  // ---- the process ---------------------------------------------------------------------------------------------

  /** Runs the adapter on these stdin lines, to its end. */
  function converse(lines, environment = {}) {
    const folder = mkdtempSync(join(tmpdir(), 'baileys-adapter-'));
    const child = spawnSync(join(kHere, 'run'), {
      input: lines.map((line) => `${typeof line === 'string' ? line : JSON.stringify(line)}\n`).join(''),
      encoding: 'utf8',
      timeout: 10_000,
      env: { ...process.env, TESTLINE_STATE_DIR: folder, TESTLINE_WS_URL: '', TESTLINE_NOISE_ROOT: '', ...environment },
    });
    rmSync(folder, { recursive: true });
    return { ...child, events: child.stdout.split('\n').filter(Boolean).map((line) => JSON.parse(line)) };
  }

  test('hello comes first, every command is answered by its ref, the end of stdin is a clean exit', () => {
    const { events, status } = converse([
      { cmd: 'inspect', ref: 1 }, { cmd: 'inspect', ref: 2, device: 'shop-1' }, { cmd: 'fly', ref: 3 }, 'not json',
      { cmd: 'send', ref: 4, to: '15550100001', text: 'x' }, { cmd: 'start', ref: 5 },
      { cmd: 'start', ref: 6, options: { version: [1] } }, { cmd: 'inspect', ref: 7, device: '../up' },
      { cmd: 'start', ref: 8, options: { initial_prekeys: 30 } },
      { cmd: 'start', ref: 9, device: 'shop-2', url: 'ws://127.0.0.1:1/ws/chat', pairing_number: 'not a number' },
      { cmd: 'logout', ref: 10, device: 'shop-3' },
    ]);
    assert.equal(status, 0);
    assert.deepEqual([events[0].event, events[0].protocol, events[0].name], ['hello', 1, 'baileys']);
    assert.deepEqual(events[0].capabilities, [
      'multi_device', 'pairing_code', 'delete', 'inspect', 'send', 'read', 'groups', 'presence',
      'option.auto_renew_qr', 'option.unpaired_limit', 'option.takeover_after_ms', 'option.qr_first_ms', 'option.qr_rest_ms', 'option.version',
    ]);
    const answer = (ref) => events.find((event) => event.ref === ref);
    assert.deepEqual([answer(1).event, answer(1).credentials], ['done', null]);
    assert.ok(answer(1).rss_bytes > 0 && answer(1).open_files > 0);
    assert.deepEqual([answer(2).event, answer(2).device], ['done', 'shop-1']);
    assert.deepEqual([answer(3).event, answer(3).code], ['error', 'unsupported']);
    assert.equal(answer(null).code, 'bad_request');
    assert.equal(answer(4).code, 'not_connected');
    assert.equal(answer(5).code, 'config_error');
    assert.equal(answer(6).code, 'bad_request');
    assert.equal(answer(8).code, 'unsupported');
    assert.equal(answer(7).code, 'bad_request');
    assert.equal(answer(9).code, 'bad_request');
    assert.equal(answer(10).event, 'done');  // there is nothing to unlink
    assert.ok(!('generation' in answer(1)));
  });

  test('a server that is not there is a back-off, and stop ends it', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'baileys-adapter-'));
    const child = spawn(join(kHere, 'run'), {
      env: { ...process.env, TESTLINE_STATE_DIR: folder, TESTLINE_WS_URL: 'ws://127.0.0.1:1/ws/chat', TESTLINE_NOISE_ROOT: '' },
      stdio: ['pipe', 'pipe', 'ignore'],
    });
    const states = [];
    let text = '';
    child.stdin.write('{"cmd":"start","ref":1}\n');
    for await (const bytes of child.stdout.setEncoding('utf8')) {
      text += bytes;
      for (let end; (end = text.indexOf('\n')) >= 0; text = text.slice(end + 1)) {
        const event = JSON.parse(text.slice(0, end));
        if (event.event === 'state') states.push(event);
        if (event.next_attempt_ms !== undefined) child.stdin.end('{"cmd":"stop","ref":2}\n');
      }
    }
    rmSync(folder, { recursive: true });
    assert.deepEqual(states.map(({ state, code }) => [state, code]),
      [['connecting', undefined], ['connecting', 408], ['disconnected', undefined]]);
    assert.ok(states[1].next_attempt_ms >= 500 && states[1].next_attempt_ms <= 1000);
  });

  test('nonsense in the environment ends it with 2 and says what', () => {
    for (const [name, value] of [['TESTLINE_NOISE_ROOT', 'abc'], ['TESTLINE_KEEPALIVE_MS', '-1'], ['TESTLINE_STATE_DIR', '']]) {
      const { status, stderr } = converse([], { [name]: value });
      assert.equal(status, 2);
      assert.match(stderr, new RegExp(name));
    }
  });

  test('without node_modules the wrapper names ci/setup', () => {
    const folder = mkdtempSync(join(tmpdir(), 'baileys-adapter-'));
    copyFileSync(join(kHere, 'run'), join(folder, 'run'));
    const { status, stderr } = spawnSync(join(folder, 'run'), { encoding: 'utf8' });
    rmSync(folder, { recursive: true });
    assert.equal(status, 3);
    assert.match(stderr, /ci\/setup/);
  });
}
