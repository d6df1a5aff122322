/**
 * One linked device on an unmodified Baileys: dials, pairs, reconnects as close_policy.mjs says, and reports.
 *
 *   start() ─▶ dial ─▶ open (`connected`) ─▶ close ─▶ classify ─┬─▶ dial again, now or after a delay
 *               ▲  └─▶ QR, pair-success, 515 ─▶ close ──┘       └─▶ stopped, the reason stays on show
 *               └──────────────────────────────────────────────────┘
 *
 * Credentials live in Baileys' own `useMultiFileAuthState` folder and are read from there at every dial, so what a
 * login uses is always what a restart would use.
 */
import { createHash } from 'node:crypto';
import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { classify } from './close_policy.mjs';
import { KeptMessages } from './kept_messages.mjs';
import { baileys, major } from './library.mjs';
import { mediaAgent } from './media_host.mjs';
import { ackEvent, messageEvent, sendArguments, shownEvent, toJid } from './messages.mjs';
import { qrTimeout } from './options.mjs';

const kMaxRestartsPerMinute = 3;    // 515 of a logged-in session; more of them wait like any other close
const kKeptMessages = 'testline-messages.jsonl';  // in the auth folder, where Baileys looks at no file of this name
const kCodeWithinMs = 20_000;       // from the start to the first code of the server, which a pairing code needs

const kReceiptKind = { 3: 'delivered', 4: 'read', 5: 'played' };

export class CommandError extends Error {
  constructor(code, text) {
    super(text);
    this.code = code;
  }
}

export class Device {
  #settings;   // see adapter.mjs, read_settings()
  #folder;
  #emit;
  #logger;

  #sock = null;
  #closed = Promise.resolve();  // of the current socket
  #auth = null;                 // {state, saveCreds} as useMultiFileAuthState gives it
  #store = null;                // {kept}: whether what the last connection writes counts
  #writes = new Set();          // promises of writes into the folder that have not landed
  #running = false;
  #timer = null;
  #shown = null;                // {data, sequence} of the QR that a user sees now
  #sequence = 0;
  #lastState = '';
  #url = null;
  #options = null;              // as options.mjs parsed them
  #pairingNumber = null;
  #codeShown = false;           // a pairing code, which lives with its connection
  #codeDeadline = null;         // timer: the server has to be ready for a code by then

  #attempts = 0;                // closes since the last stable connection
  #windows = 0;                 // QR lists used up
  #closesBeforeFirstRef = 0;
  #unpairedRestarts = 0;
  #restarts = [];               // times of 515s of a logged-in session
  #lastTakeover = -Infinity;
  #sending = new Map();         // id → promise of a message that is being sent and not kept yet
  #kept;                        // what was sent and received, for retries, replies and read receipts
  #unacked = new Set();         // ids of messages on their way

  constructor(settings, folder, emit, logger) {
    this.#settings = settings;
    this.#folder = folder;
    this.#emit = emit;
    this.#logger = logger;
    this.#kept = new KeptMessages(join(folder, kKeptMessages));
  }

  async start({ url, pairing_number: pairingNumber }, options) {
    if (this.#running) return;
    this.#options = options;
    this.#url = url ?? this.#settings.url;
    if (!this.#url) throw new CommandError('config_error', 'no url: neither in start nor in TESTLINE_WS_URL');
    this.#pairingNumber = pairingNumber === undefined ? null : phoneNumber(pairingNumber);
    this.#running = true;
    this.#attempts = this.#windows = this.#closesBeforeFirstRef = this.#unpairedRestarts = 0;
    this.#restarts = [];
    this.#state('connecting');
    if (this.#pairingNumber) {
      this.#codeDeadline = setTimeout(() => {
        this.#pairingNumber = null;
        this.#state('connecting', { reason: 'pairing_code_timeout' });
      }, this.#scaled(kCodeWithinMs));
    }
    await this.#dial();
  }

  /** Ends the connection, keeps the credentials, and returns when everything written is on disk. */
  async stop() {
    await this.#halt();
    this.#state('disconnected', { reason: 'stopped' });
  }

  async logout() {
    const sock = this.#sock;
    if (!sock?.user) {
      if (!(await this.#hasAccount())) return;  // there is nothing to unlink
      throw new CommandError('not_connected', 'logout needs a logged-in connection');
    }
    await sock.logout();
    await this.#closed;
  }

  /** Unlinks when connected, and removes everything stored. */
  async delete() {
    this.#running = false;
    if (this.#sock?.ws.isOpen && this.#sock.user) await this.#sock.logout().catch(() => {});
    await this.#halt();
    await this.#wipe();
    this.#state('disconnected', { reason: 'deleted' });
  }

  /** Answers when Baileys has sent it and it is kept; `sent` or `send_failed` follow with the server's ack. */
  async send(command) {
    const sock = this.#connected();
    const { jid, content, options } = sendArguments(command, this.#kept);
    const messageId = options.messageId ?? baileys.generateMessageIDV2(sock.user.id);
    this.#unacked.add(messageId);
    try {
      // A message may be asked for again before Baileys has returned from sending it.
      const sent = sock.sendMessage(jid, content, { ...options, messageId })
        .then((message) => this.#track(this.#kept.add(message.key, message.message)));
      this.#sending.set(messageId, sent);
      await sent.finally(() => this.#sending.delete(messageId));
    } catch (error) {
      this.#unacked.delete(messageId);
      throw error;
    }
    return { id: messageId };
  }

  async read({ ids }) {
    const sock = this.#connected();
    if (!Array.isArray(ids)) throw new CommandError('bad_request', 'read takes a list "ids"');
    const keys = ids.map((id) => this.#kept.get(id)?.key);
    const unknown = ids.filter((id, index) => !keys[index] || keys[index].fromMe);
    if (unknown.length) throw new CommandError('unknown_message', `never received: ${unknown.join(', ')}`);
    await sock.readMessages(keys);
  }

  /** Answers the JID of the new group, which has these members and this device's account. */
  async groupCreate({ subject, members }) {
    const { id } = await this.#connected().groupCreate(subject, members.map(toJid));
    return { jid: id };
  }

  /** `action`: add or remove. Fails for the first member whom the server refuses. */
  async groupChange(action, { group, members }) {
    const verdicts = await this.#connected().groupParticipantsUpdate(group, members.map(toJid), action);
    const refused = verdicts.find(({ status }) => status !== '200');
    if (refused) throw new CommandError('refused', `the server answers ${refused.status} for ${refused.jid}`);
    return { jid: group };
  }

  /** Says whether somebody is there, or follows an account. */
  async presence({ available, subscribe }) {
    const sock = this.#connected();
    if (subscribe !== undefined) return void (await sock.presenceSubscribe(toJid(subscribe)));
    await sock.sendPresenceUpdate(available ? 'available' : 'unavailable');
  }

  async typing({ chat, state }) {
    await this.#connected().sendPresenceUpdate(state, toJid(chat));
  }

  async inspect() {
    await this.#settled();
    const { state } = this.#auth ?? (await baileys.useMultiFileAuthState(this.#folder));
    const stored = {};
    for (const file of await readdir(this.#folder).catch(() => [])) {
      if (file === kKeptMessages) continue;
      const kind = kStoredKinds.find((prefix) => file.startsWith(prefix)) ?? 'other';
      stored[kind] = (stored[kind] ?? 0) + 1;
    }
    return { credentials: credentialsHash(state.creds), stored };
  }

  async #hasAccount() {
    await this.#settled();
    const { state } = this.#auth ?? (await baileys.useMultiFileAuthState(this.#folder));
    return Boolean(state.creds.account);
  }

  // ---- one connection ----------------------------------------------------------------------------------------

  async #dial() {
    await this.#settled();
    const auth = await baileys.useMultiFileAuthState(this.#folder);
    await this.#kept.load();
    if (!this.#running) return;
    if (auth.state.creds.me && !auth.state.creds.account) {
      // A pairing code was asked for and the pairing did not happen. Baileys would log in under the number that it
      // wrote down for it, and be refused as unlinked.
      auth.state.creds.me = undefined;
      auth.state.creds.pairingCode = undefined;
    }
    // Baileys goes on writing for a while when its device is no more: nothing of that may bring the folder back.
    const store = { kept: true };
    const write = (begin) => (store.kept ? this.#track(begin()) : Promise.resolve());
    this.#store = store;
    const keys = {
      get: auth.state.keys.get,
      set: (data) => write(() => auth.state.keys.set(data)),
    };
    const sock = baileys.makeWASocket({
      waWebSocketUrl: this.#url,
      auth: { creds: auth.state.creds, keys: baileys.makeCacheableSignalKeyStore(keys, this.#logger) },
      logger: this.#logger,
      emitOwnEvents: false,
      ...(major === 6 && { options: { httpsAgent: mediaAgent(this.#url) } }),
      getMessage: async (key) => {
        await this.#sending.get(key.id)?.catch(() => {});
        return this.#kept.get(key.id)?.message;
      },
      ...this.#settings.socket,
      ...qrTimeout(...this.#qrSchedule()),
      ...(this.#options.version && { version: this.#options.version }),
    });
    this.#auth = auth;
    this.#sock = sock;
    const link = { paired: Boolean(auth.state.creds.account), sawQr: false, sawPairSuccess: false, openedAt: null };
    this.#closed = new Promise((resolve) => {
      sock.ev.on('connection.update', (update) => {
        this.#onUpdate(sock, link, update);
        if (update.connection === 'close') resolve(this.#onClose(sock, link, update.lastDisconnect?.error));
      });
    });
    sock.ev.on('creds.update', () => write(() => auth.saveCreds()));
    sock.ev.on('messaging-history.set', ({ chats, contacts, messages }) => this.#emit({
      event: 'log', text: `history: ${chats.length} chats, ${contacts.length} contacts, ${messages.length} messages`,
    }));
    sock.ev.on('messages.upsert', (upsert) => this.#onMessages(upsert, write));
    // Baileys tells of acks with an error alone.
    sock.ws.on('CB:ack,class:message', (ack) => this.#onAck(ackEvent(ack)));
    // And it makes one word of "available" and "paused".
    for (const tag of ['presence', 'chatstate']) {
      sock.ws.on(`CB:${tag}`, (stanza) => {
        const event = shownEvent(stanza);
        if (event) this.#emit(event);
      });
    }
    sock.ev.on('messages.update', (updates) => {
      for (const { key, update } of updates) {
        this.#onReceipt(key.id, kReceiptKind[update.status], key.participant || key.remoteJid);
      }
    });
    sock.ev.on('message-receipt.update', (updates) => {
      for (const { key, receipt } of updates) {
        this.#onReceipt(key.id, receipt.readTimestamp ? 'read' : 'delivered', receipt.userJid);
      }
    });
  }

  #onUpdate(sock, link, { connection, qr, isNewLogin }) {
    if (qr) {
      this.#state('waiting_for_scan');
      this.#show(qr, this.#qrLife(!link.sawQr));
      if (this.#pairingNumber && !link.sawQr) this.#askForCode(sock);
      link.sawQr = true;
      this.#closesBeforeFirstRef = 0;
    }
    if (isNewLogin) {
      link.sawPairSuccess = true;
      this.#hideQr();
      this.#hideCode();
      this.#state('connecting', { reason: 'finishing' });
    }
    if (connection === 'open') {
      link.openedAt = performance.now();
      this.#state('connected');
    }
  }

  #askForCode(sock) {
    clearTimeout(this.#codeDeadline);
    sock.requestPairingCode(this.#pairingNumber).then(
      (code) => {
        if (sock !== this.#sock) return;
        this.#codeShown = true;
        this.#emit({ event: 'pairing_code', code });
      },
      (error) => this.#emit({ event: 'log', text: `no pairing code: ${error.message}` }),
    );
  }

  async #onClose(sock, link, error) {
    if (sock !== this.#sock) return;
    this.#sock = null;
    this.#hideCode();
    // What this connection earned (a pairing above all) must be on disk before anything depends on it.
    await this.#settled();
    if (!this.#running) return;
    if (link.openedAt !== null && performance.now() - link.openedAt > this.#scaled(60_000)) this.#attempts = 0;

    if (error) this.#emit({ event: 'log', text: `connection ended: ${error.message}` });
    const verdict = this.#withLimits(classify(error), link);
    if (verdict.wipe) await this.#wipe();
    if (verdict.retry === 'stop' || verdict.reason === 'renewing_qr') this.#hideQr();
    // Better an old code that says so than a gap: the next one is on its way.
    if (this.#shown) this.#emit({ event: 'qr', ...this.#shown, stale: true, expires_ms: 0 });
    if (verdict.retry === 'stop') {
      this.#running = false;
      clearTimeout(this.#codeDeadline);
      this.#state(verdict.state, { reason: verdict.reason, code: verdict.code, attempts: this.#attempts });
      return;
    }
    const delayMs = this.#delay(verdict.retry);
    // Somebody is looking at a code, and will see the next one in its place.
    const showsCode = this.#shown && verdict.state === 'connecting' && !link.sawPairSuccess;
    this.#state(showsCode ? 'waiting_for_scan' : verdict.state, {
      reason: verdict.reason,
      code: verdict.code,
      attempts: this.#attempts,
      next_attempt_ms: Math.round(delayMs),
    });
    this.#timer = setTimeout(() => {
      this.#timer = null;
      this.#dial().catch((failure) => {
        this.#running = false;
        this.#state('store_error', { reason: failure.code ?? 'dial_failed' });
      });
    }, delayMs);
  }

  /** The verdict on a close, corrected by what only the device knows: is it paired, and how often did this happen. */
  #withLimits(verdict, link) {
    const { code } = verdict;
    const gaveUp = (reason) => ({ state: 'disconnected', reason, code, retry: 'stop', wipe: false });
    if (link.sawPairSuccess && verdict.retry !== 'stop') {
      return { ...verdict, state: 'connecting', reason: 'finishing', retry: code === 515 ? 'now' : verdict.retry };
    }
    if (verdict.state === 'qr_expired' && link.sawQr) {
      this.#windows += 1;
      if (this.#windows > this.#options.autoRenewQr) return { ...verdict, retry: 'stop' };
      return { ...verdict, state: 'connecting', reason: 'renewing_qr' };
    }
    if (verdict.state === 'replaced' && this.#options.takeoverAfterMs !== undefined) {
      return { ...verdict, retry: { in_ms: this.#takeoverDelay() } };
    }
    if (link.paired) {
      if (code !== 515) return verdict;
      const now = performance.now();
      this.#restarts = this.#restarts.filter((at) => now - at < this.#scaled(60_000));
      this.#restarts.push(now);
      return this.#restarts.length > kMaxRestartsPerMinute ? { ...verdict, retry: 'backoff' } : verdict;
    }
    if (code === 515) {
      this.#unpairedRestarts += 1;
      return this.#unpairedRestarts >= this.#options.unpairedLimit ? gaveUp('restart_limit') : { ...verdict, retry: 'backoff' };
    }
    if (!link.sawQr && ['connecting', 'qr_expired'].includes(verdict.state)) {
      this.#closesBeforeFirstRef += 1;
      if (this.#closesBeforeFirstRef >= this.#options.unpairedLimit) return gaveUp('closed_before_first_ref');
      return { ...verdict, state: 'connecting', retry: 'backoff' };
    }
    return verdict;
  }

  #show(data, lifeMs) {
    this.#shown = { data, sequence: ++this.#sequence };
    this.#emit({ event: 'qr', ...this.#shown, stale: false, expires_ms: lifeMs });
  }

  #hideQr() {
    if (this.#shown) this.#emit({ event: 'qr_gone' });
    this.#shown = null;
  }

  #hideCode() {
    if (this.#codeShown) this.#emit({ event: 'pairing_code_gone' });
    this.#codeShown = false;
  }

  /** How long Baileys shows a QR before the next one, see qrTimeout(). */
  #qrLife(first) {
    const [firstMs, restMs] = this.#qrSchedule();
    return qrTimeout(firstMs, restMs).qrTimeout ?? (first ? firstMs : restMs);
  }

  #qrSchedule() {
    return [this.#options.qrFirstMs ?? this.#settings.qrFirstMs, this.#options.qrRestMs ?? this.#settings.qrRestMs];
  }

  /** Milliseconds until the next dial. Half of a back-off is random, so that many devices do not return at once. */
  #delay(retry) {
    if (retry === 'now') return 0;
    if (retry.in_ms !== undefined) return retry.in_ms;
    if (retry.after_ms !== undefined) return this.#scaled(retry.after_ms);
    if (retry === 'slow') return this.#scaled(60_000);
    this.#attempts += 1;
    const ceiling = Math.min(60_000, 1000 * 2 ** (this.#attempts - 1));
    return this.#scaled(ceiling / 2 + (Math.random() * ceiling) / 2);
  }

  /** Two devices that both take over must not throw each other out all the time. */
  #takeoverDelay() {
    const now = performance.now();
    const at = Math.max(now + this.#options.takeoverAfterMs, this.#lastTakeover + this.#scaled(60_000));
    this.#lastTakeover = at;
    return at - now;
  }

  #scaled(ms) {
    return Math.max(20, ms * this.#settings.timeScale);
  }

  // ---- events ------------------------------------------------------------------------------------------------

  #onMessages({ messages, type }, write) {
    for (const message of messages) {
      const event = messageEvent(message, this.#auth.state.creds.me?.id, type === 'append');
      if (!event) continue;
      if (event.event === 'message') void write(() => this.#kept.add(message.key, message.message));
      this.#emit(event);
    }
  }

  /** Each message has one: what is sent again to a device that asks is no news. */
  #onAck(event) {
    if (this.#unacked.delete(event.id)) this.#emit(event);
  }

  #onReceipt(id, kind, from) {
    if (kind) this.#emit({ event: 'receipt', id, kind, ...(from && { from }) });
  }

  #state(state, detail = {}) {
    const event = { event: 'state', state, ...detail };
    const text = JSON.stringify(event);
    if (text === this.#lastState) return;
    this.#lastState = text;
    this.#emit(event);
  }

  // ---- storage and ending ------------------------------------------------------------------------------------

  #connected() {
    if (!this.#sock?.ws.isOpen || !this.#sock.user) throw new CommandError('not_connected', 'no logged-in connection');
    return this.#sock;
  }

  #track(write) {
    this.#writes.add(write);
    const landed = () => this.#writes.delete(write);
    write.then(landed, landed);
    return write;
  }

  async #settled() {
    while (this.#writes.size) await Promise.allSettled([...this.#writes]);
  }

  async #halt() {
    this.#running = false;
    clearTimeout(this.#timer);
    clearTimeout(this.#codeDeadline);
    this.#timer = null;
    const sock = this.#sock;
    if (sock) {
      void sock.end(undefined);
      // Baileys waits for the peer's close frame, which a dead peer never sends.
      const cut = setTimeout(() => sock.ws.socket?.terminate(), 1000);
      await this.#closed;
      clearTimeout(cut);
    }
    await this.#settled();
    this.#hideQr();
  }

  async #wipe() {
    if (this.#store) this.#store.kept = false;
    await this.#settled();
    await rm(this.#folder, { recursive: true, force: true });
    this.#auth = null;
  }
}

/** The digits of a phone number, however it is written. */
function phoneNumber(text) {
  const digits = String(text).replace(/[\s()+.-]/g, '');
  if (!/^\d{7,15}$/.test(digits)) throw new CommandError('bad_request', `pairing_number: ${JSON.stringify(text)} is no phone number`);
  return digits;
}

const kStoredKinds = [
  'creds', 'pre-key', 'session', 'sender-key-memory', 'sender-key', 'app-state-sync-key', 'app-state-sync-version',
  'lid-mapping', 'device-list', 'tctoken', 'identity-key',
];

/** Baileys keeps the account as base64 text once it was read from disk, and as bytes before. */
const bytesOf = (field) => (typeof field === 'string' ? Buffer.from(field, 'base64') : field);

/**
 * SHA-256 over what makes this device itself (hex), or null while it is unpaired. Baileys 6 knows its LID only from the
 * first login on, and never by heart: there it is no part of that.
 */
export function credentialsHash(creds) {
  if (!creds.account || !creds.me) return null;
  const registrationId = Buffer.alloc(4);
  registrationId.writeUInt32BE(creds.registrationId);
  const hash = createHash('sha256');
  for (const part of [
    creds.noiseKey.public,
    creds.signedIdentityKey.public,
    registrationId,
    Buffer.from(creds.advSecretKey, 'base64'),
    Buffer.from(creds.me.id),
    Buffer.from((major > 6 && creds.me.lid) || ''),
    bytesOf(creds.account.accountSignature),
  ]) {
    hash.update(part);
  }
  return hash.digest('hex');
}
