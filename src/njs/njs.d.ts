/// <reference path="../../node_modules/njs-types/ngx_http_js_module.d.ts" />

/** What njs has and the njs-types package does not declare. */
interface NginxVariables {
  [name: string]: string | undefined
}

/** From njs 0.9.9 on, where js_access is: an empty buffer where there is no body. */
interface NginxHTTPRequest {
  readRequestArrayBuffer(): Promise<ArrayBuffer>
}

/** `QuickJS`, else njs's own engine; old versions tell nothing. */
interface NjsGlobal {
  engine?: string
}
