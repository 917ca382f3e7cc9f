// Runs every audit of GraphQL over HTTP; prints their results as JSON.
import { auditServer } from "graphql-http";

const results = await auditServer({ url: process.argv[2] });
console.log(
  JSON.stringify(
    await Promise.all(
      results.map(async ({ id, name, status, reason = null, response }) => {
        const body = response && !response.bodyUsed ? await response.text() : null;
        return { id, name, status, reason, code: response?.status ?? null, body };
      }),
    ),
  ),
);
