import { useEffect, useRef, useState } from "react";
import { useClient } from "urql";
import { UploadDocument } from "../../graphql/generated";
import { Field } from "../parts/Field";
import { formatBytes } from "../parts/format";
import { problemOf } from "../parts/outcome";
import { Progress } from "../parts/Progress";
import type { Draft } from "./draft";
import { putFile } from "./putFile";

interface Props {
  upload: Draft["upload"];
  onSent: (upload: Draft["upload"]) => void;
  problem: string | null;
}

interface Sending {
  file: File;
  /** 0 to 1. */
  share: number;
}

export function UploadField({ upload, onSent, problem }: Props) {
  const client = useClient();
  const [sending, setSending] = useState<Sending | null>(null);
  const [refusal, setRefusal] = useState<string | null>(null);
  const last = useRef<AbortController>(null);
  useEffect(() => () => last.current?.abort(), []);

  const send = async (file: File | undefined) => {
    if (!file) return;
    last.current?.abort();
    const { signal } = (last.current = new AbortController());
    onSent(null);
    setRefusal(null);
    setSending({ file, share: 0 });
    const input = { fileName: file.name, contentType: file.type || null };
    const { data, error } = await client.mutation(UploadDocument, { input }).toPromise();
    const place = data?.createUpload;
    let problem = problemOf(error, place);
    if (!problem && !signal.aborted && place?.__typename === "CreateUploadSuccess") {
      const onShare = (share: number) => setSending({ file, share });
      problem = await putFile(file, { url: place.url, onShare, signal });
      if (!problem && !signal.aborted) onSent({ id: place.id, name: file.name });
    }
    if (signal.aborted) return;
    setRefusal(problem);
    setSending(null);
  };

  const said = sending && `Sending ${sending.file.name}, ${formatBytes(sending.file.size)}…`;
  return (
    <>
      <Field
        label="File"
        hint={upload ? `${upload.name} was sent.` : (said ?? "From this computer, sent as it is.")}
        problem={refusal ?? problem}
      >
        <input type="file" onChange={(event) => void send(event.target.files?.[0])} />
      </Field>
      <p className="hidden" role="status">
        {upload ? `${upload.name} was sent.` : said}
      </p>
      {sending && (
        <Progress label={`Sent of ${sending.file.name}`} ratio={sending.share} state="RUNNING" />
      )}
    </>
  );
}
