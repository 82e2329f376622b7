/** How a client of MinIO's library is told of an S3 endpoint such as `http://127.0.0.1:9000`. */
export function endpointOptions(endpoint: string) {
  const url = new URL(endpoint);
  const useSSL = url.protocol === "https:";
  return {
    endPoint: url.hostname.replace(/^\[|\]$/g, ""),
    port: url.port === "" ? (useSSL ? 443 : 80) : Number(url.port),
    useSSL,
    pathStyle: true,
  };
}
