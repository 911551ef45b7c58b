import { promisify } from 'node:util';
import express from 'express';
import { BODY_BYTES_MAX, PATH, UNAVAILABLE, openIntake } from './accept.js';
import { onStop, ready } from './lifecycle.js';
import { port } from './settings.js';

const intake = await openIntake();
const app = express();
app.disable('x-powered-by');
app.disable('etag');

// The type is taken from the request as it is, even where none was given.
app.post(PATH, express.raw({ type: () => true, limit: BODY_BYTES_MAX }), async (request, response) => {
  const rawBody = request.body ?? Buffer.alloc(0);
  const { code, answer } = await intake.accept(rawBody, request.headers);
  response.status(code).json(answer);
});

// Express knows an error handler by its four arguments.
app.use((error, _request, response, _next) => {
  if (error.status >= 400 && error.status < 500) {
    response.status(error.status).json({ status: 'bad_request' });
    return;
  }
  console.error(`not accepted: ${error.message}`);
  response.status(UNAVAILABLE.code).json(UNAVAILABLE.answer);
});

const server = app.listen(port(), '127.0.0.1', (error) => {
  if (error) throw error;
  ready();
});

onStop(async () => {
  await promisify(server.close.bind(server))();
  await intake.close();
});
