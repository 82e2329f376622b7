import * as assert from "node:assert/strict";
import { parsePins, renderPins } from "../../../../stacks/observability/images/core/pins.ts";

const digest = (letter: string): string => `sha256:${letter.repeat(64)}`;
const text = `
x-busybox: &busybox busybox:1.37.0-musl@${digest("a")}
  image: grafana/loki:3.7.2@${digest("b")}
  other: gcr.io/cadvisor/cadvisor:v0.55.1@${digest("c")} # by tag
  again: busybox:1.37.0-musl@${digest("a")}
  local: 127.0.0.1:5000/lab/loki:1@${digest("d")}
  made: groundwork/backend:pulled
`;

describe("parsePins", () => {
  it("finds each image once, with its registry and without it", () => {
    assert.deepEqual(parsePins(text), [
      { tag: "busybox:1.37.0-musl", digest: digest("a") },
      { tag: "grafana/loki:3.7.2", digest: digest("b") },
      { tag: "gcr.io/cadvisor/cadvisor:v0.55.1", digest: digest("c") },
      { tag: "127.0.0.1:5000/lab/loki:1", digest: digest("d") },
    ]);
  });

  it("finds none where a digest is too short or missing", () => {
    assert.deepEqual(parsePins("image: loki:1@sha256:abc\nimage: loki:1\n"), []);
  });
});

describe("renderPins", () => {
  it("changes digests of the tags that it is given, everywhere, and nothing else", () => {
    const renewed = renderPins(text, new Map([["busybox:1.37.0-musl", digest("e")]]));
    assert.equal(renewed, text.replaceAll(digest("a"), digest("e")));
  });

  it("changes nothing when no digest is new", () => {
    const same = new Map(parsePins(text).map(({ tag, digest }) => [tag, digest]));
    assert.equal(renderPins(text, same), text);
  });
});
