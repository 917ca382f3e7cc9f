// Lets resolvers import @aws-appsync/utils, which is no package outside of AppSync.
export function resolve(specifier, context, next) {
  if (specifier !== '@aws-appsync/utils') return next(specifier, context);
  return { url: new URL('./appsync.mjs', import.meta.url).href, shortCircuit: true };
}
