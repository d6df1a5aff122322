// Encode and decode times of Baileys 7, in the form that codec_bench prints, and one more column.
//
//     node codec_peer.mjs NODE_MODULES FILE...
//
// Timed are the functions that its socket calls for every frame: encodeBinaryNode, and
// decodeBinaryNode with its await; the last column is decoding without the await, the faster
// synchronous part alone. The best of several rounds counts, after all stanzas ran once to warm the
// compiler up.
import { readFileSync } from 'node:fs'
import path from 'node:path'
import { pathToFileURL } from 'node:url'

const [modules, ...files] = process.argv.slice(2)
const load = (file) => import(pathToFileURL(path.resolve(modules, '@whiskeysockets/baileys/lib/WABinary', file)))
const { encodeBinaryNode, decodeBinaryNode, decodeDecompressedBinaryNode } = await load('index.js')
const constants = await load('constants.js')

const ROUNDS = 12
const ROUND_NS = 1.5e6
const BATCH_BYTES = 32 * 1024

function nodeOf({ tag, attrs, content }) {
  const node = { tag, attrs }
  if (content === null || content === undefined) return node
  if (Array.isArray(content)) node.content = content.map(nodeOf)
  else if ('hex' in content) node.content = Buffer.from(content.hex, 'hex')
  else node.content = content.text
  return node
}

const now = () => Number(process.hrtime.bigint())

async function bestOfRounds(rounds, size, batch) {
  const count = Math.min(256, Math.max(4, Math.floor(BATCH_BYTES / size)))
  let best = Infinity
  for (let round = 0; round < rounds; round++) {
    let sum = 0
    let batches = 0
    for (const start = now(); batches === 0 || now() - start < ROUND_NS; batches++) {
      const from = now()
      await batch(count)
      sum += (now() - from) / count
    }
    best = Math.min(best, sum / batches)
  }
  return best
}

const encodeNs = (rounds, node, size) =>
  bestOfRounds(rounds, size, (count) => {
    for (let i = 0; i < count; i++) encodeBinaryNode(node)
  })

const decodeNs = (rounds, encoded) =>
  bestOfRounds(rounds, encoded.length, async (count) => {
    for (let i = 0; i < count; i++) await decodeBinaryNode(encoded)
  })

const decodeSyncNs = (rounds, encoded) =>
  bestOfRounds(rounds, encoded.length, (count) => {
    for (let i = 0; i < count; i++) decodeDecompressedBinaryNode(encoded.slice(1), constants)
  })

const stanzas = files.flatMap((file) => {
  const json = JSON.parse(readFileSync(file))
  return (json.vectors ?? json.stanzas).map(({ name, node }) => {
    const built = nodeOf(node)
    return { name, node: built, encoded: encodeBinaryNode(built) }
  })
})

for (const rounds of [1, ROUNDS]) {
  for (const { name, node, encoded } of stanzas) {
    const encode = await encodeNs(rounds, node, encoded.length)
    const decode = await decodeNs(rounds, encoded)
    const decodeSync = await decodeSyncNs(rounds, encoded)
    if (rounds === 1) continue
    const times = [encode, decode, decodeSync].map((ns) => ns.toFixed(1))
    console.log([name, encoded.length, ...times].join('\t'))
  }
}
