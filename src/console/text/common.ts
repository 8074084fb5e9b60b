const commonEn = {
  close: 'Close',
  cancel: 'Cancel',
  save: 'Save',
  saved: (name: string) => `${name} is saved, and in force within a second`,
  copy: 'Copy',
  copied: 'Copied',
  more: 'Show more',
  loading: 'Loading',
  search: 'Search',
  none: 'none',
  all: 'all',
  of: (used: string, limit: string) => `${used} of ${limit}`,
  needsWrite: 'Your token may only read: this needs one with the role write',
  readOnly: 'The gate may not write its configuration: run sudo tollgate admin enable on the host',
}

const commonZh: typeof commonEn = {
  close: '關閉',
  cancel: '取消',
  save: '儲存',
  saved: (name) => `已儲存 ${name}，一秒內生效`,
  copy: '複製',
  copied: '已複製',
  more: '顯示更多',
  loading: '載入中',
  search: '搜尋',
  none: '無',
  all: '全部',
  of: (used, limit) => `${used}／${limit}`,
  needsWrite: '您的權杖只能檢視：這項操作需要 write 角色的權杖',
  readOnly: '閘門無法寫入設定：請在主機上執行 sudo tollgate admin enable',
}

export const common = { en: commonEn, zh: commonZh }

const problemEn = {
  retry: 'Try again',
  unreachable: 'The gate does not answer',
  unreachableFix:
    'Is nginx running, and is this page still forwarded to its admin listener (127.0.0.1:9180)? It is asked again by itself.',
  readOnly: 'The gate may not write its configuration',
  readOnlyFix:
    'policy.json and clients.json belong to root here. This command moves them to a folder that the gate may write; run it once on the host:',
  console: 'Something is wrong in this page itself',
}

const problemZh: typeof problemEn = {
  retry: '再試一次',
  unreachable: '閘門沒有回應',
  unreachableFix:
    'nginx 是否在執行？這個網頁是否仍轉送到它的管理介面（127.0.0.1:9180）？稍後會自動重試。',
  readOnly: '閘門無法寫入設定',
  readOnlyFix:
    '這裡的 policy.json 與 clients.json 屬於 root。以下指令會把它們移到閘門可以寫入的資料夾，請在主機上執行一次：',
  console: '這個網頁本身出了問題',
}

export const problem = { en: problemEn, zh: problemZh }
