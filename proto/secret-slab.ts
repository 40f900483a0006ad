/** So much is taken from the system at a time, in bytes, and nothing above an eighth of it is put with others. */
const SLAB = 32_768;
let slab = Buffer.alloc(0);

/**
 * Memory for what is kept: key material that is overwritten when it is dropped. It shares its pieces with others of its
 * kind, since those of the system are dear, and with nothing that comes and goes.
 */
export function allocateSecret(length: number): Buffer {
  if (length > SLAB / 8) return Buffer.allocUnsafeSlow(length);
  if (slab.length < length) slab = Buffer.allocUnsafeSlow(SLAB);
  const bytes = slab.subarray(0, length);
  slab = slab.subarray(length);
  return bytes;
}
