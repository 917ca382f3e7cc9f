import { useMemo, useRef } from "react";
import type { StatusFragment } from "../../graphql/generated";
import { ratesOf, sampleOf, withSample, type Rates, type Sample } from "./rates";

/** The rates seen since the page was opened. */
export function useRates(status: StatusFragment | null): Rates {
  const samples = useRef<Sample[]>([]);
  return useMemo(() => {
    if (status) samples.current = withSample(samples.current, sampleOf(status));
    return ratesOf(samples.current);
  }, [status]);
}
