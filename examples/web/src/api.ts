// One client for each service of Atelier, over grpc-web.

import { createClient } from "@connectrpc/connect";
import { createGrpcWebTransport } from "@connectrpc/connect-web";
import { FeatureService } from "../generated/generation/v1/feature_pb.ts";
import { JobService } from "../generated/generation/v1/job_pb.ts";
import { RequestService } from "../generated/generation/v1/request_pb.ts";
import { TemplateService } from "../generated/generation/v1/template_pb.ts";

/** How long a call with one answer may take, in milliseconds; streams take it back. */
const CALL_TIMEOUT = 10_000;

export type Api = ReturnType<typeof connect>;

/** Clients of the server at `baseUrl`, such as `http://127.0.0.1:50051`. */
export function connect(baseUrl: string) {
  const transport = createGrpcWebTransport({ baseUrl, defaultTimeoutMs: CALL_TIMEOUT });
  return {
    features: createClient(FeatureService, transport),
    templates: createClient(TemplateService, transport),
    requests: createClient(RequestService, transport),
    jobs: createClient(JobService, transport),
  };
}
