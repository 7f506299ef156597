export {
  begunChain,
  contentHash,
  linkHash,
  nextEntry,
  type ChainedFact,
  type ChainHead,
  type ChainPlace,
} from './hash-chain'
