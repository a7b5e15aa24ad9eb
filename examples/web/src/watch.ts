// Watching a job through broken connections.

import type { Api } from "./api.ts";
import type { WatchJobResponse } from "../generated/generation/v1/job_pb.ts";
import { refusal } from "./refusal.ts";

/** The first wait after a broken stream and the longest, in milliseconds; each is twice the one before. */
const FIRST_WAIT = 250;
const LONGEST_WAIT = 5_000;
/** Streams that may break one after the other without a single message. */
const MAX_FAILURES = 10;

export interface WatchOptions {
  /** Milliseconds of silence after which a stream counts as dead. The server sends something at least every 15 s. */
  silence?: number;
  /** Called for every stream that is opened. */
  onStream?: (afterRevision: bigint) => void;
}

/**
 * Every transition of a job once and in order, with progress and heartbeats between them, until the job has ended.
 * A stream that breaks is opened again after the last revision received.
 */
export async function* watchJob(api: Api, jobId: bigint, options: WatchOptions = {}): AsyncGenerator<WatchJobResponse> {
  let revision = 0n;
  let failures = 0;
  for (;;) {
    try {
      options.onStream?.(revision);
      for await (const message of stream(api, jobId, revision, options.silence ?? 30_000)) {
        failures = 0;
        revision = message.revision;
        yield message;
      }
      return;
    } catch (thrown) {
      const { passing, retryDelay } = refusal(thrown);
      failures += 1;
      if (!passing || failures >= MAX_FAILURES) {
        throw thrown;
      }
      const wait = Math.min(FIRST_WAIT * 2 ** (failures - 1), LONGEST_WAIT);
      await new Promise((resolve) => setTimeout(resolve, Math.max(wait, retryDelay)));
    }
  }
}

/** One stream, given up when it is silent for too long: a phone that changes its network is not told of the loss. */
async function* stream(api: Api, jobId: bigint, afterRevision: bigint, silence: number) {
  const controller = new AbortController();
  const giveUp = () => controller.abort();
  let timer = setTimeout(giveUp, silence);
  try {
    for await (const message of api.jobs.watchJob({ jobId, afterRevision }, { signal: controller.signal })) {
      clearTimeout(timer);
      yield message;
      timer = setTimeout(giveUp, silence);
    }
  } finally {
    clearTimeout(timer);
    // Whoever stops reading before the end lets go of the connection.
    controller.abort();
  }
}
