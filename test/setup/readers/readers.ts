import type { ChildProcess } from 'node:child_process';
import { createInterface } from 'node:readline';
import { start, temporaryDirectory } from '../cleanup.ts';
import { unpackedPrograms } from '../debian-packages.ts';
import { cleanEnvironment, succeed } from '../programs.ts';
import type { TestUser } from '../test-users.ts';

/** One process that reads a ccache as often as it is asked, by a library that programs have. */
export interface Reader {
  /** Reads once; resolves to the principal, a tab, and the services with a hash of each ticket. */
  read(): Promise<string>;
}

/** The libraries, and how one reads by it: of the name of a ccache, the words of a command. */
export type Library = 'MIT' | 'Heimdal' | 'Samba' | 'Java' | 'Go';
type Command = (ccache: string) => string[];

const SAMBA = '/usr/lib/x86_64-linux-gnu/samba';
const JAVA = '/usr/lib/jvm/java-17-openjdk-amd64/bin';
const GOPATH = '/usr/share/gocode';
/** What of Java's own implementation is used directly, since its public face shows no more than one ticket. */
const JAVA_EXPORTS = ['', '.internal', '.internal.ccache'].flatMap((part) => [
  '--add-exports',
  `java.security.jgss/sun.security.krb5${part}=ALL-UNNAMED`,
]);

const builds: Record<Library, (directory: string) => Promise<Command>> = {
  MIT: (directory) => compileC(directory, ['-lkrb5']),
  Heimdal: (directory) => {
    const { libraries } = unpackedPrograms('heimdal');
    return compileC(directory, [...heimdalHeaders(), `${libraries}/libkrb5.so.26`, ...foundIn(libraries)]);
  },
  // Debian has no headers of Samba's own Heimdal; what is used of those of 7.8 is the same there.
  Samba: (directory) => compileC(directory, [...heimdalHeaders(), `${SAMBA}/libkrb5-samba4.so.0`, ...foundIn(SAMBA)]),
  Java: async (directory) => {
    const source = `${import.meta.dirname}/Reader.java`;
    await succeed(`${JAVA}/javac`, ['-nowarn', ...JAVA_EXPORTS, '-d', directory, source]);
    return (ccache) => [`${JAVA}/java`, ...JAVA_EXPORTS, '-cp', directory, 'Reader', ccache.replace(/^FILE:/, '')];
  },
  Go: async (directory) => {
    const env = { GO111MODULE: 'off', GOPATH, GOCACHE: `${directory}/cache` };
    await succeed('/usr/bin/go', ['build', '-o', `${directory}/reader`, `${import.meta.dirname}/reader.go`], { env });
    return (ccache) => [`${directory}/reader`, ccache.replace(/^FILE:/, '')];
  },
};

/** Builds a reader by a library; resolves to a function that starts it, for the name of a ccache and a user. */
export async function buildReader(
  library: Library,
): Promise<(ccache: string, user: TestUser, env: NodeJS.ProcessEnv) => Reader> {
  const command = await builds[library](temporaryDirectory());
  return (ccache, { uid, gid }, env) => {
    const [program = '', ...args] = command(ccache);
    const stdio: ['pipe', 'pipe', 'inherit'] = ['pipe', 'pipe', 'inherit'];
    return readerOf(start(program, args, { uid, gid, env: cleanEnvironment(env), stdio }));
  };
}

function readerOf(child: ChildProcess): Reader {
  const lines = createInterface({ input: child.stdout as NodeJS.ReadableStream });
  return {
    read: () =>
      new Promise((resolve, reject) => {
        const fail = () => reject(new Error('the reader has ended'));
        lines.once('close', fail);
        lines.once('line', (line) => {
          lines.removeListener('close', fail);
          // No implementation escapes as another does.
          resolve(line.replaceAll('\\', '').trimEnd());
        });
        child.stdin?.write('\n');
      }),
  };
}

async function compileC(directory: string, how: string[]): Promise<Command> {
  const program = `${directory}/reader`;
  await succeed('/usr/bin/gcc', ['-Wall', '-Werror', '-o', program, `${import.meta.dirname}/reader.c`, ...how]);
  return (ccache) => [program, ccache];
}

function heimdalHeaders(): string[] {
  const { directory, libraries } = unpackedPrograms('heimdal');
  return [`-I${directory}/usr/include/heimdal`, `-I${directory}/usr/include`, `-Wl,-rpath-link,${libraries}`];
}

/** Has the program's libraries, and theirs, be those of a directory. Source: DT_RPATH in ld.so(8); DT_RUNPATH is not for theirs. */
function foundIn(libraries: string): string[] {
  return [`-Wl,-rpath,${libraries}`, '-Wl,--disable-new-dtags'];
}
