export { begunChain, contentHash, linkHash, type ChainedFact, type ChainHead, type ChainPlace } from './hash-chain'
