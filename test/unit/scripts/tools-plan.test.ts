import assert from "node:assert/strict";
import fc from "fast-check";
import { toolGroups, toolNames, type ToolName } from "../../../scripts/lib/tools-pins.ts";
import {
  compareGo,
  describeStep,
  isReady,
  planTools,
  renderDuration,
  type ToolFacts,
  type ToolState,
  wantedTools,
} from "../../../scripts/lib/tools-plan.ts";

const absent: ToolState = { installed: "absent", cached: false };
const current: ToolState = { installed: "current", cached: true };

function states(
  others: ToolState,
  some: Partial<Record<ToolName, ToolState>> = {},
): ToolFacts["states"] {
  const entries = toolNames.map((tool): [ToolName, ToolState] => [tool, some[tool] ?? others]);
  return Object.fromEntries(entries) as Record<ToolName, ToolState>;
}

const ofLab = wantedTools([]);
const all = wantedTools(toolGroups);

function actions(facts: ToolFacts, wanted = ofLab): Record<string, string> {
  return Object.fromEntries(planTools(facts, wanted).map(({ tool, action }) => [tool, action]));
}

describe("planTools", () => {
  it("builds everything on a fresh machine that reaches registries only", () => {
    const facts: ToolFacts = {
      source: "registries",
      goVersion: "go1.25.0",
      states: states(absent),
    };
    assert.deepEqual(new Set(Object.values(actions(facts))), new Set(["build"]));
  });

  it("downloads on a connected machine, without Go, and leaves the provider to the bridge", () => {
    const facts: ToolFacts = { source: "vendor", goVersion: undefined, states: states(absent) };
    const { "libvirt-provider": provider, ...others } = actions(facts);
    assert.equal(provider, "leave");
    assert.deepEqual(new Set(Object.values(others)), new Set(["download"]));
  });

  it("takes from the cache what was built before, without Go", () => {
    const cached: ToolState = { installed: "absent", cached: true };
    const facts: ToolFacts = { source: "registries", goVersion: undefined, states: states(cached) };
    assert.deepEqual(new Set(Object.values(actions(facts))), new Set(["install"]));
  });

  it("replaces its own outdated tools, and keeps what others installed", () => {
    const found = actions({
      source: "registries",
      goVersion: "go1.26.8",
      states: states(current, {
        pulumi: { installed: "other", cached: false },
        minio: { installed: "outdated", cached: false },
      }),
    });
    assert.equal(found["pulumi"], "keep");
    assert.equal(found["minio"], "build");
  });

  it("makes the language host beside a CLI that is there already, since no download brings it", () => {
    const some = { "language-host": absent, "dynamic-launcher": absent };
    const facts: ToolFacts = {
      source: "vendor",
      goVersion: "go1.25.1",
      states: states(current, some),
    };
    const found = actions(facts);
    assert.equal(found["language-host"], "build");
    assert.equal(found["dynamic-launcher"], "build");
  });

  it("makes what only tests use when asked to, and from its modules on any machine", () => {
    const facts: ToolFacts = { source: "vendor", goVersion: "go1.25.0", states: states(absent) };
    assert.equal(actions(facts)["collector"], undefined);
    assert.equal(actions(facts, all)["collector"], "build");
  });

  it("makes what the observability lab's images are made of, and nothing of tests, for a stack that asks for it", () => {
    const extra = wantedTools(["observability"]).filter((tool) => !ofLab.includes(tool));
    assert.deepEqual(extra, ["collector", "loki", "tempo", "healthcheck", "cadvisor"]);
    const facts: ToolFacts = { source: "vendor", goVersion: undefined, states: states(absent) };
    assert.throws(() => planTools(facts, wantedTools(["observability"])), {
      code: "go-missing",
      message: /Collector \S+ is always built from its modules/,
    });
  });

  it("says that Go is missing or too old when something has to be built with it", () => {
    const facts: ToolFacts = { source: "registries", goVersion: undefined, states: states(absent) };
    assert.throws(() => planTools(facts, ofLab), {
      code: "go-missing",
      message: /Install Go 1\.25/,
    });
    assert.throws(() => planTools({ ...facts, goVersion: "go1.24.9" }, ofLab), {
      code: "go-too-old",
      message: /go1\.24\.9 where 1\.25/,
    });
  });

  it("needs no Go when only scripts have to be compiled", () => {
    const some = { "language-host": absent, "command-plugin": absent };
    const facts: ToolFacts = {
      source: "registries",
      goVersion: undefined,
      states: states(current, some),
    };
    assert.equal(actions(facts)["command-plugin"], "build");
  });

  it("has nothing left to do once everything is as planned", () => {
    const anyState = fc.record({
      installed: fc.constantFrom<ToolState["installed"]>("current", "other", "outdated", "absent"),
      cached: fc.boolean(),
    });
    const anyStates = fc.tuple(...toolNames.map(() => anyState));
    fc.assert(
      fc.property(
        anyStates,
        fc.constantFrom<ToolFacts["source"]>("vendor", "registries"),
        (list, source) => {
          const before = Object.fromEntries(
            toolNames.map((tool, at) => [tool, list[at] ?? absent]),
          ) as Record<ToolName, ToolState>;
          const steps = planTools({ source, goVersion: "go1.25.0", states: before }, all);
          const after = Object.fromEntries(
            steps.map(({ tool, action }) => [tool, action === "keep" ? before[tool] : current]),
          ) as Record<ToolName, ToolState>;
          assert.ok(isReady(after, all));
          assert.equal(
            isReady(before, all),
            steps.every(({ action }) => action === "keep"),
          );
        },
      ),
    );
  });
});

describe("describeStep", () => {
  it("says what is done to what, why and how long it takes", () => {
    assert.equal(
      describeStep({ tool: "pulumi", action: "build", seconds: 180 }),
      "build Pulumi CLI 3.259.0 (runs the program), about 3 min",
    );
    assert.equal(describeStep({ tool: "pulumi", action: "keep", seconds: 0 }), undefined);
  });
});

describe("compareGo", () => {
  it("orders releases by number, not by letter", () => {
    assert.ok(compareGo("go1.9.7", "1.25") < 0);
    assert.ok(compareGo("go1.25", "1.25") === 0);
    assert.ok(compareGo("go1.26.8", "1.25") > 0);
    assert.ok(compareGo("go2.0", "1.25") > 0);
  });
});

describe("renderDuration", () => {
  it("speaks of seconds below a minute and a half", () => {
    assert.equal(renderDuration(15), "about 15 s");
    assert.equal(renderDuration(110), "about 2 min");
  });
});
