import { Worker } from 'bullmq';
import { openLedger } from './ledger.js';
import { onStop, ready } from './lifecycle.js';
import { openWorkerConnection } from './queue.js';
import { concurrency, databaseUrl, queueName } from './settings.js';

const ledger = await openLedger(databaseUrl(), concurrency());
const connection = openWorkerConnection();
const worker = new Worker(queueName(), async (job) => ledger.commit(job.data), {
  connection,
  concurrency: concurrency(),
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
