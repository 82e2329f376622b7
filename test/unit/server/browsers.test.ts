import * as assert from "node:assert/strict";
import { parseHostName, rejectBrowser } from "../../../server/core/browsers.ts";

const local = { loopbackOnly: true, allowed: ["lab.example.org"] };
const ask = (host: string | undefined, origin?: string, method = "POST") => ({
  ...{ method, host, origin },
});

describe("rejectBrowser", () => {
  it("answers for the names of loopback, at any port, and for those that are allowed", () => {
    for (const host of [
      ...["127.0.0.1:8080", "127.0.0.1", "127.9.9.9:1", "localhost:8080", "LocalHost", "[::1]:80"],
      ...["[::1]", "lab.example.org", "LAB.example.org:443"],
    ])
      assert.equal(rejectBrowser(ask(host), local), undefined, host);
  });

  it("turns away every other host, whatever the method", () => {
    for (const host of [
      ...["rebind.example.net:8080", "127.0.0.1.example.net", "localhost.example.net", "[::2]"],
      ...["10.0.0.1:8080", "0.0.0.0", "", "127.0.0.1:8080, localhost", "a b", "localhost:x"],
      ...["evil@localhost", "[127.0.0.1", "::1", undefined],
    ])
      for (const method of ["GET", "POST", "DELETE"])
        assert.equal(rejectBrowser(ask(host, undefined, method), local)?.status, 421, host);
  });

  it("answers for any host where it listens beyond loopback", () => {
    const open = { loopbackOnly: false, allowed: [] };
    assert.equal(rejectBrowser(ask("hv1.example.org:8080"), open), undefined);
  });

  it("lets pages change something only from its own origin or an allowed host", () => {
    const host = "127.0.0.1:8080";
    for (const origin of ["http://127.0.0.1:8080", "https://lab.example.org:8443"])
      assert.equal(rejectBrowser(ask(host, origin), local), undefined, origin);
    assert.equal(rejectBrowser(ask("[::1]:80", "https://[::1]:80"), local), undefined);
    for (const origin of [
      ...["https://evil.example.net", "http://127.0.0.1:3000", "http://localhost:8080", "null"],
      ...["", "file://", "127.0.0.1:8080"],
    ])
      for (const loopbackOnly of [true, false])
        assert.equal(
          rejectBrowser(ask(host, origin), { ...local, loopbackOnly })?.status,
          403,
          origin,
        );
  });

  it("lets pages of any origin read what browsers then keep from them", () => {
    const asked = ask("127.0.0.1:8080", "https://evil.example.net", "GET");
    assert.equal(rejectBrowser(asked, local), undefined);
  });

  it("shows what was asked for, cut short, and says what to do", () => {
    const { message = "" } = rejectBrowser(ask(`"${"x".repeat(5000)}`), local) ?? {};
    assert.match(message, /--allow-host/);
    assert.ok(message.length < 400);
  });
});

describe("parseHostName", () => {
  it("leaves port and brackets out", () => {
    const names = ["LOCALHOST:80", "[FE80::1]:443", "a.b"].map(parseHostName);
    assert.deepEqual(names, ["localhost", "fe80::1", "a.b"]);
  });
});
