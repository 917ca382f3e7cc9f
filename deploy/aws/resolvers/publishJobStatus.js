/** Hands on what was published, to whomever subscribes. */
export function request(ctx) {
  return { payload: ctx.args.input };
}

export function response(ctx) {
  return ctx.result;
}
