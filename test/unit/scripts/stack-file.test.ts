import assert from "node:assert/strict";
import fc from "fast-check";
import { stringify } from "yaml";
import { parseConfig } from "../../../config.ts";
import { labSections } from "../../support/lab.ts";
import {
  hasEncrypted,
  hideEncrypted,
  keepLayout,
  withoutSalt,
} from "../../../scripts/lib/stack-file.ts";

const salt = "encryptionsalt: v1:NkZXYCO7tVA=:v1:jWqdreIzSMh5Ud1n:csZ39l9v6o+VrdF3";
const original = `# The lab
config:
  groundwork:ssh: { user: deploy }

  # machines
  groundwork:machines:
    - name: vm1 # the first
`;
/** As Pulumi writes it. */
const rewritten = `# The lab
config:
  groundwork:ssh: {user: deploy}
  # machines
  groundwork:machines:
    - name: vm1 # the first
${salt}
`;

describe("encrypted values", () => {
  const store = { bucket: "b", secretKey: { secure: "v1:abc:def" } };

  it("are a word to scripts, and everything else is as it was", () => {
    assert.deepEqual(hideEncrypted({ a: [{ store }, 1, null] }), {
      a: [{ store: { bucket: "b", secretKey: "encrypted-value-in-the-stack-file" } }, 1, null],
    });
    const plain = { secure: true, secureBoot: { secure: "a", other: "b" }, list: [] };
    assert.deepEqual(hideEncrypted(plain), plain);
  });

  it("leaves in its place what any secret of the configuration may be", () => {
    const hidden = hideEncrypted({ hostKeySeed: { secure: "v1:abc" } });
    const { ssh } = parseConfig({ ...labSections(), "groundwork:ssh": hidden });
    assert.match(ssh.hostKeySeed ?? "", /^encrypted/);
  });

  it("are found in a file, also in one that is no YAML", () => {
    assert.equal(hasEncrypted(stringify({ config: { store } })), true);
    assert.equal(hasEncrypted(original), false);
    assert.equal(hasEncrypted("a: [\n  secure: v1:x"), true);
  });
});

describe("withoutSalt", () => {
  it("takes out the salt line and nothing else", () => {
    assert.equal(withoutSalt(`${original}${salt}\n`), original);
    assert.equal(withoutSalt(`${salt}\n${original}`), original);
    assert.equal(withoutSalt(original), original);
  });

  it("takes out a last line without a line break", () => {
    assert.equal(withoutSalt(`${original}${salt}`), original);
  });

  it("leaves a nested key of that name alone", () => {
    const nested = "config:\n  groundwork:x:\n    encryptionsalt: mine\n";
    assert.equal(withoutSalt(nested), nested);
  });
});

describe("keepLayout", () => {
  it("keeps comments and layout, and adds the salt as the last line", () => {
    assert.equal(keepLayout(original, rewritten), `${original}${salt}\n`);
  });

  it("replaces the salt of an earlier stack", () => {
    assert.equal(
      keepLayout(`encryptionsalt: v1:old\n${original}`, rewritten),
      `${original}${salt}\n`,
    );
  });

  it("takes the new text when more than the salt has changed", () => {
    const other = rewritten.replace("deploy", "admin");
    assert.equal(keepLayout(original, other), other);
  });

  it("ends a last line without a line break before it adds the salt", () => {
    assert.equal(keepLayout("config: {}", `config: {}\n${salt}\n`), `config: {}\n${salt}\n`);
  });

  it("is undone by withoutSalt for whatever the file holds", () => {
    const word = fc.stringMatching(/^[a-z]{1,8}$/);
    fc.assert(
      fc.property(fc.dictionary(word, word), (config) => {
        const before = `config: ${JSON.stringify(config)} # comment\n`;
        const kept = keepLayout(before, `${stringify({ config })}${salt}\n`);
        assert.equal(kept, `${before}${salt}\n`);
        assert.equal(withoutSalt(kept), before);
      }),
    );
  });
});
