/** How fast a job goes, from the states that were pushed while somebody looked. */

import type { StatusFragment } from "../../graphql/generated";

export interface Sample {
  atS: number;
  items: number;
  bytes: number;
}

export interface Rates {
  /** In seconds since the first sample. */
  times: number[];
  items: number[];
  bytes: number[];
}

const MOST_SAMPLES = 600;
/** A rate is taken over this time, so that it does not jump with each batch. */
const WINDOW_S = 5;
/** Without news for so long, the rate is seen to fall. */
const SILENCE_S = 2;

export const sampleOf = (status: StatusFragment): Sample => ({
  atS: Date.parse(status.updatedAt) / 1000,
  items: status.items.succeeded + status.items.failed + status.items.skipped,
  bytes: status.bytesRead,
});

/** Adds a sample; begins anew while nothing is done, and with a redrive. Halves what is too long. */
export function withSample(samples: Sample[], sample: Sample): Sample[] {
  const last = samples.at(-1);
  if (last && sample.atS <= last.atS) return samples;
  if (sample.items === 0 || (last && sample.items < last.items)) return [sample];
  if (last && sample.items === last.items && sample.atS - last.atS < SILENCE_S) return samples;
  const next = [...samples, sample];
  return next.length > MOST_SAMPLES ? next.filter((_, index) => index % 2 === 1) : next;
}

export function ratesOf(samples: Sample[]): Rates {
  const rates: Rates = { times: [], items: [], bytes: [] };
  const first = samples[0]?.atS ?? 0;
  let begin = 0;
  samples.forEach((sample, index) => {
    while (begin + 1 < index && sample.atS - samples[begin + 1]!.atS >= WINDOW_S) begin += 1;
    const before = samples[begin]!;
    const elapsed = sample.atS - before.atS;
    if (elapsed <= 0) return;
    rates.times.push(sample.atS - first);
    rates.items.push((sample.items - before.items) / elapsed);
    rates.bytes.push((sample.bytes - before.bytes) / elapsed);
  });
  return rates;
}
