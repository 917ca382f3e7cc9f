// graphql-yoga as it comes, with our schema and a submitJob that keeps nothing.
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { createSchema, createYoga } from "graphql-yoga";

const [port, sdl] = process.argv.slice(2);
let number = 0;

const yoga = createYoga({
  logging: false,
  schema: createSchema({
    typeDefs: readFileSync(sdl, "utf8"),
    resolverValidationOptions: { requireResolversForResolveType: "ignore" },
    resolvers: {
      Mutation: {
        submitJob: async (_, { input }) => {
          const id = `j-${++number}`;
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
