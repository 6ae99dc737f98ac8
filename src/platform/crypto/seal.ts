import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';

/** What is sealed cannot be opened: it was changed or moved, or its key is not there. The message is for the log, never for a client. */
export class SealError extends Error {
  override readonly name = 'SealError';
}

const ALGORITHM = 'aes-256-gcm';
const IV = 12;
const TAG = 16;
export const KEY_BYTES = 32;

/** AES-256-GCM: iv + tag + what is sealed. `context` is authenticated with it and has to be the same when it is opened. */
export function sealBytes(key: Uint8Array, plain: Uint8Array, context: string): Buffer {
  const iv = randomBytes(IV);
  const cipher = createCipheriv(ALGORITHM, key, iv).setAAD(Buffer.from(context));
  const sealed = Buffer.concat([cipher.update(plain), cipher.final()]);
  return Buffer.concat([iv, cipher.getAuthTag(), sealed]);
}

/** Throws `SealError` for anything that `sealBytes` did not make with this key and context. */
export function openBytes(key: Uint8Array, sealed: Uint8Array, context: string): Buffer {
  if (sealed.length < IV + TAG) throw new SealError('too short to be sealed');
  try {
    const decipher = createDecipheriv(ALGORITHM, key, sealed.subarray(0, IV), { authTagLength: TAG })
      .setAAD(Buffer.from(context))
      .setAuthTag(sealed.subarray(IV, IV + TAG));
    return Buffer.concat([decipher.update(sealed.subarray(IV + TAG)), decipher.final()]);
  } catch (error) {
    throw new SealError('does not authenticate', { cause: error });
  }
}
