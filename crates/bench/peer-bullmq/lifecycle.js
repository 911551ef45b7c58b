import cluster from 'node:cluster';

// How long a process may take to finish what it has in hand.
const STOP_MS_MAX = 10_000;

// Says that this process serves: to the cluster that started it, or on standard output.
export function ready() {
  if (cluster.isWorker) {
    process.send('ready');
  } else {
    console.log('ready');
  }
}

// Runs `close` once on SIGTERM or SIGINT, then ends.
export function onStop(close) {
  let stopping = false;
  const stop = async () => {
    if (stopping) return;
    stopping = true;
    setTimeout(() => process.exit(1), STOP_MS_MAX).unref();
    try {
      await close();
      process.exit(0);
    } catch (error) {
      console.error(`while stopping: ${error.message}`);
      process.exit(1);
    }
  };
  process.on('SIGTERM', stop);
  process.on('SIGINT', stop);
}
