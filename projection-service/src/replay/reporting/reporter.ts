import { followPass } from './pass-progress'
import { createRate } from './rate'
import type { RebuildObserver } from '../rebuild/rebuild'
import type { RebuildStage } from '../rebuild/rebuild-state'
import { reportLine, type ReportResult } from './report'

export interface Outcome {
  /** Label, where a snapshot was made. */
  snapshot?: string
  results: readonly ReportResult[]
  /** Streams that were asked for and can not be folded: deleted in the log, in whole or in part, or never there. */
  passedOver?: readonly string[]
  seconds: number
  /** The rebuilt ones are live now. */
  isSwapped: boolean
}

/** Tells what a call does, to people or to programs. */
export interface Reporter extends RebuildObserver {
  /** A fold whose end is not known has gone through so many events. */
  gone(projections: readonly string[], events: number): void
  done(outcome: Outcome): void
  /** Nothing more will be told by it: what was painted is wiped. */
  stop(): void
}

/** Streams that were passed over and are named. */
const passedOverMax = 1_000

/** Between progress lines: often enough to draw, seldom enough to keep. */
const progressEveryMs = 1_000

/** Tells programs: lines of JSON, `ReportLine`. */
export function createLines(write: (text: string) => void, now = () => performance.now(), clock = Date.now): Reporter {
  const stages = new Map<string, RebuildStage | 'verified'>()
  let stage: RebuildStage | 'verified' = 'prepared'
  let at = ''
  let follow: ReturnType<typeof followPass> | undefined
  let rate: ReturnType<typeof createRate> | undefined
  let toldMs = Number.NEGATIVE_INFINITY

  const isDue = () => {
    if (now() - toldMs < progressEveryMs) return false
    toldMs = now()
    return true
  }
  /** All read the log together; what comes after, each alone. */
  const atWork = () =>
    stage === 'folding' || stage === 'catching-up'
      ? [...stages].flatMap(([name, reached]) => (reached === stage ? [name] : []))
      : [at]

  return {
    stage(projection, entered, facts = {}) {
      stages.set(projection, entered)
      stage = entered
      at = projection
      follow = undefined
      // The stage once more, with what it has found: the result tells that.
      if (entered === 'verifying' && Object.keys(facts).length > 0) return
      const { resumedAfter, firstBuild, lockedMs } = facts as Record<string, never>
      write(reportLine({ event: 'stage', projection, stage: entered, resumedAfter, firstBuild, lockedMs }))
    },

    progress(step) {
      follow ??= followPass(now, clock)
      const { events, perSecond, etaSeconds, lagPositions, lagSeconds } = follow(step)
      if (!isDue()) return
      write(
        reportLine({
          event: 'progress',
          projections: atWork() as [string, ...string[]],
          stage,
          position: String(step.position),
          end: String(step.end),
          events,
          perSecond,
          etaSeconds: etaSeconds === undefined ? null : rounded(etaSeconds),
          lagPositions: String(lagPositions),
          lagSeconds: lagSeconds === undefined ? null : rounded(lagSeconds),
        }),
      )
    },

    gone(projections, events) {
      rate ??= createRate(now)
      const perSecond = Math.round(rate(events, 0).perSecond)
      if (!isDue()) return
      const unknown = { position: null, end: null, etaSeconds: null, lagPositions: null, lagSeconds: null }
      const folding = { event: 'progress', stage: 'folding', events, perSecond } as const
      write(reportLine({ ...folding, projections: [...projections] as [string, ...string[]], ...unknown }))
    },

    done({ snapshot, results, passedOver, seconds }) {
      const events = Math.max(0, ...results.map((one) => one.events))
      const perSecond = Math.round(events / seconds)
      const passed = passedOver && passedOver.length > 0 ? { passedOver: passedOver.slice(0, passedOverMax) } : {}
      const facts = { snapshot, projections: [...results], ...passed, events, seconds: rounded(seconds), perSecond }
      write(reportLine({ event: 'done', ...facts, exitCode: 0 }))
    },

    stop: () => undefined,
  }
}

/** To tenths. */
const rounded = (value: number) => Math.round(value * 10) / 10
