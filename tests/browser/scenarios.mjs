// What a person goes through with the page, one function a story.

import { checked, choose, idle, open, steps, submit, texts, trouble } from "./acts.mjs";

async function finished(page, tell) {
  await page.waitForSelector(".steps li >> text=completed");
  await idle(page, "#request");
  tell("finished", { history: (await steps(page))[0], streams: Number(await page.textContent("#streams")) });
}

/** Lists, is refused, makes a request, and watches it to its end while the test breaks the connection. */
export async function resume(page, url, tell) {
  await open(page, url);
  const features = await texts(page, "#features span");
  await page.click("#features button");
  await page.waitForSelector("#templates >> text=no style");
  await idle(page, "#gallery");
  tell("listed", { features, templates: await texts(page, "#templates span") });
  await submit(page, "no style", "   ");
  tell("refused", await trouble(page));

  await submit(page, "held_up", "Xin chào");
  await page.waitForSelector(".steps li[value='2']");
  tell("processing");
  await finished(page, tell);
}

/** Makes a request whose answer gets lost, and makes it again. */
export async function lost(page, url, tell) {
  await open(page, url);
  const lose = async (route) => {
    await route.fetch();
    await route.abort();
  };
  await choose(page, "held_up");
  await page.fill("#prompt", "Xin chào");
  await checked(page);
  await page.route("**/CreateRequest", lose, { times: 1 });
  await page.click("#request button");
  tell("lost", await trouble(page));
  await page.click("#request button");
  await finished(page, tell);
}

/** Makes a request and watches a stream that is silent but for its heartbeats, until the test lets it die. */
export async function beat(page, url, tell) {
  await open(page, url);
  await submit(page, "held_up", "Xin chào");
  await page.waitForFunction(() => Number(document.getElementById("heartbeats").textContent) >= 5);
  tell("beaten", { streams: Number(await page.textContent("#streams")) });
  await page.waitForFunction(() => Number(document.getElementById("streams").textContent) >= 2);
  tell("reopened");
  await finished(page, tell);
}

/** Makes a picture with the starter catalogue and looks at it, at its BlurHash first. */
export async function picture(page, url, tell) {
  await open(page, url);
  let release;
  const released = new Promise((resolve) => (release = resolve));
  await page.route("**/media/**", async (route) => {
    await released;
    await route.continue();
  });
  await page.click("#features >> text=Poster");
  await idle(page, "#gallery");
  await submit(page, "Grand opening", "Khai trương quán cà phê: giảm 50% cả tuần");
  await page.waitForSelector(".steps li >> text=completed");
  await page.click('#history button:text-is("Open")');
  await idle(page, "#history > li");
  tell("blurred", await page.evaluate(look, "#history canvas"));
  release();
  await page.waitForSelector("#history figure.loaded img");
  tell("shown", await page.evaluate(look, "#history img"));
  await page.unroute("**/media/**");
  tell("part", await page.evaluate(fetchPart));
}

/** How many colours an element of the page has, and how wide a picture is. */
function look(selector) {
  const seen = document.querySelector(selector);
  const canvas = new OffscreenCanvas(64, 64);
  const context = canvas.getContext("2d");
  context.drawImage(seen, 0, 0, 64, 64);
  const pixels = new Uint32Array(context.getImageData(0, 0, 64, 64).data.buffer);
  const picture = document.querySelector("#history img");
  return { colours: new Set(pixels).size, width: picture.naturalWidth, loaded: picture.complete };
}

/** Resumes the picture's download in its middle, as scripts do. */
async function fetchPart() {
  const { src } = document.querySelector("#history img");
  const whole = new Uint8Array(await (await fetch(src)).arrayBuffer());
  const answer = await fetch(src, { headers: { range: "bytes=100-199" } });
  const part = new Uint8Array(await answer.arrayBuffer());
  return {
    status: answer.status,
    content_range: answer.headers.get("content-range"),
    accept_ranges: answer.headers.get("accept-ranges"),
    size: whole.length,
    same: part.length === 100 && part.every((byte, index) => byte === whole[100 + index]),
  };
}

/** Calls with every header that clients of grpc-web send, and by hand, from an origin that may. */
export async function allowed(page, url, tell) {
  await open(page, url);
  tell("answered", await page.evaluate(callWithHeaders));
  tell("called", await page.evaluate(callByHand, new URL(url).searchParams.get("api")));
}

async function callWithHeaders() {
  const api = new URLSearchParams(location.search).get("api");
  const answer = await fetch(`${api}/generation.v1.FeatureService/GetFeature`, {
    method: "POST",
    headers: {
      "content-type": "application/grpc-web+proto",
      "x-grpc-web": "1",
      "x-user-agent": "grpc-web-javascript/0.1",
      "grpc-timeout": "5S",
      authorization: "Bearer of-a-user",
    },
    body: new Uint8Array(5),
  });
  const names = ["grpc-status", "grpc-message", "grpc-status-details-bin"];
  return { exposed: names.filter((name) => answer.headers.get(name)) };
}

/** Tries everything that a page of a foreign origin can do. */
export async function foreign(page, url, tell) {
  await page.goto(url);
  tell("refused", await trouble(page));
  const api = new URL(url).searchParams.get("api");
  tell("blind", await page.evaluate(callByHand, api));
  // A sandboxed frame has the origin "null".
  await page.setContent(`<iframe sandbox="allow-scripts" srcdoc="<p>a frame</p>"></iframe>`);
  const frame = await (await page.waitForSelector("iframe")).contentFrame();
  tell("null_origin", { origin: await frame.evaluate(() => origin), ...(await frame.evaluate(callByHand, api)) });
}

/** Sends a request in ways that need no leave of the server, and at last in one that does: how many bytes each answered. */
async function callByHand(api) {
  // user_id 7, feature_id 1, user_prompt "hi".
  const message = [0x08, 7, 0x18, 1, 0x2a, 2, 0x68, 0x69];
  const body = new Uint8Array([0, 0, 0, 0, message.length, ...message]);
  const url = `${api}/generation.v1.RequestService/CreateRequest`;
  const calls = [
    { mode: "no-cors" },
    { mode: "no-cors", headers: { "content-type": "text/plain" } },
    { mode: "no-cors", headers: { "content-type": "application/x-www-form-urlencoded" } },
    { mode: "cors", headers: { "content-type": "text/plain" } },
    { mode: "cors", headers: { "content-type": "application/grpc-web+proto", "x-grpc-web": "1" } },
  ];
  const read = async (call) => {
    try {
      return (await (await fetch(url, { ...call, method: "POST", body })).arrayBuffer()).byteLength;
    } catch {
      return "refused";
    }
  };
  return { readings: await Promise.all(calls.map(read)) };
}

/** Plays a video to its end, here muted, as browsers play only such without a click. */
export async function film(page, url, tell) {
  await page.setContent("<video muted playsinline></video>");
  const video = await page.$("video");
  await video.evaluate(
    (video, url) =>
      new Promise((resolve, reject) => {
        video.addEventListener("canplaythrough", resolve, { once: true });
        video.addEventListener("error", () => reject(new Error(video.error.message)));
        video.src = url;
      }),
    url,
  );
  tell(
    "ready",
    await video.evaluate((video) => ({
      width: video.videoWidth,
      height: video.videoHeight,
      duration: video.duration,
    })),
  );
  const played = await video.evaluate(async (video) => {
    const ended = new Promise((resolve) => video.addEventListener("ended", resolve, { once: true }));
    await video.play();
    await ended;
    return { time: video.currentTime, frames: video.getVideoPlaybackQuality().totalVideoFrames };
  });
  tell("played", played);
}

/** Loads a file by its link, as a page does, then takes what the browser has kept, and asks whether that still holds. */
export async function kept(page, url, tell) {
  await page.goto(url);
  tell("loaded", await page.evaluate(load, { cache: "reload" }));
  tell("kept", await page.evaluate(load, { cache: "only-if-cached", mode: "same-origin" }));
  tell("asked", await page.evaluate(load, { cache: "no-cache" }));
}

/** How large the page's own file is, and how much of that came over the network. */
async function load(options) {
  performance.clearResourceTimings();
  const observed = new Promise((resolve) => {
    new PerformanceObserver((list) => resolve(list.getEntries()[0])).observe({ type: "resource" });
  });
  const file = await (await fetch(location.href, options)).arrayBuffer();
  return { size: file.byteLength, loaded: (await observed).transferSize };
}

/** Looks at the page of a share: what it shows, and what its policy keeps out. */
export async function shared(page, url, tell) {
  const complaints = [];
  // A browser asks for an icon, and no page here has one.
  const isOfIcon = (message) => message.location().url.endsWith("/favicon.ico");
  page.on("console", (message) => isOfIcon(message) || complaints.push(message.text()));
  await page.goto(url, { waitUntil: "load" });
  tell("seen", {
    title: await page.title(),
    heading: await page.textContent("h1"),
    pictures: await page.$$eval("img", (all) => all.map((it) => [it.naturalWidth, it.naturalHeight])),
    background: await page.$eval("body", (body) => getComputedStyle(body).backgroundColor),
    complaints,
  });
}
