// Where the browser is; run as a program, prints it.

import { accessSync, constants } from "node:fs";
import { delimiter, join } from "node:path";
import { pathToFileURL } from "node:url";

const NAMES = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];
const APPLICATIONS = [
  "/Applications/Chromium.app/Contents/MacOS/Chromium",
  "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
];

function isProgram(file) {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** The program of `ATELIER_CHROMIUM`, or the first that is installed. */
export function findBrowser() {
  const folders = (process.env.PATH ?? "").split(delimiter);
  const candidates = folders.flatMap((folder) => NAMES.map((name) => join(folder, name)));
  const found = process.env.ATELIER_CHROMIUM || [...candidates, ...APPLICATIONS].find(isProgram);
  if (!found) {
    throw new Error(`no browser: install Chromium, or name one in ATELIER_CHROMIUM (looked for ${NAMES.join(", ")})`);
  }
  return found;
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) {
  try {
    console.log(findBrowser());
  } catch (error) {
    console.error(error.message);
    process.exitCode = 1;
  }
}
