/// <reference path="../../node_modules/njs-types/ngx_http_js_module.d.ts" />

/** What njs has and the njs-types package does not declare. */
interface NginxVariables {
  [name: string]: string | undefined
}
