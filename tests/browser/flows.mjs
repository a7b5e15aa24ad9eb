// What a person does with each part of the page, one function a story, and what that costs in calls.

import { checked, choose, idle, open, steps, submit, texts, violations } from "./acts.mjs";

/** Counts the calls of a page, and the bytes that came with their answers and as media. */
function meter(page) {
  let requests = [];
  page.on("request", (request) => requests.push(request));
  const name = (request) => request.url().match(/generation\.v1\.\w+\/(\w+)$/)?.[1];
  const size = async (chosen) => {
    const sizes = chosen.map((request) => request.sizes().catch(() => ({ responseBodySize: 0 })));
    return (await Promise.all(sizes)).reduce((sum, { responseBodySize }) => sum + responseBodySize, 0);
  };
  /** What there was since the last time. A stream has no end, and so no size. */
  return async function read() {
    const all = requests;
    requests = [];
    const calls = all.filter((request) => name(request));
    return {
      calls: calls.map(name).sort(),
      bytes: await size(calls.filter((request) => name(request) !== "WatchUser")),
      media_bytes: await size(all.filter((request) => request.url().includes("/media/"))),
    };
  };
}

/** Looks at the gallery in Vietnamese and filters it by a feature, then by a tag. */
export async function gallery(english, url, tell) {
  const page = await english.context().browser().newPage({ locale: "vi-VN" });
  const read = meter(page);
  await Promise.all([page.waitForResponse("**/ListRequests"), open(page, url)]);
  await page.waitForSelector("#templates figure.loaded");
  const look = async () => ({
    tags: await texts(page, "#tags button"),
    templates: await texts(page, "#templates span"),
    ...(await read()),
  });
  const languages = await page.$$eval("#templates span", (all) => all.map(({ lang }) => lang));
  tell("opened", { features: await texts(page, "#features span"), languages, ...(await look()) });
  await page.click("#features button");
  await page.waitForSelector("#templates >> text=no style");
  await idle(page, "#gallery");
  tell("of_feature", await look());
  await page.click("#tags >> text=phở");
  await page.waitForFunction(() => document.querySelectorAll("#templates button").length === 2);
  await idle(page, "#gallery");
  tell("of_tag", await look());
}

/** Fills in a form with fields of all kinds, which is checked at every pause. */
export async function form(page, url, tell) {
  const read = meter(page);
  await Promise.all([page.waitForResponse("**/ListRequests"), open(page, url)]);
  await read();
  await choose(page, "kinds");
  const controls = await page.$$eval("#fields [name]", (all) =>
    all.map((control) => {
      const group = control.closest("fieldset")?.firstChild.textContent ?? "";
      return [control.name, control.type, control.value, group];
    }),
  );
  tell("form", { controls, ...(await read()) });

  await page.fill("#prompt", "Giảm giá 🎉");
  await checked(page);
  const warnings = await texts(page, "#warnings li");
  tell("warned", { warnings, violations: await violations(page), ...(await read()) });
  await page.fill("[name='input.variables.percent']", "107");
  await checked(page);
  tell("violated", { violations: await violations(page), ...(await read()) });

  // The server takes its time, and the user goes on.
  await page.route("**/CreateRequest", () => {}, { times: 1 });
  const given = {
    percent: "35",
    motto: "Một\nHai",
    day: "2026-11-29",
    colour: "#ff0000",
    size: "l",
    photo: decodeURIComponent(new URL(url).hash.slice(1)),
  };
  const abandoned = page.waitForEvent("requestfailed");
  await Promise.all([page.waitForRequest("**/CreateRequest"), page.fill("[name='input.variables.percent']", "30")]);
  for (const [name, value] of Object.entries(given)) {
    const control = page.locator(`[name='input.variables.${name}']`);
    await (name === "size" ? control.selectOption(value) : control.fill(value));
  }
  await page.check("[name='input.variables.delivery']");
  await page.selectOption("[name='input.output.aspect_ratio']", "1:1");
  await abandoned;
  await checked(page);
  tell("checked", { violations: await violations(page) });
  await read();
  await page.click("#request button");
  await page.waitForSelector(".steps li >> text=completed");
  tell("made", await read());
}

/** Makes four variations and sees them come forward on one stream. */
export async function four(page, url, tell) {
  const read = meter(page);
  await open(page, url);
  await choose(page, "held_up");
  await page.selectOption("[name='input.variations']", "4");
  await page.fill("#prompt", "Xin chào");
  await checked(page);
  await read();
  await page.click("#request button");
  const phases = page.locator("#history section > small:text-is('waiting')");
  await phases.nth(3).waitFor();
  tell("processing", { previews: await page.locator("#history section img").count() });
  await page.waitForFunction(() => document.querySelectorAll("#history figure.loaded canvas").length === 4);
  const progress = await page.$$eval("#history progress", (all) => all.map(({ value }) => value));
  const streams = await page.textContent("#streams");
  tell("finished", { steps: await steps(page), progress, streams, ...(await read()) });
}

/** Goes through the history, opens a request, deletes it and brings it back. */
export async function history(page, url, tell) {
  const read = meter(page);
  await Promise.all([page.waitForResponse("**/ListRequests"), open(page, url)]);
  await page.waitForSelector("#history figure.loaded");
  await page.waitForSelector("#more:not([hidden])");
  const count = () => page.locator("#history > li").count();
  tell("listed", { count: await count(), covers: await page.locator("#history figure").count(), ...(await read()) });
  await page.click("#more");
  await page.waitForSelector("#more", { state: "hidden" });
  const words = (await texts(page, "#history p")).map((text) => text.split(" ")[0]);
  tell("more", { words, ...(await read()) });

  const first = page.locator("#history > li").first();
  const act = async (name, status) => {
    await first.locator(`button:text-is("${name}")`).click();
    await page.waitForSelector(`#history > li:first-child[data-status=${status}]:not([inert])`);
    return { pictures: await first.locator("figure").locator("visible=true").count(), ...(await read()) };
  };
  tell("opened", await act("Open", "completed"));
  tell("deleted", await act("Delete", "deleted"));
  tell("restored", await act("Undo", "completed"));
}

/** Cancels a request that waits, and tries one again that has failed. */
export async function again(page, url, tell) {
  const read = meter(page);
  await open(page, url);
  await submit(page, "held_up", "Một");
  await page.waitForSelector(".steps li >> text=processing");
  await idle(page, "#request");
  await submit(page, "held_up", "Hai");
  await page.waitForSelector("#history > li:nth-child(2)");
  await idle(page, "#request");
  await read();
  const [second, first] = [1, 2].map((place) => `#history > li:nth-child(${place})`);
  const act = (row, name) => page.click(`${row} button:text-is("${name}")`);
  await act(second, "Cancel");
  await page.waitForSelector(`${second} .steps li >> text=cancelled`);
  await idle(page, second);
  tell("cancelled", { steps: (await steps(page))[0], ...(await read()) });
  await page.waitForSelector(`${first}[data-status=failed]`);
  const error = await page.textContent(`${first} section > small`);
  await act(first, "Try again");
  await idle(page, first);
  await page.waitForSelector(`${first}[data-status=failed]`);
  tell("tried_again", { error, ...(await read()) });
}
