/** Writes acknowledged within this time after a fault began are those whose readers are watched. */
const aroundMs = 2_000

/**
 * How long people waited because of each fault: until a command that was sent after it began was acknowledged, and until readers
 * saw what was written around it.
 *
 * @param {import('./outages.mjs').Outage[]} outages
 * @param {ReturnType<import('../load.mjs').createLoad>['timeline']} timeline
 * @returns {(import('./outages.mjs').Outage & { commandsAgainMs?: number, readsAgainMs?: number })[]} a time is missing where the
 *   load ended before it could be seen
 */
export function recoveryOf(outages, { commands, reads }) {
  return outages.map((outage) => {
    const after = commands.filter(({ askedAt }) => askedAt >= outage.at).map(({ answeredAt }) => answeredAt)
    const asked = reads.filter(({ askedAt }) => askedAt >= outage.at).sort((one, other) => one.askedAt - other.askedAt)
    const first = asked[0]?.askedAt
    const around = asked.filter(({ askedAt }) => askedAt <= Math.max(first, outage.at + aroundMs))
    return {
      ...outage,
      ...(after.length > 0 ? { commandsAgainMs: Math.min(...after) - outage.at } : {}),
      ...(around.length > 0
        ? { readsAgainMs: Math.max(...around.map(({ answeredAt }) => answeredAt)) - outage.at }
        : {}),
    }
  })
}

/** @param {number[]} values @returns {{ median: number, max: number }} 0 of none */
export function spread(values) {
  const sorted = values.toSorted((one, other) => one - other)
  return { median: sorted[Math.floor(sorted.length / 2)] ?? 0, max: sorted.at(-1) ?? 0 }
}
