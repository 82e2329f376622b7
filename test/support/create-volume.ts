import { create } from "../../providers/image-volume/provider.ts";

/**
 * Creates the volume whose checked inputs stand as JSON in the first argument, in a process of its
 * own that a test can kill.
 */
await create(JSON.parse(process.argv[2] ?? "{}") as Record<string, unknown>);
