export { openText, sealText, unwrapKey, wrapKey, type MasterKey } from './cipher'
export {
  BrokenSeal,
  createKeyReader,
  UnknownSubject,
  type KeyReader,
  type KeyReaderOptions,
  type SealedText,
} from './key-reader'
export { missingKeysCounter } from './missing-keys'
