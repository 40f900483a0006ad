import { readFileSync } from 'node:fs';
import { setFlagsFromString } from 'node:v8';
import { Script } from 'node:vm';

/**
 * The content of `<bundle>.compiled`: what V8 makes of a bundle, behind all that run-compiled.cjs compares before it uses
 * that. The code begins at a multiple of 8, as V8 wants it.
 */
export function compiledFile(bundle: string): Buffer {
  const text = readFileSync(bundle, 'latin1');
  return Buffer.concat([Buffer.from(headOf(text), 'latin1'), compile(text, bundle)]);
}

/** Whether there is such a file for a bundle, and run-compiled.cjs would use it here. */
export function hasFittingCode(bundle: string): boolean {
  try {
    const head = Buffer.from(headOf(readFileSync(bundle, 'latin1')), 'latin1');
    return readFileSync(`${bundle}.compiled`).subarray(0, head.length).equals(head);
  } catch {
    return false;
  }
}

function headOf(text: string): string {
  const { platform, arch, version, versions, config } = process;
  const pointers = (config.variables as { v8_enable_pointer_compression?: number }).v8_enable_pointer_compression;
  const header = `compiled ${platform} ${arch} ${version} ${versions.v8} ${pointers} ${text.length} `;
  const padding = ' '.repeat(7 - ((header.length + text.length) % 8));
  return `${header}${padding}\n${text}`;
}

/** All of it: what is compiled only when it is first called is compiled at each start. */
function compile(text: string, filename: string): Buffer {
  setFlagsFromString('--no-lazy');
  const script = new Script(text, { filename });
  // V8 takes back what it has made by the same options alone.
  setFlagsFromString('--lazy');
  const cachedData = script.createCachedData();
  if (new Script(text, { filename, cachedData }).cachedDataRejected) throw new Error(`${filename}: compiled in vain`);
  return cachedData;
}
