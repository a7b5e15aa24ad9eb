// The fields of the form, one for each thing that a request may say.

import { toJson, type JsonObject, type JsonValue } from "@bufbuild/protobuf";
import { ValueSchema } from "@bufbuild/protobuf/wkt";
import { make } from "./page.ts";
import { MediaType } from "../generated/generation/v1/media_pb.ts";
import type { GenerationInput } from "../generated/generation/v1/request_pb.ts";
import { TemplateVariableType as Type } from "../generated/generation/v1/template_pb.ts";
import type { InputLimits, TemplateVariable } from "../generated/generation/v1/template_pb.ts";

const PICTURE_HINT = "https://…, or the number of a picture of yours";

type Control = HTMLInputElement | HTMLTextAreaElement | HTMLSelectElement;

export interface Field {
  /** Where it stands in a CreateRequest: so in the request's JSON, and so a violation names it. */
  path: string;
  /** The heading under which it stands; empty means none. */
  group: string;
  row: HTMLElement;
  violation: HTMLElement;
  /** What the user has said; undefined as long as the field is untouched, so that the default holds. */
  read(): JsonValue | undefined;
}

/** What can be said whatever the template. */
export function inputFields(limits: InputLimits, { output, variations, negativePrompt }: GenerationInput): Field[] {
  const ratios = limits.supportedAspectRatios;
  const ratio = output?.aspectRatio ?? "";
  const duration = String(output?.durationSeconds ?? "");
  const shown = [
    field("input.variations", "Variations", choice(count(limits.maxBatchSize), String(variations))),
    field("input.output.format", "Format", choice(limits.formats, output?.format)),
    field("input.negative_prompt", "Not to be seen", make("textarea", { value: negativePrompt ?? "", rows: 2 })),
  ];
  if (limits.category !== MediaType.AUDIO) {
    const control = ratios.length > 0 ? choice(ratios, ratio) : make("input", { value: ratio });
    shown.push(field("input.output.aspect_ratio", "Shape", control));
  }
  if (limits.category !== MediaType.IMAGE) {
    const seconds = choice(["", ...count(limits.maxDurationSeconds || 60)], duration);
    shown.push(field("input.output.duration_seconds", "Seconds", seconds));
  }
  return shown;
}

export function promptField(): Field {
  return field("user_prompt", "Your words", make("textarea", { id: "prompt", rows: 3 }));
}

export function variableField(variable: TemplateVariable): Field {
  const { name, label, description, unit, group } = variable;
  return field(`input.variables.${name}`, label || name, control(variable), { hint: description, unit, group });
}

function control(variable: TemplateVariable): Control {
  const { type, placeholder, defaultValue, min, max, step, choices } = variable;
  const json = defaultValue && toJson(ValueSchema, defaultValue);
  const value = json === undefined ? "" : String(json);
  switch (type) {
    case Type.TEXT:
      return make("textarea", { value, placeholder, rows: 4 });
    case Type.BOOLEAN:
      return make("input", { type: "checkbox", checked: json === true });
    case Type.ENUM: {
      const options = choices.map((choice) => new Option(choice.label || choice.value, choice.value));
      const control = make("select", {}, ...(value ? options : [new Option("", ""), ...options]));
      return Object.assign(control, { value });
    }
    case Type.INTEGER:
    case Type.NUMBER: {
      const bounds = { min: String(min ?? ""), max: String(max ?? "") };
      const anyStep = type === Type.INTEGER ? "1" : "any";
      return make("input", { type: "number", step: String(step ?? anyStep), ...bounds, value, placeholder });
    }
    case Type.COLOR:
      return make("input", { type: "color", value: value || "#808080" });
    case Type.DATE:
      return make("input", { type: "date", value });
    case Type.PICTURE:
      return make("input", { value, placeholder: placeholder || PICTURE_HINT, className: "picture" });
    default:
      return make("input", { value, placeholder });
  }
}

function choice(values: string[], chosen = "") {
  return make("select", {}, ...values.map((value) => new Option(value, value, false, value === chosen)));
}

function count(most: number) {
  return Array.from({ length: most }, (_, index) => String(index + 1));
}

function field(path: string, label: string, control: Control, { hint = "", unit = "", group = "" } = {}): Field {
  const violation = make("em", { className: "violation" });
  violation.dataset.path = control.name = path;
  const row = make("label", {}, make("span", {}, label), control, unit, make("small", {}, hint), violation);
  let touched = false;
  control.addEventListener("input", () => (touched = true));
  return { path, group, row, violation, read: () => (touched ? valueOf(control) : undefined) };
}

function valueOf(control: Control): JsonValue | undefined {
  const { type, value } = control;
  if (control instanceof HTMLInputElement && type === "checkbox") {
    return control.checked;
  }
  if (type === "number") {
    return value === "" ? undefined : Number(value);
  }
  return control.className === "picture" && /^\d+$/.test(value) ? { media_id: Number(value) } : value;
}

/** What the user has said, as the JSON of a CreateRequest. */
export function readAll(fields: Field[]): JsonObject {
  const request: JsonObject = {};
  for (const { path, read } of fields) {
    const names = path.split(".");
    const last = names.pop()!;
    const value = read();
    if (value !== undefined) {
      const place = names.reduce((place, name) => (place[name] ??= {}) as JsonObject, request);
      place[last] = value;
    }
  }
  return request;
}
