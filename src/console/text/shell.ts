const shellEn = {
  navigation: 'Pages',
  skip: 'Skip to the page',
  now: 'Now',
  usage: 'Usage',
  clients: 'Clients',
  keys: 'Keys',
  plans: 'Plans',
  policy: 'Policy',
  state: 'State',
  alerts: (count: number) => (count === 1 ? 'one problem' : `${count} problems`),
  logOut: 'Log out',
  mayRead: 'read',
  mayWrite: 'write',
  theme: {
    system: 'Colors: as the system',
    light: 'Colors: light',
    dark: 'Colors: dark',
  },
  unknown: 'There is no such page',
  toNow: 'See what runs now',
}

const shellZh: typeof shellEn = {
  navigation: '頁面',
  skip: '跳到內容',
  now: '即時',
  usage: '用量',
  clients: '用戶端',
  keys: '金鑰',
  plans: '方案',
  policy: '政策',
  state: '狀態',
  alerts: (count) => `${count} 個問題`,
  logOut: '登出',
  mayRead: '唯讀',
  mayWrite: '可寫入',
  theme: {
    system: '配色：跟隨系統',
    light: '配色：淺色',
    dark: '配色：深色',
  },
  unknown: '沒有這個頁面',
  toNow: '看看現在正在執行什麼',
}

export const shell = { en: shellEn, zh: shellZh }

const loginEn = {
  title: 'Log in',
  lead: 'The console of the gate before your vLLM.',
  token: 'Admin token',
  enter: 'Log in',
  empty: 'Paste your admin token: it begins with tga_',
  clientKey:
    'This is the key of a client. The console takes an admin token, which begins with tga_',
  notToken: 'This is no admin token: it holds characters that none has. Is a part pasted to it?',
  refused:
    'The gate does not know this token, or it is expired or revoked. Check that all of it was pasted',
  ended:
    'You were logged out: the gate does not take your token any more. It was revoked, or is expired.',
  left: 'You are logged out. This tab has forgotten the token.',
  none: 'You have no token?',
  make: 'Make one on the host of the gate. It is shown once:',
  kept: 'The token stays in this tab only, and is forgotten when the tab closes.',
}

const loginZh: typeof loginEn = {
  title: '登入',
  lead: 'vLLM 前面這道閘門的主控台。',
  token: '管理權杖',
  enter: '登入',
  empty: '請貼上管理權杖，開頭是 tga_',
  clientKey: '這是用戶端的金鑰。主控台要的是管理權杖，開頭是 tga_',
  notToken: '這不是管理權杖：裡面有權杖不會有的字元。是不是多貼了什麼？',
  refused: '閘門不認得這個權杖，或是它已到期、已撤銷。請確認整段都有貼上',
  ended: '您已被登出：閘門不再接受您的權杖，可能已被撤銷或已到期。',
  left: '您已登出，這個分頁已經忘記權杖。',
  none: '沒有權杖？',
  make: '請在閘門所在的主機上建立，只會顯示一次：',
  kept: '權杖只留在這個分頁，關閉分頁就會忘記。',
}

export const login = { en: loginEn, zh: loginZh }
