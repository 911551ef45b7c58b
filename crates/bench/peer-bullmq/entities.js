// The tables of payments and orders: the newest snapshot of each, by Razorpay's clock.

import { time } from './time.js';

const field = (name) => [name, (entity) => entity[name]];

export const PAYMENT = table('payment', 'payment_transactions', 'payment_id', [
  'order_id',
  'invoice_id',
  'status',
  'method',
  'amount',
  'currency',
  'amount_refunded',
  'refund_status',
  'captured',
  'fee',
  'tax',
  'international',
  'bank',
  'wallet',
  'card_id',
  'error_code',
  'error_description',
  'error_source',
  'error_step',
  'error_reason',
]);

export const ORDER = table('order', 'payment_orders', 'order_id', [
  'status',
  'amount',
  'amount_paid',
  'amount_due',
  'currency',
  'receipt',
  'offer_id',
  'attempts',
]);

// A kind of entity: its key in the payload, and the statement that takes a snapshot of it.
function table(payloadKey, name, key, ownFields) {
  const columns = [
    [key, (entity) => entity.id],
    ...ownFields.map(field),
    ['razorpay_created_at', (entity) => time(entity.created_at)],
    ['account_id', (_entity, event) => event.account_id],
    ['occurred_at', (_entity, event) => time(event.created_at)],
    // Not every event tells when it happened; then its receipt stands for that.
    [
      'precedence',
      (_entity, event, delivery) => event.created_at ?? Math.floor(delivery.receivedAt / 1000),
    ],
    ['last_event_id', (_entity, _event, delivery) => delivery.eventId],
  ];
  const names = columns.map(([column]) => column);
  const places = names.map((_, index) => `$${index + 1}`);
  const changes = names.slice(1).map((column) => `${column} = excluded.${column}`);
  const text = `INSERT INTO ${name} (${names.join(', ')}) VALUES (${places.join(', ')})
    ON CONFLICT (${key}) DO UPDATE SET ${changes.join(', ')},
      status_before = ${name}.status, updated_at = now()
    WHERE excluded.precedence >= ${name}.precedence`;
  return {
    payloadKey,
    upsert: (entity, event, delivery) => ({
      name: `upsert-${payloadKey}`,
      text,
      values: columns.map(([, value]) => value(entity, event, delivery)),
    }),
  };
}
