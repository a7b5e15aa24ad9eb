// The history of the user's requests, which the page's only stream keeps up to date.

import { Card } from "./card.ts";
import { api, attempt, element, showTrouble, silence, userId } from "./page.ts";
import { refusal } from "./refusal.ts";
import { watchUser } from "./watch.ts";
import type { Job } from "../generated/generation/v1/job_pb.ts";
import type { Media } from "../generated/generation/v1/media_pb.ts";
import { RequestInclude, WatchRequestEvent, type Request } from "../generated/generation/v1/request_pb.ts";

const PAGE_SIZE = 12;

const history = element("history", HTMLOListElement);
const more = element("more", HTMLButtonElement);
const cards = new Map<bigint, Card>();
let pageToken = "";

/** Shows a request with these jobs; one that is new stands first. */
export function showRequest(request: Request, jobs: Job[] = [], media: Media[] = []) {
  const card = cards.get(request.id) ?? add(request, "prepend");
  card.show(request, jobs, media);
  return card;
}

function add(request: Request, place: "prepend" | "append") {
  const card = new Card(request);
  cards.set(request.id, card);
  history[place](card.row);
  return card;
}

async function listRequests() {
  const include = [RequestInclude.COVER];
  const page = await api.requests.listRequests({ userId, pageSize: PAGE_SIZE, pageToken, include });
  page.requests.filter(({ id }) => !cards.has(id)).forEach((request) => add(request, "append"));
  pageToken = page.nextPageToken;
  more.hidden = !pageToken;
}

/** Follows all that the user has and will have. What ended before the stream was open, the list tells. */
export async function follow() {
  const onStream = () => count("streams");
  try {
    for await (const { event, request, job, media } of watchUser(api, userId, { silence, onStream })) {
      if (event === WatchRequestEvent.OPENED) {
        void attempt(history, listRequests);
      } else if (event === WatchRequestEvent.HEARTBEAT) {
        count("heartbeats");
      } else if (request && !request.isPreview && (job || cards.has(request.id))) {
        const card = showRequest(request, job ? [job] : [], media);
        if (job && event === WatchRequestEvent.TRANSITION) {
          card.tell(job);
        }
      }
    }
  } catch (thrown) {
    showTrouble(refusal(thrown));
  }
}

function count(id: string) {
  const counter = element(id, HTMLOutputElement);
  counter.value = String(Number(counter.value) + 1);
}

more.addEventListener("click", () => attempt(more, listRequests));
