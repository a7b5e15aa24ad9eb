// What stories of the page are made of.

/** Opens the page and waits until it has asked for the catalogue. */
export async function open(page, url) {
  await page.goto(url);
  await idle(page, "#gallery");
}

/** Waits until a part of the page works on nothing. */
export async function idle(page, part) {
  await page.waitForSelector(`${part}:not([inert])`);
}

/** Waits until the server has checked what is in the form. */
export async function checked(page) {
  await page.waitForSelector("#request:not([aria-busy='true'])");
}

export async function trouble(page) {
  await page.waitForSelector("#trouble:not([hidden])");
  return { reason: await page.textContent("#trouble strong"), fields: Object.keys(await violations(page)) };
}

/** The violations that the form shows, by the paths of their fields. */
export function violations(page) {
  return page.$$eval(".violation:not(:empty)", (all) =>
    Object.fromEntries(all.map(({ dataset, textContent }) => [dataset.path, textContent])),
  );
}

export function texts(page, selector) {
  return page.$$eval(selector, (all) => all.map(({ textContent }) => textContent));
}

export async function choose(page, style) {
  await page.locator("#templates button", { hasText: style }).first().click();
  await page.waitForSelector(`#style:text-is("${style}")`);
  await idle(page, "#gallery");
}

export async function submit(page, style, words) {
  await choose(page, style);
  await page.fill("#prompt", words);
  await page.click("#request button");
}

/** What has happened to the variations of the newest request, each by its number and name. */
export function steps(page) {
  return page.$$eval("#history > li:first-child .steps", (lists) =>
    lists.map((list) => [...list.children].map((step) => [step.value, step.textContent])),
  );
}
