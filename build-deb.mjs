// Makes ccapi_VERSION_ARCHITECTURE.deb of what build.mjs has built: for this processor, since koffi has an addon for each.
// The version is the package's, or the one that is given: npm run package:deb -- 1.2.3 DIRECTORY
// DEBFULLNAME and DEBEMAIL name its maintainer, as with Debian's own tools.
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { gzipSync } from 'node:zlib';

const { version: ownVersion, man } = JSON.parse(readFileSync('package.json', 'utf8'));
const [version = ownVersion, directory = '.'] = process.argv.slice(2);
const architecture = { x64: 'amd64', arm64: 'arm64' }[process.arch];
if (!architecture) throw new Error(`Debian's name of ${process.arch} is not known here`);
const { DEBFULLNAME = 'The ccapi authors', DEBEMAIL = 'ccapi@example.org' } = process.env;
const maintainer = `${DEBFULLNAME} <${DEBEMAIL}>`;
const HOME = 'usr/lib/ccapi';
const root = mkdtempSync(join(tmpdir(), 'ccapi-deb-'));

function put(path, content, mode = 0o644) {
  mkdirSync(join(root, dirname(path)), { recursive: true });
  writeFileSync(join(root, path), content, { mode });
}

function copy(from, to) {
  cpSync(from, join(root, to), { recursive: true });
}

/** gzip's header has no time in it, so that the same package has the same bytes. */
function putZipped(path, text) {
  put(`${path}.gz`, gzipSync(text, { level: 9 }));
}

function filesBelow(path) {
  return readdirSync(join(root, path), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(root.length + 1))
    .sort();
}

copyPrograms();
copyUnits();
copyProfile();
copyDocuments();
writeControl();
const archive = join(directory, `ccapi_${version}_${architecture}.deb`);
execFileSync('chmod', ['-R', 'u=rwX,go=rX', root]);
execFileSync('dpkg-deb', ['--root-owner-group', '-Zxz', '--build', root, archive], {
  stdio: ['ignore', 'ignore', 'inherit'],
});
rmSync(root, { recursive: true });
process.stdout.write(`${archive}\n`);

function copyPrograms() {
  for (const name of readdirSync('dist').filter((file) => file.startsWith('ccapi'))) {
    const isProgram = /^ccapi(-launcher|-server)?\.js$/.test(name);
    const content = readFileSync(join('dist', name), 'latin1');
    const text = isProgram ? content.replace(/^.*/, '#!/usr/bin/node') : content;
    put(`${HOME}/dist/${name}`, Buffer.from(text, 'latin1'), isProgram ? 0o755 : 0o644);
  }
  copy('dist/index.js', `${HOME}/dist/index.js`);
  copy('package.json', `${HOME}/package.json`);
  copy('etc/share/samples', `${HOME}/etc/share/samples`);
  const addon = `node_modules/@koromix/koffi-linux-${process.arch}/linux_${process.arch}/koffi.node`;
  copy(addon, `${HOME}/${addon}`);
  for (const [path, name] of [
    ['usr/bin/ccapi', 'ccapi.js'],
    ['usr/sbin/ccapi-launcher', 'ccapi-launcher.js'],
    ['usr/sbin/ccapi-server', 'ccapi-server.js'],
  ]) {
    mkdirSync(join(root, dirname(path)), { recursive: true });
    symlinkSync(`../lib/ccapi/dist/${name}`, join(root, path));
  }
}

/** The units with the paths of the package, which are those of the samples but for the programs'. */
function copyUnits() {
  const samples = 'etc/share/samples';
  const read = (name) =>
    readFileSync(`${samples}/${name}`, 'utf8').replaceAll('/usr/local/lib/node_modules/ccapi', `/${HOME}`);
  const isUnit = (name) => /\.(slice|service|socket)$/.test(name);
  for (const name of readdirSync(samples).filter(isUnit)) put(`usr/lib/systemd/system/${name}`, read(name));
  for (const name of readdirSync(`${samples}/user`)) put(`usr/lib/systemd/user/${name}`, read(`user/${name}`));
  put('usr/lib/tmpfiles.d/ccapi.conf', read('tmpfiles.conf'));
  put('usr/share/doc/ccapi/examples/apparmor', read('apparmor'));
}

/** What has logins' tickets in the server, once an admin enables it; the file in /etc is the admin's to edit. */
function copyProfile() {
  copy('etc/share/samples/pam-profile', 'usr/share/pam-configs/ccapi');
  copy('etc/share/samples/pam-env.conf', 'etc/security/ccapi-env.conf');
  put('DEBIAN/conffiles', '/etc/security/ccapi-env.conf\n');
}

function copyDocuments() {
  for (const path of man) putZipped(`usr/share/man/man${path.slice(-1)}/${basename(path)}`, readFileSync(path));
  copy('dist/completions/ccapi.bash', 'usr/share/bash-completion/completions/ccapi');
  copy('dist/completions/_ccapi', 'usr/share/zsh/vendor-completions/_ccapi');
  copy('dist/completions/ccapi.fish', 'usr/share/fish/vendor_completions.d/ccapi.fish');
  const doc = 'usr/share/doc/ccapi';
  putZipped(`${doc}/CHANGELOG.md`, readFileSync('CHANGELOG.md'));
  const date = statSync('CHANGELOG.md').mtime.toUTCString().replace('GMT', '+0000');
  const entry = `ccapi (${version}) unstable; urgency=medium\n\n  * See CHANGELOG.md.gz.\n\n -- ${maintainer}  ${date}\n`;
  putZipped(`${doc}/changelog`, entry);
  for (const name of ['README.md', 'SECURITY.md']) copy(name, `${doc}/${name}`);
  copy('etc/share/examples', `${doc}/examples`);
  const indented = readFileSync('LICENSE', 'utf8')
    .trimEnd()
    .split('\n')
    .map((line) => (line === '' ? ' .' : ` ${line}`));
  put(`${doc}/copyright`, `${readFileSync('etc/debian/copyright', 'utf8')}${indented.join('\n')}\n`);
}

function writeControl() {
  const files = filesBelow('usr');
  const size = [...filesBelow('etc'), ...files].reduce((sum, path) => sum + statSync(join(root, path)).size, 0);
  const kibibytes = String(Math.ceil(size / 1024));
  const values = { VERSION: version, ARCHITECTURE: architecture, SIZE: kibibytes, MAINTAINER: maintainer };
  const control = readFileSync('etc/debian/control', 'utf8').replace(/@(\w+)@/g, (_, name) => values[name]);
  const digest = (path) =>
    createHash('md5')
      .update(readFileSync(join(root, path)))
      .digest('hex');
  put('DEBIAN/control', control);
  put('DEBIAN/md5sums', files.map((path) => `${digest(path)}  ${path}\n`).join(''));
  for (const name of ['postinst', 'prerm', 'postrm']) put(`DEBIAN/${name}`, readFileSync(`etc/debian/${name}`), 0o755);
}
