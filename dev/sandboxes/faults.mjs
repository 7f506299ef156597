/**
 * A fault that the next messages of a sandbox meet, counted down message by message.
 *
 * @typedef {object} Behaviour
 * @property {string} fault
 * @property {number} count messages still to meet it
 * @property {string} [to] only messages to this recipient
 */
export class FaultSwitch {
  /** @type {Behaviour | undefined} */
  #behaviour

  /** @param {Behaviour | undefined} behaviour undefined: work as usual */
  set(behaviour) {
    this.#behaviour = behaviour && { ...behaviour }
  }

  /** @returns {{ fault: string | null, count: number, to?: string }} what still lies ahead */
  get() {
    return this.#behaviour ?? { fault: null, count: 0 }
  }

  /**
   * @param {string[]} recipients
   * @param {(fault: string) => boolean} [applies] faults that belong to this stage of the conversation
   * @returns {string | undefined} the fault this message meets now; it counts as met
   */
  next(recipients, applies = () => true) {
    const behaviour = this.#behaviour
    if (!behaviour || !applies(behaviour.fault)) return undefined
    const { to } = behaviour
    if (to !== undefined && !recipients.some((each) => each.toLowerCase() === to.toLowerCase())) return undefined
    behaviour.count -= 1
    if (behaviour.count === 0) this.#behaviour = undefined
    return behaviour.fault
  }
}
