/** Names of what the API has words for. */
const en = {
  limits: {
    requestsPerMinute: 'Requests a minute',
    tokensPerMinute: 'Tokens a minute',
    inputTokensPerMinute: 'Prompt tokens a minute',
    outputTokensPerMinute: 'Output tokens a minute',
    concurrency: 'Requests at once',
  },
  budgets: {
    tokensPerDay: 'Tokens a day',
    tokensPerMonth: 'Tokens a month',
    costPerDay: 'Cost a day',
    costPerMonth: 'Cost a month',
  },
  /** Where there is little room. */
  short: {
    requestsPerMinute: 'Requests/min',
    tokensPerMinute: 'Tokens/min',
    inputTokensPerMinute: 'Prompt/min',
    outputTokensPerMinute: 'Output/min',
    concurrency: 'At once',
    tokensPerDay: 'Tokens/day',
    tokensPerMonth: 'Tokens/month',
    costPerDay: 'Cost/day',
    costPerMonth: 'Cost/month',
  },
  states: { live: 'live', revoked: 'revoked', expired: 'expired', disabled: 'disabled' },
  dimensions: { client: 'Client', model: 'Model', key: 'Key', group: 'Group' },
  scopes: {
    inference: 'Inference: chat, completions, responses, messages',
    embeddings: 'Embeddings, rerank, score',
    audio: 'Audio: transcriptions, translations',
    models: 'Models: the list of them, health',
    tokenize: 'Tokenize, detokenize',
    admin: 'Admin: version, load, metrics, adapters',
  },
  of: { client: 'Client', key: 'Key', group: 'Group' },
}

const zh: typeof en = {
  limits: {
    requestsPerMinute: '每分鐘請求數',
    tokensPerMinute: '每分鐘 token 數',
    inputTokensPerMinute: '每分鐘輸入 token 數',
    outputTokensPerMinute: '每分鐘輸出 token 數',
    concurrency: '同時進行的請求數',
  },
  budgets: {
    tokensPerDay: '每日 token 數',
    tokensPerMonth: '每月 token 數',
    costPerDay: '每日金額',
    costPerMonth: '每月金額',
  },
  short: {
    requestsPerMinute: '請求／分',
    tokensPerMinute: 'token／分',
    inputTokensPerMinute: '輸入／分',
    outputTokensPerMinute: '輸出／分',
    concurrency: '同時進行',
    tokensPerDay: 'token／日',
    tokensPerMonth: 'token／月',
    costPerDay: '金額／日',
    costPerMonth: '金額／月',
  },
  states: { live: '有效', revoked: '已撤銷', expired: '已到期', disabled: '已停用' },
  dimensions: { client: '用戶端', model: '模型', key: '金鑰', group: '群組' },
  scopes: {
    inference: '推論：chat、completions、responses、messages',
    embeddings: 'Embeddings、rerank、score',
    audio: '語音：transcriptions、translations',
    models: '模型清單、health',
    tokenize: 'Tokenize、detokenize',
    admin: '管理：version、load、metrics、adapters',
  },
  of: { client: '用戶端', key: '金鑰', group: '群組' },
}

export const names = { en, zh }
