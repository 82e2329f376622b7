import assert from "node:assert/strict";
import fc from "fast-check";
import {
  mayRetry,
  parseConnection,
  renderHopFiles,
  renderSshConfig,
  retryDelay,
} from "../../../../tools/command-plugin/connection.ts";
import { makeSecret } from "../../../../tools/command-plugin/values.ts";

describe("parseConnection", () => {
  it("fills in the plugin's defaults", () => {
    assert.deepEqual(parseConnection(makeSecret({ host: "vm1", proxy: { host: "hv1" } })), {
      host: "vm1",
      port: 22,
      user: "root",
      dialErrorLimit: 10,
      perDialTimeout: 15,
      proxy: { host: "hv1", port: 22, user: "root", dialErrorLimit: 10, perDialTimeout: 15 },
    });
  });

  it("refuses words that would become options or lines of an SSH configuration", () => {
    for (const host of ["-oProxyCommand=x", "a b", "a\nProxyCommand x", "", '"', "%h"])
      assert.throws(() => parseConnection({ host }), /connection\.host: must be one word/);
    assert.throws(
      () => parseConnection({ host: "a", proxy: { host: "b", user: "c\nd" } }),
      /connection\.proxy\.user/,
    );
    assert.throws(() => parseConnection({ host: "a", port: "22" }), /connection\.port/);
  });
});

describe("renderSshConfig", () => {
  const connection = parseConnection({
    host: "192.168.150.10",
    user: "deploy",
    privateKey: "KEY",
    hostKey: "ssh-ed25519 AAAA",
    proxy: { host: "hv1", password: "p" },
  });

  it("checks the host key that is given, and no other", () => {
    const config = renderSshConfig(connection, "/run/x", []);
    const target = config.slice(config.indexOf("Host target"));
    assert.match(target, /StrictHostKeyChecking yes/);
    assert.match(target, /UserKnownHostsFile \/run\/x\/target-known-hosts/);
    assert.equal(
      renderHopFiles("target", connection)["target-known-hosts"],
      "target ssh-ed25519 AAAA\n",
    );
    assert.match(config, /Host proxy[^]*StrictHostKeyChecking no[^]*Host target/);
  });

  it("holds no secret itself", () => {
    const config = renderSshConfig(connection, "/run/x", ["A", "B"]);
    assert.ok(!config.includes("KEY\n"));
    assert.match(config, /SendEnv A B/);
  });

  it("asks no questions when it has no answers", () => {
    const config = renderSshConfig(connection, "/run/x", []);
    assert.match(config, /Host proxy[^]*BatchMode no[^]*Host target[^]*BatchMode yes/);
  });
});

describe("mayRetry", () => {
  it("bears as many failures as the limit says, or any number", () => {
    assert.ok(!mayRetry(1, 0));
    assert.ok(mayRetry(10, 10));
    assert.ok(!mayRetry(11, 10));
    assert.ok(mayRetry(1000, -1));
  });

  it("waits longer after each failure, but never more than 5 s", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 1000 }), (failures) => {
        assert.ok(retryDelay(failures) <= retryDelay(failures + 1));
        assert.ok(retryDelay(failures) <= 5000);
      }),
    );
  });
});
