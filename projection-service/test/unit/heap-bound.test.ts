import { describe, expect, it } from '@jest/globals'
import { createHeapBound } from '../../src/replay/fold/heap-bound'

const MB = 1024 * 1024

describe('the bound of the heap', () => {
  it('collects when it is reached, and not before', () => {
    const heap = { used: 100 * MB, collected: 0 }
    const bound = createHeapBound(
      () => heap.used,
      () => {
        heap.collected += 1
        heap.used = 50 * MB
      },
    )
    bound()
    expect(heap.collected).toBe(0)
    heap.used = 150 * MB
    bound()
    bound()
    expect(heap.collected).toBe(1)
  })

  it('does not collect all the time where that much is alive', () => {
    const heap = { used: 200 * MB, collected: 0 }
    const bound = createHeapBound(
      () => heap.used,
      () => {
        heap.collected += 1
      },
    )
    for (let i = 0; i < 10; i++) bound()
    expect(heap.collected).toBe(1)
    heap.used = 301 * MB
    bound()
    expect(heap.collected).toBe(2)
  })

  it('really collects', () => {
    const garbage = { all: Array.from({ length: 200_000 }, (_, i) => ({ i, text: `${i}` })) }
    let used = 150 * MB
    const bound = createHeapBound(() => used)
    const dead = new WeakRef(garbage.all)
    garbage.all = []
    return new Promise<void>((resolve) => {
      // A WeakRef keeps its target to the end of the turn it was made in.
      setImmediate(() => {
        bound()
        used = 0
        expect(dead.deref()).toBeUndefined()
        resolve()
      })
    })
  })
})
