/** What one call does for several callers. */
interface Waiting<Item, Result> {
  item: Item
  resolve(result: Result): void
  reject(error: unknown): void
}

/** Runs at a time: while one waits for the database, the other computes. */
const runsMax = 2

/**
 * Puts together what is asked for at about the same time: whoever comes while a run is under way goes into the next one. A second run
 * begins beside the first only when there is enough for it: at a low rate one that gathers costs less than two.
 * @param run does the work of some items, and answers in their order. Items of the same kind are never together or at the same time as long
 *   as their callers wait for the answer before they ask again.
 * @param sizeMax of one run; a single item may be larger.
 */
export function createCombiner<Item, Result>(
  run: (items: readonly Item[]) => Promise<readonly Result[]>,
  { sizeOf, sizeMax }: { sizeOf: (item: Item) => number; sizeMax: number },
): (item: Item) => Promise<Result> {
  const waiting: Waiting<Item, Result>[] = []
  let runs = 0
  let isDue = false

  function take(): Waiting<Item, Result>[] {
    const taken: Waiting<Item, Result>[] = []
    let size = 0
    while (waiting[0] && (taken.length === 0 || size + sizeOf(waiting[0].item) <= sizeMax)) {
      const one = waiting.shift()!
      size += sizeOf(one.item)
      taken.push(one)
    }
    return taken
  }

  async function runOne(): Promise<void> {
    runs++
    const taken = take()
    try {
      const results = await run(taken.map(({ item }) => item))
      for (const [i, { resolve }] of taken.entries()) resolve(results[i]!)
    } catch (error) {
      if (taken.length === 1) taken[0]!.reject(error)
      // One of them may be at fault: the others need not fail with it.
      else for (const one of taken) await run([one.item]).then(([result]) => one.resolve(result!), one.reject)
    } finally {
      runs--
      begin()
    }
  }

  function begin(): void {
    const size = waiting.reduce((sum, { item }) => sum + sizeOf(item), 0)
    while (waiting.length > 0 && runs < (size >= sizeMax ? runsMax : 1)) void runOne()
  }

  return (item) =>
    new Promise((resolve, reject) => {
      waiting.push({ item, resolve, reject })
      if (isDue) return
      isDue = true
      // What is fetched together is handed over in the same turn of the event loop.
      setImmediate(() => {
        isDue = false
        begin()
      })
    })
}
