import { useState } from "react";
import { useMutation } from "urql";
import { ShareDocument } from "../../graphql/generated";
import { Dialog } from "../parts/Dialog";
import { Field } from "../parts/Field";
import { formatTime } from "../parts/format";
import { problemOf } from "../parts/outcome";
import { linkWithToken } from "../route";

const LIVES = [
  { name: "15 minutes", seconds: 900 },
  { name: "1 hour", seconds: 3_600 },
  { name: "1 day", seconds: 86_400 },
];

export function ShareDialog({ id, onClose }: { id: string; onClose: () => void }) {
  const [seconds, setSeconds] = useState(3_600);
  const [isCopied, setIsCopied] = useState(false);
  const [{ data, error, fetching }, share] = useMutation(ShareDocument);
  const made = data?.createViewerToken;
  const problem = problemOf(error, made);
  const token = made?.__typename === "CreateViewerTokenSuccess" ? made : null;
  const link = token && linkWithToken(id, token.token);
  const copy = async (link: string) => {
    await navigator.clipboard.writeText(link);
    setIsCopied(true);
  };
  return (
    <Dialog title="Share this job" onClose={onClose}>
      <p>Whoever has the link can watch this job and read its result, and do nothing else.</p>
      {link ? (
        <>
          <Field label="Link" hint={`Works until ${formatTime(token.expiresAt)}.`}>
            <input readOnly value={link} onFocus={(event) => event.target.select()} />
          </Field>
          <p className="hidden" role="status">
            {isCopied && "Copied"}
          </p>
        </>
      ) : (
        <Field label="For how long" problem={problem}>
          <select value={seconds} onChange={(event) => setSeconds(Number(event.target.value))}>
            {LIVES.map(({ name, seconds }) => (
              <option key={seconds} value={seconds}>
                {name}
              </option>
            ))}
          </select>
        </Field>
      )}
      <div className="actions">
        <button className="button" type="button" onClick={onClose}>
          Close
        </button>
        {link && isSecureContext && (
          <button className="button primary" type="button" onClick={() => copy(link)}>
            {isCopied ? "Copied" : "Copy"}
          </button>
        )}
        {!link && (
          <button
            className="button primary"
            type="button"
            disabled={fetching}
            onClick={() => share({ input: { jobIds: [id], ttlSeconds: seconds } })}
          >
            Make a link
          </button>
        )}
      </div>
    </Dialog>
  );
}
