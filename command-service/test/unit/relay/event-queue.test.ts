import { describe, expect, it } from '@jest/globals'
import { EventQueue } from '../../../src/relay/event-queue'

const event = (position: number, bytes = 10) => ({
  position: BigInt(position),
  event: `e${position}`,
  createdAt: 0,
  readAt: performance.now(),
  bytes,
  record: { topic: 't', partition: 0, key: 'k', value: String(position), headers: {}, timestamp: '0' },
})

const values = (batch: Awaited<ReturnType<EventQueue['take']>>) =>
  batch && batch !== 'idle' ? batch.records.map(({ value }) => Number(value)) : batch

describe('the queue between log and Kafka', () => {
  it('hands out one event at once when nothing is under way', async () => {
    const queue = new EventQueue({ eventsMax: 10, bytesMax: 1_000 })
    const taken = queue.take(1_000)
    void queue.put(event(1))
    expect(values(await taken)).toEqual([1])
  })

  it('makes one batch of what has gathered, with the position of its last event', async () => {
    const queue = new EventQueue({ eventsMax: 3, bytesMax: 1_000 })
    for (const n of [1, 2, 3, 4]) void queue.put(event(n))
    expect(await queue.take(0)).toMatchObject({ position: 3n, event: 'e3' })
    expect(values(await queue.take(0))).toEqual([4])
  })

  it('bounds a batch by bytes, and takes an event that is larger than a batch alone', async () => {
    const queue = new EventQueue({ eventsMax: 10, bytesMax: 25 })
    for (const [n, bytes] of [
      [1, 10],
      [2, 10],
      [3, 10],
      [4, 100],
      [5, 10],
    ] as const)
      void queue.put(event(n, bytes))
    expect(values(await queue.take(0))).toEqual([1, 2])
    expect(values(await queue.take(0))).toEqual([3])
    expect(values(await queue.take(0))).toEqual([4])
    expect(values(await queue.take(0))).toEqual([5])
  })

  it('makes the reader wait when two batches are queued, until one is taken', async () => {
    const queue = new EventQueue({ eventsMax: 2, bytesMax: 1_000 })
    for (const n of [1, 2, 3]) await queue.put(event(n))
    let released = false
    const fourth = queue.put(event(4)).then(() => (released = true))
    await Promise.resolve()
    expect(released).toBe(false)
    await queue.take(0)
    await fourth
    expect(released).toBe(true)
  })

  it('says that it is idle when nothing comes', async () => {
    expect(await new EventQueue({ eventsMax: 2, bytesMax: 100 }).take(5)).toBe('idle')
  })

  it('gathers until a batch is due, and not for one that is full, or the last', async () => {
    const dueAt = ({ readAt }: { readAt: number }) => readAt + 30
    const queue = new EventQueue({ eventsMax: 3, bytesMax: 1_000 })
    const began = performance.now()
    const due = queue.take(1_000, dueAt)
    void queue.put(event(1))
    void queue.put(event(2))
    expect(values(await due)).toEqual([1, 2])
    expect(performance.now() - began).toBeGreaterThanOrEqual(28)

    const never = () => performance.now() + 60_000
    const full = queue.take(1_000, never)
    for (const n of [3, 4, 5, 6]) void queue.put(event(n))
    expect(values(await full)).toEqual([3, 4, 5])
    const last = queue.take(1_000, never)
    queue.end()
    expect(values(await last)).toEqual([6])
  })

  it('hands out the rest after its end, then nothing, and keeps no reader waiting', async () => {
    const queue = new EventQueue({ eventsMax: 1, bytesMax: 1_000 })
    void queue.put(event(1))
    const waiting = queue.put(event(2))
    queue.end()
    await waiting
    expect(values(await queue.take(0))).toEqual([1])
    expect(values(await queue.take(0))).toEqual([2])
    expect(await queue.take(0)).toBeUndefined()
    expect(await queue.take(1_000)).toBeUndefined()
  })
})
