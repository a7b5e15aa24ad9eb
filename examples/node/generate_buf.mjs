// The same with code that buf has generated, and Connect: integers are bigint, a Struct is a plain object.
//
//     node generate_buf.mjs "Khai trương quán cà phê: giảm 50% cả tuần"

import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { createHash, randomUUID } from "node:crypto";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { FeatureService } from "./generated/generation/v1/feature_pb.js";
import { JobStatus } from "./generated/generation/v1/job_pb.js";
import { RequestService } from "./generated/generation/v1/request_pb.js";
import { BadRequestSchema, ErrorInfoSchema } from "./generated/google/rpc/error_details_pb.js";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    server: { type: "string", default: "127.0.0.1:50051" },
    out: { type: "string", default: "." },
    metadata: { type: "string", default: '{"order": "17"}' },
  },
});
const transport = createGrpcTransport({ baseUrl: `http://${values.server}`, pingIntervalMs: 20_000, pingTimeoutMs: 10_000 });
const features = createClient(FeatureService, transport);
const requests = createClient(RequestService, transport);
const call = { timeoutMs: 30_000 };

/** Every message about the request once and in order, over as many streams as it takes. */
async function* watch(requestId) {
  let cursor = "";
  for (let failures = 0; ; ) {
    try {
      for await (const message of requests.watchRequest({ id: requestId, cursor, omitUnchanged: true })) {
        ({ cursor } = message);
        failures = 0;
        yield message;
      }
      return;
    } catch (error) {
      failures += 1;
      const { code, details } = ConnectError.from(error);
      // Every error of the server has details: without them, the connection broke.
      const passes = code === Code.Unavailable || details.length === 0;
      if (!passes || failures === 8) throw error;
      await new Promise((resolve) => setTimeout(resolve, 100 * 2 ** failures));
    }
  }
}

async function generate(prompt) {
  const listed = await features.listFeatures({ isActive: true }, call);
  const { request } = await requests.createRequest(
    {
      userId: 1n,
      featureId: listed.features[0].id,
      userPrompt: prompt,
      metadata: JSON.parse(values.metadata),
      // A call that is repeated with the same key creates nothing twice.
      idempotencyKey: randomUUID(),
    },
    call,
  );
  console.log(`request ${request.id}: ${JSON.stringify(request.metadata)}`);
  for await (const { job, media } of watch(request.id)) {
    if (job) {
      console.log(`${job.revision}: ${JobStatus[job.status] ?? job.status} ${Math.round(job.progress * 100)}%`);
    }
    for (const made of media) {
      await download(made);
    }
  }
}

/** Over plain HTTP, as a browser would; `DownloadMedia` is for files that are too large for one go. */
async function download(media) {
  const bytes = Buffer.from(await (await fetch(media.downloadUrl)).arrayBuffer());
  if (createHash("sha256").update(bytes).digest("hex") !== media.sha256) {
    throw new Error(`media ${media.id} did not arrive as it was stored`);
  }
  const path = join(values.out, `${media.id}.${media.format}`);
  await writeFile(path, bytes);
  console.log(`${path}: ${media.width}x${media.height}, ${bytes.length} bytes`);
}

try {
  await generate(positionals[0] ?? "");
} catch (thrown) {
  const error = ConnectError.from(thrown);
  const [info] = error.findDetails(ErrorInfoSchema);
  console.error(`${info?.reason ?? Code[error.code]}: ${error.rawMessage}`);
  const violations = error.findDetails(BadRequestSchema).flatMap((bad) => bad.fieldViolations);
  violations.forEach(({ field, description }) => console.error(`${field}: ${description}`));
  process.exitCode = 1;
}
