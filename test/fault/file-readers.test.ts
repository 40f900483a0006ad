// Programs that read tickets from files, while others change them by KCM: each sees the default ccache in the live view.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { beforeAll, expect, inject, it } from 'vitest';
import { memory, temporaryDirectory } from '../setup/cleanup.ts';
import { type FrontDoor, frontDoorRequirements, startFrontDoor } from '../setup/front-door.ts';
import { heimdal } from '../setup/heimdal.ts';
import { programs, run, succeed } from '../setup/programs.ts';
import { describeWith } from '../setup/requirements.ts';
import { FILE_SERVER, startSamba } from '../setup/samba.ts';
import type { TestUser } from '../setup/test-users.ts';

const [alice] = inject('users') as [TestUser, TestUser];

let machine: FrontDoor;
let view: string;
/** What the launcher prints for /etc/krb5.conf, with the places of this test. */
let krb5Conf: string;

const options = () => ({ uid: alice.uid, gid: alice.gid, env: { KRB5_CONFIG: krb5Conf } });
const mit = (program: string, ...args: string[]) =>
  run(`/usr/bin/${program}`, args, { ...options(), input: `${machine.kdc.password}\n` });

/** The default principal, or nothing, as a program finds it. */
type Reader = () => Promise<string | undefined>;
const principalIn = (text: string) => /[Pp]rincipal: (\S+)/.exec(text)?.[1];
const byKCM: Reader = async () => principalIn((await mit('klist')).stdout);
const byFile: Reader = async () => principalIn((await mit('klist', '-c', `FILE:${view}`)).stdout);
const byHeimdal: Reader = async () =>
  principalIn((await heimdal(machine.doorDirectory, 'klist', [], options())).stdout);

async function prepare(): Promise<void> {
  const base = `${temporaryDirectory(memory)}/run`;
  machine = await startFrontDoor([alice.name, 'bob', `cifs/${FILE_SERVER}`, 'host/a.test.example'], { base });
  view = `${base}/${alice.uid}/krb5cc`;
  krb5Conf = `${machine.kdc.krb5Conf}.printed`;
  const printed = await succeed(process.execPath, [programs.launcher, '--print-krb5-conf']);
  const door = `[libdefaults]\n kcm_socket = ${machine.door}\n`;
  writeFileSync(
    krb5Conf,
    [printed.replaceAll('/run/ccapi', base), door, readFileSync(machine.kdc.krb5Conf)].join('\n'),
  );
}

/** Does what users do, and has all readers look after each step. */
async function expectAlike(readers: Record<string, Reader>): Promise<void> {
  const expectAll = async (principal: string | undefined) => {
    const found = Object.entries(readers).map(async ([name, read]) => [name, await read()]);
    const expected = Object.keys(readers).map((name) => [name, principal]);
    expect(await Promise.all(found)).toEqual(expected);
  };
  const step = async (program: string, ...args: string[]) => {
    const { code, stderr } = await mit(program, ...args);
    expect(code, `${program} ${args.join(' ')}: ${stderr}`).toBe(0);
  };
  const [own, bob] = [`${alice.name}@${machine.kdc.realm}`, `bob@${machine.kdc.realm}`];
  await step('kinit', alice.name);
  await expectAll(own);
  await step('kvno', 'host/a.test.example');
  await expectAll(own);
  await step('kinit', 'bob');
  await step('kswitch', '-p', 'bob');
  await expectAll(bob);
  await step('kswitch', '-p', alice.name);
  await expectAll(own);
  await step('kdestroy');
  await expectAll(bob);
  await step('kdestroy', '-A');
  await expectAll(undefined);
}

describeWith([...frontDoorRequirements, 'heimdal', 'samba', 'smbclient'], 'with the printed krb5.conf', () => {
  beforeAll(prepare);

  it('MIT’s programs by KCM, the same by the file, and Heimdal’s library see the same after each change', async () => {
    await expectAlike({ byKCM, byFile, byHeimdal });
    expect((await heimdal(machine.doorDirectory, 'klist', [], options())).stderr).toContain(view);
  });

  it('Samba’s smbclient reads a share with the ticket', async () => {
    const port = await startSamba(machine.kdc);
    const words = ['-s', '/dev/null', '--realm', machine.kdc.realm, '--use-kerberos=required', '-N', '-I', '127.0.0.1'];
    const get = () =>
      run(
        '/usr/bin/smbclient',
        [...words, '-p', String(port), `//${FILE_SERVER}/share`, '-c', 'get file -'],
        options(),
      );
    expect((await get()).code).toBe(1);
    await mit('kinit', alice.name);
    expect(await get()).toMatchObject({ code: 0, stdout: expect.stringContaining('of the share') });
    // What it has added to the file is gone with the next change, and never was the server's.
    await mit('kvno', 'host/a.test.example');
    expect((await mit('klist', '-c', `FILE:${view}`)).stdout).not.toContain('cifs/');
    expect(await get()).toMatchObject({ code: 0 });
  });
});

/** Prints the principal that Java's own implementation finds in a ccache. */
const JAVA = `
import java.util.Map;
import javax.security.auth.Subject;
import javax.security.auth.login.*;

public class Reader {
  public static void main(String[] args) throws Exception {
    var options = Map.of("useTicketCache", "true", "doNotPrompt", "true", "ticketCache", args[0]);
    var entry = new AppConfigurationEntry("com.sun.security.auth.module.Krb5LoginModule",
      AppConfigurationEntry.LoginModuleControlFlag.REQUIRED, options);
    var configuration = new Configuration() {
      public AppConfigurationEntry[] getAppConfigurationEntry(String name) {
        return new AppConfigurationEntry[] { entry };
      }
    };
    var subject = new Subject();
    new LoginContext("", subject, null, configuration).login();
    System.out.println("principal: " + subject.getPrincipals().iterator().next().getName());
  }
}`;

/** Prints the principal of the default credential of Java's GSSAPI. */
const JAVA_GSSAPI = `
import org.ietf.jgss.*;

public class Default {
  public static void main(String[] args) throws Exception {
    var credential = GSSManager.getInstance().createCredential(GSSCredential.INITIATE_ONLY);
    System.out.println("principal: " + credential.getName());
  }
}`;

if (process.env.CCAPI_SOAK) {
  describeWith([...frontDoorRequirements, 'openjdk-17-jdk-headless'], 'Java', () => {
    const bin = '/usr/lib/jvm/java-17-openjdk-amd64/bin';
    let classes: string;

    beforeAll(async () => {
      await prepare();
      classes = temporaryDirectory();
      mkdirSync(`${classes}/source`);
      writeFileSync(`${classes}/source/Reader.java`, JAVA);
      writeFileSync(`${classes}/source/Default.java`, JAVA_GSSAPI);
      const sources = ['Reader', 'Default'].map((name) => `${classes}/source/${name}.java`);
      await succeed(`${bin}/javac`, ['-d', classes, ...sources]);
    });

    it('reads the default ccache, whatever it is', async () => {
      const byJava: Reader = async () => {
        const args = [`-Djava.security.krb5.conf=${machine.kdc.krb5Conf}`, '-cp', classes, 'Reader', view];
        return principalIn((await run(`${bin}/java`, args, options())).stdout);
      };
      await expectAlike({ byKCM, byJava });
    });

    it('by libkrb5 uses the server itself', async () => {
      const native = ['-Dsun.security.jgss.native=true', '-Djavax.security.auth.useSubjectCredsOnly=false'];
      const byNative: Reader = async () =>
        principalIn((await run(`${bin}/java`, [...native, '-cp', classes, 'Default'], options())).stdout);
      await expectAlike({ byKCM, byNative });
    });
  });
}
