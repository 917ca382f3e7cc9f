import { util } from '@aws-appsync/utils';

/** Asks the function that runs the same resolvers as the service. */
export function request(ctx) {
  const { arguments: args, identity, info, source } = ctx;
  return {
    operation: 'Invoke',
    payload: {
      parent: info.parentTypeName,
      field: info.fieldName,
      arguments: args,
      identity,
      source: source ? { id: source.id, jobId: source.jobId } : null,
    },
  };
}

export function response(ctx) {
  if (ctx.error) util.error('internal error', 'INTERNAL');
  const { data, error } = ctx.result;
  if (error) util.error(error.message, error.code, null, { retryAfterSeconds: error.retryAfterSeconds });
  return data;
}
