import { existsSync, readdirSync } from 'node:fs';
import { readSection } from '../../etc/config/krb5-conf.ts';
import { hasBlock, withBlock, withoutBlock } from '../../etc/config/marked-block.ts';
import { FRONT_DOOR } from '../../etc/config/paths.ts';
import { readText, type Step, writeStep } from '../../etc/config/setup-step.ts';
import { hasSambaHeimdal } from '../../etc/host/samba.ts';

export const KRB5_CONF = '/etc/krb5.conf';

/** A file of our own, where krb5.conf includes its directory ahead of all else. */
const INCLUDED_DIRECTORY = '/etc/krb5.conf.d';
const INCLUDED = `${INCLUDED_DIRECTORY}/ccapi.conf`;

const UNDO = 'ccapi-launcher setup --undo';

/** The first line of {@link INCLUDED}: what does not begin so is an admin's. */
const OWN_MARK = '# Made by ccapi-launcher setup';

/** libkrb5 passes over what stands before the first section or include, and takes the first value of a key. */
const FIRST_LINE = /(?<![^\n])(?:\[|(?:include|includedir|module)[ \t])/;

/** Has stock Kerberos programs keep their tickets behind the front door; no step where they do. */
export function krb5ConfSteps(): Step[] {
  const text = readText(KRB5_CONF);
  const isIncluded = readText(INCLUDED)?.startsWith(OWN_MARK) ?? false;
  const isOurs = isIncluded || hasBlock(text, KRB5_CONF);
  if (!isOurs && leadsHere()) return [];
  if (isIncluded || (!isOurs && includesFirst(text ?? ''))) {
    return writeStep(INCLUDED, `${OWN_MARK}; ${UNDO} removes this file.\n${lines()}`);
  }
  return writeStep(KRB5_CONF, withBlock(text, KRB5_CONF, lines(), UNDO, FIRST_LINE));
}

/** Has them keep their tickets where they did before. */
export function krb5ConfUndoSteps(): Step[] {
  const text = readText(KRB5_CONF);
  const included = readText(INCLUDED);
  return [
    ...writeStep(INCLUDED, included?.startsWith(OWN_MARK) ? undefined : included),
    ...writeStep(KRB5_CONF, withoutBlock(text, KRB5_CONF)),
  ];
}

/** The values in force, the first of each key; a file that does not parse throws 202 (`ccErrBadParam`). */
function inForce(key: string): string | undefined {
  return readSection([KRB5_CONF], 'libdefaults').find((relation) => relation.key === key)?.value;
}

function leadsHere(): boolean {
  const isHere = (inForce('kcm_socket') ?? FRONT_DOOR) === FRONT_DOOR;
  const isHeimdals = hasSambaHeimdal()
    ? inForce('default_cc_name') !== undefined
    : inForce('default_cc_type') === 'KCM' || inForce('default_cc_name') !== undefined;
  return isHere && isHeimdals && Boolean(inForce('default_ccache_name')?.startsWith('KCM:'));
}

/** Whether a file of that directory is read before any other word on where tickets are. */
function includesFirst(text: string): boolean {
  const [first = ''] = text.slice(text.search(FIRST_LINE)).split('\n');
  const isFirst = /^includedir[ \t]+\/etc\/krb5\.conf\.d\/*\s*$/.test(first);
  if (!isFirst || !existsSync(INCLUDED_DIRECTORY) || existsSync(INCLUDED)) return false;
  return readdirSync(INCLUDED_DIRECTORY).every((name) => !saysWhere(`${INCLUDED_DIRECTORY}/${name}`));
}

function saysWhere(file: string): boolean {
  const keys = ['default_ccache_name', 'default_cc_type', 'default_cc_name', 'kcm_socket'];
  return readSection([file], 'libdefaults').some(({ key }) => keys.includes(key));
}

/** The live view, for libraries that read a file; MIT's passes over this key. */
const LIVE_VIEW = 'default_cc_name = FILE:/run/ccapi/%{uid}/krb5cc';

/**
 * What MIT's programs go by, and Heimdal's, or Samba's, beside which Heimdal's own kinit does not come here; a socket that was
 * named for another server is not to be asked.
 */
function lines(): string {
  const heimdals = hasSambaHeimdal() ? LIVE_VIEW : 'default_cc_type = KCM';
  const own = ['[libdefaults]', '    default_ccache_name = KCM:', `    ${heimdals}`];
  const socket = inForce('kcm_socket') === undefined ? [] : [`    kcm_socket = ${FRONT_DOOR}`];
  return `${[...own, ...socket].join('\n')}\n`;
}
