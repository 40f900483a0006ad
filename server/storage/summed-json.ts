/** An object as one line of JSON, a tab and a sum over it. */
export function toSummedJSON(value: object): string {
  const json = JSON.stringify(value);
  return `${json}\t${sumOf(json)}`;
}

/**
 * The inverse. Undefined where the sum is wrong, a property of the example is missing or of another type, or `isValid`
 * refuses the object.
 */
export function fromSummedJSON<T extends object>(
  line: string,
  example: T,
  isValid: (value: T) => boolean,
): T | undefined {
  const [json = '', sum] = line.split('\t');
  if (sum !== sumOf(json)) return undefined;
  const value = parseJSON(json) as Record<string, unknown> | undefined;
  const isLike = value !== undefined && Object.entries(example).every(([key, like]) => isOfType(value[key], like));
  return isLike && isValid(value as T) ? (value as T) : undefined;
}

/** Whether a value is a whole number from 0 up to, and not including, `end`. */
export function isCount(value: unknown, end: number): boolean {
  return Number.isSafeInteger(value) && (value as number) >= 0 && (value as number) < end;
}

/** The object that a JSON text stands for; undefined for any other text. */
export function parseJSON(json: string): object | undefined {
  try {
    const value: unknown = JSON.parse(json);
    return typeof value === 'object' && value !== null ? value : undefined;
  } catch {
    return undefined;
  }
}

function isOfType(value: unknown, like: unknown): boolean {
  if (typeof like === 'number') return Number.isSafeInteger(value);
  return typeof value === typeof like && Array.isArray(value) === Array.isArray(like);
}

/** FNV-1a, 32 bits. It tells damage, not malice: the owner can write anything. */
function sumOf(text: string): string {
  let sum = 0x811c9dc5;
  for (let at = 0; at < text.length; at++) sum = Math.imul(sum ^ text.charCodeAt(at), 0x01000193);
  return (sum >>> 0).toString(16).padStart(8, '0');
}
