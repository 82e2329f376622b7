import * as assert from "node:assert/strict";
import { isLoopback } from "../../../server/core/loopback.ts";
import { parseTokens } from "../../../server/core/tokens.ts";
import { carriesToken } from "../../../server/effects/token.ts";

const [one, other] = ["a".repeat(16), "b".repeat(32)];

describe("who may use the provision server", () => {
  it("reads tokens from a file, leaving comments out", () => {
    assert.deepEqual(parseTokens(`# ours\n${one}\n\n  ${other}\r\n`, "tokens"), [one, other]);
  });

  it("refuses a file without tokens, and a short token without showing it", () => {
    assert.throws(() => parseTokens("# none\n", "tokens"), /tokens: there is none/);
    assert.throws(
      () => parseTokens(`${one}\nshort-token\n`, "tokens"),
      ({ message }: Error) =>
        message.includes("line 2 has fewer than 16") && !message.includes("short"),
    );
  });

  it("takes a token in either header, and only a whole one", () => {
    const with_ = (headers: Record<string, string>): boolean =>
      carriesToken(new Headers(headers), [one, other]);
    assert.ok(with_({ Authorization: `Bearer ${other}` }));
    assert.ok(with_({ "X-API-Token": one }));
    for (const wrong of ["", one.slice(1), `${one}a`]) assert.ok(!with_({ "X-API-Token": wrong }));
    assert.ok(!with_({ Authorization: `Basic ${one}` }));
    assert.ok(!with_({}));
  });

  it("knows a loopback address from others", () => {
    for (const address of ["127.0.0.1", "127.8.0.1", "::1"])
      assert.ok(isLoopback(address), address);
    for (const address of ["0.0.0.0", "::", "10.0.0.1", "127.0.0.1.example.org"])
      assert.ok(!isLoopback(address), address);
  });
});
