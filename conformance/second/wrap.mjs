// Opens Sealwire's audience secrets without any code of Sealwire.
//
// usage: node wrap.mjs [FILE]
//
// FILE holds wraps (docs/PROTOCOL.md section 6.2); the default is conformance/vectors/seal/wrap.json.
// npm `hpke` takes each content key out of its recipient, with MLKEM768-X25519, SHAKE256 and
// AES-256-GCM as npm `@panva/hpke-noble` has them; Node.js opens the secret with it and computes its
// commitment. Every verdict has to be the one in the file, good or bad.
//
// Needs what conformance/types/package-lock.json names in conformance/types/node_modules. Prints
// `N passed, 0 failed`; the exit code is 1 if anything failed, or if nothing was opened.

import { createDecipheriv, createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'

import { AEAD_AES_256_GCM, KDF_SHAKE256, KEM_MLKEM768_X25519 } from '../types/node_modules/@panva/hpke-noble/index.js'
import { CipherSuite } from '../types/node_modules/hpke/index.js'

const SUITE = new CipherSuite(KEM_MLKEM768_X25519, KDF_SHAKE256, AEAD_AES_256_GCM)
const A256GCM = 3
const MAX_RECIPIENTS = 1024
const TAG_BYTES = 16

// What is not of the form, or does not open.
class Refused extends Error {}

function need(holds, what) {
  if (!holds) throw new Refused(what)
}

// CBOR, section 3: the major types that a wrap has, with lengths in their shortest form.
const [UINT, BYTES, TEXT, ARRAY] = [0, 2, 3, 4]

function head(major, number) {
  const first = major << 5
  if (number < 24) return Buffer.from([first | number])
  if (number < 0x100) return Buffer.from([first | 24, number])
  return Buffer.from([first | 25, number >> 8, number & 0xff])
}

function encode(value) {
  if (typeof value === 'number') return head(UINT, value)
  if (typeof value === 'string') {
    const text = Buffer.from(value)
    return Buffer.concat([head(TEXT, text.length), text])
  }
  if (Array.isArray(value)) return Buffer.concat([head(ARRAY, value.length), ...value.map(encode)])
  return Buffer.concat([head(BYTES, value.length), value])
}

// Reads a wrap from its first byte to its last: everything has one place and one spelling.
class Reader {
  constructor(bytes) {
    this.bytes = bytes
    this.at = 0
  }

  take(length) {
    need(this.at + length <= this.bytes.length, 'cut short')
    this.at += length
    return this.bytes.subarray(this.at - length, this.at)
  }

  exactly(hex) {
    need(this.take(hex.length / 2).toString('hex') === hex, 'another form')
  }

  length(major) {
    const [first] = this.take(1)
    need(first >> 5 === major, 'another type')
    const short = first & 31
    const more = { 24: 1, 25: 2 }[short] ?? 0
    need(short < 24 || more > 0, 'a length of another form')
    const number = more > 0 ? this.take(more).readUIntBE(0, more) : short
    need(head(major, number).length === 1 + more, 'a length in a long form')
    return number
  }

  octets(length) {
    need(this.length(BYTES) === length, `not ${length} bytes`)
    return this.take(length)
  }
}

function readRecipient(reader) {
  reader.exactly('83')
  const form = 'a2011839045820' // {1: 57, 4: bytes .size 32}
  const protectedHeader = reader.octets(39)
  need(protectedHeader.subarray(0, 7).toString('hex') === form, 'another algorithm')
  reader.exactly('a123') // {-4: ...}
  const encapsulated = reader.octets(1120)
  return { protectedHeader, keyId: protectedHeader.subarray(7), encapsulated, sealed: reader.octets(48) }
}

function readWrap(bytes) {
  const reader = new Reader(bytes)
  reader.exactly('d86084') // 96([...4])
  reader.exactly('43a10103') // << {1: 3} >>
  reader.exactly('a105') // {5: ...}
  const iv = reader.octets(12)
  const sealed = reader.octets(32 + TAG_BYTES)
  const count = reader.length(ARRAY)
  need(count > 0 && count <= MAX_RECIPIENTS, 'no recipients, or too many')
  const recipients = Array.from({ length: count }, () => readRecipient(reader))
  need(reader.at === bytes.length, 'something is left over')
  return { iv, sealed, recipients }
}

async function contentKey(privateKey, recipient, place) {
  const extra = encode(place)
  const info = encode(['HPKE Recipient', A256GCM, recipient.protectedHeader, extra])
  try {
    return await SUITE.Open(privateKey, recipient.encapsulated, recipient.sealed, { info })
  } catch {
    return null
  }
}

function openSecret(key, wrap, place) {
  const cipher = createDecipheriv('aes-256-gcm', key, wrap.iv, { authTagLength: TAG_BYTES })
  cipher.setAAD(encode(['Encrypt', Buffer.from('a10103', 'hex'), encode(place)]))
  cipher.setAuthTag(wrap.sealed.subarray(-TAG_BYTES))
  try {
    return Buffer.concat([cipher.update(wrap.sealed.subarray(0, -TAG_BYTES)), cipher.final()])
  } catch {
    throw new Refused('the secret does not open')
  }
}

async function open(vector) {
  const wrap = readWrap(Buffer.from(vector.wrap, 'hex'))
  const audience = Buffer.from(vector.audience, 'hex')
  const privateKey = await SUITE.DeserializePrivateKey(Buffer.from(vector.seed, 'hex'))
  for (const recipient of wrap.recipients) {
    if (recipient.keyId.toString('hex') !== vector.thumbprint) continue
    const key = await contentKey(privateKey, recipient, [vector.originator, vector.member, audience])
    if (key === null) continue
    const secret = openSecret(key, wrap, [vector.originator, audience])
    const commitment = createHash('sha256').update(encode(['sealwire audience', audience, secret]))
    need(commitment.digest('hex') === vector.commitment, 'another secret than committed to')
    return { secret: secret.toString('hex') }
  }
  throw new Refused('no recipient opens with this key')
}

async function verdict(vector) {
  try {
    return await open(vector)
  } catch (error) {
    if (error instanceof Refused) return null
    throw error
  }
}

const file = process.argv[2] ?? new URL('../vectors/seal/wrap.json', import.meta.url)
let [passed, failed, opened] = [0, 0, 0]
for (const vector of JSON.parse(readFileSync(file, 'utf8'))) {
  const found = await verdict(vector)
  const same = found?.secret === vector.expected?.secret && (found !== null) === vector.valid
  if (same) passed += 1
  else {
    failed += 1
    console.error(`failed: wrap: ${vector.why}`)
  }
  if (found !== null) opened += 1
}
if (opened === 0) {
  failed += 1
  console.error('failed: wrap: nothing was opened')
}
console.log(`${passed} passed, ${failed} failed`)
process.exitCode = failed === 0 ? 0 : 1
