import { useMemo, useState } from "react";
import type { StatusFragment } from "../../graphql/generated";
import { ratesOf, sampleOf, withSample, type Rates, type Sample } from "./rates";

/** The rates seen since the page was opened. */
export function useRates(status: StatusFragment | null): Rates {
  const [seen, setSeen] = useState<StatusFragment | null>(null);
  const [samples, setSamples] = useState<Sample[]>([]);
  if (status && status !== seen) {
    setSeen(status);
    setSamples(withSample(samples, sampleOf(status)));
  }
  return useMemo(() => ratesOf(samples), [samples]);
}
