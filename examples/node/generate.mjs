// Asks a running Atelier for a picture, watches the work and downloads the file; without generated code.
//
//     node generate.mjs "Khai trương quán cà phê: giảm 50% cả tuần"

import { createHash, randomUUID } from "node:crypto";
import { mkdir, open, rm } from "node:fs/promises";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { call, connect, refusal, resume } from "./client.mjs";
import { plainObject, struct } from "./struct.mjs";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    server: { type: "string", default: "127.0.0.1:50051" },
    user: { type: "string", default: "1" },
    out: { type: "string", default: "." },
    // Kept with the request, and settings for the provider: objects as JSON.
    metadata: { type: "string", default: '{"order": "17"}' },
    extra: { type: "string", default: "{}" },
  },
});
const api = connect(values.server);

async function generate(prompt) {
  await mkdir(values.out, { recursive: true });
  const { features } = await call(api.features, "listFeatures", { isActive: true });
  console.log(`features: ${features.map((feature) => feature.name).join(", ")}`);

  const { request } = await call(api.requests, "createRequest", {
    userId: values.user,
    featureId: features[0].id,
    userPrompt: prompt,
    input: { extra: struct(JSON.parse(values.extra)) },
    metadata: struct(JSON.parse(values.metadata)),
    // The same key at each try: a request whose answer got lost is not created again.
    idempotencyKey: randomUUID(),
  });
  console.log(`request ${request.id}: ${JSON.stringify(plainObject(request.metadata))}`);

  let status;
  for await (const { job, media, request: now } of watch(request.id)) {
    status = now.status;
    console.log(`${job.revision}: ${job.status} ${Math.round(job.progress * 100)}% ${job.progressMessage}`.trim());
    if (job.error) {
      console.log(`${job.error.code}: ${job.error.message}`);
    }
    for (const made of media) {
      await download(made);
    }
  }
  if (status !== "REQUEST_STATUS_COMPLETED") {
    throw new Error(`the request ended as ${status}`);
  }
}

/** Every transition of the request's jobs once and in order, and their progress. */
async function* watch(requestId) {
  let cursor = "";
  for await (const message of resume(() => api.requests.watchRequest({ id: requestId, cursor, omitUnchanged: true }))) {
    cursor = message.cursor;
    // Heartbeats have no job.
    if (message.job) {
      yield message;
    }
  }
}

async function download(media) {
  const path = join(values.out, `${media.id}.${media.format}`);
  const digest = createHash("sha256");
  const file = await open(path, "w");
  let offset = 0;
  try {
    for await (const message of resume(() => api.media.downloadMedia({ id: media.id, offset }))) {
      // The first message of each stream is the media itself.
      if (message.part === "chunk") {
        offset += message.chunk.length;
        digest.update(message.chunk);
        await file.writeFile(message.chunk);
      }
    }
    if (digest.digest("hex") !== media.sha256) {
      throw new Error(`media ${media.id} did not arrive as it was stored`);
    }
  } catch (error) {
    // Half a file under a good name would be taken for a whole one.
    await rm(path);
    throw error;
  } finally {
    await file.close();
  }
  console.log(`${path}: ${media.width}x${media.height}, ${media.fileSize} bytes`);
}

try {
  await generate(positionals[0] ?? "");
} catch (error) {
  const { reason, fields } = refusal(error);
  console.error(`${reason || error.code || error.name}: ${error.details ?? error.message}`);
  fields.forEach(({ field, description }) => console.error(`${field}: ${description}`));
  process.exitCode = 1;
}
// Open channels keep a program alive.
Object.values(api).forEach((client) => client.close());
