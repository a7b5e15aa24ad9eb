"""Asks a running Atelier for a picture, watches the work and downloads the file.

    python generate.py "Khai trương quán cà phê: giảm 50% cả tuần"
"""

import argparse
import hashlib
import sys
import time
import uuid
from pathlib import Path

import grpc

from stubs import (
    feature_pb2,
    feature_pb2_grpc,
    job_pb2,
    job_pb2_grpc,
    media_service_pb2,
    media_service_pb2_grpc,
    request_pb2,
    request_pb2_grpc,
)

# How often in a row a call may fail in passing, and the first wait in seconds; each next one is twice as long.
TRIES = 8
FIRST_PAUSE = 0.1

# How long one try of a call may take, in seconds.
CALL_SECONDS = 30

# Finds out that a server has vanished, also while a stream only listens: without the last option pings soon stop then.
OPTIONS = [
    ("grpc.keepalive_time_ms", 20_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.http2.max_pings_without_data", 0),
]


def wait_or_raise(error, failures):
    """Waits before the next try; raises the error when it does not pass or has come too often in a row."""
    if error.code() != grpc.StatusCode.UNAVAILABLE or failures == TRIES:
        raise error
    time.sleep(FIRST_PAUSE * 2**failures)


def repeat(call, request):
    """Makes a call that may be made twice until the server is there."""
    failures = 0
    while True:
        try:
            return call(request, timeout=CALL_SECONDS)
        except grpc.RpcError as error:
            failures += 1
            wait_or_raise(error, failures)


def watch(jobs, job_id):
    """Yields every transition of a job in order and once, and its progress, over as many streams as it takes."""
    revision, failures = 0, 0
    while True:
        try:
            request = job_pb2.WatchJobRequest(id=job_id, after_revision=revision, omit_unchanged=True)
            for event in jobs.WatchJob(request):
                revision, failures = event.revision, 0
                if event.event != job_pb2.WATCH_JOB_EVENT_HEARTBEAT:
                    yield event
            return
        except grpc.RpcError as error:
            failures += 1
            wait_or_raise(error, failures)


def parts(media_service, media_id):
    """Yields the bytes of a file in order, over as many streams as it takes."""
    received, failures = 0, 0
    while True:
        try:
            request = media_service_pb2.DownloadMediaRequest(id=media_id, offset=received)
            for part in media_service.DownloadMedia(request):
                # The first message of each stream is the media itself.
                if part.chunk:
                    received, failures = received + len(part.chunk), 0
                    yield part.chunk
            return
        except grpc.RpcError as error:
            failures += 1
            wait_or_raise(error, failures)


def download(media_service, media, path):
    """Writes the file of a media to `path`, and makes sure that it is the one that the service knows."""
    digest = hashlib.sha256()
    try:
        with path.open("wb") as file:
            for part in parts(media_service, media.id):
                file.write(part)
                digest.update(part)
        if digest.hexdigest() != media.sha256:
            raise OSError(f"media {media.id} did not arrive as it was stored")
    except BaseException:
        # Half a file under a good name would be taken for a whole one.
        path.unlink(missing_ok=True)
        raise


def generate(channel, user_id, prompt, folder):
    """Makes one picture with the first feature. Returns the paths of what came out."""
    # Before anything is made that could not be kept.
    folder.mkdir(parents=True, exist_ok=True)

    features = feature_pb2_grpc.FeatureServiceStub(channel)
    listed = repeat(features.ListFeatures, feature_pb2.ListFeaturesRequest(is_active=True)).features
    if not listed:
        sys.exit("the catalogue is empty: create a feature first")
    print("features:", ", ".join(feature.name for feature in listed))

    request = request_pb2.CreateRequestRequest(
        user_id=user_id,
        feature_id=listed[0].id,
        user_prompt=prompt,
        # The same key at each try: a request whose answer got lost is not created again.
        idempotency_key=str(uuid.uuid4()),
    )
    created = repeat(request_pb2_grpc.RequestServiceStub(channel).CreateRequest, request)
    print(f"request {created.request.id}, job {created.jobs[0].id}")

    event = None
    for event in watch(job_pb2_grpc.JobServiceStub(channel), created.jobs[0].id):
        status = job_pb2.JobStatus.Name(event.job.status).removeprefix("JOB_STATUS_").lower()
        print(f"{event.revision}: {status} {event.job.progress:.0%} {event.job.progress_message}".rstrip())
    if event.event == job_pb2.WATCH_JOB_EVENT_DELETED:
        sys.exit("the job was deleted")
    if event.job.status == job_pb2.JOB_STATUS_FAILED:
        sys.exit(f"{event.job.error.code}: {event.job.error.message}")
    if event.job.status == job_pb2.JOB_STATUS_CANCELLED:
        sys.exit("the job was cancelled")

    paths = []
    for media in event.media:
        path = folder / f"{media.id}.{media.format}"
        download(media_service_pb2_grpc.MediaServiceStub(channel), media, path)
        print(f"{path}: {media.width}x{media.height}, {media.file_size} bytes")
        paths.append(path)
    return paths


def main():
    parser = argparse.ArgumentParser(description="Asks a running Atelier for a picture.")
    parser.add_argument("prompt")
    parser.add_argument("--server", default="127.0.0.1:50051", help="address of the server")
    parser.add_argument("--user", type=int, default=1, help="user whose request it is")
    parser.add_argument("--out", type=Path, default=Path("."), help="folder for the files")
    arguments = parser.parse_args()
    with grpc.insecure_channel(arguments.server, options=OPTIONS) as channel:
        try:
            generate(channel, arguments.user, arguments.prompt, arguments.out)
        except grpc.RpcError as error:
            sys.exit(f"{error.code().name}: {error.details()}")
        except OSError as error:
            sys.exit(str(error))


if __name__ == "__main__":
    main()
