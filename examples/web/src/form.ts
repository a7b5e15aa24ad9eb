// The form of a style, made from what GetTemplate or GetFeature tells, and checked by the server while the user types.

import { fromJson, type JsonObject } from "@bufbuild/protobuf";
import { inputFields, promptField, readAll, variableField, type Field } from "./field.ts";
import { showRequest } from "./history.ts";
import { api, attempt, element, make, userId } from "./page.ts";
import { refusal } from "./refusal.ts";
import { CreateRequestRequestSchema } from "../generated/generation/v1/request_pb.ts";
import type { Warning } from "../generated/generation/v1/violation_pb.ts";

/** How long the user must pause before the form is checked, in milliseconds. */
const CHECK_DELAY = 300;

export interface Style {
  featureId: bigint;
  /** Absent for a request without a template. */
  templateId?: bigint;
  name: string;
}

const form = element("request", HTMLFormElement);
let style: Style;
let fields: Field[] = [];

export async function chooseStyle(chosen: Style) {
  abandonCheck();
  const { templateId, featureId } = chosen;
  const found = templateId
    ? await api.templates.getTemplate({ id: templateId })
    : await api.features.getFeature({ id: featureId });
  const variables = "template" in found ? (found.template?.templateData?.variables ?? []) : [];
  style = chosen;
  fields = [promptField(), ...variables.map(variableField), ...inputFields(found.inputLimits!, found.inputDefaults!)];
  element("style", HTMLElement).textContent = chosen.name;
  element("fields", HTMLElement).replaceChildren(...grouped());
  showWarnings([]);
  form.hidden = false;
}

/** The fields in their order, those of a group together where the first of them stands. */
function grouped() {
  const groups = new Map<string, HTMLElement>();
  return fields.flatMap(({ group, row }) => {
    const known = groups.get(group);
    known?.append(row);
    if (known || !group) {
      return known ? [] : [row];
    }
    const made = make("fieldset", {}, make("legend", {}, group), row);
    groups.set(group, made);
    return [made];
  });
}

function request(more: JsonObject) {
  const { templateId, featureId } = style;
  const named: JsonObject = templateId ? { template_id: String(templateId) } : { feature_id: String(featureId) };
  return fromJson(CreateRequestRequestSchema, { user_id: String(userId), ...named, ...readAll(fields), ...more });
}

let checking = new AbortController();
let timer: ReturnType<typeof setTimeout>;

function abandonCheck() {
  clearTimeout(timer);
  checking.abort();
  form.ariaBusy = "false";
}

form.addEventListener("input", () => {
  abandonCheck();
  form.ariaBusy = "true";
  timer = setTimeout(check, CHECK_DELAY);
});

async function check() {
  const { signal } = (checking = new AbortController());
  try {
    const { warnings } = await api.requests.createRequest(request({ validate_only: true }), { signal });
    showViolations([]);
    showWarnings(warnings);
  } catch (thrown) {
    if (!signal.aborted) {
      showViolations(refusal(thrown).fields);
    }
  }
  if (!signal.aborted) {
    form.ariaBusy = "false";
  }
}

/** Shows each violation beside its field. */
function showViolations(violations: { path: string; expected: string }[]) {
  for (const { path, violation } of fields) {
    violation.textContent = violations.find((found) => found.path === path)?.expected ?? "";
  }
}

function showWarnings(warnings: Warning[]) {
  element("warnings", HTMLElement).replaceChildren(...warnings.map(({ message }) => make("li", {}, message)));
}

/** The request that was sent last, with its key, until there is an answer: sent again, it is the same request. */
let unanswered = { words: "", key: "" };

async function makeRequest() {
  abandonCheck();
  const words = JSON.stringify([String(style.templateId ?? style.featureId), readAll(fields)]);
  if (unanswered.words !== words) {
    unanswered = { words, key: crypto.randomUUID() };
  }
  try {
    const created = await api.requests.createRequest(request({ idempotency_key: unanswered.key }));
    unanswered = { words: "", key: "" };
    showViolations([]);
    showWarnings(created.warnings);
    showRequest(created.request!, created.jobs);
  } catch (thrown) {
    showViolations(refusal(thrown).fields);
    throw thrown;
  }
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  void attempt(form, makeRequest);
});
