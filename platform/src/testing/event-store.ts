import { spawn, type ChildProcess } from 'node:child_process'
import { cpSync, existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { createInterface } from 'node:readline'

const main = path.join(__dirname, '../../../dev/eventstore/dist/main.js')

/** An event store of the test's own, which it may stop, freeze and kill. It keeps its port and its data. */
export interface TestEventStore {
  url: string
  /** As `kill -9` does. */
  kill(): Promise<void>
  freeze(): void
  thaw(): void
  start(): Promise<void>
  /** Copies its data, as a backup does; it is stopped for the moment. @returns the backup, for `putBack` */
  backUp(): Promise<string>
  /** Goes back to a backup, or to an empty log, as a restore does. */
  putBack(backup: string | 'nothing'): Promise<void>
  remove(): Promise<void>
}

/** @param args more arguments of the server, as its `--max-append-size`. */
export async function startTestEventStore(args: readonly string[] = []): Promise<TestEventStore> {
  if (!existsSync(main)) throw new Error(`${main} is missing: npm run build`)
  const data = mkdtempSync(path.join(tmpdir(), 'annals-eventstore-'))
  let child: ChildProcess | undefined
  const backups: string[] = []
  let port = 0

  async function start() {
    const started = spawn(process.execPath, [main, '--data', data, '--port', String(port), ...args], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    child = started
    for await (const line of createInterface({ input: started.stdout! })) {
      const said = JSON.parse(line) as { port?: number }
      if (said.port) {
        port = said.port
        started.stdout!.resume()
        return
      }
    }
    throw new Error('the event store ended before it was ready')
  }
  async function kill() {
    const running = child
    if (!running || running.exitCode !== null || running.signalCode !== null) return
    const exited = new Promise((resolve) => running.once('exit', resolve))
    running.kill('SIGKILL')
    await exited
  }

  await start()
  return {
    url: `esdb://127.0.0.1:${port}?tls=false`,
    kill,
    freeze: () => void child?.kill('SIGSTOP'),
    thaw: () => void child?.kill('SIGCONT'),
    start,
    async backUp() {
      await kill()
      const backup = mkdtempSync(path.join(tmpdir(), 'annals-eventstore-backup-'))
      backups.push(backup)
      cpSync(data, backup, { recursive: true })
      await start()
      return backup
    },
    async putBack(backup) {
      await kill()
      rmSync(data, { recursive: true, force: true })
      if (backup !== 'nothing') cpSync(backup, data, { recursive: true })
      await start()
    },
    async remove() {
      await kill()
      for (const folder of [data, ...backups]) rmSync(folder, { recursive: true, force: true })
    },
  }
}
