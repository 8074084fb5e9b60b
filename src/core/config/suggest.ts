/** Longer names are not compared: the cost grows with the product of the lengths. */
const LENGTH_MAX = 64

/**
 * The one of `candidates` that a mistyped name most likely means: at most a third of its characters
 * differ. null when none is near.
 *
 * requestPerMinute, of [requestsPerMinute, tokensPerMinute] -> requestsPerMinute (distance 1)
 */
export function closest(name: string, candidates: string[]): string | null {
  let best: string | null = null
  let bestDistance = Math.max(1, Math.floor(name.length / 3)) + 1
  if (name.length > LENGTH_MAX) return null
  candidates.forEach((candidate) => {
    if (Math.abs(candidate.length - name.length) >= bestDistance) return
    const distance = editDistance(name.toLowerCase(), candidate.toLowerCase())
    if (distance < bestDistance) {
      best = candidate
      bestDistance = distance
    }
  })
  return best
}

/** Inserted, removed and replaced characters between two texts (Levenshtein), by rows. */
function editDistance(one: string, other: string): number {
  let row: number[] = []
  for (let j = 0; j <= other.length; j++) row.push(j)
  for (let i = 1; i <= one.length; i++) {
    const next = [i]
    for (let j = 1; j <= other.length; j++) {
      const replaced = (row[j - 1] || 0) + (one[i - 1] === other[j - 1] ? 0 : 1)
      next.push(Math.min(replaced, (row[j] || 0) + 1, (next[j - 1] || 0) + 1))
    }
    row = next
  }
  return row[other.length] || 0
}
