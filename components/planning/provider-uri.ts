/** A libvirt URI as the libvirt provider wants it: `known_hosts` is `knownhosts` there. */
export function planProviderUri(uri: string): string {
  const query = URL.canParse(uri) ? new URL(uri).searchParams : new URLSearchParams();
  const file = query.get("known_hosts");
  if (file === null || query.has("knownhosts")) return uri;
  return `${uri}&knownhosts=${encodeURIComponent(file)}`;
}
