import { describe, expect, test } from 'vitest';
import { maskUrl, shown } from '../../../lib/config/secrets.ts';

describe('the credentials inside a transport URL are masked', () => {
  test.each([
    ['rabbit://', 'rabbit://'],
    ['rabbit://h:5672/', 'rabbit://h:5672/'],
    ['rabbit://u:pw@h:5672/v', 'rabbit://u:***@h:5672/v'],
    ['rabbit://u@h/', 'rabbit://u@h/'],
    ['rabbit://u:pw@h1:5672,u2:pw@h2:5672//v?ssl=1', 'rabbit://u:***@h1:5672,u2:***@h2:5672//v?ssl=1'],
    ['rabbit://u:pw@[2001:db8::1]:5672,[::2]:1/', 'rabbit://u:***@[2001:db8::1]:5672,[::2]:1/'],
    ['rabbit://u:p@w@h/', 'rabbit://u:***@h/'],
    ['rabbit://u:p/w@h/v', 'rabbit://u:***@h/v'],
    ['rabbit://u:p?w@h/v', 'rabbit://u:***@h/v'],
  ])('%s', (url, expected) => {
    expect(maskUrl(url)).toBe(expected);
  });

  test.each(['rabbit://u:pw,pw@h/', 'rabbit://u:pw', 'u:pw@h', 'rabbit://u:pw:pw@h1,u:pw,pw@h2'])(
    'nothing of the password is left in %s',
    (url) => {
      expect(maskUrl(url)).not.toContain('pw');
    },
  );
});

test('a secret is masked, an unset one is seen to be unset', () => {
  const secret = { secret: true, credentials: false };
  expect(shown(secret, 'hunter2')).toBe('***');
  expect(shown(secret, '')).toBe('');
  expect(shown(secret, null)).toBeNull();
  expect(shown({ secret: false, credentials: false }, 'x')).toBe('x');
});
