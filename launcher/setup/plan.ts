import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { loadSettings } from '../../etc/config/settings.ts';
import { type Step, step } from '../../etc/config/setup-step.ts';
import { replaceFile } from '../../etc/host/replace-file.ts';
import { ConfigError } from '../../proto/errors.ts';
import { ROOT_PORT } from '../../proto/rendezvous.ts';
import { compiledFile, hasFittingCode } from './compiled-code.ts';
import { type Address, ask, describeAddress, frontDoor, isServing, waitUntilServing } from './door.ts';
import { guardUndoSteps } from './guard.ts';
import { inetdAddresses, inetdSteps, inetdUndoSteps, reloadStep } from './inetd.ts';
import { krb5ConfSteps, krb5ConfUndoSteps } from './krb5-conf.ts';
import { findSuperServer } from './machine.ts';
import { forgetSteps, readRecord, recordSteps, type SetupRecord } from './record.ts';
import { planUnits, unitUndoSteps } from './systemd.ts';

/** What is to be done, in this order, and what the admin should know of it. */
export interface Plan {
  steps: Step[];
  notes: string[];
}

/**
 * What a machine lacks yet. The door is open and answers before any program is led to it, and so no klist fails or hangs in
 * between. Throws 202 (`ccErrBadParam`) where it cannot be set up.
 */
export async function planSetup(): Promise<Plan> {
  const server = findSuperServer();
  if (!server) throw new ConfigError('there is neither systemd nor an inetd here: apt-get install openbsd-inetd');
  const port = loadSettings({ env: {} }).port ?? ROOT_PORT;
  const compiled = compileSteps();
  if (server.kind === 'systemd') {
    const addresses = [frontDoor, { host: '127.0.0.1', port }];
    const units = await planUnits(port, () => isServed(addresses));
    if (units.changes.displaced.length === 0) await refuseOther(units.files.length > 0);
    const open = units.open.length > 0 ? [...units.open, ...addresses.map(waitStep)] : [];
    const krb5 = krb5ConfSteps();
    const steps = [...units.files, ...open, ...units.displace, ...krb5];
    return {
      steps: [...compiled, ...withRecord(steps, units.changes)],
      notes: units.changes.displaced.map(({ unit }) => `tickets in the server of ${unit} stay there: kinit again`),
    };
  }
  const addresses = inetdAddresses(server, port);
  const files = inetdSteps(server, port);
  const isOpen = files.length === 0 && (await isServed(addresses));
  const hasDoor = addresses.includes(frontDoor);
  if (hasDoor) await refuseOther(files.length > 0);
  const open = isOpen ? [] : [reloadStep(server), ...addresses.map(waitStep)];
  const krb5 = hasDoor ? krb5ConfSteps() : [];
  const steps = withRecord([...files, ...open, ...krb5], { directories: [], enabled: [], displaced: [] });
  const note = `${server.kind} has no UNIX sockets, and so no front door: krb5.conf stays as it is, and ccapi env leads a shell`;
  return { steps: [...compiled, ...steps], notes: hasDoor ? [] : [note] };
}

/** What setup has done, in reverse: programs go elsewhere before the door is closed. */
export function planUndo(): Plan {
  const record = readRecord();
  const server = findSuperServer();
  const units = server?.kind === 'systemd' ? unitUndoSteps(record) : [];
  const inetd = inetdUndoSteps(server?.kind === 'systemd' ? undefined : server, record);
  const steps = [...krb5ConfUndoSteps(), ...units, ...inetd, ...guardUndoSteps(), ...forgetSteps(record)];
  const note = 'tickets stay with the servers that hold them, in /run/ccapi, until these are stopped and it is removed';
  return { steps, notes: steps.length > 0 ? [note] : [] };
}

function withRecord(steps: Step[], changes: SetupRecord): Step[] {
  return steps.length === 0 ? [] : [...recordSteps(changes), ...steps];
}

async function isServed(addresses: readonly Address[]): Promise<boolean> {
  for (const address of addresses) if (!isServing(await ask(address))) return false;
  return true;
}

/** Where another program has the front door, which systemd does not know of, an admin has to decide. */
async function refuseOther(isNew: boolean): Promise<void> {
  if (isNew && (await ask(frontDoor)).kind === 'other') {
    throw new ConfigError(`${describeAddress(frontDoor)}: another program answers there; stop it, and run setup again`);
  }
}

function waitStep(address: Address): Step {
  return step(`wait until a launcher answers at ${describeAddress(address)}`, () => waitUntilServing(address));
}

/** Compiled code that another processor or another Node has made is not used; it is made here once, and not at each start. */
function compileSteps(): Step[] {
  const bundles = readdirSync(__dirname).filter((name) => name.endsWith('.bundle.js'));
  return bundles
    .map((name) => join(__dirname, name))
    .filter((bundle) => !hasFittingCode(bundle))
    .map((bundle) =>
      step(`compile ${bundle} for this processor and Node`, () =>
        replaceFile(`${bundle}.compiled`, compiledFile(bundle).toString('latin1')),
      ),
    );
}
