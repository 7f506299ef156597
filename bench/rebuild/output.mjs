/** @param {string} output of the CLI without a terminal @returns {number[]} how long each swap kept projectors waiting */
export const swapLockMsOf = (output) =>
  [...output.matchAll(/projectors waited ([\d.,]+) ms/g)].map(([, ms]) => Number(ms.replaceAll(',', '')))
