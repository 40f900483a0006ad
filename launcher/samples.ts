import { join } from 'node:path';
import { FRONT_DOOR } from '../etc/base-directory.ts';

const launcher = join(__dirname, 'ccapi-launcher.js');
const server = join(__dirname, 'ccapi-server.js');
const node = process.execPath;

/** All that the launcher needs of root: to make a user's directory and to be that user. */
export const capabilities = ['setuid', 'setgid', 'chown', 'dac_read_search'] as const;

/** What an admin installs, with the paths of this machine, by the option that prints it. */
export const samples = {
  'print-inetd-entry': () => `# /etc/inetd.conf: programs of ours, and the front door for stock Kerberos programs
127.0.0.1:789 stream tcp4 wait root ${node} node ${launcher} --wait
${FRONT_DOOR} stream unix wait root ${node} node ${launcher} --wait
`,

  'print-xinetd-entry': () => `# /etc/xinetd.d/ccapi
service ccapi
{
    type        = UNLISTED
    socket_type = stream
    protocol    = tcp
    bind        = 127.0.0.1
    port        = 789
    wait        = yes
    user        = root
    server      = ${node}
    server_args = ${launcher} --wait
}
`,

  'print-systemd-units': () => `# /etc/systemd/system/ccapi.socket
[Unit]
Description=Credential caches: rendezvous and KCM

[Socket]
ListenStream=127.0.0.1:789
ListenStream=${FRONT_DOOR.replace('/var/run', '/run')}

[Install]
WantedBy=sockets.target

# /etc/systemd/system/ccapi.service
[Unit]
Description=Credential caches: starts a server for each user who asks
Requires=ccapi.socket

[Service]
ExecStart=${node} ${launcher} --wait
# The servers that it starts are the users', and stay when it leaves.
KillMode=process
ProtectSystem=full
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6
LockPersonality=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
RestrictRealtime=yes
NoNewPrivileges=yes
CapabilityBoundingSet=${capabilities.map((name) => `CAP_${name.toUpperCase()}`).join(' ')}

# For one user and without root: ~/.config/systemd/user/ccapi.socket
[Socket]
ListenStream=%t/ccapi/%U/S.ccapi
DirectoryMode=0700

[Install]
WantedBy=sockets.target

# ~/.config/systemd/user/ccapi.service
[Service]
ExecStart=${node} ${server}
`,

  'print-krb5-conf': () => `# /etc/krb5.conf
[libdefaults]
    default_ccache_name = KCM:
    # for programs of Heimdal's
    default_cc_type = KCM

[ccapi]
    idle_timeout = 10m
    persist = auto
`,
} as const;

/** The name of an option that prints one. */
export type SampleOption = keyof typeof samples;
