// The live view, read without a pause by each library that programs read files with, while stock programs change what is the
// default ccache and what is in it: each read is a whole ccache, as it was before a change or after it.
import { beforeAll, expect, inject, it } from 'vitest';
import { memory, temporaryDirectory } from '../setup/cleanup.ts';
import { type FrontDoor, frontDoorRequirements, startFrontDoor } from '../setup/front-door.ts';
import { buildReader, type Library, type Reader } from '../setup/readers/readers.ts';
import { describeWith, type Requirement } from '../setup/requirements.ts';
import type { TestUser } from '../setup/test-users.ts';

const [alice] = inject('users') as [TestUser, TestUser];

/** How many changes there are, and how many reads of each library beside them, at the least. */
const [CHANGES, READS] = [1000, 1000];

const NONE = '-';
const CONFIGURATION = 'krb5_ccache_conf_data/';

/** The default ccache at a moment: its principal, and the services with a hash of each ticket. */
interface State {
  principal: string;
  tickets: string[];
}

/** A round of what users do; the default ccache is now alice's, now bob's. The last one stays: with it the file is overwritten at once. */
const ROUND = [
  ...['kinit alice', 'kvno host/a.test.example', 'kvno host/b.test.example', 'kinit bob', 'kvno host/a.test.example'],
  ...['kswitch -p alice', 'kvno host/c.test.example', 'kinit alice', 'kvno host/a.test.example', 'kswitch -p bob'],
  ...['kvno host/b.test.example', 'kdestroy', 'kvno host/b.test.example'],
];

let machine: FrontDoor;
let view: string;
let server: Reader;

async function prepare(): Promise<void> {
  const base = `${temporaryDirectory(memory)}/run`;
  const services = ['a', 'b', 'c'].map((name) => `host/${name}.test.example`);
  machine = await startFrontDoor(['alice', 'bob', ...services], { base });
  view = `FILE:${base}/${alice.uid}/krb5cc`;
  server = (await buildReader('MIT'))('KCM:', alice, machine.env);
}

function parse(line: string): State {
  const [principal = '', tickets = ''] = line.split('\t');
  return { principal, tickets: tickets === '' ? [] : tickets.split(' ') };
}

/** Does a change, and adds to the history what the default ccache was during it, and is after it, as the server says. */
async function change(line: string, history: State[]): Promise<void> {
  const [program = '', ...args] = line.split(' ');
  const { code, stderr } = await machine.as(alice, program, ...args);
  expect(code, `${line}: ${stderr}`).toBe(0);
  const state = parse(await server.read());
  // It empties the ccache first, and stores one ticket after the other.
  if (program === 'kinit')
    history.push(...state.tickets.map((_, i) => ({ ...state, tickets: state.tickets.slice(0, i) })));
  history.push(state);
}

/** The first state, from one on, that a half of a read is of. */
function indexOf(history: State[], from: number, half: keyof State, found: State): number {
  const index = history.findIndex((state, i) => i >= from && state[half].toString() === found[half].toString());
  if (index < 0) expect.fail(`no state from ${from} on has the ${half} of ${JSON.stringify(found)}`);
  return index;
}

/** A library may open the file for each half of a read, between which it may change; what is later is never older. */
function expectInOrder(reads: string[], history: State[]): void {
  let at = 0;
  for (const found of reads.map(parse)) {
    at = indexOf(history, at, 'principal', found);
    at = indexOf(history, at, 'tickets', found);
  }
}

/** Java passes over them. */
function withoutConfiguration({ principal, tickets }: State): State {
  return { principal, tickets: tickets.filter((ticket) => !ticket.startsWith(CONFIGURATION)) };
}

const suites: [title: string, libraries: Library[], needs: Requirement[]][] = [
  ['MIT, Heimdal and Samba', ['MIT', 'Heimdal', 'Samba'], ['gcc', 'libc6-dev', 'libkrb5-dev', 'heimdal', 'samba']],
];
if (process.env.CCAPI_SOAK) {
  const needs: Requirement[] = ['gcc', 'libc6-dev', 'libkrb5-dev', 'openjdk-17-jdk-headless'];
  suites.push(['Java and Go', ['Java', 'Go'], [...needs, 'golang-go', 'golang-github-jcmturner-gokrb5.v8-dev']]);
}

for (const [title, libraries, needs] of suites) {
  describeWith([...frontDoorRequirements, ...needs], `the live view, by ${title}`, () => {
    beforeAll(prepare);

    it(`is whole in each of ${READS} reads beside ${CHANGES} changes`, { timeout: 300_000 }, async () => {
      const history: State[] = [{ principal: NONE, tickets: [NONE] }];
      const readers = await Promise.all(
        libraries.map(async (library) => {
          const reader = (await buildReader(library))(view, alice, { KRB5_CONFIG: machine.kdc.krb5Conf });
          return { library, reader, reads: [await reader.read()] };
        }),
      );
      let isOver = false;
      const changes = (async () => {
        let count = 0;
        while (count < CHANGES || readers.some(({ reads }) => reads.length < READS)) {
          for (const line of ROUND) await change(line, history);
          count += ROUND.length;
        }
      })().finally(() => {
        isOver = true;
      });
      const loops = readers.map(async ({ reader, reads }) => {
        while (!isOver) reads.push(await reader.read());
      });
      await Promise.all([changes, ...loops]);
      for (const { library, reads } of readers) {
        expectInOrder(reads, library === 'Java' ? history.map(withoutConfiguration) : history);
        expect(new Set(reads.map((read) => parse(read).principal)), library).toEqual(
          new Set([NONE, 'alice@TEST.EXAMPLE', 'bob@TEST.EXAMPLE']),
        );
      }
    });
  });
}
