declare module 'google-closure-compiler/lib/utils.js' {
  /** The path of the compiler's program for this machine; undefined where there is none. */
  export function getNativeImagePath(): string | undefined
}
