import { createCipheriv, randomBytes } from 'node:crypto';
import { keyIdOf } from '../../src/platform/crypto/key-ring.js';

/** A secret as the first release of the schema sealed it: with a data key of its own, which the master key wraps. */
export function sealAlone(master: Buffer, secret: unknown, tenantId: string, id: string) {
  const encrypt = (key: Buffer, plain: Buffer, context: string) => {
    const iv = randomBytes(12);
    const cipher = createCipheriv('aes-256-gcm', key, iv).setAAD(Buffer.from(context));
    const sealed = Buffer.concat([cipher.update(plain), cipher.final()]);
    return Buffer.concat([iv, cipher.getAuthTag(), sealed]).toString('base64');
  };
  const [kid, key, context] = [keyIdOf(master), randomBytes(32), `${tenantId}|${id}`];
  const data = encrypt(key, Buffer.from(JSON.stringify(secret)), `data|${context}`);
  return { v: 1, kid, key: encrypt(master, key, `key|${kid}|${context}`), data };
}
