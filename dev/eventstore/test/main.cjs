// Runs src/main.ts without a build: tests check the sources, not what was built from them last.
const { readFileSync } = require('node:fs')
const { transformSync } = require('@swc/core')

const typescript = { jsc: { parser: { syntax: 'typescript' }, target: 'es2023' }, module: { type: 'commonjs' } }
require.extensions['.ts'] = (module, filename) => {
  const { code } = transformSync(readFileSync(filename, 'utf8'), { ...typescript, filename })
  // oxlint-disable-next-line no-underscore-dangle -- the name that Node gave it
  module._compile(code, filename)
}
require('../src/main.ts')
