// What a hostile user runs in a user namespace, in Python: its system calls come one by one, as fast as the kernel takes them.

/**
 * Connects to a path or port once for each further argument, sends its bytes, and prints what the first connection is
 * answered, or the name of the error.
 */
export const ASK = `
import errno, socket, sys
address, requests = sys.argv[1], sys.argv[2:]
def connect():
    if address.isdigit(): return socket.create_connection(('127.0.0.1', int(address)))
    client = socket.socket(socket.AF_UNIX)
    client.connect(address)
    return client
try:
    clients = [connect() for _ in requests]
    for client, request in zip(clients, requests): client.sendall(bytes.fromhex(request))
    first, *others = clients
    if not others: first.shutdown(socket.SHUT_WR)
    first.settimeout(20)
    while received := first.recv(4096):
        sys.stdout.write(received.decode('latin1'))
        if others: break
except OSError as error:
    print(errno.errorcode.get(error.errno, error))
`;

/**
 * Tries to look into each new process of ours, and then sends it SIGSTOP and SIGKILL, and so to the one of \`argv[1]\`. Prints
 * that it tried, and for each attempt that the kernel let pass its name and the uid of the process by now, as the
 * namespace has it.
 */
export const ATTACK_STARTS = `
import ctypes, os, select, signal, sys
libc = ctypes.CDLL(None)
PTRACE_SEIZE, PIDFD_OPEN, PIDFD_GETFD = 0x4206, 434, 438

def seize(pid): return libc.ptrace(PTRACE_SEIZE, pid, None, None) == 0
def read_memory(pid): os.close(os.open(f'/proc/{pid}/mem', os.O_RDWR)); return True
def take_descriptor(pid):
    pidfd = libc.syscall(PIDFD_OPEN, pid, 0)
    taken = pidfd >= 0 and libc.syscall(PIDFD_GETFD, pidfd, 0, 0) >= 0
    if pidfd >= 0: os.close(pidfd)
    return taken
def send(pid):
    for number in (signal.SIGSTOP, signal.SIGKILL): os.kill(pid, number)
    return True

def say(line): os.write(1, f'{line}\\n'.encode())
def owner(pid):
    with open(f'/proc/{pid}/status') as status:
        return next(line for line in status if line.startswith('Uid:')).split()[1]
def is_ours(pid):
    with open(f'/proc/{pid}/cmdline', 'rb') as line: return b'/dist/ccapi-' in line.read()

def attack(pid):
    if not is_ours(pid): return
    say('tried')
    for what, attempt in (('seize', seize), ('memory', read_memory), ('descriptor', take_descriptor), ('signal', send)):
        try:
            if attempt(pid): say(f'{what} {owner(pid)}')
        except (OSError, StopIteration): pass

say('ready')
last = 0
while not select.select([0], [], [], 0)[0]:
    with open('/proc/loadavg') as line: now = int(line.read().split()[4])
    for pid in {int(sys.argv[1]), *range(max(1, min(last, now - 100)), now + 8)} - {os.getpid()}:
        try: attack(pid)
        except OSError: pass
    last = now
`;

/**
 * As each of some uids of the namespace holds connections to a path and a port that say nothing, and makes new ones for
 * those that are ended.
 */
export const HOLD_CONNECTIONS = `
import os, select, socket, sys
door, port, uids, count = sys.argv[1], *map(int, sys.argv[2:])

def connect(address):
    client = socket.socket(socket.AF_UNIX if address is door else socket.AF_INET)
    client.connect(address)
    return client

def hold():
    poll = select.poll()
    poll.register(0, select.POLLIN)
    held = {}
    wanted = [door, ('127.0.0.1', port)] * count
    is_ready = False
    while True:
        for address in wanted:
            try: client = connect(address)
            except OSError: continue
            held[client.fileno()] = client, address
            poll.register(client, select.POLLIN)
        if not is_ready: os.write(1, b'ready\\n')
        is_ready = True
        wanted = []
        for descriptor, _ in poll.poll(200):
            if descriptor == 0: os._exit(0)
            poll.unregister(descriptor)
            client, address = held.pop(descriptor)
            client.close()
            wanted.append(address)

for uid in range(1, uids + 1):
    if os.fork() == 0:
        os.setgroups([])
        os.setresgid(uid, uid, uid)
        os.setresuid(uid, uid, uid)
        hold()
while os.read(0, 1): pass
`;
