import { Presets, SingleBar } from 'cli-progress'
import type { RebuildStage } from './rebuild-state'
import type { RebuildObserver } from './rebuild'

export interface Output {
  isTTY: boolean
  write(text: string): void
}

const stageText: Record<RebuildStage | 'verified', string> = {
  prepared: 'prepared an empty shadow',
  folding: 'folding the log',
  'catching-up': 'catching up with what came meanwhile',
  indexing: 'making indexes',
  verifying: 'comparing with the live read model',
  swapping: 'equal; swapping it in',
  live: 'live',
  aborted: 'aborted',
  verified: 'live and rebuilt differ',
}

/** 1234567 → `1,234,567`. */
export const grouped = (value: number | bigint): string => value.toLocaleString('en')

/** Seconds as a person reads them: `8s`, `3m20s`, `1h05m`. */
export function duration(seconds: number): string {
  if (!Number.isFinite(seconds)) return '?'
  const s = Math.max(0, Math.round(seconds))
  if (s < 60) return `${s}s`
  if (s < 3600) return `${Math.floor(s / 60)}m${String(s % 60).padStart(2, '0')}s`
  return `${Math.floor(s / 3600)}h${String(Math.floor((s % 3600) / 60)).padStart(2, '0')}m`
}

/** Without a terminal a line is written this often, in ms. */
const lineEveryMs = 2_000

/**
 * Rate over the last few seconds and time left, from samples of what has been done.
 * @param fraction done of the whole, 0..1.
 */
export function createRate(
  now: () => number,
): (events: number, fraction: number) => { perSecond: number; etaS: number } {
  const began = now()
  let firstFraction: number | undefined
  const samples: { at: number; events: number }[] = []
  return (events, fraction) => {
    const at = now()
    firstFraction ??= fraction
    samples.push({ at, events })
    while (samples.length > 2 && at - samples[0]!.at > 5_000) samples.shift()
    const first = samples[0]!
    const perSecond = at > first.at ? ((events - first.events) / (at - first.at)) * 1000 : 0
    const done = fraction - firstFraction
    const etaS = done > 0 ? (((at - began) / 1000) * (1 - fraction)) / done : Number.POSITIVE_INFINITY
    return { perSecond, etaS }
  }
}

/** Tells a rebuild: a bar within 80 columns on a terminal, plain lines elsewhere. */
export function createProgress(output: Output, now = () => performance.now()): RebuildObserver & { stop(): void } {
  let bar: SingleBar | undefined
  let rate: ReturnType<typeof createRate> | undefined
  let begunAt: bigint | undefined
  let lastLineMs = now()

  const line = (text: string) => {
    bar?.stop()
    bar = undefined
    output.write(`${text}\n`)
  }
  const reset = () => {
    bar?.stop()
    bar = undefined
    rate = undefined
    begunAt = undefined
  }

  return {
    stage(projection, stage, facts = {}) {
      reset()
      const detail =
        stage === 'prepared' && facts['resumedAfter'] !== undefined
          ? `goes on after ${grouped(facts['resumedAfter'] as number)} events of an earlier run`
          : stage === 'live'
            ? `version ${facts['version']} is live; projectors waited ${facts['lockedMs']} ms`
            : stage === 'prepared' && facts['firstBuild']
              ? 'first build: nothing to compare with, to the end of the log'
              : stage === 'swapping' || (stage === 'verified' && facts['equal'])
                ? equalText(facts)
                : stageText[stage]
      if (stage !== 'verifying' || Object.keys(facts).length === 0) line(`${projection.padEnd(16)} ${detail}`)
    },

    progress(position, end, events) {
      rate ??= createRate(now)
      begunAt ??= position
      const span = Number(end - begunAt)
      const fraction = span <= 0 ? 1 : Math.min(1, Number(position - begunAt) / span)
      const { perSecond, etaS } = rate(events, fraction)
      const facts = {
        percent: Math.floor(fraction * 100),
        events: grouped(events),
        rate: grouped(Math.round(perSecond)),
        left: duration(etaS),
      }
      if (output.isTTY) {
        if (!bar) {
          bar = new SingleBar(
            {
              format: '  {bar} {percent}%  {events} events  {rate}/s  {left} left',
              barsize: 24,
              hideCursor: true,
              linewrap: false,
              fps: 5,
            },
            Presets.shades_classic,
          )
          bar.start(1000, 0, facts)
        }
        bar.update(Math.round(fraction * 1000), facts)
        return
      }
      if (now() - lastLineMs < lineEveryMs) return
      lastLineMs = now()
      output.write(`  ${facts.percent}%  ${facts.events} events  ${facts.rate}/s  ${facts.left} left\n`)
    },

    stop: reset,
  }
}

function equalText(facts: Record<string, unknown>): string {
  const { compared, rebuilt, sampled } = facts as {
    compared?: boolean
    rebuilt?: { rows: string; streams: string }
    sampled?: number
  }
  const rows = grouped(BigInt(rebuilt?.rows ?? 0))
  const sample = sampled ? `, ${sampled} streams folded afresh` : ''
  return compared ? `${rows} rows equal the live ones${sample}` : `${rows} rows, not compared with live${sample}`
}
