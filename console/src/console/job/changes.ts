/** What of a live job may change, and what a form says has. */

import type { UpdateJobInput } from "../../graphql/generated";

export interface Updatable {
  maxConcurrency?: number | null;
  toleratedFailureCount?: number;
  toleratedFailurePercentage?: number;
  tags: readonly string[];
}

/** Of the job as it was accepted, or as it was changed since. */
export function updatableOf(accepted: unknown, tags: readonly string[]): Updatable {
  const spec = accepted as { maxConcurrency: number | null; failurePolicy: Updatable };
  const { toleratedFailureCount, toleratedFailurePercentage } = spec.failurePolicy;
  return {
    maxConcurrency: spec.maxConcurrency,
    toleratedFailureCount,
    toleratedFailurePercentage,
    tags,
  };
}

/** Only what differs; a number cannot be taken back, so an empty field changes nothing. */
export function changesOf(
  before: Updatable,
  after: Partial<Updatable>,
): Omit<UpdateJobInput, "id"> {
  const { tags = [], ...numbers } = after;
  const changed = Object.entries(numbers).filter(
    ([name, value]) => before[name as keyof Updatable] !== value,
  );
  const addTags = tags.filter((tag) => !before.tags.includes(tag));
  const removeTags = before.tags.filter((tag) => !tags.includes(tag));
  return {
    ...Object.fromEntries(changed),
    ...(addTags.length > 0 && { addTags }),
    ...(removeTags.length > 0 && { removeTags }),
  };
}
