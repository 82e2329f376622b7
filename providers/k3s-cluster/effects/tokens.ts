import { GroundworkError } from "../../errors.ts";
import type { NodeArguments } from "../core/arguments.ts";
import { renderRotateToken, renderTokenFiles } from "../core/tokens.ts";
import { guestOf, renew, type Rollout } from "./at-work.ts";

/**
 * Has the cluster take the wished server token, and gives it to every server at once, so that one which
 * goes down meanwhile can start again. Of servers that were told different tokens by runs that broke
 * off, one has that of the datastore; the others refuse.
 */
export async function rotateToken(rollout: Rollout, servers: readonly string[]): Promise<void> {
  const { args, through } = rollout;
  const secrets = [args.token, args.agentToken];
  let failure: GroundworkError | undefined;
  for (const name of new Set([through.name, ...servers]))
    try {
      await guestOf(rollout, name).run(renderRotateToken(args.token), {
        ...{ purpose: "have k3s take a new server token", timeoutSeconds: 180, secrets },
      });
      failure = undefined;
      break;
    } catch (error) {
      if (!(error instanceof GroundworkError)) throw error;
      failure ??= error;
    }
  if (failure !== undefined) throw failure;
  await Promise.all(
    servers.map((name) =>
      guestOf(rollout, name).run(renderTokenFiles(args, "server"), {
        ...{ purpose: `give server "${name}" its new tokens`, secrets },
      }),
    ),
  );
}

/** Starts nodes with new tokens or certificates, one after the other; their pods go on running. */
export async function renewEach(rollout: Rollout, nodes: readonly NodeArguments[]): Promise<void> {
  for (const node of nodes) await renew(rollout, node);
}
