import { execFileSync } from "node:child_process";
import * as fs from "node:fs";
import * as path from "node:path";

/** A certificate authority that nobody knows, and a certificate of it for one address. */
export interface PrivateCa {
  /** The authority's certificate, as PEM. */
  readonly file: string;
  /** What a server needs. */
  readonly server: { readonly key: string; readonly cert: string };
}

/**
 * Makes an authority and a certificate for the address in a folder of the test's own. Needs
 * ["openssl"].
 */
export function makePrivateCa(folder: string, address = "IP:127.0.0.1"): PrivateCa {
  const at = fs.mkdtempSync(path.join(folder, "ca-"));
  const file = (name: string): string => path.join(at, name);
  const openssl = (...args: string[]): void => {
    execFileSync("openssl", args, { stdio: ["ignore", "ignore", "pipe"] });
  };
  const key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];
  openssl(
    ...["req", "-x509", ...key, "-keyout", file("ca.key"), "-out", file("ca.pem")],
    ...["-subj", "/CN=Groundwork test authority", "-days", "2"],
  );
  openssl(
    ...["req", "-x509", ...key, "-keyout", file("server.key"), "-out", file("server.pem")],
    ...["-CA", file("ca.pem"), "-CAkey", file("ca.key"), "-subj", "/CN=store", "-days", "2"],
    ...["-addext", `subjectAltName=${address}`, "-addext", "basicConstraints=critical,CA:FALSE"],
  );
  const read = (name: string): string => fs.readFileSync(file(name), "utf8");
  return { file: file("ca.pem"), server: { key: read("server.key"), cert: read("server.pem") } };
}
