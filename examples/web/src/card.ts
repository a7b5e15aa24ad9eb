// A request on the page: what it is, its variations as they come forward, and what can be done with it.

import type { Timestamp } from "@bufbuild/protobuf/wkt";
import { api, attempt, make } from "./page.ts";
import { figure } from "./picture.ts";
import { JobStatus, type Job } from "../generated/generation/v1/job_pb.ts";
import { MediaRole, type Media } from "../generated/generation/v1/media_pb.ts";
import { RequestInclude, RequestStatus, type Request } from "../generated/generation/v1/request_pb.ts";

/** What a variation is shown by, the first that there is: the smallest on a list, all of it when it is opened. */
const SMALL = [MediaRole.THUMBNAIL, MediaRole.POSTER, MediaRole.ORIGINAL];
const WHOLE = [MediaRole.ORIGINAL];

type Action = [name: string, offered: (request: Request) => boolean, run: (card: Card) => Promise<void>];

const ACTIONS: Action[] = [
  ["Open", ({ deleteTime }) => !deleteTime, open],
  ["Cancel", ({ jobCounts, deleteTime }) => !deleteTime && jobCounts!.pending > 0n, cancel],
  ["Try again", ({ jobCounts, deleteTime }) => !deleteTime && jobCounts!.failed + jobCounts!.cancelled > 0n, retry],
  ["Delete", ({ deleteTime }) => !deleteTime, remove],
  ["Undo", ({ deleteTime }) => Boolean(deleteTime), restore],
];

async function open(card: Card) {
  const include = [RequestInclude.JOBS, RequestInclude.MEDIA];
  const { request } = await api.requests.getRequest({ id: card.request.id, include });
  card.show(request!, request!.jobs, request!.media, WHOLE);
}

async function cancel(card: Card) {
  const { request, cancelledJobs } = await api.requests.cancelRequest({ id: card.request.id });
  card.show(request!, cancelledJobs);
}

async function retry(card: Card) {
  const { request, jobs } = await api.requests.retryRequest({ id: card.request.id });
  card.show(request!, jobs);
}

/** The etag makes sure that what goes is what the user has seen. */
async function remove(card: Card) {
  const { id, etag } = card.request;
  card.show((await api.requests.deleteRequest({ id, etag })).request!);
}

async function restore(card: Card) {
  card.show((await api.requests.undeleteRequest({ id: card.request.id })).request!);
}

export class Card {
  readonly row = make("li");
  readonly #status = make("small");
  readonly #pictures = make("div", { className: "pictures" });
  readonly #buttons = ACTIONS.map(([name, , run]) =>
    make("button", { type: "button", onclick: () => attempt(this.row, () => run(this)) }, name),
  );
  readonly #variations = new Map<number, Variation>();

  constructor(public request: Request) {
    const heading = make("p", {}, request.title || request.userPrompt, " ", this.#status);
    this.row.append(heading, this.#pictures, ...this.#buttons);
    if (request.cover) {
      this.#pictures.append(figure(request.cover));
    }
    this.show(request);
  }

  /** Answers and the stream overtake each other: the newest version of the request holds. */
  show(request: Request, jobs: Job[] = [], media: Media[] = [], roles = SMALL) {
    if (seconds(request.updateTime!) >= seconds(this.request.updateTime!)) {
      this.request = request;
      this.#status.textContent = request.deleteTime ? "deleted" : RequestStatus[request.status].toLowerCase();
      this.row.dataset.status = this.#status.textContent;
      this.#pictures.hidden = Boolean(request.deleteTime);
      ACTIONS.forEach(([, offered], index) => (this.#buttons[index]!.hidden = !offered(request)));
    }
    for (const job of jobs) {
      this.#variation(job).show(job, media.filter(({ jobId }) => jobId === job.id), roles);
    }
  }

  /** Adds a transition to what has happened to the job's variation. */
  tell(job: Job) {
    this.#variation(job).tell(job);
  }

  #variation({ variation }: Job) {
    let known = this.#variations.get(variation);
    if (!known) {
      known = new Variation();
      this.#variations.set(variation, known);
      const all = [...this.#variations].sort(([one], [other]) => one - other);
      this.#pictures.replaceChildren(...all.map(([, { row }]) => row));
    }
    return known;
  }
}

function seconds({ seconds, nanos }: Timestamp) {
  return Number(seconds) + nanos / 1e9;
}

/** One variation: how far its job is, what has happened to it, and in the end its pictures. */
class Variation {
  readonly row = make("section");
  readonly #progress = make("progress", { ariaLabel: "Progress" });
  readonly #phase = make("small");
  readonly #steps = make("ol", { className: "steps" });
  readonly #media = make("div");
  #job?: Job;

  constructor() {
    this.row.append(this.#media, this.#progress, this.#phase, this.#steps);
  }

  show(job: Job, media: Media[], roles: MediaRole[]) {
    this.#change(job);
    if (job.id !== this.#job!.id || job.revision < this.#job!.revision) {
      return;
    }
    this.#job = job;
    this.#progress.value = job.status === JobStatus.COMPLETED ? 1 : job.progress;
    this.#progress.hidden = job.status !== JobStatus.PENDING && job.status !== JobStatus.PROCESSING;
    this.#phase.textContent = job.error?.message || job.waitingReason || job.progressMessage;
    const shown = roles.map((role) => media.filter((made) => made.role === role)).find(({ length }) => length > 0);
    if (shown) {
      this.#media.replaceChildren(...shown.map((made) => figure(made)));
    } else if (job.progressPreview) {
      this.#media.replaceChildren(make("img", { src: job.progressPreview, alt: "" }));
    }
  }

  tell(job: Job) {
    this.#change(job);
    if (job.id === this.#job!.id) {
      this.#steps.append(make("li", { value: Number(job.revision) }, JobStatus[job.status].toLowerCase()));
    }
  }

  /** A retry puts a new job in the old one's place. */
  #change(job: Job) {
    if (!this.#job || job.id > this.#job.id) {
      this.#job = job;
      this.#steps.replaceChildren();
      this.#media.replaceChildren();
    }
  }
}
