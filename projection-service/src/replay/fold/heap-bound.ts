import v8 from 'node:v8'
import vm from 'node:vm'

/** Alive are some 50 MB with three projections; V8 by itself lets the heap grow to four times what is alive. */
const collectAtBytes = 140 * 1024 * 1024
/** Where more than that is alive, so much more may come before it is collected: not all time may go into collecting. */
const growth = 1.5

/**
 * Keeps the heap of a long fold small. What was folded survives the young generation. It is collected only when V8
 * considers the old generation full, and V8 lets that grow with the memory of the machine. `--max-old-space-size`
 * would end the process instead of collecting harder, and has to be given to whoever starts it. Costs some 60 ms for
 * every 30,000 events.
 * @returns to be called now and then, between chunks.
 */
export function createHeapBound(
  usedBytes: () => number = () => v8.getHeapStatistics().used_heap_size,
  collect: () => void = collectAll,
): () => void {
  let limit = collectAtBytes
  return () => {
    if (usedBytes() < limit) return
    collect()
    limit = Math.max(collectAtBytes, usedBytes() * growth)
  }
}

let collectorOfV8: (() => void) | undefined
/** The collector is made when it is first needed: most passes over the log are short, and never do. */
const collectAll = () => (collectorOfV8 ??= collector())()

/** V8 hands out its collector to contexts that are made while the flag is set. */
function collector(): () => void {
  v8.setFlagsFromString('--expose-gc')
  const collect = vm.runInNewContext('gc') as () => void
  v8.setFlagsFromString('--no-expose-gc')
  return collect
}
