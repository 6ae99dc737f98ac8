import { describe, expect, it } from '@jest/globals';
import { Egress } from './egress.js';
import { EgressRules, isEgressRule } from './egress-rules.js';

const egressWith = (...allow: string[]) => new Egress({ allow, connections: 1 });
/** Whether a URL is refused before any name is resolved. */
const refuses = (url: string, ...allow: string[]) => egressWith(...allow).refusal(url) !== null;

describe('without rules', () => {
  it.each([
    'http://127.0.0.1',
    'http://127.0.0.1:8080/v1',
    'http://127.1',
    'http://2130706433',
    'http://0x7f000001',
    'http://0x7f.1',
    'http://0177.0.0.1',
    'http://017700000001',
    'http://127.0.0.1./',
    'http://１２７.０.０.１',
    'http://127。0。0。1',
    'http://%31%32%37.0.0.1',
    'http://0',
    'http://0.0.0.0',
    'http://[::]',
    'http://[::1]:11434',
    'http://[0:0:0:0:0:0:0:1]',
    'http://[::ffff:127.0.0.1]',
    'http://[::ffff:a9fe:a9fe]',
    'http://[::127.0.0.1]',
    'http://[64:ff9b::10.0.0.1]',
    'http://[2002:7f00:1::]',
    'http://[2001:0:7f00:1::]',
    'http://[fd00:ec2::254]/latest/meta-data',
    'http://169.254.169.254/latest/meta-data',
    'http://2852039166',
    'http://0xa9fea9fe',
    'http://10.0.0.1',
    'https://192.168.1.1',
    'http://localhost:11434',
    'http://LOCALHOST',
    'http://localhost./',
    'http://a.b.localhost',
    'http://ⓛocalhost',
    'http://user@127.0.0.1',
    'http://8.8.8.8@127.0.0.1',
    'http://user:secret@example.com',
    'ftp://example.com',
    'file:///etc/passwd',
    'no url',
  ])('%s is refused at once', (url) => {
    expect(refuses(url)).toBe(true);
  });

  it.each([
    'http://8.8.8.8',
    'https://[2606:4700::1111]:8443/v1',
    'https://api.example.com/v1',
    'http://localhost.example.com',
    'http://notlocalhost',
    'http://10.0.0.1.nip.example',
  ])('%s is not', (url) => {
    expect(refuses(url)).toBe(false);
  });

  it('says what it refuses, as the caller wrote it', () => {
    expect(egressWith().refusal('http://0x7f.1/')).toMatchObject({
      name: 'EgressRefused',
      code: 'egress_refused',
      message: '127.0.0.1 is not an address that this service may reach; its operator can allow it.',
    });
  });
});

describe('a rule', () => {
  it.each([
    ['127.0.0.1', 'http://127.0.0.1:9/', true],
    ['127.0.0.1', 'http://[::ffff:127.0.0.1]/', true],
    ['127.0.0.1', 'http://localhost/', true],
    ['127.0.0.1', 'http://127.0.0.2/', false],
    ['127.0.0.1', 'http://[::1]/', false],
    ['::1', 'http://[::1]/', true],
    ['[::1]', 'http://[0::1]/', true],
    ['[::1]:8080', 'http://[::1]:8080/', true],
    ['[::1]:8080', 'http://[::1]/', false],
    ['::ffff:10.0.0.1', 'http://10.0.0.1/', true],
    ['10.0.0.0/8', 'http://10.9.8.7:6/', true],
    ['10.0.0.0/8', 'http://[::ffff:10.9.8.7]/', true],
    ['10.0.0.0/8', 'http://11.0.0.1/', true],
    ['10.0.0.0/8', 'http://192.168.0.1/', false],
    ['fd00::/8', 'http://[fd12::1]/', true],
    ['fd00::/8', 'http://[fc12::1]/', false],
    ['localhost:11434', 'http://localhost:11434/v1', true],
    ['localhost:11434', 'http://127.0.0.1:11434/v1', true],
    ['localhost:11434', 'http://[::1]:11434/v1', true],
    ['localhost:11434', 'http://ollama.localhost:11434/v1', true],
    ['localhost:11434', 'http://localhost:11435/v1', false],
    ['localhost:11434', 'http://localhost/', false],
    ['localhost:80', 'http://localhost/', true],
    ['localhost:443', 'https://localhost/', true],
    ['LocalHost', 'http://localhost:1/', true],
    ['a.localhost', 'http://a.localhost/', true],
    ['a.localhost', 'http://b.localhost/', false],
    ['*', 'http://169.254.169.254/', true],
    ['*', 'http://localhost/', true],
    ['*', 'ftp://localhost/', false],
  ])('%s lets %s pass: %s', (rule, url, passes) => {
    expect(isEgressRule(rule)).toBe(true);
    expect(refuses(url, rule)).toBe(!passes);
  });

  it.each([
    ['ollama', 'ollama', true],
    ['ollama', 'OLLAMA.', true],
    ['ollama', 'ollama.evil.example', false],
    ['*.inner.example', 'llm.inner.example', true],
    ['*.inner.example', 'a.b.inner.example', true],
    ['*.inner.example', 'inner.example', false],
    ['*.inner.example', 'evilinner.example', false],
    ['bücher.example', 'xn--bcher-kva.example', true],
  ])('%s trusts the name %s: %s', (rule, host, trusted) => {
    expect(isEgressRule(rule)).toBe(true);
    expect(new EgressRules([rule]).at(80).allowsName(host)).toBe(trusted);
  });

  it('for a port adds to those for all', () => {
    const rules = new EgressRules(['10.0.0.1', 'a:8080', 'b:9090']);
    expect([rules.at(8080).allowsName('a'), rules.at(8080).allowsName('b')]).toEqual([true, false]);
    expect([8080, 9090, 1].map((port) => rules.at(port).allowsAddress('10.0.0.1'))).toEqual([true, true, true]);
  });

  it.each(['', 'http://a', 'a/b', 'a:0', 'a:65536', 'a:b', 'a b', '10.0.0.0/33', 'fd00::/129', '10.0/8', '1/8'])(
    'is not %j',
    (entry) => {
      expect(isEgressRule(entry)).toBe(false);
    },
  );

  it.each(['127.1', '0x7f.1', '2130706433', 'a*.b', '*a', '*.', '-a', '[::1', 'fe80::1%1', 'user@host', '[1.2.3.4'])(
    'is not %j, which looks like another',
    (entry) => {
      expect(isEgressRule(entry)).toBe(false);
    },
  );
});
