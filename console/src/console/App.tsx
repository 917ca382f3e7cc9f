import { useEffect, useRef, useState } from "react";
import { Header } from "./Header";
import { JobPage } from "./job/JobPage";
import { JobsPage } from "./jobs/JobsPage";
import { changeConnection, useConnection } from "./live/connection";
import { useService } from "./live/useService";
import { routeOf, useHash, type Route } from "./route";
import { NewJob } from "./submit/NewJob";
import { TokenDialog } from "./TokenDialog";

export function App() {
  const hash = useHash();
  const route = routeOf(hash);
  const { refusal, state } = useConnection();
  const { maySubmit, version } = useService();
  const [asksToken, setAsksToken] = useState(false);
  const main = useRef<HTMLElement>(null);
  const isFirst = useRef(true);
  useEffect(() => {
    // Whoever uses a screen reader or keys goes on where the new page begins.
    if (!isFirst.current) main.current?.focus();
    isFirst.current = false;
    scrollTo(0, 0);
  }, [hash]);
  const close = () => {
    setAsksToken(false);
    changeConnection({ refusal: null });
  };
  return (
    <>
      <a
        className="skip"
        href="#main"
        onClick={(event) => {
          event.preventDefault();
          main.current?.focus();
        }}
      >
        Skip to the content
      </a>
      <Header page={route.page} maySubmit={maySubmit} onToken={() => setAsksToken(true)} />
      {state === "lost" && (
        <p className="banner">
          The connection was lost. What is shown may be old; it goes on by itself.
        </p>
      )}
      <main id="main" ref={main} tabIndex={-1}>
        <Page route={route} />
      </main>
      <footer>Fanfold {version}</footer>
      {(asksToken || refusal) && <TokenDialog refusal={refusal} onClose={close} />}
    </>
  );
}

function Page({ route }: { route: Route }) {
  if (route.page === "job") return <JobPage key={route.id} id={route.id} />;
  return route.page === "new" ? (
    <NewJob key={String(route.query)} query={route.query} />
  ) : (
    <JobsPage />
  );
}
