/** A base image as an object in the store. */
export interface ImageObject {
  endpoint: string;
  region: string;
  bucket: string;
  /** The object's key; its checksum is `<key>.sha256`. */
  key: string;
  /** The digest that it must have, where the configuration pins one. */
  sha256?: string;
}

/** Says which object of the store a base image is; undefined where the image is not configured. */
export function planImage(
  store: { endpoint: string; region: string; bucket: string },
  images: readonly { name: string; sha256?: string | undefined }[],
  name: string,
): ImageObject | undefined {
  const image = images.find((each) => each.name === name);
  if (image === undefined) return undefined;
  return {
    ...store,
    key: `${image.name}.qcow2`,
    ...(image.sha256 !== undefined && { sha256: image.sha256.toLowerCase() }),
  };
}
