import "uplot/dist/uPlot.min.css";
import "./styles/console.css";
import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { Provider } from "urql";
import { App } from "./App";
import { client } from "./live/client";
import { takeTokenFromAddress } from "./route";
import { applyTheme } from "./theme";

takeTokenFromAddress();
addEventListener("hashchange", () => {
  if (takeTokenFromAddress()) location.reload();
});
applyTheme();
createRoot(document.getElementById("root")!).render(
  <StrictMode>
    <Provider value={client}>
      <App />
    </Provider>
  </StrictMode>,
);
