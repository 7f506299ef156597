import { describe, expect, it } from '@jest/globals'
import { cycles, violations } from '../../../checks/boundaries.mjs'

describe('the folder rules', () => {
  it('let a service import contracts and platform', () => {
    const text = "import { topics } from '@annals/contracts'\nimport { createLogger } from '@annals/platform/log'"
    expect(violations('notifier-service/src/notifier.ts', text)).toEqual([])
  })

  it.each(["import { x } from '@annals/command-service'", "import('../../command-service/src/index')"])(
    'keep a service from importing another: %s',
    (text) => {
      expect(violations('notifier-service/src/notifier.ts', text)).toEqual([
        expect.stringContaining('a service never imports another service'),
      ])
    },
  )

  it('let contracts import zod and itself, and nothing of Node', () => {
    expect(violations('contracts/src/money.ts', "import { z } from 'zod'\nexport * from '../ids'")).toEqual([])
    expect(violations('contracts/src/money.ts', "import { createHash } from 'node:crypto'")).toHaveLength(1)
  })

  it('keep the domain pure', () => {
    const file = 'command-service/src/payments/domain/payment.ts'
    const text = "import type { Money } from '@annals/contracts'\nimport { Rejected } from '../../core/rejected'"
    expect(violations(file, text)).toEqual([])
    expect(violations(file, "import { randomUUID } from 'node:crypto'")).toHaveLength(1)
    expect(violations(file, "import type { Execute } from '../../core/execute'")).toHaveLength(1)
    expect(violations(file, 'const at = new Date()')).toHaveLength(1)
    expect(violations(file, 'const day = new Date(at)')).toEqual([])
  })

  it('keep projections and rules pure', () => {
    const projection = 'projection-service/src/projections/accounts/users.ts'
    expect(violations(projection, "import { defineProjection } from '../../engine/definition/projection'")).toEqual([])
    expect(violations(projection, "import { tablesOf } from '../../engine/tables/generation'")).toHaveLength(1)
    expect(violations('notifier-service/src/rules/rules.ts', "import type { Pool } from 'pg'")).toHaveLength(1)
  })

  it('keep areas apart, save that sessions know accounts', () => {
    const text = "import type { Passwords } from '../../accounts/passwords'"
    expect(violations('command-service/src/sessions/commands/login.ts', text)).toEqual([])
    expect(violations('command-service/src/payments/commands/payments.ts', text)).toHaveLength(1)
    expect(violations('command-service/src/payments/commands/payments.ts', "import '../../api/app'")).toHaveLength(1)
    expect(violations('command-service/src/core/execute.ts', "import '../payments/domain/payment'")).toHaveLength(1)
    expect(violations('command-service/src/api/service.ts', text.replace('../', ''))).toEqual([])
  })

  it('keep events and services out of platform', () => {
    expect(violations('platform/src/log/index.ts', "import { topics } from '@annals/contracts'")).toHaveLength(1)
  })

  it('keep kafkajs in its one place', () => {
    const text = "import { Kafka } from 'kafkajs'"
    expect(violations('platform/src/kafka/client.ts', text)).toEqual([])
    expect(violations('notifier-service/src/notifier.ts', text)).toHaveLength(1)
  })

  it('let main files alone read the environment, and are not misled by a comment', () => {
    expect(violations('command-service/src/api/main.ts', 'readConfig(Config, process.env)')).toEqual([])
    expect(violations('command-service/src/api/service.ts', 'const url = process.env.REDIS_URL')).toHaveLength(1)
    expect(violations('command-service/src/api/service.ts', '/** `process.env`, handed in by main. */')).toEqual([])
  })
})

describe('folders that import each other', () => {
  const cyclesIn = (sources: Record<string, string>) => cycles(new Map(Object.entries(sources)))

  it('are found, where only types go back', () => {
    expect(
      cyclesIn({
        'notifier-service/src/delivery/worker.ts': "import { claim } from '../deliveries/claims'",
        'notifier-service/src/deliveries/claims.ts': "import type { Settlement } from '../delivery/settlement'",
      }),
    ).toEqual([
      expect.stringContaining('delivery/worker.ts imports ../deliveries/claims'),
      expect.stringContaining('deliveries/claims.ts imports ../delivery/settlement'),
    ])
  })

  it('are found over a third one, and beside a file of the folder itself', () => {
    expect(
      cyclesIn({
        'notifier-service/src/delivery/worker.ts': "import { count } from '../metrics'",
        'notifier-service/src/metrics.ts': "import { stats } from './deliveries/stats'",
        'notifier-service/src/deliveries/stats.ts': "import { leaseMs } from '../delivery/worker'",
        'notifier-service/src/main.ts': "import './metrics'",
      }),
    ).toHaveLength(3)
  })

  it('are found among the rooms of engine and replay', () => {
    expect(
      cyclesIn({
        'projection-service/src/engine/fold/fold.ts': "import { rows } from '../tables/rows'",
        'projection-service/src/engine/tables/rows.ts': "import type { Fold } from '../fold/fold'",
      }),
    ).toHaveLength(2)
  })

  it('are none where imports go one way, within one folder, or in a comment', () => {
    expect(
      cyclesIn({
        'notifier-service/src/delivery/worker.ts': "import './breaker'\nimport '../deliveries/claims'",
        'notifier-service/src/delivery/breaker.ts': "import './worker'",
        'notifier-service/src/deliveries/claims.ts': "// import '../delivery/worker'",
      }),
    ).toEqual([])
  })
})

it('the vocabulary of the notifier imports types of contracts at most', () => {
  const file = 'notifier-service/src/vocabulary.ts'
  expect(violations(file, "import type { Money } from '@annals/contracts'")).toEqual([])
  expect(violations(file, "import type { Rule } from './rules/rule'")).toHaveLength(1)
  expect(violations('notifier-service/src/rules/rule.ts', "import type { Intent } from '../vocabulary'")).toEqual([])
})
