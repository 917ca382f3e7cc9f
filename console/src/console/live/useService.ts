import { ServiceDocument } from "../../graphql/generated";
import { useLiveQuery } from "./useLiveQuery";

/** What the deployment offers and what the caller may do; generous until it is known. */
export function useService() {
  const [{ data }] = useLiveQuery({ query: ServiceDocument });
  const scopes = data?.viewer.scopes;
  return {
    version: data?.service.version,
    takesSql: data?.service.sqlEnabled ?? true,
    maySubmit: !scopes || scopes.includes("submit") || scopes.includes("admin"),
  };
}
