import { describe, expect, it } from '@jest/globals'
import { violations } from '../../../checks/boundaries.mjs'

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
