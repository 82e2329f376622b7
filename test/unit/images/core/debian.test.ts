import * as assert from "node:assert/strict";
import {
  defaultRelease,
  parseIndexTargets,
  parseOsRelease,
  planDebianSource,
} from "../../../../images/core/debian.ts";

const mirror = "http://mirror.example.org/debian/";
const security = "http://mirror.example.org/debian-security/";

const listing = [
  `Packages|Debian|bookworm|${mirror}|bookworm|main`,
  `DEP-11|Debian|bookworm|${mirror}|bookworm|main`,
  `Packages|Debian|bookworm|${mirror}|bookworm|main`, // once per architecture
  `Packages|Debian|bookworm|${mirror}|bookworm|non-free-firmware`,
  `Packages|Debian|bookworm-updates|${mirror}|bookworm-updates|main`,
  `Packages|Debian|bookworm-security|${security}|bookworm-security|main`,
  `Packages|Debian Backports|bookworm-backports|${mirror}|bookworm-backports|main`,
  `Packages|Docker|bookworm|https://docker.example.org/|bookworm|stable`,
  "Packages|Debian|bookworm|file:/srv/mirror/|bookworm|main",
  "",
].join("\n");

describe("parseIndexTargets", () => {
  it("keeps each index of binary packages once", () => {
    const targets = parseIndexTargets(listing);
    assert.equal(targets.length, 7);
    assert.deepEqual(targets[0], {
      origin: "Debian",
      codename: "bookworm",
      uri: mirror,
      suite: "bookworm",
      component: "main",
    });
  });

  it("reads nothing from nothing", () => {
    assert.deepEqual(parseIndexTargets(""), []);
    assert.deepEqual(parseIndexTargets("E: Unknown option"), []);
  });
});

describe("parseOsRelease", () => {
  it("reads quoted and bare values", () => {
    const text =
      'PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\nID=debian\nVERSION_CODENAME="bookworm"\n';
    assert.deepEqual(parseOsRelease(text), { id: "debian", codename: "bookworm" });
  });

  it("leaves out what the file does not say", () => {
    assert.deepEqual(parseOsRelease("ID=arch\n"), { id: "arch" });
    assert.deepEqual(parseOsRelease(""), {});
  });
});

describe("planDebianSource", () => {
  const debian = { id: "debian", codename: "bookworm" };

  it("takes the host's release and its Debian mirrors, and no one else's", () => {
    assert.deepEqual(planDebianSource(debian, parseIndexTargets(listing)), {
      release: "bookworm",
      sources: [
        `deb ${security} bookworm-security main`,
        `deb ${mirror} bookworm main`,
        `deb ${mirror} bookworm-updates main`,
      ],
    });
  });

  it("takes another release from the same mirrors where one is wanted", () => {
    assert.deepEqual(planDebianSource(debian, parseIndexTargets(listing), "trixie"), {
      release: "trixie",
      sources: [
        `deb ${security} trixie-security main`,
        `deb ${mirror} trixie main`,
        `deb ${mirror} trixie-updates main`,
      ],
    });
    assert.equal(planDebianSource({ id: "ubuntu" }, [], "bookworm").release, "bookworm");
  });

  it("takes mirrors whose lists apt has not fetched yet", () => {
    const unfetched = parseIndexTargets(`Packages|||${mirror}|bookworm|main`);
    assert.deepEqual(planDebianSource(debian, unfetched).sources, [`deb ${mirror} bookworm main`]);
  });

  it("takes Debian's own mirrors on another distribution", () => {
    const ubuntu = { id: "ubuntu", codename: "noble" };
    const targets = parseIndexTargets(
      "Packages|Ubuntu|noble|http://ubuntu.example.org/|noble|main",
    );
    assert.deepEqual(planDebianSource(ubuntu, targets), { release: defaultRelease, sources: [] });
  });

  it("says what is missing on a Debian without a usable mirror", () => {
    const updatesOnly = parseIndexTargets(
      `Packages|Debian|bookworm-updates|${mirror}|bookworm-updates|main`,
    );
    for (const targets of [[], updatesOnly])
      assert.throws(() => planDebianSource(debian, targets), {
        code: "release-unknown",
        message: /main of "bookworm".*sources\.list.*url instead/,
      });
    assert.throws(() => planDebianSource({ id: "debian" }, parseIndexTargets(listing)), {
      code: "release-unknown",
    });
  });
});
