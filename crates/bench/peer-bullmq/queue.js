import { Queue } from 'bullmq';
import { Redis } from 'ioredis';
import { queueName, redisUrl } from './settings.js';

// A job is tried five times, 1 s, 2 s, 4 s and 8 s apart, give or take a half.
const JOB_OPTIONS = {
  attempts: 5,
  backoff: { type: 'exponential', delay: 1000, jitter: 0.5 },
  removeOnComplete: true,
  removeOnFail: false,
};

// Opens the queue for adding. While Redis is away, adding fails at once, for somebody waits for the
// answer and will deliver again.
export async function openQueue() {
  const connection = new Redis(redisUrl(), {
    enableOfflineQueue: false,
    maxRetriesPerRequest: 1,
  });
  const queue = new Queue(queueName(), { connection, defaultJobOptions: JOB_OPTIONS });
  queue.on('error', (error) => console.error(`queue: ${error.message}`));
  await queue.waitUntilReady();
  return {
    add: (name, data, options) => queue.add(name, data, options),
    async close() {
      await queue.close();
      await connection.quit();
    },
  };
}

// A connection for a worker, which waits for Redis as long as it takes.
export function openWorkerConnection() {
  return new Redis(redisUrl(), { maxRetriesPerRequest: null });
}
