import type { Logger } from 'pino'

/** What a process has opened. Closed in reverse order, each once, one after the other. */
export class Scope {
  readonly #closers: { name: string; close: () => unknown }[] = []
  #closing: Promise<void> | undefined

  constructor(private readonly log: Logger) {}

  /** Keeps a resource until the scope closes. */
  add<Resource>(name: string, resource: Resource, close: (resource: Resource) => unknown): Resource {
    this.#closers.push({ name, close: () => close(resource) })
    return resource
  }

  /** Never throws: what fails to close is logged, and the rest is closed all the same. */
  close(): Promise<void> {
    this.#closing ??= (async () => {
      for (const { name, close } of this.#closers.reverse()) {
        try {
          await close()
        } catch (error) {
          this.log.warn({ err: error, resource: name }, 'could not be closed')
        }
      }
    })()
    return this.#closing
  }
}
