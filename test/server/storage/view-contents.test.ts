// The buffer that views are gathered in, one after the other: nothing stays in it, and it stays as small as it is.
import { expect, it } from 'vitest';
import { readCCacheFile } from '../../../proto/ccache-file.ts';
import { unparsePrincipal } from '../../../proto/principal.ts';
import type { CCache } from '../../../server/model/ccache.ts';
import { viewOf } from '../../../server/storage/view-contents.ts';
import { collectionAt, credentialFor } from '../model/model.ts';

/** A ccache with so many credentials of so many bytes each. */
function ccacheWith(principal: string, count: number, length = 5000): CCache {
  const { collection } = collectionAt(1_700_000_000);
  const ccache = collection.create('a', 2, principal);
  for (let i = 0; i < count; i++) {
    const ticket = { type: 0, data: Buffer.alloc(length, 'secret of a ticket, ') };
    collection.store(ccache, { ...credentialFor(`s${i}@R`), ticket });
  }
  return ccache;
}

/** What the pieces of a view lie in, seen after no more than so many of them, and the pieces. */
function gather(ccache: CCache, most = Infinity): { memory: Buffer; text: string } {
  let memory: Buffer = Buffer.alloc(0);
  let text = '';
  let count = 0;
  for (const piece of viewOf(ccache)) {
    memory = Buffer.from(piece.buffer);
    text += piece.toString('latin1');
    if (++count === most) break;
  }
  return { memory, text };
}

it.each([1, 2, Infinity])('has no key in it after a view, also after one of which %d pieces were asked for', (most) => {
  const { memory, text } = gather(ccacheWith('a@R', 50), most);
  expect(text).toContain('secret of');
  expect(memory.includes('secret of')).toBe(false);
});

it('is one for all views', () => {
  const [one, other] = [ccacheWith('a@R', 1), ccacheWith('b@R', 50)].map((ccache) => gather(ccache).memory.buffer);
  expect(one === other).toBe(true);
});

it('gives each credential once', () => {
  const { text } = gather(ccacheWith('a@R', 50));
  const { credentials } = readCCacheFile(Buffer.from(text, 'latin1'));
  const servers = credentials.map(({ server }) => unparsePrincipal(server));
  expect(servers).toEqual(Array.from({ length: 50 }, (_, i) => `s${i}@R`));
});

it.each([
  ['a long principal alone', () => ccacheWith(`${'€'.repeat(60_000)}@R`, 0)],
  ['a long principal', () => ccacheWith(`${'€'.repeat(60_000)}@R`, 1)],
  ['a long ticket', () => ccacheWith('a@R', 3, 300_000)],
])('is let go of where it had to grow for %s', (_, make) => {
  const usual = gather(ccacheWith('a@R', 1)).memory.length;
  expect(gather(make()).memory.length).toBeGreaterThan(usual);
  expect(gather(ccacheWith('a@R', 1)).memory.length).toBe(usual);
});
