export { openText, sealText, unwrapKey, wrapKey } from './cipher'
export {
  BrokenSeal,
  createKeyReader,
  UnknownSubject,
  type KeyReader,
  type KeyReaderOptions,
  type SealedText,
} from './key-reader'
export { masterKeysOf, UnknownMasterKey, type MasterKey, type MasterKeys } from './master-keys'
export { missingKeysCounter } from './missing-keys'
