/** Longer names are not compared. */
const LENGTH_MAX = 64

/** Names that differ in more characters are not the same one mistyped, however long they are. */
const DISTANCE_MAX = 6

/** What a candidate costs beside the characters that are compared. */
const CANDIDATE_COST = 8

/** Enough to look through the names of 100,000 clients. */
const EFFORT_MAX = 20000000

/**
 * What may still be spent on finding names, in pairs of characters: 0.1 us each on the njs engine. Who
 * looks for many names shares one, since every one of them costs as much as there are candidates.
 */
export type Effort = { left: number }

/**
 * The one of `candidates` that a mistyped name most likely means: at most a third of its characters
 * differ. null when none is near; where the effort ends, the nearest so far.
 *
 * requestPerMinute, of [requestsPerMinute, tokensPerMinute] -> requestsPerMinute (distance 1)
 */
export function closest(name: string, candidates: string[], effort?: Effort): string | null {
  if (name.length > LENGTH_MAX) return null
  const spent = effort || { left: EFFORT_MAX }
  const codes = codesOf(name)
  let best: string | null = null
  let bestDistance = Math.min(DISTANCE_MAX, Math.max(1, Math.floor(name.length / 3))) + 1
  for (let i = 0; i < candidates.length && spent.left > 0; i++) {
    const candidate = candidates[i] || ''
    spent.left -= CANDIDATE_COST
    if (Math.abs(candidate.length - name.length) >= bestDistance) continue
    const distance = editDistance(codes, codesOf(candidate), bestDistance, spent)
    if (distance < bestDistance) {
      best = candidate
      bestDistance = distance
    }
  }
  return best
}

function codesOf(text: string): number[] {
  const lower = text.toLowerCase()
  const codes: number[] = []
  for (let i = 0; i < lower.length; i++) codes.push(lower.charCodeAt(i))
  return codes
}

/**
 * Inserted, removed and replaced characters between two texts (Levenshtein), by rows; `below` when there
 * are as many or more. A place that is so far from the diagonal cannot be on the way to fewer.
 */
function editDistance(one: number[], other: number[], below: number, spent: Effort): number {
  let row: number[] = []
  let next: number[] = []
  for (let j = 0; j <= other.length; j++) {
    row.push(j)
    next.push(below)
  }
  for (let i = 1; i <= one.length; i++) {
    const from = Math.max(1, i - below + 1)
    const to = Math.min(other.length, i + below - 1)
    next[from - 1] = from === 1 ? i : below
    let least = next[from - 1] as number
    for (let j = from; j <= to; j++) {
      const replaced = (row[j - 1] as number) + (one[i - 1] === other[j - 1] ? 0 : 1)
      // Above the end of the row before nothing was worked out.
      const removed = j === i + below - 1 ? below : (row[j] as number) + 1
      const value = Math.min(replaced, removed, (next[j - 1] as number) + 1)
      next[j] = value
      if (value < least) least = value
    }
    spent.left -= to - from + 1
    if (least >= below) return below
    const used = row
    row = next
    next = used
  }
  return Math.min(below, row[other.length] as number)
}
