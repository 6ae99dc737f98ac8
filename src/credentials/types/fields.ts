import { z } from 'zod';

/** Fields that several credential types share. */

export const CredentialName = z.string().max(256).default('').meta({ title: 'Name', description: 'Shown in lists' });

/** What goes into a header of a request as it is. */
export const HeaderText = z
  .string()
  .trim()
  .min(1)
  .max(4096)
  .regex(/^[\x21-\x7e]+$/, 'must be printable ASCII without spaces');

export function secret(title: string) {
  return HeaderText.meta({ title, format: 'password', writeOnly: true });
}

export const ApiKey = secret('API key');

const PlainUrl = z
  .url({ protocol: /^https?$/ })
  .max(2048)
  .refine(isPlain, 'must not contain a user, password, query or fragment');

export function baseUrl(description: string, title = 'Base URL') {
  return PlainUrl.meta({ title, description });
}

/** A host that is reached by HTTPS, with a port if need be. */
export const HostName = z
  .string()
  .trim()
  .max(259)
  .regex(/^[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?(?::\d{1,5})?$/i, 'must be a host name, with a port if need be')
  .refine((host) => URL.canParse(`https://${host}`), 'must be a host name, with a port if need be');

/** One label of a host name. */
export const HostLabel = z
  .string()
  .trim()
  .regex(/^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/i, 'must be letters, digits and hyphens');

function isPlain(text: string): boolean {
  if (!URL.canParse(text)) return false;
  const { username, password, search, hash } = new URL(text);
  return username + password + search + hash === '';
}
