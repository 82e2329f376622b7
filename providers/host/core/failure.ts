import { GroundworkError, tail } from "../../errors.ts";
import type { HostConnection } from "./connection.ts";

/** The exit code that stands for a failure of SSH itself; a script's own 255 arrives as 254. */
export const sshFailed = 255;

/** Whether nobody answered, so that nothing is known; an answer that is an error is something else. */
export function isUnreachable(error: unknown): error is GroundworkError {
  return (
    error instanceof GroundworkError &&
    ["host-unreachable", "host-connection-lost", "command-timed-out"].includes(error.code)
  );
}

const lost =
  /connection (to .* )?closed|connection reset|broken pipe|not responding|client_loop|disconnected/i;

/** Turns what `ssh` said into an error that tells the user which of its many failures it was. */
export function sshError(
  connection: Extract<HostConnection, { kind: "ssh" }>,
  purpose: string,
  stderr: string,
): GroundworkError {
  const { hostname, user, port } = connection;
  const target = `${user === undefined ? "" : `${user}@`}${hostname}`;
  const command = `ssh ${port === undefined ? "" : `-p ${String(port)} `}${target} true`;
  const said = tail(stderr.replaceAll("\r", ""), 4).trim();
  const reason = said === "" ? "ssh gave no reason" : said.replace(/\.$/, "");
  if (stderr.includes("REMOTE HOST IDENTIFICATION HAS CHANGED"))
    return new GroundworkError({
      code: "host-key-changed",
      message: `Refused to ${purpose}: ${hostname} shows another SSH host key than the one in known_hosts. Either it was reinstalled, or somebody else answers in its place.`,
      next: `Compare its key with the machine's own, then replace the entry (ssh-keygen -R ${port === undefined ? hostname : `'[${hostname}]:${String(port)}'`}).`,
    });
  if (/Host key verification failed|No .* host key is known/.test(stderr))
    return new GroundworkError({
      code: "host-key-unknown",
      message: `Refused to ${purpose}: the SSH host key of ${hostname} is not in known_hosts.`,
      next: `Run \`${command}\` once and compare the key it shows with the machine's own before you accept it.`,
    });
  if (/Permission denied|Too many authentication failures/.test(stderr))
    return new GroundworkError({
      code: "host-access-denied",
      message: `Cannot log in to ${hostname} to ${purpose}: ${reason}.`,
      next: `Make \`${command}\` work without a question, with a key in your agent or with ?keyfile= in the URI.`,
    });
  // The client of a shared connection that breaks says nothing at all.
  if (said === "" || (lost.test(stderr) && !stderr.includes("connect to host")))
    return new GroundworkError({
      code: "host-connection-lost",
      message: `Lost the connection to ${hostname} while trying to ${purpose}; what ran there ends with it: ${reason}.`,
      next: "Run the same command again; it goes on from what is there.",
    });
  return new GroundworkError({
    code: "host-unreachable",
    message: `Cannot reach ${hostname} over SSH to ${purpose}: ${reason}.`,
    next: `Check that \`${command}\` works without a question.`,
  });
}
