import { expect, it } from '@jest/globals';
import { redirected, toOutgoing } from './outgoing.js';

const headers = { 'x-api-key': 'k', accept: 'text/event-stream' };

it.each([
  ['http://api.example/v2', 'from https to http'],
  ['http://api.example:443/v2', 'from https to http'],
  ['http://[', 'no URL'],
])('refuses a redirect of https to %s', async (location, reason) => {
  const request = await toOutgoing('https://api.example/v1', { headers });
  expect(() => redirected(request, 307, location)).toThrow(reason);
});

it.each([
  ['//api.example/v2', true],
  ['https://api.example:443/v2', true],
  ['https://api.example:8443/v2', false],
  ['https://other.example/v2', false],
  ['https://sub.api.example/v2', false],
])('takes keys along to %s: %s', async (location, takes) => {
  const request = await toOutgoing('https://api.example/v1', { headers });
  const next = redirected(request, 308, location);
  expect(Object.fromEntries(next.init.headers)).toEqual(takes ? headers : { accept: headers.accept });
});

it('does not take a key along when it comes back to where it was', async () => {
  const request = await toOutgoing('https://api.example/v1', { headers });
  const away = redirected(request, 307, 'https://other.example/');
  expect(redirected(away, 307, 'https://api.example/').init.headers.get('x-api-key')).toBeNull();
});

it.each([
  [301, 'POST', 'GET'],
  [302, 'POST', 'GET'],
  [303, 'PUT', 'GET'],
  [303, 'HEAD', 'HEAD'],
  [302, 'PUT', 'PUT'],
  [307, 'POST', 'POST'],
  [308, 'POST', 'POST'],
])('makes of %d and %s a %s', async (status, method, becomes) => {
  const request = await toOutgoing('http://a.example/', { method, ...(method !== 'HEAD' && { body: 'x' }) });
  const next = redirected(request, status, '/b');
  expect([next.init.method, next.init.body]).toEqual([becomes, becomes === method ? request.init.body : undefined]);
});
