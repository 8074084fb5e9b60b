const en = {
  title: 'Policy',
  lead: 'policy.json: plans, groups, prices, routes, and "url", where callers reach the gate. A document with a problem changes nothing. Admin tokens are not in here: they are made on the host.',
  document: 'The policy as JSON',
  validate: 'Check',
  good: 'No problem found: this can be saved',
  bad: (count: number) => (count === 1 ? 'One problem' : `${count} problems`),
  line: (line: number) => `Line ${line}`,
  notJson: 'This is not JSON',
  saved: 'The policy is saved, and in force within a second',
  conflict: 'Somebody has changed the policy since you opened it, so nothing was saved',
  conflictHint:
    'Your text is kept. Below is what was changed meanwhile: take it over where you want it, since saving again puts your text in place of theirs. Discard shows theirs.',
  changes: 'What you have changed',
}

const zh: typeof en = {
  title: '政策',
  lead: 'policy.json：方案、群組、價格、路由，以及 "url"（呼叫端連線的位址）。有問題的文件不會造成任何改變。管理權杖不在這裡，要在主機上建立。',
  document: 'JSON 格式的政策',
  validate: '檢查',
  good: '沒有發現問題，可以儲存',
  bad: (count) => `${count} 個問題`,
  line: (line) => `第 ${line} 行`,
  notJson: '這不是 JSON',
  saved: '政策已儲存，一秒內生效',
  conflict: '您開啟之後，有人變更了政策，因此尚未儲存',
  conflictHint:
    '您的內容都保留著。以下是這段期間的變更：需要的請自行併入，因為再儲存一次會以您的內容取代。按「放棄變更」可看到對方的版本。',
  changes: '您的變更',
}

export const policy = { en, zh }
