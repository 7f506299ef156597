import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { createServer, type AddressInfo } from 'node:net'
import { join } from 'node:path'
import { afterEach, describe, expect, it, jest } from '@jest/globals'
import { eventually, typescriptProcess } from '@annals/platform/testing'

jest.setTimeout(30_000)

const opened: (() => unknown)[] = []
afterEach(async () => {
  for (const close of opened.splice(0).reverse()) await close()
})

const good = { SECRET: Buffer.alloc(32, 7).toString('base64'), URL: 'postgres://u:p@host/d' }

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  await new Promise((resolve) => server.close(resolve))
  return port
}

interface Line {
  msg: string
  level: string
  resource?: string
}

/** Starts a process; `wait` resolves when `start` has been called and waits for SIGUSR2. */
async function run(how: string, given: Record<string, string> = {}) {
  const port = Number(given['OPERATIONS_PORT'] ?? (await freePort()))
  const env = { PATH: process.env['PATH'], ...good, OPERATIONS_PORT: String(port), ...given }
  const child: ChildProcess = spawn(
    process.execPath,
    typescriptProcess(join(__dirname, 'run-process-process.ts'), how),
    {
      env,
    },
  )
  opened.push(() => child.kill('SIGKILL'))
  let out = ''
  let complaint = ''
  child.stdout!.on('data', (chunk) => (out += String(chunk)))
  child.stderr!.on('data', (chunk) => (complaint += String(chunk)))
  const closed = once(child, 'close') as Promise<[number | null, string | null]>
  const lines = () =>
    out
      .split('\n')
      .filter(Boolean)
      .map((line) => JSON.parse(line) as Line)
  const says = (msg: string) => eventually(() => expect(lines().map((line) => line.msg)).toContain(msg))
  return {
    child,
    lines,
    says,
    complaint: () => complaint,
    async ended() {
      const [code, signal] = await closed
      return code ?? signal
    },
    async ask(path: string) {
      const response = await fetch(`http://127.0.0.1:${port}${path}`)
      const text = await response.text()
      return { status: response.status, text }
    },
  }
}

const msgsOfClosing = (lines: readonly Line[]) =>
  lines.flatMap(({ msg, resource }) => (resource === undefined ? [] : [`${resource}: ${msg}`]))

describe('a process', () => {
  it('answers that it lives while it starts, and that it is ready when it has started', async () => {
    const running = await run('serves')
    await running.says('waits')
    expect((await running.ask('/healthz')).status).toBe(200)
    const starting = await running.ask('/readyz')
    expect([starting.status, JSON.parse(starting.text)]).toEqual([
      503,
      { status: 'not-ready', checks: { started: 'failed', dependency: 'ok' } },
    ])
    running.child.kill('SIGUSR2')
    await running.says('started')
    expect((await running.ask('/readyz')).status).toBe(200)

    running.child.kill('SIGUSR1')
    await eventually(async () => expect((await running.ask('/readyz')).status).toBe(503))
    expect((await running.ask('/healthz')).status).toBe(200)
    const { text } = await running.ask('/metrics')
    expect(text.match(/^annals_process_ready.*$/gm)).toEqual([
      'annals_process_ready{check="started",service="test-service"} 1',
      'annals_process_ready{check="dependency",service="test-service"} 0',
    ])
    expect(text).toMatch(/^process_cpu_seconds_total\{service="test-service"\} /m)
  })

  it.each(['SIGTERM', 'SIGINT'] as const)(
    'closes in reverse order on %s, what fails among it, and ends with 0',
    async (signal) => {
      const running = await run('serves')
      await running.says('waits')
      running.child.kill('SIGUSR2')
      await running.says('started')
      running.child.kill(signal)
      expect(await running.ended()).toBe(0)
      expect(msgsOfClosing(running.lines())).toEqual(['third: closed', 'second: could not be closed', 'first: closed'])
      expect(running.lines().at(-1)!.msg).toBe('stopped')
    },
  )

  it('ends in order with 0 when its work is done', async () => {
    const running = await run('finishes')
    await running.says('waits')
    running.child.kill('SIGUSR2')
    expect(await running.ended()).toBe(0)
    expect(msgsOfClosing(running.lines())).toContain('first: closed')
  })

  it.each(['cannot-start', 'fatal', 'throws'])('ends in order with 1: %s', async (how) => {
    const running = await run(how)
    await running.says('waits')
    running.child.kill('SIGUSR2')
    expect(await running.ended()).toBe(1)
    expect(running.lines().filter(({ level }) => level === 'fatal')).toHaveLength(1)
    expect(msgsOfClosing(running.lines())).toEqual(['third: closed', 'second: could not be closed', 'first: closed'])
  })

  it('tells every fault of its configuration at once, no value, and ends with 1 before it opens anything', async () => {
    const running = await run('serves', { SECRET: 'c2hvcnQ=', URL: 'http://hidden@host', LOG_LEVEL: 'loud' })
    expect(await running.ended()).toBe(1)
    expect(running.lines()).toEqual([])
    for (const name of ['SECRET', 'URL', 'LOG_LEVEL']) expect(running.complaint()).toContain(`  ${name}: `)
    for (const value of ['c2hvcnQ=', 'hidden', 'loud']) expect(running.complaint()).not.toContain(value)
  })

  it('ends with 1 when another has its port for operations', async () => {
    const server = createServer().listen(0, '127.0.0.1')
    await once(server, 'listening')
    opened.push(() => server.close())
    const running = await run('serves', { OPERATIONS_PORT: String((server.address() as AddressInfo).port) })
    expect(await running.ended()).toBe(1)
    expect(running.lines().map(({ msg }) => msg)).not.toContain('waits')
  })
})
