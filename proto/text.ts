/**
 * Bytes as text and back without loss. UTF-8 becomes ordinary text; each byte that is not UTF-8 becomes the lone
 * surrogate U+DC00 + byte, and that surrogate becomes the byte again (the scheme of Python's PEP 383). So names and
 * principals are strings everywhere, compare as their bytes do, and a byte nobody can read still comes back.
 */
export function textFromBytes(all: Buffer, start = 0, end = all.length): string {
  const latin1 = all.toString('latin1', start, end);
  if (isAscii(latin1)) return latin1;
  const bytes = all.subarray(start, end);
  const text = bytes.toString();
  // A replacement character may have been sent as such, so only a text that does not give the bytes back is escaped.
  return text.includes('\ufffd') && !Buffer.from(text).equals(bytes) ? escapedText(bytes) : text;
}

/** The bytes of a text, with lone surrogates U+DC80 to U+DCFF as the single bytes that they stand for. */
export function bytesFromText(text: string): Buffer {
  if (!hasEscapedByte(text)) return Buffer.from(text);
  const pieces: Buffer[] = [];
  for (const character of text) {
    const point = character.codePointAt(0) as number;
    pieces.push(point >= 0xdc80 && point <= 0xdcff ? Buffer.of(point - 0xdc00) : Buffer.from(character));
  }
  return Buffer.concat(pieces);
}

function isAscii(latin1: string): boolean {
  for (let i = 0; i < latin1.length; i++) if (latin1.charCodeAt(i) > 0x7f) return false;
  return true;
}

function hasEscapedByte(text: string): boolean {
  return /[\udc80-\udcff]/.test(text) && /(?<![\ud800-\udbff])[\udc80-\udcff]/.test(text);
}

function escapedText(bytes: Buffer): string {
  let text = '';
  for (let at = 0; at < bytes.length; ) {
    const length = sequenceLength(bytes, at);
    if (length === 0) text += String.fromCharCode(0xdc00 + (bytes[at] as number));
    else text += bytes.toString('utf8', at, at + length);
    at += length || 1;
  }
  return text;
}

/** The length in bytes of the UTF-8 sequence at `at`, or 0 if there is none. */
function sequenceLength(bytes: Buffer, at: number): number {
  const lead = bytes[at] as number;
  const length = lead < 0x80 ? 1 : lead < 0xc2 ? 0 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : lead < 0xf5 ? 4 : 0;
  if (length === 0 || at + length > bytes.length) return 0;
  const sequence = bytes.subarray(at, at + length);
  return Buffer.from(sequence.toString()).equals(sequence) ? length : 0;
}
