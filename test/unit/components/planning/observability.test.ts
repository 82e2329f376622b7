import assert from "node:assert/strict";
import {
  derivePassword,
  planStack,
  planUrls,
} from "../../../../components/planning/observability.ts";

describe("planStack", () => {
  const wish = { images: "pull" as const, archives: [], httpPort: 80, deployment: "lab" };
  it("has Grafana where images are pulled", () => {
    const plan = planStack(wish);
    assert.deepEqual(plan.composeFiles, [
      ...["compose.yaml", "compose.pull.yaml", "compose.smoke-port.yaml"],
    ]);
    assert.equal(plan.environment["COMPOSE_PROFILES"], "grafana");
    assert.equal(planUrls("192.168.122.250", 80, plan).grafana, "http://192.168.122.250:3000/");
  });

  it("names the images that come from the store, and is without Grafana then", () => {
    const archives = [{ variable: "IMAGE_BACKEND", image: "groundwork/backend:1", key: "b.tar" }];
    const plan = planStack({ ...wish, images: "build", archives, httpPort: 8080 });
    assert.deepEqual(plan.composeFiles, ["compose.yaml", "compose.build.yaml"]);
    assert.equal(plan.environment["IMAGE_BACKEND"], "groundwork/backend:1");
    assert.deepEqual(planUrls("h", 8080, plan), {
      frontend: "http://h:8080/",
      backend: "http://h:5000/",
      prometheus: "http://h:9090/",
    });
  });
});

describe("derivePassword", () => {
  it("is the same for the same key and purpose, and another for any other", () => {
    const password = derivePassword("key", "grafana");
    assert.match(password, /^[A-Za-z0-9]{32}$/);
    assert.equal(derivePassword("key", "grafana"), password);
    assert.notEqual(derivePassword("other key", "grafana"), password);
    assert.notEqual(derivePassword("key", "other"), password);
  });
});
