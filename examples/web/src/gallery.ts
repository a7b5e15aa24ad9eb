// The gallery: features and templates with their pictures, and the tags that they are filtered by.

import { chooseStyle, type Style } from "./form.ts";
import { api, attempt, element, make, userId } from "./page.ts";
import { figure } from "./picture.ts";
import type { Feature } from "../generated/generation/v1/feature_pb.ts";
import { TemplateOrder, type Template } from "../generated/generation/v1/template_pb.ts";
import { View } from "../generated/generation/v1/view_pb.ts";

const PAGE_SIZE = 24;
const MOST_TAGS = 20;

const gallery = element("gallery", HTMLElement);
const orderChoice = element("order", HTMLSelectElement);
const templates = element("templates", HTMLElement);
const more = element("more_templates", HTMLButtonElement);

const ORDERS: Record<string, { order: TemplateOrder; isTrending?: boolean }> = {
  popular: { order: TemplateOrder.POPULARITY },
  trending: { order: TemplateOrder.POPULARITY, isTrending: true },
  newest: { order: TemplateOrder.NEWEST },
};

let feature: Feature | undefined;
const tags = new Set<string>();
let pageToken = "";
/** The templates whose view has been told: each counts once a day. */
const seen = new Set<bigint>();

export function openGallery() {
  orderChoice.onchange = () => attempt(gallery, showTemplates);
  more.onclick = () => attempt(gallery, addTemplates);
  return attempt(gallery, () => Promise.all([showFeatures(), showTags(), showTemplates()]));
}

async function showFeatures() {
  const { features } = await api.features.listFeatures({ isActive: true, view: View.BASIC });
  const tiles = features.map((shown) =>
    tile(shown, async () => {
      feature = feature === shown ? undefined : shown;
      tiles.forEach((tile, index) => (tile.ariaPressed = String(features[index] === feature)));
      tags.clear();
      await Promise.all([showTags(), showTemplates()]);
    }),
  );
  element("features", HTMLElement).replaceChildren(...tiles);
}

async function showTags() {
  const found = await api.templates.listTags({ isActive: true, featureId: feature?.id, pageSize: MOST_TAGS });
  const buttons = found.tags.map(({ name, templateCount }) => {
    const count = make("small", {}, ` ${templateCount}`);
    const button = make("button", { type: "button", ariaPressed: "false" }, name, count);
    button.onclick = () => {
      const chosen = !tags.delete(name);
      if (chosen) {
        tags.add(name);
      }
      button.ariaPressed = String(chosen);
      void attempt(gallery, showTemplates);
    };
    return button;
  });
  element("tags", HTMLElement).replaceChildren(...buttons);
}

async function showTemplates() {
  const plain = feature && { featureId: feature.id, name: "no style" };
  templates.replaceChildren(...(plain ? [tile({ displayName: plain.name }, () => chooseStyle(plain))] : []));
  pageToken = "";
  await addTemplates();
}

async function addTemplates() {
  const page = await api.templates.listTemplates({
    ...ORDERS[orderChoice.value],
    isActive: true,
    featureId: feature?.id,
    tags: [...tags],
    pageSize: PAGE_SIZE,
    pageToken,
    view: View.BASIC,
  });
  templates.append(...page.templates.map((shown) => tile(shown, () => chooseStyle(styleOf(shown)))));
  pageToken = page.nextPageToken;
  more.hidden = !pageToken;
  recordViews(page.templates);
}

function styleOf({ id, featureId, displayName, name }: Template): Style {
  return { featureId, templateId: id, name: displayName || name };
}

/** All in one call; should it fail, nothing is amiss for the user. */
function recordViews(shown: Template[]) {
  const ids = shown.map(({ id }) => id).filter((id) => !seen.has(id));
  ids.forEach((id) => seen.add(id));
  if (ids.length > 0) {
    api.templates.recordTemplateViews({ ids, userId }).catch(() => {});
  }
}

function tile(shown: Partial<Feature | Template>, action: () => Promise<void>) {
  // The browser names its languages itself, so texts come in the user's where there is a translation.
  const caption = make("span", { lang: shown.language }, shown.displayName || shown.name || "");
  const button = make("button", { type: "button", title: shown.description ?? "" }, caption);
  if (shown.previewMedia) {
    button.prepend(figure(shown.previewMedia, false));
  }
  button.onclick = () => attempt(gallery, action);
  return button;
}
