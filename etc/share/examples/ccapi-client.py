#!/usr/bin/env python3
"""A CCAPI client in the standard library alone; see proto/CCAPI.md and proto/RENDEZVOUS.md.

ccapi-client.py [-s SOCKET] list                             print ccaches and tickets
ccapi-client.py [-s SOCKET] store CCACHE PRINCIPAL SERVICE   store a made-up ticket, good for an hour
ccapi-client.py [-s SOCKET] wait                             wait until something changes
"""
import os, socket, stat, struct, sys, time

UNINITIALISED = (struct.pack('>I', 11) + b'NEEDS_SYNC\0') * 2
V5 = struct.pack('>I', 2)
ITERATOR_END, CCACHE_GONE, ITERATOR_GONE, NO_CCACHE = 201, 205, 209, 221
CHANGE_TIME, WAIT, OPEN, CREATE, CCACHES, NAME, PRINCIPAL = 3, 4, 6, 8, 11, 19, 20
STORE, CREDENTIALS, NEXT_CCACHE, NEXT_CREDENTIAL = 22, 24, 37, 42

def ask_launcher():
    """The path of our worker's socket, from the launcher on loopback."""
    with socket.create_connection(('127.0.0.1', int(os.environ.get('CCAPI_PORT', 789))), timeout=30) as launcher:
        launcher.sendall(b'CCAPI/1 uid=%d\n' % os.geteuid())
        line = launcher.makefile('rb').readline(512)
    if not line.startswith(b'CCAPI/1 ok path=/') or not line.endswith(b'\n'):
        sys.exit('the launcher answered: ' + line.decode(errors='replace').strip())
    return os.fsdecode(line[len('CCAPI/1 ok path='):-1])

def checked(path):
    """The same path without links, if only we and root can have put something there (RENDEZVOUS.md, Checking the path)."""
    directory, name = os.path.split(path)
    if os.path.islink(directory):
        sys.exit(f'{directory} is a symbolic link')
    real, at = os.path.realpath(directory), '/'
    for part in real.split('/')[1:]:
        found = os.lstat(at)
        is_open = found.st_mode & 0o022 and not found.st_mode & stat.S_ISVTX
        if not stat.S_ISDIR(found.st_mode) or found.st_uid not in (0, os.geteuid()) or is_open:
            sys.exit(f'{at}: other users can replace what is in it')
        at = os.path.join(at, part)
    found = os.lstat(at)
    if (stat.S_IFMT(found.st_mode) | found.st_mode & 0o777, found.st_uid) != (stat.S_IFDIR | 0o700, os.geteuid()):
        sys.exit(f'{at} is not a directory of ours with mode 700')
    return os.path.join(at, name)

class Reply:
    """Reads the fields of a reply in their order."""
    def __init__(self, payload):
        self.payload, self.at = payload, 0
    def take(self, count):
        if count > len(self.payload) - self.at:
            sys.exit('the worker closed the connection, or sent too little')
        self.at += count
        return self.payload[self.at - count:self.at]
    def u32(self): return struct.unpack('>I', self.take(4))[0]
    def time(self): return struct.unpack('>xxxxI', self.take(8))[0]
    def string(self): return self.take(self.u32())[:-1].decode(errors='surrogateescape')
    def data(self): return self.u32(), self.take(self.u32())
    def identifier(self):
        start, _, _ = self.at, self.string(), self.string()
        return self.payload[start:self.at]

class Worker:
    """One connection: a request, then its reply."""
    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(path)  # Python refuses a path above 107 bytes by itself
        self.replies = self.socket.makefile('rb')
    def ask(self, number, target, fields=b'', allowed=()):
        """The reply; None for an error that is allowed."""
        request = struct.pack('>I', number) + target + fields
        self.socket.sendall(struct.pack('>I', len(request)) + request)
        reply = Reply(self.replies.read(Reply(self.replies.read(4)).u32()))
        error = reply.u32()
        if error and error not in allowed:
            sys.exit(f'the worker answered error {error}')
        return None if error else reply
    def each(self, number, iterator):
        """The replies of an iterator until its end, or until it has gone with what it was over."""
        while reply := self.ask(number, iterator, allowed=(ITERATOR_END, CCACHE_GONE, ITERATOR_GONE)):
            yield reply

def string(text): return data(0, text.encode(errors='surrogateescape') + b'\0')[4:]
def data(kind, content): return struct.pack('>II', kind, len(content)) + content

def list_all(worker):
    for reply in worker.each(NEXT_CCACHE, worker.ask(CCACHES, UNINITIALISED).identifier()):
        ccache = reply.identifier()
        print(f'{worker.ask(NAME, ccache).string()}: {worker.ask(PRINCIPAL, ccache, V5).string()}')
        for reply in worker.each(NEXT_CREDENTIAL, worker.ask(CREDENTIALS, ccache).identifier()):
            reply.identifier(), reply.u32(), reply.string()
            service, _, _, _, end = reply.string(), reply.data(), reply.time(), reply.time(), reply.time()
            if not service.endswith('@X-CACHECONF:'):
                print(f'  {service} until {time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(end))}')

def store(worker, name, principal, service):
    opened = worker.ask(OPEN, UNINITIALISED, string(name), allowed=(NO_CCACHE,))
    made = opened or worker.ask(CREATE, UNINITIALISED, string(name) + V5 + string(principal))
    ccache = made.identifier()
    now = int(time.time())
    times, no_flags_or_addresses = struct.pack('>4Q', now, now, now + 3600, 0), bytes(12)
    fields = V5 + string(principal) + string(service) + data(18, os.urandom(32)) + times + no_flags_or_addresses
    worker.ask(STORE, ccache, fields + data(0, b'made up') + data(0, b'') + bytes(4))

def wait(worker):
    last = worker.ask(CHANGE_TIME, UNINITIALISED).time()
    print('changed', worker.ask(WAIT, UNINITIALISED, struct.pack('>Q', last)).time() - last)

commands = {'list': (list_all, 0), 'store': (store, 3), 'wait': (wait, 0)}
given, args = (sys.argv[2], sys.argv[3:]) if sys.argv[1:2] == ['-s'] and sys.argv[2:] else (None, sys.argv[1:])
run, count = commands.get(args[0] if args else '', (None, None))
if len(args) - 1 != count:
    sys.exit(__doc__)
run(Worker(checked(given or ask_launcher())), *args[1:])
