/** Light or dark: as the system has it, unless somebody chose. */

import { useSyncExternalStore } from "react";

export type Theme = "light" | "dark";

const KEY = "fanfold.theme";
const system = matchMedia("(prefers-color-scheme: dark)");
const listeners = new Set<() => void>();

export function applyTheme(): void {
  document.documentElement.style.colorScheme = presentTheme();
}

export function presentTheme(): Theme {
  const chosen = localStorage.getItem(KEY);
  if (chosen === "light" || chosen === "dark") return chosen;
  return system.matches ? "dark" : "light";
}

export function switchTheme(): void {
  localStorage.setItem(KEY, presentTheme() === "dark" ? "light" : "dark");
  tell();
}

export const useTheme = (): Theme => useSyncExternalStore(listen, presentTheme);

function tell(): void {
  applyTheme();
  listeners.forEach((listener) => listener());
}

function listen(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

system.addEventListener("change", tell);
