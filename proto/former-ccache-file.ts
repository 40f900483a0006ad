import { CCAPIError } from './errors.ts';
import type { Reader } from './reader.ts';
import { Writer } from './writer.ts';

/** How the versions before 4 of a FILE ccache differ from it (FILE-CCACHE.md#former-versions). */
interface Form {
  isLittle: boolean;
  /** Principals have no name type, and their count includes the realm. */
  isCountedWithRealm: boolean;
  /** The enctype of a key stands there twice. */
  hasTwoEnctypes: boolean;
}

/** What a principal without a name type is: KRB5_NT_UNKNOWN. */
const UNKNOWN = 0;

/** Versions 1 and 2 have the byte order of the host that wrote them; libkrb5 takes it for its own. */
const hostIsLittle = new Uint8Array(Uint16Array.of(1).buffer)[0] === 1;

/** The principal and the whole credentials of a former file, as version 4 has them. */
export interface Converted {
  bytes: Buffer;
  /** How many bytes of a half-written last credential were dropped. */
  tornBytes: number;
}

/** Converts what stands behind the version of a FILE ccache of version 1, 2 or 3. Throws 22 for a principal that is cut short. */
export function toVersion4(reader: Reader, version: number, isLittle = hostIsLittle): Converted {
  const form = { isLittle: isLittle && version < 3, isCountedWithRealm: version === 1, hasTwoEnctypes: version === 3 };
  const parts: Buffer[] = [];
  const copy = (write: (copier: Copier) => void) => {
    const copier = new Copier(reader, form);
    write(copier);
    parts.push(copier.writer.finish());
  };
  let tornBytes = 0;
  if (reader.remaining > 0) copy((copier) => copier.principal());
  while (reader.remaining > 0) {
    tornBytes = reader.remaining;
    try {
      copy((copier) => copier.credential());
      tornBytes = 0;
    } catch (error) {
      if (!CCAPIError.is(error, 'malformed')) throw error;
      break;
    }
  }
  return { bytes: Buffer.concat(parts), tornBytes };
}

/** Reads fields in a former form and writes them in that of version 4. Throws 22 where a field is cut short. */
class Copier {
  readonly writer = new Writer(2048);
  readonly #reader: Reader;
  readonly #form: Form;

  constructor(reader: Reader, form: Form) {
    this.#reader = reader;
    this.#form = form;
  }

  principal(): void {
    const { isCountedWithRealm } = this.#form;
    const nameType = isCountedWithRealm ? UNKNOWN : this.#number(4);
    const count = this.#number(4) - (isCountedWithRealm ? 1 : 0);
    this.writer.u32(nameType).u32(count);
    for (let text = -1; text < count; text++) this.#data();
  }

  credential(): void {
    this.principal();
    this.principal();
    if (this.#form.hasTwoEnctypes) this.#number(2);
    this.#typed();
    for (let time = 0; time < 4; time++) this.writer.u32(this.#number(4));
    this.writer.u8(this.#reader.u8()).u32(this.#number(4));
    for (let list = 0; list < 2; list++) {
      const count = this.#number(4);
      this.writer.u32(count);
      for (let element = 0; element < count; element++) this.#typed();
    }
    this.#data();
    this.#data();
  }

  #typed(): void {
    this.writer.u16(this.#number(2));
    this.#data();
  }

  #data(): void {
    const length = this.#number(4);
    this.writer.u32(length).bytes(this.#reader.view(length));
  }

  #number(size: 2 | 4): number {
    const bytes = this.#reader.view(size);
    return this.#form.isLittle ? bytes.readUIntLE(0, size) : bytes.readUIntBE(0, size);
  }
}
