// The work of signal_bench, done by npm libsignal and the group classes of Baileys 7.
//
//     node signal_peer.mjs NODE_MODULES
//
// Each line: the work and its microseconds, separated by a tab. Records stay objects, as ours do: no store is written.
// The best of several rounds counts, after a round that warms the compiler up.
import { createRequire } from 'node:module'
import path from 'node:path'

const require = createRequire(path.resolve(process.argv[2], 'x.js'))
const { SessionBuilder, SessionCipher, SessionRecord, ProtocolAddress, curve } = require('libsignal')
for (const name of ['info', 'warn', 'error', 'log']) {
  const plain = console[name]
  console[name] = (...args) => (typeof args[0] === 'string' && args[0].includes('\t') ? plain(...args) : undefined)
}

const ROUNDS = 9
const plaintext = Buffer.alloc(64, 7)

class Device {
  identity = curve.generateKeyPair()
  signed = curve.generateKeyPair()
  oneTime = curve.generateKeyPair()
  signature = curve.calculateSignature(this.identity.privKey, this.signed.pubKey)
  record
  address = new ProtocolAddress('x', 0)

  storage = {
    loadSession: async () => this.record,
    storeSession: async (_, record) => { this.record = record },
    isTrustedIdentity: () => true,
    loadPreKey: async () => this.oneTime,
    removePreKey: async () => {},
    loadSignedPreKey: () => this.signed,
    getOurRegistrationId: () => 1,
    getOurIdentity: () => this.identity,
  }
  cipher = new SessionCipher(this.storage, this.address)

  bundle() {
    return { registrationId: 1, identityKey: this.identity.pubKey, preKey: { keyId: 1, publicKey: this.oneTime.pubKey },
      signedPreKey: { keyId: 1, publicKey: this.signed.pubKey, signature: this.signature } }
  }
  initiate(bundle) { return new SessionBuilder(this.storage, this.address).initOutgoing(bundle) }
}

async function deliver(from, to) {
  const { type, body } = await from.cipher.encrypt(plaintext)
  const bytes = Buffer.from(body, 'binary')
  const read = await (type === 3 ? to.cipher.decryptPreKeyWhisperMessage(bytes) : to.cipher.decryptWhisperMessage(bytes))
  if (!read.equals(plaintext)) throw new Error('decrypted something else')
}

async function measure(name, times, work) {
  let best = Infinity
  for (let round = 0; round <= ROUNDS; round++) {
    const start = process.hrtime.bigint()
    for (let i = 0; i < times; i++) await work()
    if (round > 0) best = Math.min(best, Number(process.hrtime.bigint() - start) / 1000 / times)
  }
  console.log(`${name}\t${best.toFixed(2)}`)
}

const alice = new Device()
const bob = new Device()
const begin = async () => {
  alice.record = undefined
  bob.record = undefined
  await alice.initiate(bob.bundle())
  await deliver(alice, bob)
}
await begin()
await deliver(bob, alice)
await deliver(alice, bob)
await measure('one way', 500, () => deliver(alice, bob))
// It keeps every chain for ever, so that a session is made anew for each round.
await begin()
await measure('round trip', 50, async () => {
  await deliver(bob, alice)
  await deliver(alice, bob)
})
await measure('first message', 30, begin)
