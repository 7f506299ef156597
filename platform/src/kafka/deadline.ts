/** Something did not end in time. It may still go on, and nobody waits for it. */
export class Overdue extends Error {
  override readonly name = 'Overdue'
  /** kafkajs: not to be tried again under the same membership. */
  readonly retriable = false
}

/**
 * Waits for `work`, at most so long.
 * @param ms `Infinity`: for ever.
 * @param what as in "took more than 60 s …".
 * @throws Overdue
 */
export async function withDeadline<T>(ms: number, what: string, work: () => Promise<T>): Promise<T> {
  if (!Number.isFinite(ms)) return work()
  let timer: NodeJS.Timeout | undefined
  const overdue = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Overdue(`took more than ${ms / 1_000} s ${what}`)), ms)
  })
  try {
    return await Promise.race([work(), overdue])
  } finally {
    clearTimeout(timer)
  }
}
