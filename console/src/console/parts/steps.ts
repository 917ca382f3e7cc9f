/** Steps from label to label along an axis of durations, in seconds. */

const STEPS_S = [
  ...[0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30],
  ...[1, 2, 5, 10, 15, 30].map((minutes) => minutes * 60),
  ...[1, 2, 3, 6, 12, 24, 48, 120, 240, 480].map((hours) => hours * 3_600),
];
/** What is shorter is drawn as if it took so long: below, labels would be the same. */
const SHORTEST_S = 1;

/** Those after which `formatDuration` says something else, up to the longest duration drawn. */
export const stepsUpTo = (longest: number): number[] =>
  STEPS_S.filter((step) => step >= (longest < 10 ? 0.1 : longest < 3_600 ? 1 : 60));

export const rangeOf = (longest: number): [number, number] => [0, Math.max(longest, SHORTEST_S)];
