// Runs src/main.ts without a build: tests check the sources, not what was built from them last.
const { transformSync } = require('@swc/core')
require('node:module')._extensions['.ts'] = (module, file) => {
  const { code } = transformSync(require('node:fs').readFileSync(file, 'utf8'), {
    filename: file,
    jsc: { parser: { syntax: 'typescript' }, target: 'es2023' },
    module: { type: 'commonjs' },
  })
  module._compile(code, file)
}
require('../src/main.ts')
