import * as assert from "node:assert/strict";
import * as path from "node:path";
import { type Browser, chromium, type Page, type Request } from "playwright-core";
import { requireNeeds } from "../support/needs.ts";
import { ObservabilityLab } from "../support/observability-lab.ts";
import { eventually } from "../support/until.ts";

/** `GROUNDWORK_PICTURES=docs/pictures` keeps what the documentation shows. */
const pictures = process.env["GROUNDWORK_PICTURES"];

const phone = { width: 390, height: 844 };
const desktop = { width: 1100, height: 800 };

/** The id of the trace that a request of the page began. */
function traceOf(request: Request): string {
  const id = /^00-([0-9a-f]{32})-/.exec(request.headers()["traceparent"] ?? "")?.[1];
  assert.ok(id !== undefined, `${request.method()} ${request.url()} has no traceparent`);
  return id;
}

describe("Task Manager, in a browser", function () {
  this.timeout(120_000);
  let lab: ObservabilityLab;
  let browser: Browser;
  let page: Page;
  const problems: string[] = [];
  let cleanUp = (): Promise<void> => Promise.resolve();

  before(async function () {
    this.timeout(600_000);
    requireNeeds(this, [...ObservabilityLab.needs, "chromium"]);
    lab = await ObservabilityLab.make();
    cleanUp = () => {
      lab.stop();
      return Promise.resolve();
    };
    await lab.up();
    browser = await chromium.launch({
      executablePath: "/usr/bin/chromium",
      args: ["--no-sandbox"],
    });
    cleanUp = async () => {
      await browser.close();
      lab.stop();
    };
    page = await browser.newPage({ viewport: desktop, locale: "en-GB" });
    page.on("pageerror", (error) => problems.push(error.message));
    page.on("console", (message) => {
      if (message.type() === "error") problems.push(message.text());
    });
  });

  after(async () => {
    await cleanUp();
  });

  /** Does something and gives the trace id of the request that it caused. */
  async function traced(method: string, act: () => Promise<void>): Promise<string> {
    const sent = page.waitForRequest(
      (request) => request.url().includes("/api/tasks") && request.method() === method,
    );
    const [request] = await Promise.all([sent, act()]);
    return traceOf(request);
  }

  async function addTask(title: string, notes = "", due = ""): Promise<void> {
    await page.getByLabel("Title", { exact: true }).fill(title);
    await page.getByLabel("Notes", { exact: true }).fill(notes);
    await page.getByLabel("Due", { exact: true }).fill(due);
    await page.getByRole("button", { name: "Add task" }).click();
    await page.getByRole("checkbox", { name: title }).waitFor();
  }

  async function picture(name: string): Promise<void> {
    if (pictures !== undefined)
      await page.screenshot({ path: path.join(pictures, `${name}.png`), fullPage: true });
  }

  it("says that there is nothing to do yet", async () => {
    await page.goto(`http://${lab.engine.address}/`);
    await page.getByText("Nothing to do yet. Add your first task above.").waitFor();
  });

  it("asks for a title where there is none", async () => {
    await page.getByRole("button", { name: "Add task" }).click();
    await page.getByRole("alert").getByText("Give the task a title.").waitFor();
    assert.equal(
      await page.getByLabel("Title", { exact: true }).getAttribute("aria-invalid"),
      "true",
    );
  });

  it("creates and completes a task, whose trace leads from the browser to Tempo, Loki and an exemplar", async () => {
    const created = await traced("POST", () => addTask("Water the plants", "Balcony first"));
    const completed = await traced("PATCH", () =>
      page.getByRole("checkbox", { name: "Water the plants" }).click(),
    );
    await page.getByText("0 open, 1 done").waitFor();
    for (const [trace, body, span] of [
      [created, "task created", "POST /api/tasks"],
      [completed, "task completed", "PATCH /api/tasks/{id}"],
    ] as const) {
      await eventually(`the record "${body}"`, async () => {
        const records = await lab.logs(`{service_name="backend"} | trace_id="${trace}"`);
        assert.deepEqual(
          records.map((record) => record.body),
          [body],
        );
      });
      await eventually("the spans of browser and backend in one trace", async () => {
        const kept = await lab.trace(trace);
        for (const part of ['"frontend"', `"${span}"`, '"backend"', '"SPAN_KIND_SERVER"'])
          assert.ok(kept.includes(part), `${part} is not in ${kept}`);
      });
      await eventually("the exemplar", async () => {
        const ids = await lab.exemplars("http_server_request_duration_seconds_bucket");
        assert.ok(ids.includes(trace));
      });
    }
  });

  it("edits a task by the keyboard alone, and gives the focus back", async () => {
    await addTask("Rite report");
    const edit = page.getByRole("button", { name: "Edit: Rite report" });
    await edit.focus();
    await page.keyboard.press("Enter");
    await page.keyboard.press("Control+A");
    await page.keyboard.type("Write the report");
    await page.keyboard.press("Enter");
    await page.getByRole("checkbox", { name: "Write the report" }).waitFor();
    await eventually("the focus", async () => {
      const focused = await page.evaluate("document.activeElement.ariaLabel");
      assert.equal(focused, "Edit: Write the report");
    });
    await page.keyboard.press("Enter");
    await page.keyboard.press("Escape");
    await eventually("the focus after Escape", async () => {
      const focused = await page.evaluate("document.activeElement.ariaLabel");
      assert.equal(focused, "Edit: Write the report");
    });
  });

  it("filters by state and by text", async () => {
    const titles = page.locator(".title");
    await page.getByRole("radio", { name: "Done" }).check();
    await eventually("the done ones", async () => {
      assert.deepEqual(await titles.allTextContents(), ["Water the plants"]);
    });
    await page.getByRole("radio", { name: "All" }).check();
    await page.getByRole("searchbox").fill("report");
    await eventually("those with the word", async () => {
      assert.deepEqual(await titles.allTextContents(), ["Write the report"]);
    });
    await page.getByRole("searchbox").fill("no such thing");
    await page.getByText("No task matches. Change the filter to see others.").waitFor();
    await page.getByRole("searchbox").fill("");
  });

  it("fits a phone", async () => {
    await addTask("Book the train to Göttingen", "Window seat,\nquiet coach", "2027-03-01");
    await addTask("Return the library books, all but the one on tides", "", "2026-01-15");
    await picture("task-manager-desktop");
    await page.setViewportSize(phone);
    const overflow = await page.evaluate(
      "document.documentElement.scrollWidth - document.documentElement.clientWidth",
    );
    assert.equal(overflow, 0);
    for (const button of await page.getByRole("button").all())
      assert.ok(((await button.boundingBox())?.height ?? 0) >= 44, "a finger needs 44 px");
    await picture("task-manager-phone");
    await page.setViewportSize(desktop);
  });

  it("deletes a task after a second thought", async () => {
    await page.getByRole("button", { name: "Delete: Write the report" }).click();
    await page.getByRole("button", { name: "Keep" }).click();
    await page.getByRole("button", { name: "Delete: Write the report" }).click();
    await page.getByRole("button", { name: "Delete for good: Write the report" }).click();
    await page.getByRole("checkbox", { name: "Write the report" }).waitFor({ state: "detached" });
  });

  it("was without an error until here", () => {
    assert.deepEqual(problems, []);
  });

  it("says so when the server fails, keeps what was typed, and works again when told to", async () => {
    await lab.compose("stop", "backend");
    await page.getByLabel("Title", { exact: true }).fill("Not lost");
    await page.getByRole("button", { name: "Add task" }).click();
    await page
      .getByRole("alert")
      .getByText(/The server answered 50\d|did not answer/)
      .waitFor();
    assert.equal(await page.getByLabel("Title", { exact: true }).inputValue(), "Not lost");
    await page.reload();
    await page.getByRole("button", { name: "Try again" }).waitFor();
    await picture("task-manager-error");
    await lab.up();
    await page.getByRole("button", { name: "Try again" }).click();
    await page.getByRole("checkbox", { name: "Water the plants" }).waitFor();
  });
});
