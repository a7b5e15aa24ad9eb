// What all parts of the page share: whose it is, its elements, and what is told when something goes wrong.

import { connect } from "./api.ts";
import { refusal, type Refusal } from "./refusal.ts";

const settings = new URLSearchParams(location.search);
export const api = connect(settings.get("api") ?? "http://127.0.0.1:50051");
export const userId = BigInt(settings.get("user") ?? 1);
export const silence = Number(settings.get("silence") ?? 30) * 1000;

/** The element of the page with this id. */
export function element<T extends HTMLElement>(id: string, type: new () => T): T {
  const found = document.getElementById(id);
  if (!(found instanceof type)) {
    throw new Error(`the page has no ${id}`);
  }
  return found;
}

/** A new element with these properties and children. */
export function make<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  properties: Partial<HTMLElementTagNameMap[K]> = {},
  ...children: (Node | string)[]
): HTMLElementTagNameMap[K] {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

/** Does something, during which this part of the page takes no input; what goes wrong is shown. */
export async function attempt(part: HTMLElement, action: () => Promise<unknown>) {
  element("trouble", HTMLElement).hidden = true;
  part.inert = true;
  try {
    await action();
  } catch (thrown) {
    showTrouble(refusal(thrown));
  } finally {
    part.inert = false;
  }
}

export function showTrouble({ reason, message, fields }: Refusal) {
  const entries = fields.map(({ path, expected }) => make("li", {}, make("code", {}, path), ` ${expected}`));
  const trouble = element("trouble", HTMLElement);
  trouble.replaceChildren(make("strong", {}, reason || "NO_ANSWER"), ` ${message}`, make("ul", {}, ...entries));
  trouble.hidden = false;
}
