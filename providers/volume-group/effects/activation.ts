import type { Host } from "../../host/effects/host.ts";
import { type Activation, parseActivation, renderDetectActivation } from "../core/names.ts";

/** Asks a host how its volumes become block devices. */
export async function readActivation(host: Host): Promise<Activation> {
  return parseActivation(
    await host.run(renderDetectActivation(), {
      purpose: "see whether the kernel has device mapper",
    }),
  );
}
