/**
 * Sends a file, telling the share of it that is on its way, 0 to 1. Resolves with what went wrong, or
 * null; also when `signal` ends it. Not by `fetch`, which tells nothing before the answer.
 */
export function putFile(
  file: File,
  { url, onShare, signal }: { url: string; onShare: (share: number) => void; signal: AbortSignal },
): Promise<string | null> {
  return new Promise((resolve) => {
    const request = new XMLHttpRequest();
    request.upload.onprogress = ({ loaded, total }) => onShare(total ? loaded / total : 1);
    request.onload = () => {
      const isKept = request.status >= 200 && request.status < 300;
      resolve(isKept ? null : request.responseText || "The file was refused.");
    };
    request.onerror = () => resolve("The file could not be sent.");
    request.onabort = () => resolve(null);
    signal.addEventListener("abort", () => request.abort());
    request.open("PUT", url);
    request.send(file);
  });
}
