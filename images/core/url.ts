/** A URL as it may be printed: user, password and the signature in a query are secrets. */
export function showUrl(url: string): string {
  const { origin, pathname } = new URL(url);
  return `${origin}${pathname}`;
}

/** How a URL is asked for: user and password, which fetch() refuses to take from it, go into a header. */
export function planRequest(given: string): { url: string; headers: Record<string, string> } {
  const url = new URL(given);
  const { username, password } = url;
  url.username = url.password = "";
  if (username === "" && password === "") return { url: url.href, headers: {} };
  const login = `${decodeURIComponent(username)}:${decodeURIComponent(password)}`;
  const authorization = `Basic ${Buffer.from(login).toString("base64")}`;
  return { url: url.href, headers: { authorization } };
}
