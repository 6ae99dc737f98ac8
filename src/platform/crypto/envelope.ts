import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import type { KeyRing } from './keyring.js';

/** A secret as it stands in a row: sealed with a data key of its own, which is sealed with the master key `kid`. All parts base64. */
export interface Envelope {
  v: 1;
  kid: string;
  /** iv + tag + the sealed data key */
  key: string;
  /** iv + tag + the sealed secret */
  data: string;
}

/** The envelope cannot be opened: its master key is not in the ring, or the row was changed. */
export class EnvelopeError extends Error {
  override readonly name = 'EnvelopeError';
}

const IV = 12;
const TAG = 16;

/**
 * AES-256-GCM envelope encryption. `context` (tenant and row id) is authenticated with both layers, so an envelope copied to another
 * row or tenant does not open.
 */
export class Vault {
  constructor(private readonly ring: KeyRing) {}

  /** Names of the keys that can be opened with. */
  get keyIds(): string[] {
    return this.ring.ids;
  }

  seal(secret: unknown, context: string): Envelope {
    const { id, key } = this.ring.active;
    const dataKey = randomBytes(32);
    return {
      v: 1,
      kid: id,
      key: encrypt(key, dataKey, `key|${id}|${context}`),
      data: encrypt(dataKey, Buffer.from(JSON.stringify(secret)), `data|${context}`),
    };
  }

  open(envelope: Envelope, context: string): unknown {
    const master = this.ring.get(envelope.kid);
    if (!master) throw new EnvelopeError(`no key ${envelope.kid} in the ring`);
    try {
      const dataKey = decrypt(master.key, envelope.key, `key|${envelope.kid}|${context}`);
      return JSON.parse(decrypt(dataKey, envelope.data, `data|${context}`).toString());
    } catch (error) {
      throw new EnvelopeError('the envelope does not authenticate', { cause: error });
    }
  }
}

function encrypt(key: Buffer, plain: Buffer, context: string): string {
  const iv = randomBytes(IV);
  const cipher = createCipheriv('aes-256-gcm', key, iv).setAAD(Buffer.from(context));
  const sealed = Buffer.concat([cipher.update(plain), cipher.final()]);
  return Buffer.concat([iv, cipher.getAuthTag(), sealed]).toString('base64');
}

function decrypt(key: Buffer, sealed: string, context: string): Buffer {
  const bytes = Buffer.from(sealed, 'base64');
  const decipher = createDecipheriv('aes-256-gcm', key, bytes.subarray(0, IV), { authTagLength: TAG })
    .setAAD(Buffer.from(context))
    .setAuthTag(bytes.subarray(IV, IV + TAG));
  return Buffer.concat([decipher.update(bytes.subarray(IV + TAG)), decipher.final()]);
}
