// What both servers do with a delivery; they differ only in how they receive it.

import { createHash } from 'node:crypto';
import { laneOf } from './lanes.js';
import { openQueue } from './queue.js';
import { webhookSecret } from './settings.js';
import { isSignedBy } from './verify.js';

export const PATH = '/webhooks/razorpay';
export const BODY_BYTES_MAX = 1024 * 1024;

const ACCEPTED = { code: 200, answer: { status: 'accepted' } };
const BAD_SIGNATURE = { code: 401, answer: { status: 'bad_signature' } };
const BAD_BODY = { code: 400, answer: { status: 'bad_body' } };
export const UNAVAILABLE = { code: 503, answer: { status: 'unavailable' } };

// Opens the queue. `accept` gives the status code and the answer once the job is in Redis, and
// fails where it is not.
export async function openIntake() {
  const secret = webhookSecret();
  const queue = await openQueue();

  async function accept(rawBody, headers) {
    const signature = headers['x-razorpay-signature'];
    if (!isSignedBy(secret, rawBody, signature)) return BAD_SIGNATURE;
    const body = rawBody.toString('utf8');
    const event = eventName(body);
    if (event === undefined) return BAD_BODY;
    const eventId =
      headers['x-razorpay-event-id'] ?? createHash('sha256').update(rawBody).digest('hex');
    await queue.add(
      event,
      { eventId, signature, receivedAt: Date.now(), body },
      { jobId: jobId(eventId), priority: laneOf(event).priority },
    );
    return ACCEPTED;
  }

  return { accept, close: queue.close };
}

function eventName(body) {
  try {
    const { event } = JSON.parse(body);
    return typeof event === 'string' ? event : undefined;
  } catch {
    return undefined;
  }
}

// A second delivery of an event that still waits is ignored by its job id. BullMQ takes neither
// whole numbers nor colons for one.
function jobId(eventId) {
  return `event-${eventId.replaceAll(':', '-')}`;
}
