/**
 * Our Signal sessions and sender keys against npm libsignal and the group classes of Baileys 7, both directions.
 *
 *   node signal.mjs NODE_MODULES SIGNAL_DEVICE [CONVERSATIONS]
 *
 * Each conversation is random (its seed is its number): who begins, who writes, what comes late, twice or damaged.
 */
import { spawn } from 'node:child_process';
import { createRequire } from 'node:module';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { pathToFileURL } from 'node:url';

const [modules, program, conversations = '20'] = process.argv.slice(2);
const require = createRequire(resolve(modules, 'x.js'));
const { SessionBuilder, SessionCipher, SessionRecord, ProtocolAddress, curve } = require('libsignal');
const group = await import(pathToFileURL(resolve(modules, '@whiskeysockets/baileys/lib/Signal/Group/index.js')));
const log = console.log;
for (const name of ['log', 'info', 'warn', 'error']) console[name] = () => {};  // it prints keys

const hex = (bytes) => Buffer.from(bytes).toString('hex');
const raw = (text) => Buffer.from(text, 'hex');

/** mulberry32: the same conversation for the same seed. */
function seeded(seed) {
  let state = seed;
  return (bound) => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) % bound;
  };
}

/** Our program. */
class Ours {
  #waiting = [];
  constructor(seed) {
    this.child = spawn(program, [String(seed)], { stdio: ['pipe', 'pipe', 'inherit'] });
    createInterface({ input: this.child.stdout }).on('line', (line) => this.#waiting.shift()(line));
    this.child.on('exit', () => this.#waiting.forEach((done) => done('it ended')));
  }
  ask(...words) {
    return new Promise((done) => {
      this.#waiting.push(done);
      this.child.stdin.write(words.join(' ') + '\n');
    });
  }
  async bundle() { return this.ask('bundle'); }
  async initiate(bundle) {
    const answer = await this.ask('initiate', bundle);
    if (answer !== 'ok') throw new Error(answer);
  }
  async encrypt(text) {
    const [type, body] = (await this.ask('encrypt', hex(text))).split(' ');
    return { type, body: raw(body) };
  }
  async decrypt({ type, body }) {
    const [word, text] = (await this.ask('decrypt', type, hex(body))).split(' ');
    if (word !== 'ok') throw new Error(word);
    return raw(text);
  }
  distribution() { return this.ask('distribution'); }
  process(distribution) { return this.ask('process', distribution); }
  async encryptGroup(text) { return raw(await this.ask('encrypt-group', hex(text))); }
  async decryptGroup(body) {
    const [word, text] = (await this.ask('decrypt-group', hex(body))).split(' ');
    if (word !== 'ok') throw new Error(word);
    return raw(text);
  }
  end() { this.child.stdin.end(); }
}

/** libsignal and Baileys' sender keys, with stores in memory. */
class Theirs {
  identity = curve.generateKeyPair();
  signed = curve.generateKeyPair();
  oneTime = new Map();
  nextId = 100;
  address = new ProtocolAddress('peer', 0);
  senderKeys = new Map();
  storage = {
    // Through text, as in a real store: what a failed decryption changed is not kept.
    loadSession: async () => this.record && SessionRecord.deserialize(JSON.parse(this.record)),
    storeSession: async (_, record) => { this.record = JSON.stringify(record.serialize()); },
    isTrustedIdentity: () => true,
    loadPreKey: async (id) => this.oneTime.get(Number(id)),
    removePreKey: async (id) => { this.oneTime.delete(Number(id)); },
    loadSignedPreKey: () => this.signed,
    getOurRegistrationId: () => 88,
    getOurIdentity: () => this.identity,
  };
  cipher = new SessionCipher(this.storage, this.address);
  groupStore = {
    loadSenderKey: async (name) => {
      if (!this.senderKeys.has(name.toString())) this.senderKeys.set(name.toString(), new group.SenderKeyRecord());
      return this.senderKeys.get(name.toString());
    },
    storeSenderKey: async (name, record) => { this.senderKeys.set(name.toString(), record); },
  };
  own = new group.SenderKeyName('1@g.us', { id: 'own', deviceId: 0, toString: () => 'own.0' });
  peer = new group.SenderKeyName('1@g.us', { id: 'peer', deviceId: 0, toString: () => 'peer.0' });

  async bundle() {
    const id = this.nextId++;
    this.oneTime.set(id, curve.generateKeyPair());
    const signature = curve.calculateSignature(this.identity.privKey, this.signed.pubKey);
    return [88, hex(this.identity.pubKey), 7, hex(this.signed.pubKey), hex(signature), id,
      hex(this.oneTime.get(id).pubKey)].join(' ');
  }
  async initiate(bundle) {
    const [registrationId, identityKey, signedId, signed, signature, id, key] = bundle.split(' ');
    await new SessionBuilder(this.storage, this.address).initOutgoing({
      registrationId: Number(registrationId), identityKey: raw(identityKey),
      signedPreKey: { keyId: Number(signedId), publicKey: raw(signed), signature: raw(signature) },
      preKey: { keyId: Number(id), publicKey: raw(key) },
    });
    // What its own call skips.
    if (!curve.verifySignature(raw(identityKey), raw(signed), raw(signature))) throw new Error('our signature is wrong');
  }
  async encrypt(text) {
    const { type, body } = await this.cipher.encrypt(text);
    return { type: type === 3 ? 'pkmsg' : 'msg', body: Buffer.from(body, 'binary') };
  }
  decrypt({ type, body }) {
    return type === 'pkmsg' ? this.cipher.decryptPreKeyWhisperMessage(body) : this.cipher.decryptWhisperMessage(body);
  }
  async distribution() {
    return hex((await new group.GroupSessionBuilder(this.groupStore).create(this.own)).serialize());
  }
  async process(distribution) {
    const message = new group.SenderKeyDistributionMessage(null, null, null, null, raw(distribution));
    await new group.GroupSessionBuilder(this.groupStore).process(this.peer, message);
  }
  async encryptGroup(text) { return Buffer.from(await new group.GroupCipher(this.groupStore, this.own).encrypt(text)); }
  async decryptGroup(body) { return new group.GroupCipher(this.groupStore, this.peer).decrypt(body); }
  end() {}
}

function expectSame(read, text) {
  if (!Buffer.from(read).equals(text)) throw new Error(`read ${hex(read)} instead of ${hex(text)}`);
}

async function refuses(reading, what) {
  const read = await reading().then(() => true, () => false);
  if (read) throw new Error(`${what} was read`);
}

async function converse(seed) {
  const random = seeded(seed);
  const sides = [new Ours(seed), new Theirs()];
  const underWay = [[], []];  // by sender
  let number = 0;
  try {
    const first = random(2);
    await sides[first].initiate(await sides[1 - first].bundle());
    let known = [first];  // who can write
    for (let step = 0; step < 120; step++) {
      const from = known[random(known.length)];
      const to = 1 - from;
      if (random(2) === 0) {
        const text = Buffer.from(`message ${number++} `.repeat(1 + random(30)));
        underWay[from].push({ text, sent: await sides[from].encrypt(text) });
      } else if (underWay[from].length > 0) {
        const index = random(4) === 0 ? random(Math.min(4, underWay[from].length)) : 0;
        const [{ text, sent }] = underWay[from].splice(index, 1);
        if (sent.type === 'msg' && random(8) === 0) {
          const body = Buffer.from(sent.body);
          body[body.length - 1 - random(20)] ^= 1 << random(8);
          await refuses(() => sides[to].decrypt({ type: 'msg', body }), 'a damaged message');
        }
        expectSame(await sides[to].decrypt(sent), text);
        if (random(5) === 0) await refuses(() => sides[to].decrypt(sent), 'a message that was read before');
        if (!known.includes(to)) known = [0, 1];
      }
    }
    for (const from of [0, 1]) {
      for (const { text, sent } of underWay[from]) expectSame(await sides[1 - from].decrypt(sent), text);
    }
    return number;
  } finally {
    sides.forEach((side) => side.end());
  }
}

async function groupTalk(seed) {
  const random = seeded(seed);
  const sides = [new Ours(seed), new Theirs()];
  let number = 0;
  try {
    for (const from of [0, 1]) {
      await sides[1 - from].process(await sides[from].distribution());
      const sent = [];
      for (let i = 0; i < 12; i++) {
        const text = Buffer.from(`group message ${number++}`);
        sent.push({ text, body: await sides[from].encryptGroup(text) });
      }
      while (sent.length > 0) {
        const [{ text, body }] = sent.splice(random(sent.length), 1);
        const damaged = Buffer.from(body);
        damaged[random(damaged.length)] ^= 4;
        await refuses(() => sides[1 - from].decryptGroup(damaged), 'a damaged group message');
        expectSame(await sides[1 - from].decryptGroup(body), text);
        await refuses(() => sides[1 - from].decryptGroup(body), 'a group message that was read before');
      }
    }
    return number;
  } finally {
    sides.forEach((side) => side.end());
  }
}

let passed = 0;
let failed = 0;
let messages = 0;
for (const [name, play] of [['conversation', converse], ['group', groupTalk]]) {
  for (let seed = 1; seed <= Number(conversations); seed++) {
    try {
      messages += await play(seed);
      passed++;
    } catch (error) {
      failed++;
      log(`${name} ${seed}: ${error.stack}`);
    }
  }
}
log(`${messages} messages`);
log(`${passed} passed, ${failed} failed`);
process.exit(failed === 0 ? 0 : 1);
