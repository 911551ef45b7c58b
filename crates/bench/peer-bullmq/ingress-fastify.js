import Fastify from 'fastify';
import { BODY_BYTES_MAX, PATH, UNAVAILABLE, openIntake } from './accept.js';
import { onStop, ready } from './lifecycle.js';
import { port } from './settings.js';

const intake = await openIntake();
const app = Fastify({ logger: false, bodyLimit: BODY_BYTES_MAX });

// The raw body of every type, instead of the parsers that Fastify has of its own.
app.removeAllContentTypeParsers();
app.addContentTypeParser('*', { parseAs: 'buffer' }, (_request, rawBody, done) => done(null, rawBody));

// With a schema Fastify compiles a serializer for the answer.
const answerSchema = {
  type: 'object',
  properties: { status: { type: 'string' } },
};

app.post(
  PATH,
  { schema: { response: { '2xx': answerSchema, '4xx': answerSchema, '5xx': answerSchema } } },
  async (request, reply) => {
    const rawBody = request.body ?? Buffer.alloc(0);
    const { code, answer } = await intake.accept(rawBody, request.headers);
    reply.code(code);
    return answer;
  },
);

app.setErrorHandler((error, _request, reply) => {
  if (error.statusCode >= 400 && error.statusCode < 500) {
    reply.code(error.statusCode).send({ status: 'bad_request' });
    return;
  }
  console.error(`not accepted: ${error.message}`);
  reply.code(UNAVAILABLE.code).send(UNAVAILABLE.answer);
});

await app.listen({ port: port(), host: '127.0.0.1' });
ready();

onStop(async () => {
  await app.close();
  await intake.close();
});
