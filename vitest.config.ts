import { defineConfig } from 'vitest/config'

/** What starts no nginx, and measures no time that a neighbour could spoil. */
const unit = [
  'test/worlds.test.ts',
  'test/{build,core,mock}/**/*.test.ts',
  'test/cli/{admin-planted,admin-target,commands,ledger-commands,nginx-reading,sites,timezone}.test.ts',
  'test/cli/map/*.test.ts',
  'test/console/{draft,pure}.test.ts',
]

export default defineConfig({
  test: {
    reporters: ['default', './test/worlds.ts'],
    testTimeout: 30_000,
    hookTimeout: 180_000,
    projects: [
      {
        extends: true,
        test: {
          name: 'unit',
          include: unit,
          maxWorkers: '100%',
          sequence: { groupOrder: 0 },
        },
      },
      {
        extends: true,
        test: {
          name: 'nginx',
          // What is not named above: a new file that starts nginx cannot be in the wrong place.
          include: ['test/**/*.test.ts'],
          exclude: unit,
          // They measure time, and two cores are few: one file after the other, after the units.
          fileParallelism: false,
          sequence: { groupOrder: 1 },
        },
      },
    ],
  },
})
