export const HTTP_URL = new URL("/graphql", location.href).href;
export const SOCKET_URL = HTTP_URL.replace(/^http/, "ws");
