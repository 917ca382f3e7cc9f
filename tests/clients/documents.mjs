export const SUBMIT = `
  mutation Submit($input: SubmitJobInput!) {
    submitJob(input: $input) {
      ... on SubmitJobSuccess { job { id } }
      ... on UserError { code message }
    }
  }
`;

export const FOLLOW = `
  subscription Follow($id: ID!) {
    jobStatus(id: $id) {
      id version state phase ratio
      map { succeeded total }
      error { code message }
    }
  }
`;

export const READ = `
  query Read($id: ID!) {
    job(id: $id) { id result { rows(first: 100) { edges { node } } } }
  }
`;

// What submitJob answers is one of several outcomes; only the first has a job.
export function jobOf({ submitJob: { job, code, message } }) {
  if (!job) throw new Error(`${code}: ${message}`);
  return job.id;
}

export const rowsOf = ({ job }) => job.result.rows.edges.map(({ node }) => node);

export const hasEnded = ({ state }) => !["QUEUED", "RUNNING", "CANCELLING"].includes(state);

export const headersOf = (token) => (token ? { authorization: `Bearer ${token}` } : {});

// What is refused with one token is refused again: go on with another one, or not at all.
export const shouldRetry = ({ code }) => code !== 4403;

// The same for event streams: asks with a token until it is refused.
export function asking(token) {
  let isRefused = false;
  return {
    headers() {
      if (isRefused) throw new Error("the token is refused");
      return headersOf(token);
    },
    async fetchFn(...request) {
      const answer = await fetch(...request);
      isRefused = answer.status === 401;
      return answer;
    },
  };
}

// Pauses that grow, and differ, so that not all clients of a restarted server come at once.
export const pause = (attempt) =>
  new Promise((resume) => {
    setTimeout(resume, Math.min(100 * 2 ** attempt, 5_000) * (0.5 + Math.random() / 2));
  });
