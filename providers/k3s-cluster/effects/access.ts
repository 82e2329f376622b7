import type { Guest } from "../../host/effects/host.ts";
import { type Access, parseToken, renderGrant, renderRevoke } from "../core/access.ts";

/** A token that allows what is said, by a server of the cluster, and when it ends. */
export async function grantAccess(
  guest: Guest,
  access: Access,
  seconds: number,
): Promise<{ token: string; expires: number }> {
  const output = await guest.run(renderGrant(access, seconds), {
    ...{ purpose: `grant the role ${access.role}`, timeoutSeconds: 120 },
  });
  return parseToken(output);
}

/** Ends every token for what is said. */
export async function revokeAccess(guest: Guest, access: Access): Promise<void> {
  await guest.run(renderRevoke(access), {
    ...{ purpose: `withdraw the role ${access.role}`, timeoutSeconds: 120 },
  });
}
