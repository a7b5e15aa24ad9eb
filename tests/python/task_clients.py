"""Uses the official clients of fal and Replicate against what stands in for them. Prints one line for each thing that came.

The first argument is the URL of fal's stand-in, the second that of Replicate's.
"""

import os
import sys
from urllib.request import urlopen

os.environ["FAL_KEY"] = "key-of-nobody"

import fal_client
import fal_client.client
import replicate

fal_url, replicate_url = sys.argv[1:]
fal_client.client.QUEUE_URL_FORMAT = fal_url + "/"
fal_client.client.RUN_URL_FORMAT = fal_url + "/run/"


def head(url):
    with urlopen(url) as answer:
        return answer.read(12)


handler = fal_client.submit("owner/painter/dev", arguments={"prompt": "Xin chào", "seed": 7})
states = [type(event).__name__ for event in handler.iter_events(interval=0.01)]
made = handler.get()
print("fal", *states, made["seed"], head(made["images"][0]["url"])[1:4].decode())

made = fal_client.subscribe("owner/video", arguments={"prompt": "Xin chào"})
print("fal", head(made["video"]["url"])[4:8].decode())

made = fal_client.run("owner/painter", arguments={"prompt": "Xin chào", "image_size": {"width": 320, "height": 180}})
picture = made["images"][0]
print("fal", "at once", picture["width"], picture["height"], head(picture["url"])[1:4].decode())

handler = fal_client.submit("owner/painter", arguments={"prompt": "Xin chào"})
fal_client.cancel("owner/painter", handler.request_id)
print("fal", "cancelled")

try:
    fal_client.subscribe("owner/painter", arguments={})
except fal_client.client.FalClientHTTPError as error:
    print("fal", error.status_code, error.response.json()["detail"][0]["type"])

client = replicate.Client(api_token="key-of-nobody", base_url=replicate_url)

made = client.run("owner/painter", input={"prompt": "Xin chào"})
print("replicate", head(made[0])[1:4].decode())

made = client.run("owner/video", input={"prompt": "Xin chào"})
print("replicate", head(made)[4:8].decode())

prediction = client.predictions.create(version="music" + "0" * 59, input={"prompt": "Xin chào"})
states = [prediction.status]
while prediction.status not in ("succeeded", "failed", "canceled"):
    prediction.reload()
    states.append(prediction.status)
print("replicate", *states, head(prediction.output["audio"])[:4].decode())

prediction = client.models.predictions.create("owner/painter", input={"prompt": "Xin chào"})
prediction.cancel()
print("replicate", client.predictions.get(prediction.id).status)

prediction = client.models.predictions.create("owner/painter", input={"seed": 1})
while prediction.status not in ("succeeded", "failed", "canceled"):
    prediction.reload()
print("replicate", prediction.status, prediction.error)

page = client.predictions.list()
print("replicate", "listed", len(page.results), page.results[0].id == prediction.id, page.next)
