import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { sceneOf } from '../../../../agents/cli/demo/scene.ts';
import { readTopologyFile } from '../../../../agents/cli/topology-file.ts';
import { findPackageRoot } from '../../../../lib/standalone/run.ts';

const scene = sceneOf(readTopologyFile(join(findPackageRoot(), 'deploy/demo.yaml')));

describe('the demo’s topology', () => {
  test('has two tenants with the same address, told apart by floating IP and id', () => {
    const [red, blue] = [scene.actor('red-web'), scene.actor('blue-web')];
    expect(red).toMatchObject({
      ip: '10.0.0.5',
      ipv6: expect.stringMatching(/^2001:db8:1:0:f816:3eff:/),
      floatingIp: '203.0.113.101',
      namespace: 'vm-red-web',
      dhcp: true,
    });
    expect(blue).toMatchObject({
      ip: '10.0.0.5',
      ipv6: '2001:db8:3::5',
      floatingIp: '203.0.113.201',
      namespace: 'vm-blue-web',
      dhcp: true,
    });
    expect(red.id).not.toBe(blue.id);
    expect(scene.actor('red-db').floatingIp).toBeUndefined();
    expect([scene.gatewayIp('red-router'), scene.gatewayIp('blue-router')]).toEqual([
      '203.0.113.11',
      '203.0.113.12',
    ]);
  });

  test('says what is missing after an edit that the checks cannot work with', () => {
    expect(() => scene.actor('green')).toThrow(
      'deploy/demo.yaml has no instance green any more, which the checks need',
    );
    expect(() => scene.gatewayIp('green')).toThrow(
      'deploy/demo.yaml has no router green with a gateway any more',
    );
  });
});
