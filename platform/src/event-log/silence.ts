import type { StreamingRead } from '@eventstore/db-client'

/** The server has said nothing for as long as it may. */
export class Silent extends Error {
  override readonly name = 'Silent'
}

/** A short read to its end. The client gives reads no deadline of its own: a frozen server would hold them for ever. */
export async function* answered<T>(read: StreamingRead<T>, withinMs: number): AsyncGenerator<T> {
  const timer = setTimeout(() => {
    read.destroy(new Silent(`no answer within ${withinMs} ms`))
    void read.cancel()
  }, withinMs)
  try {
    yield* read
  } finally {
    clearTimeout(timer)
  }
}

/** What can be read on and given up. */
interface Events<T> extends AsyncIterable<T> {
  destroy(error: Error): unknown
}

/**
 * Hands on what comes, however slowly it is taken. When nothing has come for `quietMs` although it was waited for, `alive` is asked:
 * what it throws ends the read. A read of what is there has nothing to ask, and ends.
 */
export async function* whileAlive<T>(
  events: Events<T>,
  quietMs: number,
  alive?: () => Promise<unknown>,
): AsyncGenerator<T> {
  let timer: NodeJS.Timeout | undefined
  const wait = () => {
    timer = setTimeout(() => {
      if (!alive) return void events.destroy(new Silent(`nothing came within ${quietMs} ms`))
      const asked = timer
      alive().then(
        () => timer === asked && wait(),
        (error: Error) => timer === asked && events.destroy(new Silent('the server is silent', { cause: error })),
      )
    }, quietMs)
  }
  try {
    wait()
    for await (const event of events) {
      clearTimeout(timer)
      timer = undefined
      yield event
      wait()
    }
  } finally {
    clearTimeout(timer)
    timer = undefined
  }
}
