import { writeClientKrb5Conf } from '../../etc/config/client-krb5-conf.ts';
import type { Context } from '../index.ts';

/**
 * The value of KRB5_CONFIG with which stock Kerberos programs keep their tickets in the user's worker, which is started
 * if it does not run.
 */
export async function krb5ConfigFor(context: Context, env: NodeJS.ProcessEnv = process.env): Promise<string> {
  return writeClientKrb5Conf(await context.getServerPath(), env);
}
