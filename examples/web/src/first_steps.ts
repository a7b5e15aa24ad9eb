import { connect } from "./api.ts";
import { refusal } from "./refusal.ts";
import { watchJob } from "./watch.ts";
import { JobStatus } from "../generated/generation/v1/job_pb.ts";

const api = connect("http://127.0.0.1:50051");
try {
  const { features } = await api.features.listFeatures({});
  const { jobs } = await api.requests.createRequest({
    userId: 1n,
    featureId: features[0]!.id,
    userPrompt: "Khai trương quán cà phê: giảm 50% cả tuần",
    idempotencyKey: crypto.randomUUID(),
  });
  for await (const { job, media } of watchJob(api, jobs[0]!.id)) {
    console.log(JobStatus[job!.status], job!.progress, job!.progressMessage);
    media.forEach(({ blurhash, downloadUrl }) => console.log(blurhash, downloadUrl));
  }
} catch (thrown) {
  const { reason, message, fields } = refusal(thrown);
  console.error(reason, message, fields);
}
