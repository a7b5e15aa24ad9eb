import { connect } from "./api.ts";
import { refusal } from "./refusal.ts";
import { watchRequests } from "./watch.ts";
import { JobStatus } from "../generated/generation/v1/job_pb.ts";

const api = connect("http://127.0.0.1:50051");
try {
  const { features } = await api.features.listFeatures({});
  const { request } = await api.requests.createRequest({
    userId: 1n,
    featureId: features[0]!.id,
    userPrompt: "Khai trương quán cà phê: giảm 50% cả tuần",
    idempotencyKey: crypto.randomUUID(),
  });
  for await (const { job, media } of watchRequests(api, [request!.id])) {
    console.log(job && JobStatus[job.status], job?.progress, job?.progressMessage);
    media.forEach(({ blurhash, downloadUrl }) => console.log(blurhash, downloadUrl));
  }
} catch (thrown) {
  const { reason, message, fields } = refusal(thrown);
  console.error(reason, message, fields);
}
