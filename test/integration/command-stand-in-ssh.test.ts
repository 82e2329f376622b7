import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { makeSecret, type Value, type Values } from "../../tools/command-plugin/values.ts";
import { create, logged, provider, update, urnOf } from "../support/command-plugin.ts";
import { requireNeeds } from "../support/needs.ts";
import {
  endTree,
  freePort,
  makeScratch,
  type Scratch,
  tied,
  undoAtExit,
  waitUntilReady,
} from "../support/scratch.ts";

const signature = "4dabf18193072939515e22adb298388d";

describe("command stand-in over SSH", function () {
  this.timeout(120_000);
  let scratch: Scratch;
  const cleanUps: (() => void)[] = [];
  let connection: Values;
  let otherKey: string;
  const file = (name: string): string => path.join(scratch.folder, name);
  const read = (name: string): string => fs.readFileSync(file(name), "utf8");
  const makeKey = (name: string, passphrase = ""): void => {
    const args = ["-q", "-t", "ed25519", "-N", passphrase, "-C", "", "-f", file(name)];
    execFileSync("ssh-keygen", args);
  };

  before(async function () {
    requireNeeds(this, ["root", "sshd"]);
    scratch = makeScratch("command-ssh");
    cleanUps.push(() => {
      scratch.remove();
    });
    makeKey("host_key");
    makeKey("other_host_key");
    makeKey("user_key");
    makeKey("locked_key", "open sesame");
    otherKey = read("other_host_key.pub");
    fs.writeFileSync(file("authorized_keys"), read("user_key.pub") + read("locked_key.pub"));
    const port = await freePort();
    fs.writeFileSync(
      file("sshd_config"),
      `ListenAddress 127.0.0.1:${String(port)}\nHostKey ${file("host_key")}\n` +
        `AuthorizedKeysFile ${file("authorized_keys")}\nPidFile none\nUsePAM no\nStrictModes no\n` +
        "PasswordAuthentication no\nPermitRootLogin prohibit-password\n" +
        "AcceptEnv GROUNDWORK_* PULUMI_COMMAND_*\n",
    );
    fs.mkdirSync("/run/sshd", { recursive: true, mode: 0o755 });
    const [command, args] = tied("/usr/sbin/sshd", ["-D", "-e", "-f", file("sshd_config")]);
    const server = spawn(command, args, { stdio: ["ignore", "ignore", "pipe"] });
    cleanUps.unshift(
      undoAtExit(() => {
        endTree(server.pid);
      }),
    );
    let said = "";
    server.stderr.on("data", (text: Buffer) => (said += text.toString()));
    await waitUntilReady(
      "sshd",
      () => Promise.resolve(said.includes("Server listening")),
      () => said,
    );
    connection = {
      host: "127.0.0.1",
      port,
      user: os.userInfo().username,
      privateKey: read("user_key"),
      hostKey: read("host_key.pub"),
      dialErrorLimit: 0,
    };
  });
  after(() => {
    for (const cleanUp of cleanUps) cleanUp();
  });
  const secretsLeft = (): string[] =>
    fs.readdirSync(os.tmpdir()).filter((name) => name.startsWith("groundwork-command-"));

  it("runs create, update and delete with environment, stdin and the previous output", async () => {
    const inputs = {
      connection: makeSecret(connection),
      create: `printf '%s|' "$GROUNDWORK_A" "$(cat)"`,
      update: `echo "was $PULUMI_COMMAND_STDOUT"`,
      delete: `echo "gone after $PULUMI_COMMAND_STDOUT" > ${file("deleted")}`,
      environment: { GROUNDWORK_A: 'it\'s "quoted"\nand more' },
      stdin: "line 1\nline 2",
    };
    const { outs } = await create("remote:Command", inputs);
    assert.equal(outs["stdout"], 'it\'s "quoted"\nand more|line 1\nline 2|');
    const updated = await update("remote:Command", { ...outs, stdout: "made" }, inputs);
    assert.equal(updated["stdout"], "was made");
    await provider.delete?.("id", urnOf("remote:Command"), { ...updated, stdout: "all" });
    assert.equal(read("deleted"), "gone after all\n");
    assert.deepEqual(secretsLeft(), []);
  });

  it("keeps the command and the key out of the argument list of ssh", async () => {
    const look = `for process in /proc/[0-9]*; do
        if [ "$(cat $process/comm 2>/dev/null)" = ssh ]; then tr '\\0' ' ' < $process/cmdline; fi
      done # hush-hush`;
    const { outs } = await create("remote:Command", { connection, create: look });
    const seen = outs["stdout"] as string;
    assert.match(seen, /ssh -F \S*groundwork-command-\S*config target/);
    assert.ok(!seen.includes("hush-hush"), seen);
    assert.ok(!seen.includes("PRIVATE KEY"), seen);
  });

  it("says which variable the server does not accept", async () => {
    await assert.rejects(
      create("remote:Command", { connection, create: "true", environment: { WALLS: "4" } }),
      /Unable to set 'WALLS'.*AcceptEnv/,
    );
  });

  it("fails with the exit status and the output of the command", async () => {
    await assert.rejects(
      create("remote:Command", { connection, create: "echo no roof >&2; exit 9" }),
      /exit status 9: running "echo no roof[^]*no roof/,
    );
  });

  it("refuses a server with another host key than the one given", async () => {
    const strange = { ...connection, hostKey: otherKey };
    await assert.rejects(
      create("remote:Command", { connection: strange, create: `touch ${file("entered")}` }),
      /after 1 failed attempts: [^]*[Hh]ost key/,
    );
    assert.ok(!fs.existsSync(file("entered")));
  });

  it("takes any host key when none is given", async () => {
    const { hostKey, ...trusting } = connection;
    assert.notEqual(hostKey, undefined);
    const { outs } = await create("remote:Command", { connection: trusting, create: "echo in" });
    assert.equal(outs["stdout"], "in");
  });

  it("opens a locked key with its passphrase", async () => {
    const locked = {
      ...connection,
      privateKey: read("locked_key"),
      privateKeyPassword: "open sesame",
    };
    const { outs } = await create("remote:Command", { connection: locked, create: "echo in" });
    assert.equal(outs["stdout"], "in");
    await assert.rejects(
      create("remote:Command", {
        connection: { ...locked, privateKeyPassword: "wrong" },
        create: "echo in",
      }),
      /cannot connect/,
    );
  });

  it("goes through a proxy", async () => {
    const { outs } = await create("remote:Command", {
      connection: { ...connection, proxy: connection },
      create: "echo $SSH_CONNECTION",
    });
    assert.match(outs["stdout"] as string, /^127\.0\.0\.1 /);
  });

  it("retries as often as dialErrorLimit allows", async () => {
    logged.length = 0;
    const closed = { ...connection, port: await freePort(), dialErrorLimit: 2 };
    await assert.rejects(
      create("remote:Command", { connection: closed, create: "true" }),
      /after 3 failed attempts/,
    );
    assert.deepEqual(logged, ["Dial 1/2 failed: retrying", "Dial 2/2 failed: retrying"]);
  });

  describe("remote.CopyToRemote", () => {
    const asset = (fields: Values): Value => ({
      [signature]: "c44067f5952c0a294b673a41bacd8c17",
      ...fields,
    });
    const archive = (fields: Values): Value => ({
      [signature]: "0def7320c3a5731c473e5ecbe6d01bc7",
      ...fields,
    });
    before(() => {
      fs.mkdirSync(file("house/cellar"), { recursive: true });
      fs.writeFileSync(file("house/door"), "oak\n", { mode: 0o755 });
      fs.writeFileSync(file("house/cellar/wine"), Buffer.from([0, 1, 2, 255]));
    });
    const copy = (source: Value, remotePath: string): Promise<{ outs: Values }> =>
      create("remote:CopyToRemote", { connection, source, remotePath });

    it("copies a file to a path whose folders it makes, and into a folder that exists", async () => {
      await copy(asset({ path: file("house/door") }), file("to/new/door"));
      assert.equal(read("to/new/door"), "oak\n");
      assert.equal(fs.statSync(file("to/new/door")).mode & 0o111, 0);
      await copy(asset({ path: file("house/cellar/wine") }), file("to"));
      assert.deepEqual(fs.readFileSync(file("to/wine")), Buffer.from([0, 1, 2, 255]));
    });

    it("copies a folder, or its contents when the path ends in a slash", async () => {
      await copy(archive({ path: file("house") }), file("street"));
      assert.equal(read("street/house/door"), "oak\n");
      await copy(archive({ path: `${file("house")}/` }), file("copy"));
      assert.deepEqual(fs.readdirSync(file("copy")).sort(), ["cellar", "door"]);
    });

    it("copies a text to a file, and refuses to write it over a folder", async () => {
      await copy(asset({ text: "grüße" }), file("letters/one"));
      assert.equal(read("letters/one"), "grüße");
      await assert.rejects(copy(asset({ text: "x" }), file("letters")), /is a directory/);
    });

    it("copies again only when the content or the path changed", async () => {
      const inputs = (hash: string): Values => ({
        connection,
        source: asset({ path: file("house/door"), hash }),
        remotePath: file("again"),
      });
      const { outs } = await create("remote:CopyToRemote", inputs("a"));
      fs.rmSync(file("again"));
      await update("remote:CopyToRemote", outs, inputs("a"));
      assert.ok(!fs.existsSync(file("again")));
      await update("remote:CopyToRemote", outs, inputs("b"));
      assert.ok(fs.existsSync(file("again")));
    });
  });
});
