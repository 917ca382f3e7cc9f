import { useState, type FormEvent } from "react";
import { keepToken, readToken } from "../shared/token";
import { Dialog } from "./parts/Dialog";
import { Field } from "./parts/Field";

interface Props {
  refusal: string | null;
  onClose: () => void;
}

/** Asks who is calling. Everything is read anew with the new token, so the page begins again. */
export function TokenDialog({ refusal, onClose }: Props) {
  const [token, setToken] = useState(readToken() ?? "");
  const use = (event: FormEvent) => {
    event.preventDefault();
    keepToken(token.trim() || null);
    location.reload();
  };
  return (
    <Dialog title="Who is calling?" onClose={onClose}>
      <form onSubmit={use}>
        <Field
          label="API key or token"
          hint="Kept for this tab alone, until it is closed. Leave it empty to use none."
          problem={refusal}
        >
          <input
            type="password"
            autoComplete="off"
            value={token}
            onChange={(event) => setToken(event.target.value)}
          />
        </Field>
        <div className="actions">
          <button className="button" type="button" onClick={onClose}>
            Close
          </button>
          <button className="button primary" type="submit">
            Use it
          </button>
        </div>
      </form>
    </Dialog>
  );
}
