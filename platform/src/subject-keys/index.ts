export { openText, sealText, unwrapKey, wrapKey, type MasterKey } from './cipher'
export { BrokenSeal, createKeyReader, UnknownSubject, type KeyReader, type SealedText } from './key-reader'
