// What every process is told through its environment.

function required(name) {
  const value = process.env[name];
  if (!value) {
    console.error(`${name} is not set`);
    process.exit(2);
  }
  return value;
}

function wholeNumber(name) {
  const value = Number(required(name));
  if (!Number.isSafeInteger(value) || value < 1) {
    console.error(`${name} is not a whole number above 0`);
    process.exit(2);
  }
  return value;
}

export const redisUrl = () => required('REDIS_URL');
export const databaseUrl = () => required('DATABASE_URL');
export const port = () => wholeNumber('PORT');
export const webhookSecret = () => required('WEBHOOK_SECRET');
export const queueName = () => required('QUEUE');
// Processes of a cluster.
export const workers = () => wholeNumber('WORKERS');
