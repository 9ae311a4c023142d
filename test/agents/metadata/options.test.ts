import { describe, expect, it } from 'vitest';
import { parseMetadataOptions } from '../../../agents/metadata/options.ts';

describe('options of the metadata agent', () => {
  it("have Neutron's defaults", () => {
    expect(parseMetadataOptions()).toMatchObject({
      nova_metadata_host: '127.0.0.1',
      nova_metadata_port: 8775,
      nova_metadata_protocol: 'http',
      nova_metadata_insecure: false,
      metadata_proxy_shared_secret: '',
      metadata_backlog: 4096,
      enable_metadata_proxy: true,
      metadata_port: 9697,
      enable_isolated_metadata: false,
      force_metadata: false,
      enable_metadata_network: false,
    });
  });
  it('may be text, as INI files hold them', () => {
    expect(
      parseMetadataOptions({
        nova_metadata_port: '80',
        force_metadata: 'True',
        nova_metadata_insecure: 'off',
      }),
    ).toMatchObject({ nova_metadata_port: 80, force_metadata: true, nova_metadata_insecure: false });
  });
  it('of other programs are ignored', () => {
    expect(parseMetadataOptions({ interface_driver: 'openvswitch' })).not.toHaveProperty('interface_driver');
  });
  it('are refused by name when wrong, without showing values', () => {
    expect(() => parseMetadataOptions({ nova_metadata_port: '70000' })).toThrow(/nova_metadata_port/);
    expect(() => parseMetadataOptions({ force_metadata: 'perhaps' })).toThrow(/force_metadata/);
    expect(() => parseMetadataOptions({ nova_metadata_protocol: 'ftp' })).toThrow(/nova_metadata_protocol/);
    expect(() => parseMetadataOptions({ metadata_proxy_shared_secret: 5 })).toThrow(/^((?!5).)*$/);
  });
});
