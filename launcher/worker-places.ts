import { sessionDirectory } from '../etc/config/paths.ts';
import type { Settings } from '../etc/config/settings-table.ts';
import { NO_SESSION } from '../etc/host/login-session.ts';
import type { NameService } from '../etc/host/name-service.ts';
import { RendezvousError, type WorkerKey } from '../proto/rendezvous.ts';
import { locateUserDirectory, type UserDirectory } from './user-directory.ts';

type PlaceSettings = Pick<Settings, 'pathTemplate' | 'scope'>;

/** Where the workers are: each user's directory, and with `scope = session` one within it for each login session. */
export class WorkerPlaces {
  readonly #names: NameService;
  #base = '';
  #settings: PlaceSettings | undefined;
  /** Those of which a template has told. */
  #known = new Map<number, UserDirectory>();

  constructor(names: NameService) {
    this.#names = names;
  }

  /** Goes by other settings from here on; `base` is where the users' directories are made without a template. */
  configure(base: string, settings: PlaceSettings): void {
    [this.#base, this.#settings] = [base, settings];
    // A look-up that is under way goes by the settings that it began with.
    this.#known = new Map();
  }

  /** The directory of a worker. Rejects with a {@link RendezvousError} where the template leads to none for this user. */
  async ofWorker({ uid, session }: WorkerKey): Promise<UserDirectory> {
    const place = await this.ofUser(uid);
    const own = this.sessionFor(session);
    return own === undefined ? place : place.within(sessionDirectory('', own).slice(1));
  }

  /** The directory of a user, which the launcher makes. Rejects likewise. */
  async ofUser(uid: number): Promise<UserDirectory> {
    const pathTemplate = this.#settings?.pathTemplate;
    if (pathTemplate === undefined) return locateUserDirectory(this.#base, undefined, uid, undefined);
    const known = this.#known;
    const before = known.get(uid);
    if (before) return before;
    const user = await this.#names.user(uid);
    try {
      const place = locateUserDirectory(this.#base, pathTemplate, uid, user);
      known.set(uid, place);
      return place;
    } catch (error) {
      throw new RendezvousError('config', (error as Error).message, { cause: error });
    }
  }

  /** Where all sessions of a user share their ccaches, it does not matter which one it is. */
  sessionFor(session: string | undefined): string | undefined {
    return this.#settings?.scope === 'session' ? (session ?? NO_SESSION) : undefined;
  }
}
