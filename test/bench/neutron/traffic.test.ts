import { expect, test } from 'vitest';
import { answeringTime, type Published } from './traffic.ts';

const call = (at: number, method: string, messageId: string): Published => ({ at, method, messageId });
const answer = (at: number, messageId: string): Published => ({ at, method: undefined, messageId });
const notification = (at: number, method: string): Published => ({ at, method, messageId: undefined });

test('the server’s time is that between calls made within the span and their answers', () => {
  const published = [
    call(5, 'report_state', 'before'),
    notification(10, 'routers_updated'),
    call(12, 'sync_routers', 'a'),
    answer(30, 'before'),
    answer(42, 'a'),
    call(45, 'update_floatingip_statuses', 'late'),
  ];
  expect(answeringTime(published, 10, 50)).toBe(30);
});

test('an answer after the end counts up to the end only; calls at the same time count once', () => {
  const published = [call(10, 'x', 'a'), call(12, 'y', 'b'), answer(20, 'a'), answer(90, 'b')];
  expect(answeringTime(published, 0, 50)).toBe(40);
});
