// A second, independent reading of the CCAPI's server semantics: slow, plain, and without anything of server/.
// Objects have names of their own here ("ccache 1"); what a server calls them, the test finds out as it is told.

/** A lock or wait that a connection holds or is blocked in. */
interface Entry {
  connection: number;
  type: number;
}

interface Lock {
  granted: Entry[];
  pending: Entry[];
}

interface RefCCache {
  id: string;
  name: string;
  principal: string;
  lastDefault: number;
  changed: number;
  offset: number | undefined;
  credentials: { id: string; server: string }[];
  lock: Lock;
  waiters: number[];
}

export interface RefIterator {
  id: string;
  owner: number;
  /** What it walks over: the collection, or the list of credentials that it began with. */
  list: 'collection' | RefCCache['credentials'];
  queue: string[];
}

/** A reply: its connection, its code, and in a success what it says, objects by their names here. */
export interface RefReply {
  connection: number;
  code: number;
  values: Record<string, unknown>;
}

const WRITE = [1, 2];

export class Reference {
  clock = 1_700_000_000;
  changed = this.clock;
  nextUnique = 0;
  /** In the collection's order; the first is the default. */
  ccaches: RefCCache[] = [];
  iterators: RefIterator[] = [];
  lock: Lock = { granted: [], pending: [] };
  waiters: number[] = [];
  replies: RefReply[] = [];
  #made = 0;

  /** Whether a connection has a request that has no reply yet. */
  blocked(connection: number): boolean {
    const waits = [this, ...this.ccaches].some(({ lock, waiters }) => {
      return waiters.includes(connection) || lock.pending.some((entry) => entry.connection === connection);
    });
    return waits;
  }

  reply(connection: number, code: number, values: Record<string, unknown> = {}): void {
    this.replies.push({ connection, code, values });
  }

  id(kind: string): string {
    return `${kind} ${++this.#made}`;
  }

  bump(object: { changed: number }): void {
    object.changed = object.changed < this.clock ? this.clock : object.changed + 1;
  }

  collectionChanged(): void {
    this.bump(this);
    for (const connection of this.waiters.splice(0)) this.reply(connection, 0, { time: this.changed });
  }

  ccacheChanged(ccache: RefCCache): void {
    this.bump(ccache);
    this.collectionChanged();
    for (const connection of ccache.waiters.splice(0)) this.reply(connection, 0, { time: ccache.changed });
  }

  create(name: string, principal: string): RefCCache {
    let ccache = this.ccaches.find((one) => one.name === name);
    if (ccache) {
      this.iterators = this.iterators.filter(({ list }) => list !== ccache?.credentials);
      Object.assign(ccache, { principal, offset: undefined, credentials: [] });
      this.ccacheChanged(ccache);
    } else {
      ccache = {
        id: this.id('ccache'),
        name,
        principal,
        lastDefault: this.ccaches.length === 0 ? this.clock : 0,
        changed: this.clock,
        offset: undefined,
        credentials: [],
        lock: { granted: [], pending: [] },
        waiters: [],
      };
      this.ccaches.push(ccache);
      for (const iterator of this.iterators) if (iterator.list === 'collection') iterator.queue.push(ccache.id);
    }
    this.collectionChanged();
    return ccache;
  }

  uniqueName(): string {
    if (this.ccaches.length === 0) return 'Initial default ccache';
    for (;;) {
      const name = String(this.nextUnique++);
      if (!this.ccaches.some((ccache) => ccache.name === name)) return name;
    }
  }

  drop(ccache: RefCCache): void {
    this.ccaches = this.ccaches.filter((one) => one !== ccache);
    this.iterators = this.iterators.filter(({ list }) => list !== ccache.credentials);
    for (const { queue } of this.iterators) if (queue.includes(ccache.id)) queue.splice(queue.indexOf(ccache.id), 1);
    for (const { connection } of ccache.lock.pending.splice(0)) this.reply(connection, 205);
    for (const connection of ccache.waiters.splice(0)) this.reply(connection, 205);
  }

  destroy(ccache: RefCCache): void {
    this.ccacheChanged(ccache);
    this.drop(ccache);
    this.collectionChanged();
  }

  setDefault(ccache: RefCCache): void {
    const [old] = this.ccaches;
    if (!old || old === ccache) return;
    this.ccaches = [ccache, ...this.ccaches.filter((one) => one !== ccache)];
    this.ccacheChanged(old);
    ccache.lastDefault = ccache.lastDefault < this.clock ? this.clock : ccache.lastDefault + 1;
    this.ccacheChanged(ccache);
    this.collectionChanged();
  }

  move(source: RefCCache, destination: RefCCache): void {
    this.iterators = this.iterators.filter(({ list }) => list !== destination.credentials);
    const { principal, offset, credentials } = source;
    Object.assign(destination, { principal, offset, credentials });
    destination.changed = Math.max(source.changed, destination.changed);
    source.credentials = [];
    this.ccacheChanged(source);
    this.ccacheChanged(destination);
    this.ccacheChanged(source);
    this.drop(source);
    this.ccacheChanged(destination);
  }

  store(ccache: RefCCache, server: string): void {
    const credential = { id: this.id('credential'), server };
    ccache.credentials.push(credential);
    for (const { list, queue } of this.iterators) if (list === ccache.credentials) queue.push(credential.id);
    this.ccacheChanged(ccache);
  }

  remove(ccache: RefCCache, id: string): boolean {
    const index = ccache.credentials.findIndex((credential) => credential.id === id);
    if (index < 0) return false;
    ccache.credentials.splice(index, 1);
    for (const { queue } of this.iterators) if (queue.includes(id)) queue.splice(queue.indexOf(id), 1);
    this.ccacheChanged(ccache);
    return true;
  }

  /** 'grant', 'wait' or 'senseless', by the table of 5.2. */
  verdict({ granted }: Lock, { connection, type }: Entry): string {
    const own = granted.find((entry) => entry.connection === connection);
    const others = granted.filter((entry) => entry.connection !== connection);
    if (type === 0) return own ? 'senseless' : others.some((entry) => WRITE.includes(entry.type)) ? 'wait' : 'grant';
    if (type === 1) return own ? 'senseless' : others.length > 0 ? 'wait' : 'grant';
    if (type === 2) return !own || WRITE.includes(own.type) ? 'senseless' : others.length > 0 ? 'wait' : 'grant';
    if (type === 3) return own && WRITE.includes(own.type) ? 'grant' : 'senseless';
    return 'senseless';
  }

  grant(lock: Lock, entry: Entry): void {
    lock.pending = lock.pending.filter((one) => one !== entry);
    lock.granted = [...lock.granted.filter(({ connection }) => connection !== entry.connection), entry];
    this.reply(entry.connection, 0);
  }

  rescan(lock: Lock): void {
    for (let again = true; again; ) {
      again = false;
      for (const entry of [...lock.pending]) {
        if (this.verdict(lock, entry) !== 'grant') continue;
        this.grant(lock, entry);
        again = true;
      }
    }
  }

  askLock(lock: Lock, entry: Entry, block: boolean, locked: number): void {
    const verdict = this.verdict(lock, entry);
    if (verdict === 'senseless') this.reply(entry.connection, 218);
    else if (verdict === 'grant') {
      this.grant(lock, entry);
      if (entry.type === 3) this.rescan(lock);
    } else if (block) lock.pending.push(entry);
    else this.reply(entry.connection, locked);
  }

  unlock(lock: Lock, connection: number, unlocked: number): void {
    const held = lock.granted.some((entry) => entry.connection === connection);
    lock.granted = lock.granted.filter((entry) => entry.connection !== connection);
    if (held) this.rescan(lock);
    this.reply(connection, held ? 0 : unlocked);
  }

  disconnect(connection: number): void {
    for (const object of [this, ...this.ccaches]) {
      object.waiters = object.waiters.filter((one) => one !== connection);
      const mine = (entry: Entry) => entry.connection === connection;
      const had = [...object.lock.granted, ...object.lock.pending].some(mine);
      object.lock.granted = object.lock.granted.filter((entry) => !mine(entry));
      object.lock.pending = object.lock.pending.filter((entry) => !mine(entry));
      if (had) this.rescan(object.lock);
    }
    this.iterators = this.iterators.filter(({ owner }) => owner !== connection);
  }
}
