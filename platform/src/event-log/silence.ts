import type { StreamingRead } from '@eventstore/db-client'

/** How long a stream, or the end of the log, may take to read; an aggregate's stream is a few events. */
const answerWithinMs = 5_000
/**
 * How long a long read, or a subscription that is being asked for, may say nothing while it is waited for. The client's
 * keepalive (a ping after 10 s, 10 s for its answer) finds a dead connection later, and can be switched off in the URL.
 */
const quietMsMax = 10_000

/** The server has said nothing for as long as it may. */
export class Silent extends Error {
  override readonly name = 'Silent'
}

/** A short read to its end. The client gives reads no deadline of its own: a frozen server would hold them for ever. */
export async function* answered<T>(read: StreamingRead<T>): AsyncGenerator<T> {
  const timer = setTimeout(() => {
    read.destroy(new Silent(`no answer within ${answerWithinMs} ms`))
    void read.cancel()
  }, answerWithinMs)
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
 * Hands on what comes, however slowly it is taken. When nothing has come for 10 s although it was waited for, `alive` is asked:
 * what it throws ends the read. A read of what is there has nothing to ask, and ends.
 */
export async function* whileAlive<T>(events: Events<T>, alive?: () => Promise<unknown>): AsyncGenerator<T> {
  let timer: NodeJS.Timeout | undefined
  const wait = () => {
    timer = setTimeout(() => {
      if (!alive) return void events.destroy(new Silent(`nothing came within ${quietMsMax} ms`))
      const asked = timer
      alive().then(
        () => timer === asked && wait(),
        (error: Error) => timer === asked && events.destroy(new Silent('the server is silent', { cause: error })),
      )
    }, quietMsMax)
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
