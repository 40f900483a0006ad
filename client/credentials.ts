import type { CredentialV5 } from '../proto/credential.ts';
import { type Identifier, sameIdentifier } from '../proto/identifier.ts';

/** A credential as a ccache gave it. */
export class Credentials {
  readonly identifier: Identifier;
  readonly data: CredentialV5;

  constructor(identifier: Identifier, data: CredentialV5) {
    this.identifier = identifier;
    this.data = data;
  }

  /** Whether both are the same stored credential. Equal tickets that were stored twice are different. */
  compare(other: Credentials): boolean {
    return sameIdentifier(this.identifier, other.identifier);
  }
}
