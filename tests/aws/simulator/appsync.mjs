// What AppSync gives its resolvers as the module @aws-appsync/utils, as far as ours use it.
import { marshall } from '@aws-sdk/util-dynamodb';

class ResolverError extends Error {
  constructor(message, type, data, info) {
    super(message);
    this.extensions = { errorType: type, data, errorInfo: info };
  }
}

export const util = {
  error(message, type, data, info) {
    throw new ResolverError(message, type, data, info);
  },
  dynamodb: { toMapValues: (values) => marshall(values) },
  transform: { toSubscriptionFilter: (filter) => JSON.stringify(filter) },
};

let filter;

export const extensions = {
  setSubscriptionFilter(text) {
    filter = JSON.parse(text);
  },
};

/** Runs a response and returns what it gives, and the filter that it has set. */
export function respond(response, context) {
  filter = undefined;
  const result = response(context);
  return { result, filter };
}

const OPERATORS = {
  eq: (value, wanted) => value === wanted,
  gt: (value, wanted) => value > wanted,
  in: (value, wanted) => wanted.includes(value),
  contains: (value, wanted) => value.includes(wanted),
};

/** Tells whether what was published passes a subscription's filter. */
export function passes(payload, wanted) {
  return Object.entries(wanted).every(([field, test]) =>
    Object.entries(test).every(([name, value]) => OPERATORS[name](payload[field], value)),
  );
}
