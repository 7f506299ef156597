import { cpSync, renameSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { startEventStore } from '../../../dev/eventstore/dist/index.js'
import { readLog } from '../check-log.mjs'

/** The log goes back: facts that were acknowledged since the copy are gone. @type {import('./steps.mjs').Step} */
export const eventLog = {
  says: 'the event log is restored from an older copy',
  choices: { relay: /./, projector: /accept-log/, query: /accept-log/, notifier: /accept-log/ },
  async copy({ stack }) {
    const data = folderOf(stack)
    const copy = `${data}-copy`
    rmSync(copy, { recursive: true, force: true })
    // As EventStoreDB is copied: its files, while nobody writes them.
    await stack.kill('eventstore', 'SIGTERM')
    const takenAt = Date.now()
    cpSync(data, copy, { recursive: true })
    await stack.restart('eventstore')
    return { copy, takenAt }
  },
  async setBack({ stack, load, aftermath }, { copy, takenAt }) {
    const data = folderOf(stack)
    const former = `${data}-former`
    rmSync(former, { recursive: true, force: true })
    await stack.kill('eventstore', 'SIGKILL')
    renameSync(data, former)
    renameSync(copy, data)
    const before = await logIn(former)
    // Nobody has been answered by the copy yet, which is what parts the acknowledged.
    const there = await logIn(data)
    load.logSetBack({ position: there.at(-1).position, takenAt })
    const kept = new Set(there.map(({ id }) => id))
    for (const event of before) if (!kept.has(event.id)) aftermath.gone.set(event.id, event)
    if (aftermath.gone.size === 0) throw new Error('the copy of the log is no older than the log')
    await stack.restart('eventstore')
  },
}

const folderOf = ({ profile }) => join(profile.data, 'eventstore')

/** What a data folder holds, read through a server of its own. */
async function logIn(dataDirectory) {
  const store = await startEventStore({ port: 0, dataDirectory })
  try {
    return await readLog(store.url)
  } finally {
    await store.close()
  }
}
