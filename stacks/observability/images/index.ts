/** Container images of the observability lab, made without a registry and without an engine. */
export { imageTag, imageVariable, renderEnvironment } from "./core/archive.ts";
export { type ImageName, type ProgramName, imageNames } from "./core/recipes.ts";
export { type Pin, parsePins, renderPins } from "./core/pins.ts";
export { type BuildOptions, type ImageArchive, ensureImages } from "./effects/build.ts";
