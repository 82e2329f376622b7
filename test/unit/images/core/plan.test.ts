import * as assert from "node:assert/strict";
import fc from "fast-check";
import {
  type BuildInputs,
  buildKey,
  bytesToBuild,
  planImage,
  planPublication,
  type PublishedImage,
  renderSidecar,
} from "../../../../images/core/plan.ts";
import { parseSidecar } from "../../../../providers/image-volume/core/parsers.ts";

const digest = "0123456789abcdef".repeat(4);
const other = "f".repeat(64);

describe("planImage", () => {
  it("builds with every package once, in order", () => {
    const build = { sizeGiB: 3, packages: ["zsh", "curl", "zsh"] };
    assert.deepEqual(planImage({ name: "debian", build }), {
      kind: "build",
      sizeGiB: 3,
      packages: ["curl", "zsh"],
      files: [],
    });
  });

  it("builds the release that is asked for", () => {
    const plan = planImage({ name: "x", build: { release: "trixie", sizeGiB: 2, packages: [] } });
    assert.deepEqual(plan, {
      ...{ kind: "build", release: "trixie", sizeGiB: 2, packages: [], files: [] },
    });
  });

  it("keeps a pinned checksum, in lower case", () => {
    assert.deepEqual(planImage({ name: "x", sha256: digest.toUpperCase() }), {
      kind: "existing",
      sha256: digest,
    });
  });

  it("fetches with either kind of checksum, or both", () => {
    const url = "https://images.example.org/x.qcow2";
    const sha256SumsUrl = "https://images.example.org/SHA256SUMS";
    assert.deepEqual(planImage({ name: "x", url, sha256: digest }), {
      kind: "fetch",
      url,
      sha256: digest,
    });
    assert.deepEqual(planImage({ name: "x", url, sha256: digest, sha256SumsUrl }), {
      kind: "fetch",
      url,
      sha256: digest,
      sumsUrl: sha256SumsUrl,
    });
  });

  it("refuses a URL without a checksum", () => {
    assert.throws(() => planImage({ name: "x", url: "https://images.example.org/x" }), {
      code: "image-without-checksum",
      message: /"x".*https:\/\/images\.example\.org\/x.*sha256SumsUrl/,
    });
  });

  it("refuses an image that is to be both built and downloaded", () => {
    const build = { sizeGiB: 2, packages: [] };
    assert.throws(() => planImage({ name: "x", build, url: "https://images.example.org/x" }), {
      code: "image-contradictory",
    });
  });
});

describe("buildKey", () => {
  const file = { local: "/a", sha256: digest, bytes: 1, path: "/opt/a", mode: "0644" };
  const inputs: BuildInputs = {
    recipeDigest: digest,
    release: "bookworm",
    sources: ["deb http://a.example/ bookworm main", "deb http://b.example/ bookworm main"],
    sizeGiB: 2,
    packages: ["curl", "zsh"],
    files: [file],
  };

  it("does not depend on order or repetition", () => {
    const packages = fc.uniqueArray(fc.stringMatching(/^[a-z0-9][a-z0-9+.-]{1,20}$/));
    const twoOrders = packages.chain((names) =>
      fc.tuple(fc.constant(names), fc.shuffledSubarray(names, { minLength: names.length })),
    );
    fc.assert(
      fc.property(twoOrders, ([names, shuffled]) => {
        const sources = [...inputs.sources].reverse();
        assert.equal(
          buildKey({ ...inputs, packages: [...shuffled, ...shuffled], sources }),
          buildKey({ ...inputs, packages: names }),
        );
      }),
    );
  });

  it("does not depend on where a file's content was found", () => {
    const files = [{ ...file, local: "/elsewhere" }];
    assert.equal(buildKey({ ...inputs, files }), buildKey(inputs));
  });

  it("changes with every input", () => {
    const changes: Partial<BuildInputs>[] = [
      { recipeDigest: other },
      { release: "trixie" },
      { sources: [] },
      { sources: inputs.sources.slice(1) },
      { sizeGiB: 3 },
      { packages: [] },
      { packages: ["curl zsh"] },
      { packages: inputs.sources, sources: inputs.packages },
      { epoch: 0 },
      { epoch: 1 },
      { files: [] },
      { files: [file, { ...file, path: "/opt/b" }] },
      { files: [{ ...file, sha256: other }] },
      { files: [{ ...file, path: "/opt/b" }] },
      { files: [{ ...file, mode: "0755" }] },
    ];
    const keys = [{}, ...changes].map((change) => buildKey({ ...inputs, ...change }));
    assert.equal(new Set(keys).size, keys.length);
    for (const key of keys) assert.match(key, /^[0-9a-f]{64}$/);
  });
});

describe("planPublication", () => {
  const local = { digest, bytes: 1000 };

  it("uploads what is absent, and the checksum after it", () => {
    assert.deepEqual(planPublication(local, {}), ["upload", "write-sidecar"]);
  });

  it("does nothing where object and checksum are the same", () => {
    const published = { object: { bytes: 1000, digest }, sidecar: digest };
    assert.deepEqual(planPublication(local, published), []);
  });

  it("writes only the checksum where a crash came between", () => {
    const object = { bytes: 1000, digest };
    assert.deepEqual(planPublication(local, { object }), ["write-sidecar"]);
    assert.deepEqual(planPublication(local, { object, sidecar: other }), ["write-sidecar"]);
  });

  it("uploads anew over another image, whatever its checksum says", () => {
    for (const object of [{ bytes: 999, digest }, { bytes: 1000, digest: other }, { bytes: 1000 }])
      assert.deepEqual(planPublication(local, { object, sidecar: digest }), [
        "upload",
        "write-sidecar",
      ]);
  });

  it("has nothing left to do after its own steps, from any state", () => {
    const digests = fc.constantFrom(digest, other);
    const states = fc.record(
      {
        object: fc.record(
          { bytes: fc.constantFrom(999, 1000), digest: digests },
          { requiredKeys: ["bytes"] },
        ),
        sidecar: digests,
      },
      { requiredKeys: [] },
    );
    fc.assert(
      fc.property(states, (before) => {
        const after = planPublication(local, before).reduce<PublishedImage>(
          (state, step) =>
            step === "upload" ? { ...state, object: local } : { ...state, sidecar: local.digest },
          before,
        );
        assert.deepEqual(planPublication(local, after), []);
      }),
    );
  });
});

describe("renderSidecar", () => {
  it("writes what the reader of the volume provider reads", () => {
    const key = "debian.qcow2";
    assert.equal(parseSidecar(renderSidecar(digest, key), key), digest);
  });
});

describe("bytesToBuild", () => {
  it("asks for no more with no packages than with some", () => {
    const plain = bytesToBuild({ sizeGiB: 2, packages: [], files: [] });
    assert.ok(plain >= 1.6 * 2 ** 30);
    assert.ok(plain <= bytesToBuild({ sizeGiB: 2, packages: ["docker.io"], files: [] }));
  });

  it("counts the files", () => {
    const needed = (files: { bytes: number }[]): number =>
      bytesToBuild({ sizeGiB: 2, packages: [], files });
    assert.equal(needed([{ bytes: 2 ** 20 }, { bytes: 1 }]) - needed([]), 3 * (2 ** 20 + 1));
  });
});
