// The page: choose a feature and a style, say what is to be made, watch it being made.

import { connect, CALL_TIMEOUT } from "./api.ts";
import { figure } from "./picture.ts";
import { refusal } from "./refusal.ts";
import { watchRequests } from "./watch.ts";
import { JobStatus } from "../generated/generation/v1/job_pb.ts";
import { WatchRequestEvent, type WatchRequestsResponse } from "../generated/generation/v1/request_pb.ts";

const settings = new URLSearchParams(location.search);
const api = connect(settings.get("api") ?? "http://127.0.0.1:50051");
const userId = BigInt(settings.get("user") ?? 1);
const silence = Number(settings.get("silence") ?? 30) * 1000;

const form = element("request", HTMLFormElement);
const featureChoice = element("feature", HTMLSelectElement);
const templateChoice = element("template", HTMLSelectElement);
const prompt = element("prompt", HTMLTextAreaElement);
const progress = element("progress", HTMLProgressElement);
const history = element("history", HTMLOListElement);
const pictures = element("pictures", HTMLElement);
const streams = element("streams", HTMLElement);
const heartbeats = element("heartbeats", HTMLElement);
const trouble = element("trouble", HTMLElement);

function element<T extends HTMLElement>(id: string, type: new () => T): T {
  const found = document.getElementById(id);
  if (!(found instanceof type)) {
    throw new Error(`the page has no ${id}`);
  }
  return found;
}

async function showFeatures() {
  const { features } = await api.features.listFeatures({ isActive: true }, { timeoutMs: CALL_TIMEOUT });
  featureChoice.replaceChildren(...features.map((feature) => new Option(feature.name, String(feature.id))));
  await showTemplates();
}

async function showTemplates() {
  const featureId = BigInt(featureChoice.value || 0);
  const { templates } = await api.templates.listTemplates({ featureId, isActive: true }, { timeoutMs: CALL_TIMEOUT });
  const styles = templates.map((template) => new Option(template.name, String(template.id)));
  templateChoice.replaceChildren(new Option("no style", ""), ...styles);
}

/** The request that was sent last, with its key, until there is an answer: sent again, it is the same request. */
let unanswered = { words: "", key: "" };

async function makeRequest() {
  history.replaceChildren();
  pictures.replaceChildren();
  progress.value = 0;
  streams.textContent = heartbeats.textContent = "0";
  const words = [featureChoice.value, templateChoice.value, prompt.value].join();
  if (unanswered.words !== words) {
    unanswered = { words, key: crypto.randomUUID() };
  }
  const request = {
    userId,
    featureId: BigInt(featureChoice.value || 0),
    ...(templateChoice.value && { templateId: BigInt(templateChoice.value) }),
    userPrompt: prompt.value,
    idempotencyKey: unanswered.key,
  };
  const created = await api.requests.createRequest(request, { timeoutMs: CALL_TIMEOUT });
  unanswered = { words: "", key: "" };
  await follow(created.request!.id);
}

async function follow(id: bigint) {
  const onStream = () => count(streams);
  for await (const message of watchRequests(api, [id], { silence, onStream })) {
    show(message);
  }
}

function show({ event, job, media }: WatchRequestsResponse) {
  if (event === WatchRequestEvent.HEARTBEAT) {
    count(heartbeats);
  }
  if (!job) {
    return;
  }
  progress.value = job.status === JobStatus.COMPLETED ? 1 : job.progress;
  if (event !== WatchRequestEvent.TRANSITION) {
    return;
  }
  const entry = document.createElement("li");
  entry.value = Number(job.revision);
  entry.textContent = [JobStatus[job.status].toLowerCase(), job.error?.message].filter(Boolean).join(": ");
  history.append(entry);
  pictures.append(...media.map(figure));
}

function count(counter: HTMLElement) {
  counter.textContent = String(Number(counter.textContent) + 1);
}

function showTrouble(thrown: unknown) {
  const { reason, message, fields } = refusal(thrown);
  const heading = document.createElement("strong");
  heading.textContent = reason || "NO_ANSWER";
  const list = document.createElement("ul");
  list.append(
    ...fields.map(({ path, expected }) => {
      const entry = document.createElement("li");
      const name = document.createElement("code");
      name.textContent = path;
      entry.append(name, ` ${expected}`);
      return entry;
    }),
  );
  trouble.replaceChildren(heading, ` ${message}`, list);
  trouble.hidden = false;
}

async function attempt(action: () => Promise<void>) {
  trouble.hidden = true;
  form.inert = true;
  try {
    await action();
  } catch (thrown) {
    showTrouble(thrown);
  } finally {
    form.inert = false;
  }
}

featureChoice.addEventListener("change", () => attempt(showTemplates));
form.addEventListener("submit", (event) => {
  event.preventDefault();
  void attempt(makeRequest);
});
void attempt(showFeatures);
