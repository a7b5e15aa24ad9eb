"""Calls the front with OpenAI's own client: front.py URL URL_OF_A_FRONT_THAT_DOES_NOT_WAIT SCRIPTS, the last as JSON."""

import base64
import json
import pathlib
import sys
import urllib.request

import openai


def refused(kind, call):
    try:
        call()
    except kind as error:
        return error
    raise AssertionError(f"no {kind}")


url, impatient, scripts = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])
client = openai.OpenAI(base_url=f"{url}/v1", api_key="nobody's")
asked = {"model": "scripted", "prompt": "Xin chào", "user": "7"}

# Models.
models = {model.id: model for model in client.models.list()}
assert {"scripted", "scripted/plain", "clip", "sound"} <= models.keys(), models
assert client.models.retrieve("scripted/plain") == models["scripted/plain"]
error = refused(openai.NotFoundError, lambda: client.models.retrieve("nothing"))
assert (error.code, error.param) == ("FEATURE_NOT_FOUND", "model"), error.body
assert error.request_id, "the call has a name"

# Pictures.
made = client.images.generate(**asked | {"model": "scripted/plain"}, n=2, size="512x512", extra_body={"seed": 4711})
pictures = [base64.b64decode(picture.b64_json) for picture in made.data]
assert len(pictures) == 2 and all(picture.startswith(b"\x89PNG") for picture in pictures)
linked = client.images.generate(**asked, response_format="url")
with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(linked.data[0].url) as file:
    assert file.read().startswith(b"\x89PNG")

# As they come: the gate opens when the first preview is there.
seen = []
for event in client.images.generate(**asked, stream=True, partial_images=2, extra_body=scripts["gated"]):
    seen.append(event.type)
    assert base64.b64decode(event.b64_json), event
    pathlib.Path(scripts["gated"]["scripted"]["wait_for"]).touch()
assert seen == ["image_generation.partial_image", "image_generation.completed"], seen

# From a picture.
source = ("source.png", pictures[0], "image/png")
made = client.images.edit(**asked, image=source)
assert base64.b64decode(made.data[0].b64_json).startswith(b"\x89PNG")
seen = [event.type for event in client.images.edit(**asked, image=[source, source], stream=True)]
assert seen == ["image_edit.completed"], seen
made = client.images.edit(**asked | {"model": "painted"}, image=source, mask=source)
assert base64.b64decode(made.data[0].b64_json).startswith(b"\x89PNG")
error = refused(openai.BadRequestError, lambda: client.images.edit(**asked, image=source, mask=source))
assert (error.code, error.param) == ("VALIDATION_FAILED", "mask"), error.body

# Once with the same key.
keyed = {"Idempotency-Key": "a key of Python"}
first, second = [client.images.with_raw_response.generate(**asked, extra_headers=keyed) for _ in range(2)]
assert first.headers["x-atelier-request-id"] == second.headers["x-atelier-request-id"]
assert first.parse().data == second.parse().data

# What is wrong.
error = refused(openai.BadRequestError, lambda: client.images.generate(**asked | {"user": "bob"}, size="big", n=99))
assert (error.code, error.param, error.type) == ("VALIDATION_FAILED", "user", "invalid_request_error"), error.body
assert all(f"{name}: " in error.message for name in ["user", "size", "n"]), error.message
for script, kind, code in [
    ("reject", openai.BadRequestError, "PROVIDER_REJECTED_CONTENT"),
    ("fail", openai.InternalServerError, "PROVIDER_FAILED"),
]:
    error = refused(kind, lambda: client.images.generate(**asked, extra_body=scripts[script]))
    assert error.code == code and error.response.headers["x-should-retry"] == "false", error.body
error = refused(openai.APIError, lambda: list(client.images.generate(**asked, stream=True, extra_body=scripts["fail"])))
assert error.code == "PROVIDER_FAILED", error.body

# What takes longer than the front waits is asked for once, and goes on.
hurried = client.with_options(base_url=f"{impatient}/v1")
error = refused(openai.InternalServerError, lambda: hurried.images.generate(**asked, extra_body=scripts["hang"]))
assert (error.status_code, error.code) == (504, "REQUEST_UNFINISHED"), error.body
assert error.body["request_id"] == error.response.headers["x-atelier-request-id"]

# Speech.
spoken = {"model": "sound", "voice": "alloy", "input": "Xin chào", "extra_body": {"user": "7"}}
assert client.audio.speech.create(**spoken, response_format="wav").read().startswith(b"RIFF")
assert client.audio.speech.create(**spoken, response_format="flac").read().startswith(b"fLaC")
samples = client.audio.speech.create(**spoken, response_format="pcm").read()
assert len(samples) > 24_000 and len(samples) % 2 == 0 and any(samples) and not samples.startswith(b"RIFF")
streaming = client.audio.speech.with_streaming_response
with streaming.create(**spoken, response_format="wav", stream_format="sse") as answer:
    events = [json.loads(line[6:]) for line in answer.iter_lines() if line.startswith("data: ")]
assert base64.b64decode(events[0]["audio"]).startswith(b"RIFF"), events[0]
types = {event["type"] for event in events[:-1]}
assert (types, events[-1]["type"]) == ({"speech.audio.delta"}, "speech.audio.done"), types
error = refused(openai.BadRequestError, lambda: client.audio.speech.create(**spoken, response_format="aac"))
assert (error.code, error.param) == ("VALIDATION_FAILED", "response_format"), error.body
assert "wav, flac, pcm" in error.message, error.message

# Videos.
first, video = [
    client.videos.create_and_poll(
        model="clip", prompt="Xin chào", seconds="1", size="128x128", extra_body={"user": "7"}, poll_interval_ms=100
    )
    for _ in range(2)
]
assert (video.status, video.progress, video.model, video.seconds) == ("completed", 100, "clip", "1"), video
assert client.videos.download_content(video.id).read()[4:8] == b"ftyp"
assert client.videos.download_content(video.id, variant="thumbnail").read().startswith(b"\xff\xd8")
for order, expected in [("desc", [video.id, first.id]), ("asc", [first.id, video.id])]:
    listed = client.videos.list(limit=1, order=order, extra_query={"user": "7"})
    assert [it.id for it in listed] == expected, listed
assert client.videos.delete(video.id).deleted
error = refused(openai.NotFoundError, lambda: client.videos.retrieve(video.id))
assert error.code == "REQUEST_NOT_FOUND", error.body
