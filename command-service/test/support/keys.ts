import type { KeyWriter } from '../../src/core/key-writer'

/** For commands that hide nothing: seals to an empty text, and everybody reads as erased. */
export const nobodysKeys: KeyWriter = {
  sealFor: async () => ({ seal: () => '', sealSecret: () => ({ key: '', sealed: '' }) }),
  openAll: async (parts) => parts.map(() => null),
  lookUp: async () => undefined,
  endKey: async () => undefined,
  makeKeyUntil: async () => undefined,
  destroyExpired: async () => 0,
  openSecrets: async (parts) => parts.map(() => null),
}
