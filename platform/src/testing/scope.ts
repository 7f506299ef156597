import type { afterAll, afterEach, beforeEach } from '@jest/globals'
import type { TopicSpec } from '../kafka'
import { openDatabase, type DatabaseRecipe, type TestDatabase } from './database'
import { startTestEventStore, type TestEventStore } from './event-store'
import { startTestProcess, type ProcessOptions, type TestProcess } from './process'
import { openTopics } from './topics'

interface JestGlobals {
  afterAll: typeof afterAll
  afterEach: typeof afterEach
  beforeEach: typeof beforeEach
}

/** One resource may take as long to close, in ms: a process that has to be killed, a database whose sessions are ended. */
const closeMsMax = 20_000

/**
 * What tests have opened. It is closed in reverse order, each thing once, whatever becomes of the test. What could not be
 * closed fails the test or, of a scope of the whole file, the file. A test that leaves open what it never gave to a scope is
 * found by the environment that Jest runs it in (`dev/jest/environment.cjs`).
 */
export class TestScope {
  #closers: { what: string; close: () => unknown }[] = []
  #isOver = false

  /**
   * Keeps a resource until the scope ends.
   * @throws Error when it has ended, as of a test that failed meanwhile: what comes too late is closed at once.
   */
  add<T>(resource: T, close: (resource: T) => unknown): T {
    this.onEnd(() => close(resource), nameOf(resource))
    return resource
  }

  /** @param close is called when the scope ends. @param what it closes, for an error's text. */
  onEnd(close: () => unknown, what = 'what a test opened'): void {
    if (this.#isOver) {
      void Promise.resolve(close()).catch(() => undefined)
      throw new Error('the test is over')
    }
    this.#closers.push({ what, close })
  }

  /** A database of the test's own, migrated: a copy of a template that is migrated once. */
  database(recipe: DatabaseRecipe): Promise<TestDatabase> {
    return openDatabase(this, recipe)
  }

  /** Topics that are deleted in the end, and with them what groups have committed on them. Their names have to be the test's own. */
  topics(specs: readonly TopicSpec[]): Promise<void> {
    return openTopics(this, specs)
  }

  /** An event store of the test's own. @param args more arguments of the server, as its `--max-append-size`. */
  async eventStore(args: readonly string[] = []): Promise<TestEventStore> {
    return this.add(await startTestEventStore(args), (store) => store.remove())
  }

  /** A program of Node's, killed in the end if it still runs. @param args of `node`. */
  process(args: readonly string[], options: ProcessOptions = {}): TestProcess {
    return startTestProcess(this, args, options)
  }

  /** A new test begins: the scope takes resources again. */
  reopen(): void {
    this.#isOver = false
  }

  /** @throws AggregateError of what could not be closed; the rest is closed all the same. */
  async close(): Promise<void> {
    this.#isOver = true
    const faults: Error[] = []
    for (const { what, close } of this.#closers.splice(0).reverse()) {
      try {
        await inTime(close, what)
      } catch (error) {
        faults.push(new Error(`${what} could not be closed: ${error instanceof Error ? error.message : error}`))
      }
    }
    if (faults.length > 0) throw new AggregateError(faults, faults.map(({ message }) => message).join('; '))
  }
}

/**
 * The scope of each test of a file in turn, or of all of them together. Called at the file's top level, before any hook of the file: hooks
 * run in the order in which they are declared.
 */
export function testScope(of: 'each-test' | 'file' = 'each-test'): TestScope {
  const scope = new TestScope()
  // Jest's own, which are global in a file of tests and can not be imported anywhere else; programs import this folder as well.
  const { afterAll, afterEach, beforeEach } = globalThis as unknown as JestGlobals
  const close = () => scope.close()
  const hookMsMax = 3 * closeMsMax
  if (of === 'file') afterAll(close, hookMsMax)
  else {
    beforeEach(() => scope.reopen())
    afterEach(close, hookMsMax)
  }
  return scope
}

async function inTime(close: () => unknown, what: string): Promise<void> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what} took more than ${closeMsMax} ms to close`)), closeMsMax)
  })
  try {
    await Promise.race([close(), late])
  } finally {
    clearTimeout(timer)
  }
}

const nameOf = (resource: unknown): string =>
  resource !== null && typeof resource === 'object' && resource.constructor.name !== 'Object'
    ? resource.constructor.name
    : 'what a test opened'
