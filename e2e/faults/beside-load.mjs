const sayEveryMs = 10_000

/**
 * Runs the load, and what does harm beside it; when one fails, the other ends too.
 *
 * @template T
 * @param {ReturnType<import('./load.mjs').createLoad>} load
 * @param {() => Promise<T>} work
 * @param {Pick<import('./run.mjs').Frame, 'say' | 'signal' | 'fail'> & { tell?: () => string }} frame `tell`: said beside how
 *   far the load has come
 * @returns {Promise<T>} what `work` resolved to, when both have ended
 */
export async function besideLoad(load, work, { say, signal, fail, tell }) {
  const telling = setInterval(() => {
    const more = tell ? `; ${tell()}` : ''
    say(
      `${load.acknowledged.length} commands acknowledged, ${load.counts.unanswered} requests without an answer${more}`,
    )
  }, sayEveryMs)
  try {
    const works = [work(), load.run()]
    for (const each of works) each.catch(fail)
    // Both, even after a failure: what is being started has to be there when everything is stopped.
    const [done] = await Promise.allSettled(works)
    signal.throwIfAborted()
    say(`${load.acknowledged.length} commands acknowledged`)
    return done.value
  } finally {
    clearInterval(telling)
  }
}
