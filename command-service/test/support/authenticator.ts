import { createHash, generateKeyPairSync, randomBytes, sign, type KeyObject } from 'node:crypto'

/** CBOR (RFC 8949) of what WebAuthn needs: numbers, texts, bytes and maps, in canonical form. */
function cbor(value: number | string | Buffer | Map<number | string, unknown>): Buffer {
  const head = (major: number, n: number) =>
    n < 24
      ? Buffer.from([(major << 5) | n])
      : n < 256
        ? Buffer.from([(major << 5) | 24, n])
        : Buffer.from([(major << 5) | 25, n >> 8, n & 255])
  if (typeof value === 'number') return value >= 0 ? head(0, value) : head(1, -1 - value)
  if (typeof value === 'string') return Buffer.concat([head(3, Buffer.byteLength(value)), Buffer.from(value)])
  if (Buffer.isBuffer(value)) return Buffer.concat([head(2, value.length), value])
  const entries = [...value].flatMap(([key, item]) => [cbor(key), cbor(item as Buffer)])
  return Buffer.concat([head(5, value.size), ...entries])
}

const flagsOf = { present: 0x01, verified: 0x04, attested: 0x40 }

/** What a test may have an authenticator, or the page that asks it, do otherwise. */
export interface Otherwise {
  origin?: string
  rpId?: string
  /** Nobody has touched a finger or given a PIN. */
  isUnverified?: boolean
  /** The counter that it tells. */
  counter?: number
}

/** An authenticator with one credential (ES256), as WebAuthn Level 3 § 6 has it. */
export class Authenticator {
  readonly credentialId = randomBytes(32)
  readonly #keys: { publicKey: KeyObject; privateKey: KeyObject } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  counter = 0
  userHandle: string | undefined

  constructor(
    readonly origin = 'http://localhost:3000',
    readonly rpId = 'localhost',
  ) {}

  get id(): string {
    return this.credentialId.toString('base64url')
  }

  #data(flags: number, { rpId = this.rpId, isUnverified, counter = this.counter }: Otherwise): Buffer {
    const count = Buffer.alloc(4)
    count.writeUInt32BE(counter)
    const verified = isUnverified ? 0 : flagsOf.verified
    const hash = createHash('sha256').update(rpId).digest()
    return Buffer.concat([hash, Buffer.from([flags | flagsOf.present | verified]), count])
  }

  #client(type: string, challenge: string, { origin = this.origin }: Otherwise): Buffer {
    return Buffer.from(JSON.stringify({ type, challenge, origin, crossOrigin: false }))
  }

  /** `navigator.credentials.create` @param options as the API gives them. */
  create(options: { challenge: string; user: { id: string } }, otherwise: Otherwise = {}) {
    this.userHandle = options.user.id
    const { x, y } = this.#keys.publicKey.export({ format: 'jwk' })
    const coordinate = (text: string | undefined) => Buffer.from(text!, 'base64url')
    const key = cbor(
      new Map<number, unknown>([
        [1, 2],
        [3, -7],
        [-1, 1],
        [-2, coordinate(x)],
        [-3, coordinate(y)],
      ]),
    )
    const length = Buffer.from([0, this.credentialId.length])
    const authData = Buffer.concat([
      this.#data(flagsOf.attested, otherwise),
      Buffer.alloc(16),
      length,
      this.credentialId,
      key,
    ])
    const attestation = cbor(
      new Map<string, unknown>([
        ['fmt', 'none'],
        ['attStmt', new Map()],
        ['authData', authData],
      ]),
    )
    return {
      id: this.id,
      rawId: this.id,
      type: 'public-key',
      response: {
        clientDataJSON: this.#client('webauthn.create', options.challenge, otherwise).toString('base64url'),
        attestationObject: attestation.toString('base64url'),
        transports: ['internal'],
      },
      clientExtensionResults: {},
    }
  }

  /** `navigator.credentials.get` @param options as the API gives them. */
  get(options: { challenge: string }, otherwise: Otherwise = {}) {
    this.counter++
    const authData = this.#data(0, otherwise)
    const client = this.#client('webauthn.get', options.challenge, otherwise)
    const signed = Buffer.concat([authData, createHash('sha256').update(client).digest()])
    return {
      id: this.id,
      rawId: this.id,
      type: 'public-key',
      response: {
        clientDataJSON: client.toString('base64url'),
        authenticatorData: authData.toString('base64url'),
        signature: sign('sha256', signed, this.#keys.privateKey).toString('base64url'),
        userHandle: this.userHandle ?? null,
      },
      clientExtensionResults: {},
    }
  }
}
