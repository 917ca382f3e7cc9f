import { extensions, util } from '@aws-appsync/utils';

/**
 * Lets callers follow what they may read: one job, or all jobs of their tenant. The response of a
 * subscription is decided before it is in force, and only states that pass its filter are sent.
 */
export function request(ctx) {
  // A feed is of no job: the read then finds nothing, which costs less than a resolver of its own.
  const key = { pk: `JOB#${ctx.args.id}`, sk: 'META' };
  return { operation: 'GetItem', key: util.dynamodb.toMapValues(key), consistentRead: true };
}

export function response(ctx) {
  if (ctx.error) util.error('the table does not answer', 'UNAVAILABLE');
  const caller = callerOf(ctx);
  if (!caller.scopes.includes('read') && !caller.scopes.includes('admin')) {
    util.error('the scope read is needed', 'FORBIDDEN');
  }
  const wanted = ctx.info.fieldName === 'jobStatus' ? ofJob(ctx, caller) : ofFeed(ctx, caller);
  extensions.setSubscriptionFilter(util.transform.toSubscriptionFilter(wanted));
  return null;
}

function ofJob(ctx, caller) {
  const { id, afterVersion } = ctx.args;
  const isSeen = caller.jobs ? caller.jobs.includes(id) : true;
  if (!ctx.result || ctx.result.tenant !== caller.tenant || !isSeen) {
    util.error(`no job ${id}`, 'NOT_FOUND');
  }
  const wanted = { id: { eq: id } };
  if (afterVersion !== undefined && afterVersion !== null) wanted.version = { gt: afterVersion };
  return wanted;
}

function ofFeed(ctx, caller) {
  const wanted = { tenant: { eq: caller.tenant } };
  if (ctx.args.tag) wanted.tags = { contains: ctx.args.tag };
  if (caller.jobs) wanted.id = { in: caller.jobs };
  return wanted;
}

/** As transport/appsync/identity.py has it. */
function callerOf(ctx) {
  const { env, identity } = ctx;
  if (!identity) return { tenant: env.TENANT, scopes: env.SCOPES.split(',') };
  if (identity.resolverContext) {
    const { tenant, scopes, jobs } = identity.resolverContext;
    return { tenant, scopes: scopes.split(' '), jobs: jobs ? jobs.split(' ') : null };
  }
  if (identity.claims) {
    const { claims } = identity;
    return { tenant: claims[env.TENANT_CLAIM], scopes: claims.scope ? claims.scope.split(' ') : [] };
  }
  return { tenant: env.TENANT, scopes: ['admin'] };
}
