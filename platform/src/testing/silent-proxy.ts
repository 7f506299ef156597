import { connect, createServer, type AddressInfo, type Socket } from 'node:net'

/** Whose words are lost on the way. `answers`: the server hears and does what it is asked, and nobody is told. */
export type Silence = 'both' | 'answers' | 'requests'

/**
 * Stands between a process and a server, and can fall silent as a network does: nothing is closed, nothing is refused, nothing
 * arrives. Whoever closes a connection then is not heard either.
 */
export interface SilentProxy {
  host: string
  port: number
  /** Connections that were ever made. */
  readonly accepted: number
  /**
   * From now on nothing is forwarded.
   * @param which `established`: those that are there are dead for ever, as after a failover; new ones work. `new`: those that are
   *   made from now on. Default: all.
   */
  silence(which?: 'all' | 'established' | 'new', what?: Silence): void
  /** Forwards again, what was held back first; what is dead stays so. */
  restore(): void
  close(): Promise<void>
}

interface Link {
  client: Socket
  /** Not there while a connection is silent that was made so. */
  server: Socket | undefined
  silent: Silence | undefined
  isDead: boolean
  /** Sockets whose words are forwarded: piped once, or they would arrive twice. */
  heard: Set<Socket>
}

/** @param port to listen at on 127.0.0.1; 0: a free one. */
export async function startSilentProxy(target: { host: string; port: number }, port = 0): Promise<SilentProxy> {
  const links = new Set<Link>()
  let silentNew: Silence | undefined
  let accepted = 0

  function forward({ heard }: Link, from: Socket, to: Socket, silent: boolean): void {
    if (heard.has(from) !== silent) return
    // Without a reader a socket is paused: the other side's window fills, and no end is seen.
    if (silent) from.unpipe(to)
    else from.pipe(to)
    if (silent) heard.delete(from)
    else heard.add(from)
  }

  function apply(link: Link): void {
    const { client, silent } = link
    if (!link.server) {
      if (silent === 'both') return
      link.server = connect({ ...target, allowHalfOpen: true })
      watch(link, link.server, client)
    }
    forward(link, client, link.server, silent === 'both' || silent === 'requests')
    forward(link, link.server, client, silent === 'both' || silent === 'answers')
  }

  function watch(link: Link, socket: Socket, other: Socket | undefined): void {
    socket.setNoDelay(true)
    socket.on('error', () => undefined)
    socket.once('close', () => {
      links.delete(link)
      ;(other ?? link.server)?.destroy()
    })
  }

  const listener = createServer({ allowHalfOpen: true, pauseOnConnect: true }, (client) => {
    accepted++
    const link: Link = { client, server: undefined, silent: silentNew, isDead: false, heard: new Set() }
    links.add(link)
    watch(link, client, undefined)
    apply(link)
  })
  await new Promise<void>((resolve, reject) => listener.once('error', reject).listen(port, '127.0.0.1', resolve))

  return {
    host: '127.0.0.1',
    port: (listener.address() as AddressInfo).port,
    get accepted() {
      return accepted
    },
    silence(which = 'all', what = 'both') {
      if (which !== 'established') silentNew = what
      if (which === 'new') return
      for (const link of links) {
        if (link.isDead) continue
        link.silent = what
        link.isDead = which === 'established'
        apply(link)
      }
    },
    restore() {
      silentNew = undefined
      for (const link of links) {
        if (link.isDead) continue
        link.silent = undefined
        apply(link)
      }
    },
    async close() {
      const closed = new Promise<void>((resolve) => listener.close(() => resolve()))
      for (const { client, server } of [...links]) {
        client.destroy()
        server?.destroy()
      }
      await closed
    },
  }
}

/** A URL's server behind a proxy. */
export async function proxyOf(url: string, defaultPort: number): Promise<SilentProxy & { url: string }> {
  const target = new URL(url)
  const proxy = await startSilentProxy({ host: target.hostname, port: Number(target.port) || defaultPort })
  target.host = `${proxy.host}:${proxy.port}`
  // Spread would read the counter once.
  return Object.assign(proxy, { url: target.href })
}
