// google.protobuf.Struct and Value as proto-loader knows them, and the plain objects that they stand for.
//
// proto-loader takes a Struct for a message like any other and drops what it does not know, without a word: of
// `metadata: { order: "17" }` nothing arrives. `metadata: struct({ order: "17" })` does.

/** The Struct of a plain object. */
export function struct(object) {
  const fields = Object.entries(object).map(([name, item]) => [name, value(item)]);
  return { fields: Object.fromEntries(fields) };
}

/** The Value of what JSON knows; anything else is a TypeError, since it would arrive as something different. */
export function value(plain) {
  if (plain === null) return { nullValue: "NULL_VALUE" };
  if (typeof plain === "string") return { stringValue: plain };
  if (typeof plain === "boolean") return { boolValue: plain };
  if (Number.isFinite(plain)) return { numberValue: plain };
  if (Array.isArray(plain)) return { listValue: { values: plain.map(value) } };
  if (isPlainObject(plain)) return { structValue: struct(plain) };
  throw new TypeError(`a Struct cannot hold ${String(plain)}`);
}

/** The plain object of a Struct; null where there is none. */
export function plainObject(message) {
  if (!message) return null;
  const fields = Object.entries(message.fields ?? {}).map(([name, item]) => [name, plainValue(item)]);
  return Object.fromEntries(fields);
}

/** What a Value stands for. */
export function plainValue(message) {
  if (message.structValue) return plainObject(message.structValue);
  if (message.listValue) return (message.listValue.values ?? []).map(plainValue);
  return message.stringValue ?? message.numberValue ?? message.boolValue ?? null;
}

function isPlainObject(item) {
  return typeof item === "object" && [Object.prototype, null].includes(Object.getPrototypeOf(item));
}
