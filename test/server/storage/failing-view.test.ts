// Each system call of a write of the live view fails, alone or with the next one: the view is what it has to be or is not there, nothing of it is left
// elsewhere, and it is written with the next look.
import { existsSync, mkdirSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { afterAll, expect, it, vi } from 'vitest';
import { Collection } from '../../../server/model/collection.ts';
import { Identifiers } from '../../../server/model/identifiers.ts';
import { LiveView } from '../../../server/storage/live-view.ts';
import { memory, temporaryDirectory } from '../../setup/cleanup.ts';
import { describeWith } from '../../setup/requirements.ts';
import { secret, secretsIn } from './changes.ts';
import { fault, whileFailing } from './failing-fs.ts';

vi.mock('node:fs', async (original) => (await import('./failing-fs.ts')).failing(await original()));

const silent = { info() {}, warning() {}, error() {}, refusal() {} };
const root = temporaryDirectory(memory);
let places = 0;
const views: LiveView[] = [];
afterAll(() => {
  for (const view of views) view.close();
});

/** A view that shows one credential, of a collection that has got another. */
function outdated(sync: boolean): { place: string; view: LiveView } {
  const place = `${root}/${places++}`;
  mkdirSync(`${place}/caches`, { recursive: true });
  const collection = new Collection(new Identifiers(), () => 1_700_000_000);
  const view = new LiveView(place, collection, sync, silent);
  views.push(view);
  const ccache = collection.create('a', 2, 'a@R');
  collection.store(ccache, secret('one@R'));
  view.touch();
  view.update();
  collection.store(ccache, secret('two@R'));
  view.touch();
  return { place, view };
}

/** The files of a place that this process has open. */
const opened = (place: string) =>
  readdirSync('/proc/self/fd').filter((name) => linkOf(`/proc/self/fd/${name}`).startsWith(`${place}/`));

function linkOf(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    // The descriptor by which the directory was listed.
    return '';
  }
}

const text = (path: string) => (existsSync(path) ? readFileSync(path, 'latin1') : '');

const cases = ['EIO', 'ENOSPC', 'EMFILE', 'EXDEV'].flatMap((code) =>
  [1, 2].flatMap((times) => [true, false].map((sync) => [times, code, sync] as const)),
);

describeWith(['Linux'], 'a view of which calls fail', () => {
  it.each(cases)('(%s, with %s, sync: %s) is up to date or gone, and soon there again', (times, code, sync) => {
    for (let after = 0; ; after++) {
      const { place, view } = outdated(sync);
      whileFailing(after, code, () => view.update(), times);
      const at = `call ${after}, ${fault.call}`;
      if (fault.call === '') return;
      const shown = text(`${place}/krb5cc`);
      // What is out of date can stay only where it cannot be removed.
      if (shown !== '' && fault.call !== 'unlinkSync') expect(secretsIn([shown]), at).toEqual(['one@R', 'two@R']);
      expect(secretsIn([text(`${place}/caches/new`)]), at).toEqual([]);
      view.restore();
      expect(secretsIn([text(`${place}/krb5cc`)]), at).toEqual(['one@R', 'two@R']);
      // The view, and the former one, which is readable for a second.
      expect(opened(place).length, at).toBeLessThanOrEqual(2);
    }
  });
});
