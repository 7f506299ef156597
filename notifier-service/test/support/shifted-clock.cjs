/** Loaded before a program (`node --require`): its clock runs CLOCK_SHIFT_MS ahead of the machine's, or behind when that is negative. */
const shift = Number(process.env.CLOCK_SHIFT_MS)
const Machine = Date
globalThis.Date = class extends Machine {
  constructor(...given) {
    if (given.length > 0) super(...given)
    else super(Machine.now() + shift)
  }
  static now() {
    return Machine.now() + shift
  }
}
