// Pictures, with their BlurHash on show until they are there.

import { decode } from "blurhash";
import type { Media } from "../generated/generation/v1/media_pb.ts";

/** The BlurHash is so coarse that a few pixels hold all of it. */
const BLUR_SIDE = 32;

/** A figure that shows the BlurHash at once and the picture as soon as it is loaded. */
export function figure(media: Media): HTMLElement {
  const figure = document.createElement("figure");
  figure.style.aspectRatio = `${media.width} / ${media.height}`;
  const picture = new Image(media.width, media.height);
  // Without it the page may show the picture but not read it, as a canvas does.
  picture.crossOrigin = "anonymous";
  picture.alt = "The picture that was made";
  picture.addEventListener("load", () => figure.classList.add("loaded"));
  picture.src = media.downloadUrl;
  figure.append(blur(media.blurhash), picture);
  return figure;
}

function blur(hash: string): HTMLCanvasElement {
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = BLUR_SIDE;
  const pixels = new ImageData(BLUR_SIDE, BLUR_SIDE);
  pixels.data.set(decode(hash, BLUR_SIDE, BLUR_SIDE));
  canvas.getContext("2d")?.putImageData(pixels, 0, 0);
  return canvas;
}
