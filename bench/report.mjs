import { styleText } from 'node:util'
import { judge } from './marks.mjs'

const whole = (number) => Math.round(number).toLocaleString('en')
const share = (number) => `±${Math.round((number / 2) * 100)} %`

const microsText = (cpuMicros) =>
  Object.entries(cpuMicros)
    .slice(0, 7)
    .map(([name, micros]) => `${name} ${whole(micros)}`)
    .join(', ')

/** One line for each figure: title, value, what it is held beside. */
const lines = {
  relay: ({ perSecond, barePerSecond, ratio, twoRoutesPerSecond, twoRoutesOverOne, twoRoutesCpuMicros }) => [
    ['relay', `${whole(perSecond)} events/s`, `bare transactions ${whole(barePerSecond)}/s, ratio ${ratio.toFixed(2)}`],
    [
      '  in two routes',
      `${whole(twoRoutesPerSecond)} events/s`,
      `${twoRoutesOverOne.toFixed(2)} of one; CPU µs each: ${microsText(twoRoutesCpuMicros)}`,
    ],
  ],
  projection: ({ perSecond, foldedPerSecond, projections }) => [
    [
      'projection',
      `${whole(perSecond)} events/s`,
      `${projections} read models at once, ${whole(foldedPerSecond)} folds/s`,
    ],
  ],
  lanes: (figures) =>
    Object.entries(figures)
      .filter(([size]) => /^\d+$/.test(size))
      .map(([size, { perSecond, foldedPerSecond, commandCpuMicros, p99Ms }]) => [
        `a lane of ${size}`,
        `${whole(perSecond)} events/s`,
        `${whole(foldedPerSecond)} folds/s` +
          (commandCpuMicros
            ? `; at 100/s p99 ${whole(p99Ms)} ms, CPU µs a command: projector ${whole(commandCpuMicros.projector)}, ` +
              `postgres ${whole(commandCpuMicros.postgres)}`
            : ''),
      ]),
  weight: ({ eventBytes, logBytes, kafkaBytes, readModelBytes, subjectKeyBytes, bytesPerStream, models }) => [
    ['log', `${whole(logBytes)} bytes/event`, `${whole(eventBytes)} of them names, data and metadata`],
    ['topics', `${whole(kafkaBytes)} bytes/event`, 'records and batches, one replica, without indexes'],
    [
      'read models',
      `${whole(readModelBytes)} bytes/event`,
      `of published events; a subject key ${whole(subjectKeyBytes)}`,
    ],
    ['  the lane', `${whole(bytesPerStream)} bytes/stream`, 'for all read models together'],
    ...Object.entries(models).map(([name, { bytesPerRow, rows }]) => [
      `  ${name}`,
      `${whole(bytesPerRow)} bytes/row`,
      `${whole(rows)} rows`,
    ]),
  ],
  visible: ({ p50Ms, p99Ms, ackP50Ms, ackP99Ms, commands, lateP99Ms, at200, totalMicros }) => [
    ['ack to visible', `p50 ${whole(p50Ms)} ms`, `p99 ${whole(p99Ms)} ms, ${whole(commands)} commands`],
    ['  at 200/s', `p50 ${whole(at200.p50Ms)} ms`, `p99 ${whole(at200.p99Ms)} ms`],
    ['  CPU of all', `${whole(totalMicros)} µs`, 'for each command at 100/s, load process left out'],
    [
      '  of its commands',
      `p50 ${whole(ackP50Ms)} ms`,
      `p99 ${whole(ackP99Ms)} ms to the 201; load late p99 ${whole(lateP99Ms)} ms`,
    ],
  ],
  replay: (figures) => [
    [
      'replay',
      `${whole(figures.perSecond)} events/s`,
      `bare read ${whole(figures.barePerSecond)}/s ${share(figures.bareSpread)}, ratio ${figures.ratio.toFixed(2)}; ` +
        `${figures.seconds.toFixed(1)} s in all`,
    ],
    ...(figures.at5 ? longLines(figures) : []),
  ],
  login: ({ perSecond, bareBcryptPerSecond, ratio, spread }) => [
    [
      'logins',
      `${perSecond.toFixed(1)}/s ${share(spread)}`,
      `bare bcrypt ${bareBcryptPerSecond.toFixed(1)}/s, ratio ${ratio.toFixed(2)}`,
    ],
  ],
  sessionCheck: ({ perSecond, spread, p99MsDuringLoginStorm, loggedIn, refused, lateP99Ms }) => [
    ['session checks', `${whole(perSecond)}/s ${share(spread)}`, 'over 64 connections'],
    [
      '  in a storm',
      `p99 ${p99MsDuringLoginStorm.toFixed(1)} ms`,
      `${whole(loggedIn)} logged in, ${whole(refused)} refused with Retry-After; load late p99 ${lateP99Ms.toFixed(1)} ms`,
    ],
  ],
  refresh: ({ perSecond, spread }) => [['refreshes', `${whole(perSecond)}/s ${share(spread)}`, 'one append each']],
  commands: ({ perSecond, barePerSecond, ratio, spread, bareSpread }) => [
    [
      'commands',
      `${whole(perSecond)}/s ${share(spread)}`,
      `bare appends ${whole(barePerSecond)}/s ${share(bareSpread)}, ratio ${ratio.toFixed(2)}`,
    ],
  ],
}

function longLines(figures) {
  const { at5, events } = figures
  const lines = [
    [
      `  ${whole(at5.events)}`,
      `${whole(at5.perSecond)} events/s`,
      `bare read ${whole(at5.barePerSecond)}/s, ratio ${at5.ratio.toFixed(2)}; for each event ` +
        `${figures.costGrowth1to5M.toFixed(2)} times the time of ${whole(events)}, bare ${figures.bareCostGrowth1to5M.toFixed(2)}`,
    ],
    [
      '  at 100 commands/s',
      `p99 ${figures.queryP99BesideMs.toFixed(1)} ms`,
      `queries without it ${figures.queryP99Ms.toFixed(1)} ms ${share(figures.queryP99Spread)}; throttled to ` +
        `${whole(figures.throttle)}/s, ${figures.throttledSeconds.toFixed(0)} s long; load late p99 ${figures.lateP99Ms.toFixed(0)} ms`,
    ],
    ['  disk', `${figures.diskGb.toFixed(1)} GB`, 'log and read models at the end'],
  ]
  if (figures.emmettPerSecond === undefined) return lines
  const { emmettEvents, emmettRows, emmettRowsExpected, emmettRowsMissing, emmettRowsDifferent } = figures
  return [
    ...lines,
    [
      '  Emmett',
      `${whole(figures.emmettPerSecond)} events/s`,
      `${whole(emmettEvents)} events; ${figures.emmettComplete ? 'complete' : 'NOT complete'}: ${whole(emmettRows)} of ` +
        `${whole(emmettRowsExpected)} rows, ${whole(emmettRowsMissing)} missing, ${whole(emmettRowsDifferent)} different`,
    ],
  ]
}

/**
 * @param {Record<string, Record<string, number>>} figures by part
 * @param {Record<string, string | number>} machine
 * @returns {string} a few lines for people
 */
export function report(figures, machine) {
  const text = ['', styleText('bold', 'Figures')]
  for (const [part, lineOf] of Object.entries(lines)) {
    if (!figures[part]) continue
    for (const [title, value, beside] of lineOf(figures[part]))
      text.push(`  ${title.padEnd(18)} ${value.padStart(18)}   ${beside}`)
    const cpu = microsText(figures[part].cpuMicros ?? {})
    if (cpu !== '') text.push(`    CPU µs each: ${cpu}`)
  }
  text.push('', styleText('bold', 'Marks'))
  for (const { title, value, unit, least, digits = 0, reached, most, below } of judge(figures)) {
    const number = (n) => (digits > 0 ? n.toFixed(digits) : whole(n))
    const wanted =
      least !== undefined ? `≥ ${number(least)}` : below !== undefined ? `< ${number(below)}` : `≤ ${number(most)}`
    const word = reached ? styleText('green', 'reached') : styleText('red', 'missed ')
    text.push(`  ${word}  ${title.padEnd(26)} ${`${number(value)} ${unit}`.trimEnd().padStart(16)}   ${wanted}`)
  }
  text.push('', styleText('bold', 'Machine'))
  text.push(
    `  ${Object.entries(machine)
      .map(([name, value]) => `${name} ${value}`)
      .join(', ')}`,
  )
  return text.join('\n')
}
