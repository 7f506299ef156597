export { openText, sealText, unwrapKey, wrapKey, type MasterKey } from './cipher'
export { createKeyReader, type KeyReader, type SealedText } from './key-reader'
