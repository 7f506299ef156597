/**
 * Node's environment, in which a file of tests fails that leaves something open: a connection, a listener, a child process, a
 * timer. What is left open keeps a worker alive until Jest kills it, and works on while other files are tested.
 */
const { setTimeout: delay } = require('node:timers/promises')
const { TestEnvironment } = require('jest-environment-node')

/**
 * How long what was closed may take to be gone, in ms: sockets end after their last words, children after their signal. The option
 * `goneWithinMs` of the environment is taken instead where it is given.
 */
const goneWithinMsUsual = 5_000
const askEveryMs = 20

/** Kinds of what Node counts that pass by themselves: work under way, which keeps nothing open once it is done. */
const passing =
  /^(?:FSReq|GetAddrInfoReq|Immediate|TickObject|Microtask|WriteWrap|ShutdownWrap|TCPConnectWrap|PipeConnectWrap)/

/** @returns {Map<string, number>} how many there are of each kind of what keeps this process alive */
function openNow() {
  const counts = new Map()
  for (const kind of process.getActiveResourcesInfo())
    if (!passing.test(kind)) counts.set(kind, (counts.get(kind) ?? 0) + 1)
  return counts
}

/** @param {Map<string, number>} before @returns {string[]} what is open now and was not then, as `2 Timeout` */
function leftOpen(before) {
  return [...openNow()]
    .map(([kind, count]) => ({ kind, more: count - (before.get(kind) ?? 0) }))
    .filter(({ more }) => more > 0)
    .map(({ kind, more }) => `${more} ${kind}`)
}

/** @returns {string[]} what Node knows of the handles that are open: who is at their other end, or what runs */
function described() {
  // Undocumented, and the one way to tell which they are; without it the kinds have to do.
  const handles = process['_getActiveHandles']?.() ?? []
  return handles.flatMap((handle) => {
    if (handle.spawnargs) return [`process ${handle.pid}: ${handle.spawnargs.join(' ').slice(0, 200)}`]
    if (handle.remotePort) return [`connection to ${handle.remoteAddress}:${handle.remotePort}`]
    const address = handle.address?.()
    return address?.port ? [`port ${address.port}`] : []
  })
}

module.exports = class extends TestEnvironment {
  #before = new Map()
  #goneWithinMs

  constructor(config, context) {
    super(config, context)
    this.#goneWithinMs = config.projectConfig.testEnvironmentOptions.goneWithinMs ?? goneWithinMsUsual
  }

  /** Called for what happens to a file of tests; see jest-circus. */
  async handleTestEvent({ name }, state) {
    if (name === 'setup') this.#before = openNow()
    if (name !== 'run_finish') return
    const deadline = Date.now() + this.#goneWithinMs
    while (leftOpen(this.#before).length > 0 && Date.now() < deadline) await delay(askEveryMs)
    const left = leftOpen(this.#before)
    if (left.length === 0) return
    const lines = [`The file left open: ${left.join(', ')}.`, ...described().map((line) => `  ${line}`)]
    const error = new Error(
      `${lines.join('\n')}\nWhat a test opens it closes; \`--detectOpenHandles\` names the lines.`,
    )
    error.stack = error.message
    state.unhandledErrors.push(error)
  }
}
