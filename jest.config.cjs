// CommonJS because Jest reads its configuration before any transform exists.
const swc = [
  '@swc/jest',
  {
    jsc: { parser: { syntax: 'typescript' }, target: 'es2023' },
    module: { type: 'commonjs' },
    sourceMaps: 'inline',
  },
]

/** Packages published as ES modules only: Jest can not `require` them, Node 20.19 can. */
const esmOnly = ['jose', 'lru-cache', 'uuid', 'cookie', 'node-pg-migrate']

const base = {
  // In which a file fails that leaves something open.
  testEnvironment: '<rootDir>/dev/jest/environment.cjs',
  // The workspaces' sources are tested, not what was built from them last.
  testEnvironmentOptions: { customExportConditions: ['annals-source', 'node', 'require', 'default'] },
  transform: { '\\.[cm]?[jt]s$': swc },
  transformIgnorePatterns: [`/node_modules/(?!(?:${esmOnly.join('|')})/)`],
  modulePathIgnorePatterns: ['/dist/', '/\\.annals/'],
}

const workspaces =
  '{contracts,platform,command-service,projection-service,notifier-service,dev/eventstore,dev,e2e,bench}'

module.exports = {
  projects: [
    { ...base, displayName: 'unit', testMatch: [`<rootDir>/${workspaces}/test/unit/**/*.test.ts`] },
    { ...base, displayName: 'integration', testMatch: [`<rootDir>/${workspaces}/test/integration/**/*.test.ts`] },
    { ...base, displayName: 'e2e', testMatch: ['<rootDir>/e2e/test/**/*.test.ts'] },
  ],
  testTimeout: 30_000,
  testSequencer: '<rootDir>/dev/jest/longest-first.cjs',
  // A worker that has to be killed fails `npm test`: it shall not be for a busy machine's sake (Jest gives half a second).
  workerGracefulExitTimeout: 15_000,
}
