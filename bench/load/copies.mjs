/**
 * Preloaded into a projector (`NODE_OPTIONS=--import=…`): adds copies of the read models under other names, until there are
 * `BENCH_READ_MODELS`. What a read model costs can be measured before so many different ones exist.
 */
import { createRequire } from 'node:module'

const { projections } = createRequire(import.meta.url)('@annals/projection-service')

// Not of a chain: it is not in the lane, whose cost is measured.
const own = projections.filter(({ grain }) => grain !== 'chain')
for (let i = projections.length; i < Number(process.env.BENCH_READ_MODELS); i++) {
  const original = own[i % own.length]
  projections.push({ ...original, name: `${original.name}_copy${Math.floor(i / own.length)}` })
}
