// graphql-yoga as it comes, with our schema. submitJob keeps nothing or, with "stored", what makes a
// job: a hash of it and an entry in a queue, in one transaction.
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { createSchema, createYoga } from "graphql-yoga";
import { Redis } from "ioredis";

const [port, sdl, mode] = process.argv.slice(2);
const socket = process.env.FANFOLD_REDIS_URL?.replace("unix://", "");
const redis = mode === "stored" ? new Redis(socket) : null;
let number = 0;

async function store(id, input) {
  await redis
    .multi()
    .hset(`peer:job:${id}`, { spec: JSON.stringify(input), state: "QUEUED", created: Date.now() })
    .lpush("peer:queue", id)
    .exec();
}

const yoga = createYoga({
  logging: false,
  schema: createSchema({
    typeDefs: readFileSync(sdl, "utf8"),
    resolverValidationOptions: { requireResolversForResolveType: "ignore" },
    resolvers: {
      Mutation: {
        submitJob: async (_, { input }) => {
          const id = `j-${++number}`;
          if (redis) await store(id, input);
          return {
            __typename: "SubmitJobSuccess",
            created: true,
            job: { id, name: input.name, status: { id, version: 1, state: "QUEUED" } },
          };
        },
      },
    },
  }),
});

createServer(yoga).listen(Number(port), "127.0.0.1");
