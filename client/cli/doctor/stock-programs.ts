import { existsSync } from 'node:fs';
import { foreignCCacheTemplates } from '../../../etc/config/sssd-conf.ts';
import { namesIn, textOf } from '../../../etc/host/read-or-nothing.ts';
import { hasSambaHeimdal } from '../../../etc/host/samba.ts';
import { type Finding, libdefault, type Patient } from './finding.ts';

const what = 'stock programs';

/** Where libkrb5 keeps tickets. */
export async function checkLibkrb5({ env }: Patient): Promise<Finding[]> {
  const inForce = env.KRB5CCNAME;
  if (inForce !== undefined && !inForce.startsWith('KCM:')) {
    const says = `KRB5CCNAME=${inForce} has them keep their tickets elsewhere`;
    return [{ what, fine: false, says, todo: 'unset KRB5CCNAME' }];
  }
  const configured = libdefault(env, 'default_ccache_name');
  if (inForce !== undefined || configured?.startsWith('KCM:')) return [{ what, fine: true, says: 'use KCM:' }];
  const says = configured === undefined ? 'keep their tickets in files' : `keep their tickets in ${configured}`;
  const todo = 'as root: ccapi-launcher setup; for yourself: ccapi setup; for one shell: eval "$(ccapi env)"';
  return [{ what, fine: false, says, todo }];
}

/** sssd.conf can be read by root alone, as sssd's own file may be. */
export async function checkSSSD(): Promise<Finding[]> {
  return foreignCCacheTemplates().map(({ file, section, value }) => ({
    what: 'logins by sssd',
    fine: false,
    says: `${file}: [${section}] krb5_ccname_template = ${value} has them keep their tickets elsewhere`,
    todo: 'take that line out, and restart sssd; krb5.conf then says where tickets go',
  }));
}

/** Samba's Heimdal reads `default_ccache_name = KCM:` as the name of a file; `default_cc_name` comes first there. */
export async function checkSamba({ env }: Patient): Promise<Finding[]> {
  if (!libdefault(env, 'default_ccache_name')?.startsWith('KCM:') || !hasSambaHeimdal()) return [];
  const what = "Samba's programs";
  const named = libdefault(env, 'default_cc_name');
  if (named !== undefined) return [{ what, fine: true, says: `use ${named}` }];
  const says = 'their own Heimdal takes "KCM:" for the name of a file, and finds no ticket';
  return [
    { what, fine: false, says, todo: 'in krb5.conf, [libdefaults], what ccapi-launcher --print-krb5-conf prints' },
  ];
}

const APPARMOR = '/etc/apparmor.d/abstractions/kerberosclient';

/** Programs that AppArmor confines may use what this file allows, and Debian's does not name the front door. */
export async function checkAppArmor(): Promise<Finding[]> {
  if (!existsSync(APPARMOR) || !textOf('/sys/module/apparmor/parameters/enabled').startsWith('Y')) return [];
  const texts = [APPARMOR, ...namesIn(`${APPARMOR}.d`).map((name) => `${APPARMOR}.d/${name}`)].map(textOf);
  if (texts.some((text) => text.includes('kcm-socket'))) return [];
  const line = `mkdir -p ${APPARMOR}.d && echo '/{,var/}run/.heim_org.h5l.kcm-socket rw,' > ${APPARMOR}.d/ccapi`;
  const says = `${APPARMOR} does not let programs that it confines use the front door; as root: ${line}`;
  return [{ what: 'AppArmor', fine: true, says }];
}
