import { describe, expect, it } from '@jest/globals';
import { canonicalAddress, isPublicAddress } from './addresses.js';

describe('an address', () => {
  it.each([
    ['8.8.8.8', '8.8.8.8'],
    ['[2606:4700:0:0::1111]', '2606:4700::1111'],
    ['FE80::1%eth0', 'fe80::1'],
    ['::ffff:10.0.0.1', '10.0.0.1'],
    ['::FFFF:a00:1', '10.0.0.1'],
    ['0:0:0:0:0:ffff:7f00:1', '127.0.0.1'],
    ['::ffff:127.0.0.1%1', '127.0.0.1'],
    ['2001:db8::0.0.0.5', '2001:db8::5'],
    ['example.com', null],
    ['127.1', null],
    ['', null],
  ])('%s is spelt %s', (text, canonical) => {
    expect(canonicalAddress(text)).toBe(canonical);
  });

  it.each([
    '1.1.1.1',
    '9.255.255.255',
    '11.0.0.0',
    '100.63.255.255',
    '100.128.0.0',
    '126.255.255.255',
    '128.0.0.0',
    '169.253.255.255',
    '172.15.255.255',
    '172.32.0.0',
    '192.167.255.255',
    '198.17.255.255',
    '198.20.0.0',
    '223.255.255.255',
    '2606:4700::1111',
    '2001:200::1',
    '2a00:1450:4001::200e',
    '64:ff9b::808:808',
    '2002:808:808::1',
  ])('%s is public', (address) => {
    expect(isPublicAddress(address)).toBe(true);
  });

  it.each([
    ['this network', '0.0.0.0'],
    ['this network', '0.1.2.3'],
    ['private', '10.0.0.0'],
    ['private', '10.255.255.255'],
    ['private', '172.16.0.1'],
    ['private', '172.31.255.255'],
    ['private', '192.168.0.1'],
    ['shared (CGNAT)', '100.64.0.1'],
    ['shared: metadata of Alibaba', '100.100.100.200'],
    ['loopback', '127.0.0.1'],
    ['loopback', '127.255.255.254'],
    ['metadata', '169.254.169.254'],
    ['link-local', '169.254.0.1'],
    ['machine services of Azure', '168.63.129.16'],
    ['protocol assignments: metadata of Oracle', '192.0.0.192'],
    ['documentation', '192.0.2.1'],
    ['documentation', '198.51.100.7'],
    ['documentation', '203.0.113.255'],
    ['6to4 relay', '192.88.99.1'],
    ['benchmark', '198.18.0.1'],
    ['benchmark', '198.19.255.255'],
    ['multicast', '224.0.0.1'],
    ['multicast', '239.255.255.250'],
    ['reserved', '240.0.0.1'],
    ['broadcast', '255.255.255.255'],
    ['unspecified', '::'],
    ['loopback', '::1'],
    ['IPv4-compatible', '::7f00:1'],
    ['IPv4-compatible', '::808:808'],
    ['IPv4-translated', '::ffff:0:808:808'],
    ['unique local', 'fc00::1'],
    ['metadata', 'fd00:ec2::254'],
    ['link-local', 'fe80::1'],
    ['site-local', 'fec0::1'],
    ['multicast', 'ff02::1'],
    ['documentation', '2001:db8::1'],
    ['documentation', '3fff::1'],
    ['Teredo', '2001:0:808:808::1'],
    ['benchmark', '2001:2::1'],
    ['discard', '100::1'],
    ['segment routing', '5f00::1'],
    ['NAT64 to loopback', '64:ff9b::7f00:1'],
    ['NAT64 to metadata', '64:ff9b::a9fe:a9fe'],
    ['NAT64 of a local prefix', '64:ff9b:1::808:808'],
    ['6to4 to private', '2002:a00:1::1'],
    ['6to4 to metadata', '2002:a9fe:a9fe::1'],
  ])('of the range %s is not public: %s', (_, address) => {
    expect(isPublicAddress(address)).toBe(false);
  });
});
