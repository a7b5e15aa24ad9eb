// Watching requests through broken connections, all in one stream: a browser has few to spare.

import type { Api } from "./api.ts";
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
  onStream?: (cursor: string) => void;
}

type Open<Message> = (cursor: string, call: { signal: AbortSignal; timeoutMs: number }) => AsyncIterable<Message>;

/**
 * Every transition of every job of the requests once, those of one job in order, with progress and heartbeats between them,
 * until none waits or runs. A stream that breaks is opened again after the last message received. What a request was made of
 * comes with the first message about it in each stream, and not again.
 */
export function watchRequests(api: Api, requestIds: bigint[], options: WatchOptions = {}) {
  const watched = { ids: requestIds, omitUnchanged: true };
  return resume((cursor, call) => api.requests.watchRequests({ ...watched, cursor }, call), options);
}

/** The same of all requests of a user, those to come too, without an end. The first message says that nothing is missed. */
export function watchUser(api: Api, userId: bigint, options: WatchOptions = {}) {
  return resume((cursor, call) => api.requests.watchUser({ userId, cursor }, call), options);
}

async function* resume<Message extends { cursor: string }>(
  open: Open<Message>,
  { silence = 30_000, onStream }: WatchOptions,
): AsyncGenerator<Message> {
  let cursor = "";
  let failures = 0;
  for (;;) {
    try {
      onStream?.(cursor);
      for await (const message of stream(open, cursor, silence)) {
        failures = 0;
        cursor = message.cursor;
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
async function* stream<Message>(open: Open<Message>, cursor: string, silence: number) {
  const controller = new AbortController();
  const giveUp = () => controller.abort();
  let timer = setTimeout(giveUp, silence);
  try {
    for await (const message of open(cursor, { signal: controller.signal, timeoutMs: 0 })) {
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
