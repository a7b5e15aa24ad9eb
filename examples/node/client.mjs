// Calls to Atelier with @grpc/grpc-js and @grpc/proto-loader: the contracts are read when this module is loaded.

import { credentials, loadPackageDefinition, status } from "@grpc/grpc-js";
import { loadSync } from "@grpc/proto-loader";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";

/** How long one try of a call with one answer may take, in milliseconds; a stream has no such limit. */
const CALL_TIMEOUT = 30_000;

/** How often in a row a call or stream may fail in passing, and the first wait; each next one is twice as long. */
const TRIES = 8;
const FIRST_WAIT = 100;

/** Finds out that a server has vanished, also while a stream only listens. */
const CHANNEL = { "grpc.keepalive_time_ms": 20_000, "grpc.keepalive_timeout_ms": 10_000 };

const folder = (path) => fileURLToPath(new URL(path, import.meta.url));
const contracts = loadSync(
  ["generation/v1/feature.proto", "generation/v1/media_service.proto", "google/rpc/status.proto", "google/rpc/error_details.proto"],
  {
    includeDirs: [folder("../../proto"), folder("../../third_party/proto")],
    // An int64 does not fit a number of JavaScript; enums by name, but one that is newer than these contracts by number.
    longs: String,
    enums: String,
    defaults: true,
    oneofs: true,
  },
);

/** A client for each service of the server at `address`, such as `127.0.0.1:50051`. */
export function connect(address) {
  const { FeatureService, MediaService, RequestService } = loadPackageDefinition(contracts).generation.v1;
  const client = (Service) => new Service(address, credentials.createInsecure(), CHANNEL);
  return { features: client(FeatureService), media: client(MediaService), requests: client(RequestService) };
}

/** Makes a call that may be made twice until the server is there. */
export async function call(client, method, request) {
  for (let failures = 1; ; failures++) {
    try {
      return await once(client, method, request);
    } catch (error) {
      await waitOrThrow(error, failures);
    }
  }
}

function once(client, method, request) {
  return new Promise((resolve, reject) => {
    const options = { deadline: Date.now() + CALL_TIMEOUT };
    client[method](request, options, (error, answer) => (error ? reject(error) : resolve(answer)));
  });
}

/** All messages of a stream; where it breaks, `open` opens it again after the last message that came. */
export async function* resume(open) {
  let failures = 0;
  for (;;) {
    const stream = open();
    try {
      for await (const message of stream) {
        failures = 0;
        yield message;
      }
      return;
    } catch (error) {
      failures += 1;
      await waitOrThrow(error, failures);
      console.error(`opened again: ${error.details}`);
    } finally {
      // Whoever stops reading before the end lets go of the stream.
      stream.cancel();
    }
  }
}

async function waitOrThrow(error, failures) {
  const { reason, retryDelay } = refusal(error);
  // Every error of the server has a reason: without one, the answer never came or broke off.
  const passes = error.code === status.UNAVAILABLE || (error.code !== undefined && !reason);
  if (!passes || failures >= TRIES) {
    throw error;
  }
  await sleep(Math.max(FIRST_WAIT * 2 ** (failures - 1), retryDelay));
}

/** What the details of an error tell: its reason, the fields that break their rules, and how long to wait, in milliseconds. */
export function refusal(error) {
  const [bytes] = error.metadata?.get("grpc-status-details-bin") ?? [];
  const details = bytes ? contracts["google.rpc.Status"].deserialize(bytes).details.map(unpack) : [];
  const found = Object.assign({}, ...details);
  const { seconds = 0, nanos = 0 } = found.retryDelay ?? {};
  return {
    reason: found.reason ?? "",
    fields: found.fieldViolations ?? [],
    retryDelay: Number(seconds) * 1000 + nanos / 1e6,
  };
}

/** The message in a google.protobuf.Any; empty when it is of a kind that is not known here. */
function unpack({ type_url, value }) {
  return contracts[type_url.split("/").pop()]?.deserialize(value) ?? {};
}
