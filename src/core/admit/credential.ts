/** What the caller sent as a credential: one secret, none, or several that differ. */
export type Credential = { secret: string } | 'missing' | 'ambiguous'

/**
 * Finds the one secret among the headers that SDKs use. Values are as njs gives them: a header that
 * was sent twice is joined with ", ", and on some versions has a trailing one. A key can therefore
 * hold no comma; `tollgate import` refuses such keys.
 */
export function findCredential(
  authorization: string | undefined,
  xApiKey: string | undefined,
  apiKey: string | undefined,
): Credential {
  let found: Credential = authorization ? parseBearer(authorization) : 'missing'
  if (xApiKey) found = merge(found, parsePlain(xApiKey))
  if (apiKey) found = merge(found, parsePlain(apiKey))
  return found
}

/**
 * `Bearer <secret>`: the scheme in any case (RFC 9110, section 11.1), any amount of space. nginx
 * itself answers 400 to two Authorization headers.
 */
function parseBearer(value: string): Credential {
  // As all SDKs write it.
  if (value.startsWith('Bearer ')) {
    const usual = value.slice(7)
    if (usual !== '' && usual.trim() === usual) return { secret: usual }
  }
  const text = value.trim()
  if (text.slice(0, 6).toLowerCase() !== 'bearer') return 'missing'
  const rest = text.slice(6)
  const secret = rest.trim()
  // "Bearerabc" is another scheme; "Bearer" alone is no key.
  return secret === '' || rest.charCodeAt(0) > 32 ? 'missing' : { secret }
}

function parsePlain(value: string): Credential {
  if (value.indexOf(',') < 0) {
    const secret = value.trim()
    return secret === '' ? 'missing' : { secret }
  }
  let found: Credential = 'missing'
  value.split(',').forEach((part) => {
    const secret = part.trim()
    if (secret !== '') found = merge(found, { secret })
  })
  return found
}

function merge(one: Credential, other: Credential): Credential {
  if (one === 'missing') return other
  if (other === 'missing') return one
  if (one === 'ambiguous' || other === 'ambiguous') return 'ambiguous'
  return one.secret === other.secret ? one : 'ambiguous'
}
