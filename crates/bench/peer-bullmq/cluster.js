// Runs an ingress in several processes: `node cluster.js ingress-fastify.js`.

import cluster from 'node:cluster';
import { once } from 'node:events';
import { basename } from 'node:path';
import { ready } from './lifecycle.js';
import { workers } from './settings.js';

const PROGRAMS = ['ingress-express.js', 'ingress-fastify.js'];
const program = basename(process.argv[2] ?? '');
if (!PROGRAMS.includes(program)) {
  console.error(`usage: node cluster.js ${PROGRAMS.join(' | ')}`);
  process.exit(2);
}

let stopping = false;
const stop = () => {
  stopping = true;
  for (const child of Object.values(cluster.workers)) child.process.kill('SIGTERM');
};
process.on('SIGTERM', stop);
process.on('SIGINT', stop);
// A process lost in the middle of a measurement must not go unnoticed.
cluster.on('exit', (child, code, signal) => {
  if (stopping) return;
  console.error(`process ${child.process.pid} of ${program} has ended (${signal ?? code})`);
  process.exitCode = 1;
  stop();
});

cluster.setupPrimary({ exec: new URL(program, import.meta.url).pathname });
const children = Array.from({ length: workers() }, () => cluster.fork());
await Promise.all(children.map((child) => once(child, 'message')));
ready();
