// Pictures and films, with their BlurHash on show until they are there.

import { decode } from "blurhash";
import { make } from "./page.ts";
import { MediaType, type Media } from "../generated/generation/v1/media_pb.ts";

/** The BlurHash is so coarse that a few pixels hold all of it. */
const BLUR_SIDE = 32;

/** A figure that shows the BlurHash at once and the media as soon as it is loaded. */
export function figure(media: Media, controls = true): HTMLElement {
  const shown = media.mediaType === MediaType.IMAGE ? picture(media) : player(media, controls);
  const figure = make("figure", {}, blur(media.blurhash), shown);
  figure.style.aspectRatio = media.width ? `${media.width} / ${media.height}` : "4";
  const loaded = () => figure.classList.add("loaded");
  shown.addEventListener("load", loaded);
  shown.addEventListener("loadedmetadata", loaded);
  // Without it the page may show the picture but not read it, as a canvas does.
  shown.crossOrigin = "anonymous";
  shown.src = media.downloadUrl;
  return figure;
}

function picture({ width, height, promptStart }: Media) {
  return make("img", { width, height, alt: promptStart, loading: "lazy" });
}

function player({ mediaType }: Media, controls: boolean) {
  return make(mediaType === MediaType.VIDEO ? "video" : "audio", { controls, preload: "metadata" });
}

function blur(hash: string): HTMLCanvasElement {
  const canvas = make("canvas", { width: BLUR_SIDE, height: BLUR_SIDE });
  const pixels = new ImageData(BLUR_SIDE, BLUR_SIDE);
  pixels.data.set(decode(hash, BLUR_SIDE, BLUR_SIDE));
  canvas.getContext("2d")?.putImageData(pixels, 0, 0);
  return canvas;
}
