import { FilesDocument, type FileFragment } from "../../graphql/generated";
import { useLiveQuery } from "../live/useLiveQuery";
import { useService } from "../live/useService";
import { formatBytes } from "../parts/format";
import { newPath } from "../route";

/** The addresses of files end after 15 minutes. */
const ASKED_EVERY_MS = 10 * 60_000;

export function Downloads({ id }: { id: string }) {
  const [{ data }] = useLiveQuery(
    { query: FilesDocument, variables: { id } },
    { everyMs: ASKED_EVERY_MS },
  );
  const { maySubmit } = useService();
  const job = data?.job;
  const kept = job?.result ?? job?.report;
  if (!kept) return null;
  const files = job?.result?.files ?? [];
  return (
    <>
      {files.length > 0 && <Files title="Result files" files={files} />}
      {job?.result && maySubmit && (
        <p>
          <a href={newPath({ source: id })}>Use it in a new job</a>
        </p>
      )}
      <Files title="What became of the input" files={[kept.manifest, ...kept.listings]} />
    </>
  );
}

function Files({ title, files }: { title: string; files: FileFragment[] }) {
  return (
    <>
      <h3>{title}</h3>
      <ul className="files">
        {files.map(({ name, byteSize, url }) => (
          <li key={name}>
            <a href={url} download={name}>
              {name}
            </a>{" "}
            <span className="muted">{formatBytes(byteSize)}</span>
          </li>
        ))}
      </ul>
    </>
  );
}
