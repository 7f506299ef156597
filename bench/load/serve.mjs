/**
 * One load process: its work is a module, its orders come over Node's IPC, one at a time. A load runs in a process of its own
 * so that neither side's event loop is measured with the other's; it stays alive between phases so that each meets warm code.
 *
 * @param {Record<string, (order: any) => Promise<unknown>>} handlers by name; an answer has to survive structured cloning
 */
export function serve(handlers) {
  process.on('message', async ({ name, order }) => {
    try {
      const before = process.cpuUsage()
      const answer = await handlers[name](order)
      const { user, system } = process.cpuUsage(before)
      process.send({ answer, cpuSeconds: (user + system) / 1e6 })
    } catch (error) {
      process.send({ failure: error instanceof Error ? (error.stack ?? error.message) : String(error) })
    }
  })
  // The bench has ended, in whatever way: nothing is left to measure for.
  process.on('disconnect', () => process.exit(0))
}
