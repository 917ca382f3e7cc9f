import { useState } from "react";
import { useClient } from "urql";
import { UploadDocument } from "../../graphql/generated";
import { Field } from "../parts/Field";
import { formatBytes } from "../parts/format";
import { problemOf } from "../parts/outcome";
import type { Draft } from "./draft";

interface Props {
  upload: Draft["upload"];
  onSent: (upload: Draft["upload"]) => void;
}

export function UploadField({ upload, onSent }: Props) {
  const client = useClient();
  const [state, setState] = useState<{ said?: string; problem?: string | null }>({});

  const send = async (file: File | undefined) => {
    if (!file) return;
    onSent(null);
    setState({ said: `Sending ${file.name}, ${formatBytes(file.size)}…` });
    const input = { fileName: file.name, contentType: file.type || null };
    const { data, error } = await client.mutation(UploadDocument, { input }).toPromise();
    const place = data?.createUpload;
    const problem = problemOf(error, place as never);
    if (problem || !place || !("url" in place)) return setState({ problem });
    const answer = await fetch(place.url, { method: "PUT", body: file }).catch(() => null);
    if (!answer?.ok) {
      return setState({ problem: answer ? await answer.text() : "The file could not be sent." });
    }
    setState({});
    onSent({ id: place.id, name: file.name });
  };

  return (
    <Field
      label="File"
      hint={upload ? `${upload.name} was sent.` : (state.said ?? null)}
      problem={state.problem}
    >
      <input type="file" onChange={(event) => void send(event.target.files?.[0])} />
    </Field>
  );
}
