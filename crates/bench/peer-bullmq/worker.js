import { Worker } from 'bullmq';
import { openLedger } from './ledger.js';
import { onStop, ready } from './lifecycle.js';
import { openWorkerConnection } from './queue.js';
import { databaseUrl, queueName } from './settings.js';

// Jobs in hand at once, and connections to PostgreSQL, of which each holds one.
const CONCURRENCY = 10;

const ledger = await openLedger(databaseUrl(), CONCURRENCY);
const connection = openWorkerConnection();
const worker = new Worker(queueName(), async (job) => ledger.commit(job.data), {
  connection,
  concurrency: CONCURRENCY,
});
worker.on('error', (error) => console.error(`worker: ${error.message}`));
worker.on('failed', (job, error) => console.error(`job ${job?.id} failed: ${error.message}`));
await worker.waitUntilReady();
ready();

onStop(async () => {
  await worker.close();
  await ledger.close();
  await connection.quit();
});
