import { createHash } from 'node:crypto'

/** 32 bytes that wrap data keys, and the name that a wrapped data key remembers of it. */
export interface MasterKey {
  /** Says which key it is, and nothing about it: `sha256:` and 16 hex digits of its hash. */
  id: string
  key: Buffer
}

/** A data key is wrapped by a master key that this process was not given. It says nothing about what the data key has sealed. */
export class UnknownMasterKey extends Error {
  override readonly name = 'UnknownMasterKey'

  constructor(readonly masterKeyId: string) {
    super(`a data key is wrapped by the master key ${masterKeyId}, which is not configured (docs/master-keys.md)`)
  }
}

/** The master keys of one purpose: one that wraps new data keys, and all that unwrap. */
export interface MasterKeys {
  readonly current: MasterKey
  /** Of all, the current one first. */
  readonly ids: readonly string[]
  /** @throws UnknownMasterKey */
  of(id: string): MasterKey
}

const idOf = (key: Buffer) => `sha256:${createHash('sha256').update(key).digest('hex').slice(0, 16)}`

/** @param keys of 32 bytes; the first wraps new data keys. */
export function masterKeysOf(keys: readonly [Buffer, ...Buffer[]]): MasterKeys {
  const known = new Map(keys.map((key) => [idOf(key), { id: idOf(key), key }]))
  return {
    current: known.get(idOf(keys[0]))!,
    ids: [...known.keys()],
    of(id) {
      const master = known.get(id)
      if (!master) throw new UnknownMasterKey(id)
      return master
    },
  }
}
