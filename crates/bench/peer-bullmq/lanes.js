// Lanes by event name, highest first; BullMQ takes the lower priority number first.

const LANES = [
  { name: 'critical', priority: 1, families: ['payment.dispute.', 'payment.downtime.'] },
  { name: 'medium', priority: 2, families: ['account.', 'fund_account.'] },
  { name: 'normal', priority: 3, families: ['invoice.', 'payment_link.'] },
];
const DEFAULT = { name: 'default', priority: 4 };

export function laneOf(event) {
  return LANES.find(({ families }) => families.some((family) => event.startsWith(family))) ?? DEFAULT;
}
