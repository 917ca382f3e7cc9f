// AppSync on loopback: the simulator of Amplify with what it lacks, which are resolvers in JavaScript
// and filters of subscriptions. What it is to serve is told in JSON on standard input:
// { port, schema, apiKey, issuer, table: {…}, functionUrl, headers, env, resolvers: [{ type, field, source, file }],
//   drop: { share, seed } }
import { createRequire, register } from 'node:module';
import { text } from 'node:stream/consumers';
import { pathToFileURL } from 'node:url';

register('./hooks.mjs', import.meta.url);
const require = createRequire(import.meta.url);
const { AmplifyAppSyncSimulator } = require('@aws-amplify/amplify-appsync-simulator');
const { withFilter } = require('graphql-subscriptions');
const { passes, respond } = await import('./appsync.mjs');

const config = JSON.parse(await text(process.stdin));

/** A unit resolver: a request to its source, and what becomes of the answer. */
class Resolver {
  constructor(simulator, { source }, code) {
    Object.assign(this, { simulator, source, code });
  }

  async resolve(source, args, context, info) {
    const ctx = {
      args,
      arguments: args,
      source,
      identity: identityOf(context),
      env: config.env,
      info: { fieldName: info.fieldName, parentTypeName: info.parentType.name },
    };
    const loader = this.simulator.getDataLoader(this.source);
    try {
      ctx.result = await loader.load(this.code.request(ctx), { source, args, context, info });
    } catch (error) {
      ctx.error = { message: error.message };
    }
    const { result, filter } = respond(this.code.response, ctx);
    context.filter = filter;
    return result;
  }
}

function identityOf({ jwt, iamToken }) {
  if (iamToken) return iamToken;
  return jwt ? { claims: jwt, sub: jwt.sub, issuer: jwt.iss } : null;
}

async function invoke(event) {
  const request = { method: 'POST', headers: config.headers, body: JSON.stringify(event) };
  const answer = await fetch(config.functionUrl, request);
  const body = await answer.json();
  if (!answer.ok || answer.headers.get('x-amz-function-error')) throw new Error(JSON.stringify(body));
  return body;
}

/** Numbers between 0 and 1 that are the same for the same seed (mulberry32, by Tommy Ettinger). */
function randomFrom(seed) {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}

function loseSome(pubsub, { share, seed }) {
  const publish = pubsub.publish.bind(pubsub);
  const random = randomFrom(seed);
  pubsub.publish = async (...event) => (random() < share ? undefined : publish(...event));
}

const simulator = new AmplifyAppSyncSimulator({ port: config.port });
const server = simulator._server._httpServer;
const listen = server.listen.bind(server);
server.listen = (port) => listen(port, '127.0.0.1');
await simulator.start();
simulator.init({
  schema: { content: config.schema, path: 'schema.graphql' },
  appSync: {
    name: 'fanfold',
    apiKey: config.apiKey,
    defaultAuthenticationType: { authenticationType: 'API_KEY' },
    additionalAuthenticationProviders: [
      { authenticationType: 'AWS_IAM' },
      { authenticationType: 'OPENID_CONNECT', openIDConnectConfig: { Issuer: config.issuer } },
    ],
  },
  dataSources: [
    { type: 'AWS_LAMBDA', name: 'Function', invoke: (payload) => invoke(payload) },
    { type: 'AMAZON_DYNAMODB', name: 'Table', config: config.table },
    { type: 'NONE', name: 'None' },
  ],
  resolvers: config.resolvers.map(({ type, field, source }) => ({
    kind: 'UNIT',
    typeName: type,
    fieldName: field,
    dataSourceName: source,
    requestMappingTemplate: '{}',
    responseMappingTemplate: '{}',
  })),
});
for (const resolver of config.resolvers) {
  const code = await import(pathToFileURL(resolver.file).href);
  const name = `${resolver.type}:${resolver.field}`;
  simulator.resolvers.set(name, new Resolver(simulator, resolver, code));
}
for (const [name, field] of Object.entries(simulator.schema.getSubscriptionType().getFields())) {
  field.subscribe = (source, args, context, info) => {
    if (context.appsyncErrors.length) throw new Error('the subscription is refused');
    const { filter } = context;
    const listening = withFilter(
      () => simulator.pubsub.asyncIterator(name),
      (payload) => payload != null && passes(payload, filter ?? {}),
    );
    return listening(source, args, context, info);
  };
}
if (config.drop) loseSome(simulator.pubsub, config.drop);
console.log('READY');
