/** What the service finds wrong with an input, and beside which field it is told. */

export type Issues = readonly { path: readonly string[]; message: string }[];

interface Refusal {
  __typename?: string;
  message?: string;
  path?: readonly string[] | null;
  issues?: Issues;
}

/** Every problem with its place: of an input that is wrong, or of a source that cannot be read. */
export function issuesOf(answer: Refusal | null | undefined): Issues {
  if (answer?.issues) return answer.issues;
  return answer?.path && answer.message ? [{ path: answer.path, message: answer.message }] : [];
}

/** What is wrong at a place of the input, such as "params", "top", or below it. */
export const issueAt = (issues: Issues, ...path: string[]): string | null =>
  said(issues.filter((issue) => path.every((part, at) => issue.path[at + 1] === part)));

/** The same, and what is wrong with all that the place is part of: for the main field of a part. */
export const issueAround = (issues: Issues, ...path: string[]): string | null =>
  said(
    issues.filter((issue) => {
      const place = issue.path.slice(1);
      return place.length > 0 && path.every((part, at) => at >= place.length || place[at] === part);
    }),
  );

const said = (issues: Issues): string | null =>
  issues.map(({ message }) => message).join("; ") || null;
