// Drives the page of examples/web in a real browser: node run.mjs SCENARIO PAGE_URL. What it sees goes to standard
// output, a JSON object a line with its `event`, for tests/it/client/browser.rs to judge.

import { chromium } from "playwright-core";
import { findBrowser } from "./find_browser.mjs";
import * as flows from "./flows.mjs";
import * as scenarios from "./scenarios.mjs";

const ARGUMENTS = [
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
  // Containers have little shared memory.
  "--disable-dev-shm-usage",
];
/** Longer than anything here takes on a busy machine, in milliseconds. */
const DEADLINE = 50_000;

function tell(event, facts = {}) {
  process.stdout.write(`${JSON.stringify({ event, ...facts })}\n`);
}

const [scenario, url] = process.argv.slice(2);
const browser = await chromium.launch({
  executablePath: findBrowser(),
  args: ARGUMENTS,
  // Chromium's sandbox does not work as root; the pages here are our own.
  chromiumSandbox: false,
});
try {
  const page = await browser.newPage();
  page.setDefaultTimeout(DEADLINE);
  page.on("pageerror", (error) => tell("page_error", { message: String(error) }));
  await { ...scenarios, ...flows }[scenario](page, url, tell);
} finally {
  await browser.close();
}
