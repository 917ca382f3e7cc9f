import { useConnection, type Connection } from "./live/connection";
import { switchTheme, useTheme } from "./theme";
import type { Route } from "./route";

const SAID: Record<Connection["state"], string> = {
  connecting: "Connecting",
  live: "Live",
  lost: "Reconnecting",
  refused: "Token needed",
};

interface Props {
  page: Route["page"];
  maySubmit: boolean;
  onToken: () => void;
}

export function Header({ page, maySubmit, onToken }: Props) {
  const { state } = useConnection();
  const theme = useTheme();
  const current = (name: Route["page"]) => (page === name ? "page" : undefined);
  return (
    <header className="top">
      <a className="brand" href="#/">
        <svg viewBox="0 0 32 32" aria-hidden="true">
          <path d="M5 7l8 4.5L5 16l8 4.5L5 25M18 7h9M18 16h6M18 25h8" />
        </svg>
        Fanfold
      </a>
      <nav aria-label="Pages">
        <a href="#/" aria-current={current("jobs")}>
          Jobs
        </a>
        {maySubmit && (
          <a href="#/new" aria-current={current("new")}>
            New
          </a>
        )}
        <a href="/graphql">GraphiQL</a>
      </nav>
      <p className={`connection ${state}`} role="status">
        <span className="dot" aria-hidden="true" />
        <span>{SAID[state]}</span>
      </p>
      <button type="button" className="quiet" onClick={onToken}>
        Token
      </button>
      <button type="button" className="quiet" onClick={switchTheme}>
        <span className="hidden">Switch to </span>
        {theme === "dark" ? "Light" : "Dark"}
      </button>
    </header>
  );
}
