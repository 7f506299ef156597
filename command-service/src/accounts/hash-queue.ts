import { Overloaded } from '../core/faults'

/** What somebody gives a password for, and waits. */
export type PasswordPurpose = 'login' | 'registration'

/** What a hash is computed for. Each purpose has a queue of its own, so that none of them can take the others away. */
export type HashPurpose = PasswordPurpose | 'rehash'

/** For what, and for whom. `client`: what counts as one client, see `networkOf`. */
export interface HashPlace {
  purpose: HashPurpose
  client: string
}

/**
 * A place for work that takes a core for a quarter of a second: few jobs run, some wait, the rest is refused. Purposes
 * take turns, and so do the clients of a purpose; a rehash, for which nobody waits, begins when nothing else waits. A full
 * queue is shared: a client who has fewer jobs in it takes the place of the last job of the client who has most.
 */
export interface HashQueue {
  /** @throws Overloaded when a job would be refused now. */
  admit(place: HashPlace): void
  /** @throws Overloaded when it is refused at once, or loses its place later: the job has not begun then. */
  inTurn<T>(place: HashPlace, job: () => Promise<T>): Promise<T>
  /** Refuses the jobs of a purpose that wait. */
  dismiss(purpose: HashPurpose): void
  /** Running and waiting. */
  readonly load: number
}

export interface HashQueueOptions {
  /** Jobs at a time. */
  concurrency: number
  /** Jobs of a purpose that may wait. */
  queueMax: number
  /** How long a job runs, about. */
  jobSeconds: number
}

interface Waiting {
  start: () => void
  refuse: (error: Overloaded) => void
}

interface Queue {
  /** Jobs by client; the client whose turn is next comes first. */
  clients: Map<string, Waiting[]>
  size: number
}

export function createHashQueue({ concurrency, queueMax, jobSeconds }: HashQueueOptions): HashQueue {
  const emptyQueue = (): Queue => ({ clients: new Map(), size: 0 })
  const queues: Record<HashPurpose, Queue> = {
    login: emptyQueue(),
    registration: emptyQueue(),
    rehash: emptyQueue(),
  }
  /** The purpose whose turn is next comes first. */
  const turns: PasswordPurpose[] = ['login', 'registration']
  let running = 0

  /** For which somebody waits. */
  const awaited = () => queues.login.size + queues.registration.size

  /** About as long as the queue lasts. */
  const overloaded = () =>
    new Overloaded('passwords', Math.max(1, Math.ceil(((awaited() + running) / concurrency) * jobSeconds)))

  /** @returns the client with most jobs in a queue, and how many these are. */
  function heaviest({ clients }: Queue): { client: string; jobs: number } {
    let found = { client: '', jobs: 0 }
    for (const [client, { length }] of clients) if (length > found.jobs) found = { client, jobs: length }
    return found
  }

  const hasPlace = (queue: Queue, client: string) =>
    queue.size < queueMax || (queue.clients.get(client)?.length ?? 0) + 1 < heaviest(queue).jobs

  function enter(queue: Queue, client: string, job: Waiting): void {
    if (queue.size >= queueMax) {
      // It has two jobs at least, so it stays.
      queue.clients.get(heaviest(queue).client)!.pop()!.refuse(overloaded())
      queue.size--
    }
    const jobs = queue.clients.get(client)
    if (jobs) jobs.push(job)
    else queue.clients.set(client, [job])
    queue.size++
  }

  /** @returns the job whose turn it is; `undefined`: none waits. */
  function next(): Waiting | undefined {
    const purpose = turns.find((some) => queues[some].size > 0)
    if (purpose !== undefined) turns.push(...turns.splice(turns.indexOf(purpose), 1))
    const queue = queues[purpose ?? 'rehash']
    if (queue.size === 0) return undefined
    const [[client, jobs]] = queue.clients as unknown as [[string, Waiting[]]]
    const job = jobs.shift()
    queue.clients.delete(client)
    // Behind the others: it has had its turn.
    if (jobs.length > 0) queue.clients.set(client, jobs)
    queue.size--
    return job
  }

  function admit({ purpose, client }: HashPlace): void {
    if (running >= concurrency && !hasPlace(queues[purpose], client)) throw overloaded()
  }

  return {
    admit,
    async inTurn(place, job) {
      admit(place)
      if (running < concurrency) running++
      else
        await new Promise<void>((resolve, reject) =>
          enter(queues[place.purpose], place.client, { start: resolve, refuse: reject }),
        )
      try {
        return await job()
      } finally {
        // The place is handed on: nobody can come between.
        const following = next()
        if (following) following.start()
        else running--
      }
    },
    dismiss(purpose) {
      for (const jobs of queues[purpose].clients.values()) for (const { refuse } of jobs) refuse(overloaded())
      queues[purpose] = emptyQueue()
    },
    get load() {
      return running + awaited() + queues.rehash.size
    },
  }
}
