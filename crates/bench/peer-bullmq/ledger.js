// One transaction for each event: the event itself, then the entities that it shows.

import { createHash } from 'node:crypto';
import pg from 'pg';
import { ORDER, PAYMENT } from './entities.js';
import { laneOf } from './lanes.js';
import { time } from './time.js';

const INSERT_EVENT = {
  name: 'insert-event',
  text: `INSERT INTO webhook_events (
      razorpay_event_id, event_type, account_id, endpoint, lane, status, body, body_sha256, signature,
      occurred_at, created_at, processed_at
    ) VALUES ($1, $2, $3, 'default', $4, 'processed', $5, $6, $7, $8, $9, $10)
    ON CONFLICT (razorpay_event_id, created_at) DO NOTHING`,
};

// Opens a pool of this many connections and one of them, so that a wrong address is known at once.
export async function openLedger(connectionString, connectionsMax) {
  const pool = new pg.Pool({ connectionString, max: connectionsMax });
  pool.on('error', (error) => console.error(`postgres: ${error.message}`));
  await pool.query('SELECT 1');
  return {
    commit: (delivery) => commit(pool, delivery),
    close: () => pool.end(),
  };
}

async function commit(pool, delivery) {
  const event = JSON.parse(delivery.body);
  const client = await pool.connect();
  try {
    await client.query('BEGIN');
    const { rowCount } = await client.query({
      ...INSERT_EVENT,
      values: eventValues(delivery, event),
    });
    // An event that is in the ledger already has had its effect.
    if (rowCount === 1) {
      for (const kind of [PAYMENT, ORDER]) {
        const entity = event.payload?.[kind.payloadKey]?.entity;
        if (entity) await client.query(kind.upsert(entity, event, delivery));
      }
    }
    await client.query('COMMIT');
  } catch (error) {
    await client.query('ROLLBACK');
    throw error;
  } finally {
    client.release();
  }
}

function eventValues(delivery, event) {
  const body = Buffer.from(delivery.body, 'utf8');
  return [
    delivery.eventId,
    event.event,
    event.account_id,
    laneOf(event.event).name,
    body,
    createHash('sha256').update(body).digest(),
    delivery.signature,
    time(event.created_at),
    new Date(delivery.receivedAt),
    new Date(),
  ];
}
