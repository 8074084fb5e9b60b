/** The nginx that tests name: Debian forky's, with QuickJS, and Debian 13's, with the old engine. */
export type World = 'newest' | 'debian13'
/** QuickJS, or the engine that njs had first. */
export type Engine = 'qjs' | 'njs'

/** An nginx that was started once and has a usable njs. */
export type Nginx = {
  /** The first words of a command line. In a container, add folders with commandWith(). */
  command: string[]
  /** What `load_module` must name in a configuration of our own; null when njs is built in. */
  loadModule: string | null
  nginxVersion: string
  njsVersion: string
  /** 'qjs' where `js_engine qjs;` works and is safe (njs >= 1.0.1); else write no js_engine. */
  engine: Engine
  source: 'path' | 'system' | 'packages' | 'docker'
  /** 'newest', 'debian13', 'system', 'path', 'docker', or a distribution such as 'ubuntu-24.04'. */
  world: string
}
