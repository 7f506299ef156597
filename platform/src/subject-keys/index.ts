export { openText, sealText, secretSealingKey, unwrapKey, wrapKey } from './cipher'
export {
  BrokenSeal,
  createDataKeys,
  createKeyReader,
  keyReaderOf,
  openSealed,
  UnknownSubject,
  type DataKeys,
  type KeyReader,
  type KeyReaderOptions,
  type SealedText,
} from './key-reader'
export { masterKeysOf, UnknownMasterKey, type MasterKey, type MasterKeys } from './master-keys'
export { missingKeysCounter } from './missing-keys'
