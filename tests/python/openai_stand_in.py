"""Uses the official client of OpenAI against what stands in for it. Prints one line for each thing that came."""

import sys
import warnings
from base64 import b64decode
from urllib.request import urlopen

from openai import BadRequestError, NotFoundError, OpenAI

# OpenAI ends its own videos; others keep the interface.
warnings.simplefilter("ignore", DeprecationWarning)

client = OpenAI(base_url=sys.argv[1], api_key="sk-of-nobody", max_retries=0)

made = client.images.generate(model="stand-in-image", prompt="Xin chào", size="256x256", n=2)
print("images", *(b64decode(image.b64_json)[1:4].decode() for image in made.data))

previews = 0
for event in client.images.generate(
    model="stand-in-image", prompt="Xin chào", size="256x256", stream=True, partial_images=2
):
    previews += event.type == "image_generation.partial_image"
print("stream", previews, event.type, b64decode(event.b64_json)[1:4].decode())

made = client.images.generate(model="dall-e-3", prompt="Xin chào", size="256x256", response_format="url")
with urlopen(made.data[0].url) as answer:
    print("link", answer.read(4)[1:4].decode())
try:
    client.images.generate(model="gpt-image-2", prompt="Xin chào", size="256x256", response_format="url")
except BadRequestError as error:
    print("refused", error.status_code, error.param)

speech = client.audio.speech.create(
    model="stand-in-speech", voice="alloy", input="Hello", response_format="wav"
)
print("speech", speech.content[:4].decode())

for form in ("flac", "pcm", "mp3", "opus", "aac"):
    try:
        content = client.audio.speech.create(
            model="stand-in-speech", voice="alloy", input="Hello", response_format=form
        ).content
        print("speech", form, content[:4].decode() if form == "flac" else len(content))
    except BadRequestError as error:
        print("speech", form, error.status_code, error.param, error.type)

video = client.videos.create_and_poll(
    model="stand-in-video", prompt="Xin chào", size="1280x720", seconds="4", poll_interval_ms=10
)
content = client.videos.download_content(video.id).read()
picture = client.videos.download_content(video.id, variant="thumbnail").read()
deleted = client.videos.delete(video.id)
print("video", video.status, video.size, video.seconds, content[4:8].decode(), picture[8:12].decode(), "deleted", deleted.deleted)
try:
    client.videos.retrieve(video.id)
except NotFoundError as error:
    print("video gone", error.status_code)

print("models", *(model.id for model in client.models.list()))

try:
    client.images.generate(model="stand-in-image", prompt="", size="256x256")
except BadRequestError as error:
    print("refused", error.status_code, error.param)
