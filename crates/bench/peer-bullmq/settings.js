// What every process is told through its environment.

function required(name) {
  const value = process.env[name];
  if (!value) {
    console.error(`${name} is not set`);
    process.exit(2);
  }
  return value;
}

function wholeNumber(name, fallback) {
  const value = Number(process.env[name] ?? fallback);
  if (!Number.isSafeInteger(value) || value < 1) {
    console.error(`${name} is not a whole number above 0`);
    process.exit(2);
  }
  return value;
}

export const redisUrl = () => required('REDIS_URL');
export const databaseUrl = () => required('DATABASE_URL');
export const port = () => wholeNumber('PORT', 8080);
export const webhookSecret = () => required('WEBHOOK_SECRET');
export const queueName = () => required('QUEUE');
// Jobs that one worker process has in hand at once, and its connections to PostgreSQL.
export const concurrency = () => wholeNumber('CONCURRENCY', 10);
// Whether ioredis gathers the commands of one turn of the event loop, in the ingress.
export const autoPipelining = () => process.env.AUTO_PIPELINING === 'yes';
// Processes of a cluster.
export const workers = () => wholeNumber('WORKERS', 2);
