/**
 * Bytes as text and back without loss. UTF-8 becomes ordinary text; each byte that is not UTF-8 becomes the lone
 * surrogate U+DC00 + byte, and that surrogate becomes the byte again (the scheme of Python's PEP 383). So names and
 * principals are strings everywhere, compare as their bytes do, and a byte that is no text still comes back. Both ways
 * take time and memory in proportion to the length, whatever the bytes.
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
  // No code unit takes more than three bytes.
  const bytes = Buffer.allocUnsafe(text.length * 3);
  let length = 0;
  let run = 0;
  for (let at = 0; at < text.length; at++) {
    const unit = text.charCodeAt(at);
    if (isHighSurrogate(unit) && isLowSurrogate(text.charCodeAt(at + 1))) at++;
    else if (unit >= 0xdc80 && unit <= 0xdcff) {
      if (run < at) length += bytes.write(text.slice(run, at), length);
      bytes[length++] = unit - 0xdc00;
      run = at + 1;
    }
  }
  if (run < text.length) length += bytes.write(text.slice(run), length);
  return bytes.subarray(0, length);
}

function isAscii(latin1: string): boolean {
  for (let i = 0; i < latin1.length; i++) if (latin1.charCodeAt(i) > 0x7f) return false;
  return true;
}

function hasEscapedByte(text: string): boolean {
  return /[\udc80-\udcff]/.test(text) && /(?<![\ud800-\udbff])[\udc80-\udcff]/.test(text);
}

function isHighSurrogate(unit: number): boolean {
  return unit >= 0xd800 && unit <= 0xdbff;
}

function isLowSurrogate(unit: number): boolean {
  return unit >= 0xdc00 && unit <= 0xdfff;
}

/** No byte becomes more than one UTF-16 code unit, so the units are written where they belong and read as a text once. */
function escapedText(bytes: Buffer): string {
  const units = Buffer.allocUnsafe(bytes.length * 2);
  let length = 0;
  const put = (unit: number) => {
    units[length++] = unit & 0xff;
    units[length++] = unit >> 8;
  };
  for (let at = 0; at < bytes.length; ) {
    const size = sequenceLength(bytes, at);
    if (size === 0) put(0xdc00 + (bytes[at] as number));
    else {
      const point = pointAt(bytes, at, size);
      if (point <= 0xffff) put(point);
      else {
        put(0xd800 + ((point - 0x10000) >> 10));
        put(0xdc00 + ((point - 0x10000) & 0x3ff));
      }
    }
    at += size || 1;
  }
  return units.toString('utf16le', 0, length);
}

/** The length in bytes of the UTF-8 sequence at `at`, or 0 if there is none (RFC 3629, section 4). */
function sequenceLength(bytes: Buffer, at: number): number {
  const lead = bytes[at] as number;
  if (lead < 0x80) return 1;
  const length = lead < 0xc2 ? 0 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : lead < 0xf5 ? 4 : 0;
  if (at + length > bytes.length) return 0;
  for (let i = at + 1; i < at + length; i++) if (((bytes[i] as number) & 0xc0) !== 0x80) return 0;
  const second = bytes[at + 1] as number;
  const isOverlong = (lead === 0xe0 && second < 0xa0) || (lead === 0xf0 && second < 0x90);
  const isSurrogate = lead === 0xed && second > 0x9f;
  const isTooLarge = lead === 0xf4 && second > 0x8f;
  return isOverlong || isSurrogate || isTooLarge ? 0 : length;
}

function pointAt(bytes: Buffer, at: number, length: number): number {
  let point = (bytes[at] as number) & (length === 1 ? 0x7f : 0xff >> (length + 1));
  for (let i = at + 1; i < at + length; i++) point = (point << 6) | ((bytes[i] as number) & 0x3f);
  return point;
}
