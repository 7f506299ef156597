import { followPass, type PassProgress } from './pass-progress'
import { createRate } from './rate'
import type { Reporter } from './reporter'
import type { RebuildStage } from '../rebuild/rebuild-state'
import { againText, counted, duration, grouped } from './words'

export interface Output {
  /** A line can be painted over. */
  isTTY: boolean
  /** Width of the terminal; 80 where there is none. */
  columns?: number | undefined
  write(text: string): void
}

const stageText: Record<RebuildStage | 'verified', string> = {
  prepared: 'prepared an empty shadow',
  folding: 'folding the log',
  'catching-up': 'catching up with newer events',
  indexing: 'making indexes',
  verifying: 'comparing with the live read model',
  swapping: 'equal; swapping it in',
  live: 'live',
  aborted: 'aborted',
  verified: 'live and rebuilt differ',
}

/** Streams that were passed over and are named. */
const passedOverMax = 20

/** Without a terminal a line is written this often, in ms; on one it is painted anew. */
const lineEveryMs = 2_000
const paintEveryMs = 200
/** Of a bar, in characters: there is none where it would be shorter. */
const barMin = 8
const barMax = 24

/** Tells people: one line that is painted over, within the width of the terminal; plain lines elsewhere. */
export function createProgress(output: Output, now = () => performance.now(), clock = Date.now): Reporter {
  let follow: ReturnType<typeof followPass> | undefined
  let rate: ReturnType<typeof createRate> | undefined
  let toldMs = now()
  let isPainted = false

  const wipe = () => {
    if (isPainted) output.write('\r\u001B[2K')
    isPainted = false
  }
  const line = (text: string) => {
    wipe()
    output.write(`${text}\n`)
  }
  const isDue = () => {
    if (now() - toldMs < (output.isTTY ? paintEveryMs : lineEveryMs)) return false
    toldMs = now()
    return true
  }
  const tell = (text: string) => {
    if (!output.isTTY) return line(text)
    wipe()
    // One column stays free: in the last one some terminals begin a new line.
    output.write(text.slice(0, (output.columns ?? 80) - 1))
    isPainted = true
  }

  return {
    stage(projection, stage, facts = {}) {
      follow = undefined
      if (stage === 'verifying' && Object.keys(facts).length > 0) return
      line(`${projection.padEnd(16)} ${stageDetail(stage, facts)}`)
    },

    progress(step) {
      follow ??= followPass(now, clock)
      const passed = follow(step)
      if (isDue()) tell(progressText(passed, output))
    },

    gone(_, events) {
      rate ??= createRate(now)
      const { perSecond } = rate(events, 0)
      if (isDue()) tell(`  ${grouped(events)} events  ${grouped(Math.round(perSecond))}/s`)
    },

    done({ snapshot, results, passedOver = [], seconds, isSwapped }) {
      const events = Math.max(0, ...results.map((one) => one.events))
      if (snapshot !== undefined) {
        for (const { projection, what, events: folded, parkedStreams = 0 } of results) {
          line(`${projection.padEnd(16)} ${what}:`)
          line(`${' '.repeat(17)}${counted(folded, 'event')} in ${projection}_asof_${snapshot}`)
          if (parkedStreams > 0)
            line(`${' '.repeat(17)}${grouped(parkedStreams)} streams stopped at an event that was refused`)
        }
        for (const stream of passedOver.slice(0, passedOverMax)) line(`skipped: ${stream}`)
        if (passedOver.length > 0) line(`  not in the log, or deleted there: ${counted(passedOver.length, 'stream')}`)
        line(`compare: \`replay diff <read model> ${snapshot} live\``)
        return line(`drop: \`replay snapshot drop ${snapshot}\``)
      }
      line(`done in ${duration(seconds)}: ${grouped(events)} events, ${grouped(Math.round(events / seconds))}/s`)
      if (!isSwapped) return line('nothing was changed')
      line('the former tables are kept for `replay rollback`, until `replay drop-previous`')
    },

    stop: wipe,
  }
}

function stageDetail(stage: RebuildStage | 'verified', facts: Record<string, unknown>): string {
  if (stage === 'prepared' && facts['resumedAfter'] !== undefined)
    return `continues after ${counted(facts['resumedAfter'] as number, 'event')} of an earlier run`
  if (stage === 'prepared' && facts['firstBuild'])
    return 'first build: nothing to compare with; reads to the end of the log'
  if (stage === 'live') return `version ${facts['version']} is live; projectors waited ${facts['lockedMs']} ms`
  if (stage === 'swapping' || (stage === 'verified' && facts['equal'])) return equalText(facts)
  return stageText[stage]
}

function progressText({ fraction, events, perSecond, etaSeconds, lagSeconds }: PassProgress, output: Output): string {
  const left = etaSeconds === undefined ? '' : `  ${duration(etaSeconds)} left`
  const lag = lagSeconds === undefined ? '' : `  lag ${duration(lagSeconds)}`
  const percent = `${Math.floor(fraction * 100)}%`.padStart(4)
  const text = `${percent}  ${grouped(events)} events  ${grouped(perSecond)}/s${left}${lag}`
  const room = Math.min(barMax, (output.columns ?? 80) - 1 - text.length - 3)
  if (!output.isTTY || room < barMin) return ` ${text}`
  const full = Math.round(fraction * room)
  return `  ${'█'.repeat(full)}${'░'.repeat(room - full)} ${text}`
}

/** Two lines: what was compared with live, and what was counted again. */
function equalText(facts: Record<string, unknown>): string {
  const {
    equal,
    compared,
    rebuilt,
    sampled,
    recounted,
    deleted = [],
  } = facts as {
    equal?: boolean
    compared?: boolean
    rebuilt?: { rows: string; streams: string }
    sampled?: number
    recounted?: { rows: number; streams: number }
    deleted?: string[]
  }
  const rows = counted(Number(rebuilt?.rows ?? 0), 'row')
  const again = againText({ sampled: sampled ?? 0, recounted: recounted ?? { rows: 0, streams: 0 } })
  const differs = equal === false ? `${rows}; live differs, which the operator accepts` : `${rows} equal the live ones`
  const first = compared ? differs : `${rows}, not compared with live`
  const passedOver = deleted.map((stream) => `deleted in the log: ${stream}`)
  return [first, again, ...passedOver].join(`\n${' '.repeat(17)}`)
}
