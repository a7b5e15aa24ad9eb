"""The generated stubs of Atelier, made from the contracts in `proto/` when this module is imported.

A project of its own would run the same protoc command once and keep the files.
"""

import sys
import tempfile
from importlib.resources import files
from pathlib import Path

from grpc_tools import protoc

ROOT = Path(__file__).resolve().parents[2]
PROTO, IMPORTED = ROOT / "proto", ROOT / "third_party/proto"

_folder = tempfile.TemporaryDirectory(prefix="atelier-stubs-")
_failed = protoc.main(
    [
        "protoc",
        f"-I{PROTO}",
        f"-I{IMPORTED}",
        f"-I{files('grpc_tools') / '_proto'}",
        f"--python_out={_folder.name}",
        f"--grpc_python_out={_folder.name}",
        *sorted(str(path) for path in (PROTO / "generation/v1").glob("*.proto")),
        str(IMPORTED / "buf/validate/validate.proto"),
        str(IMPORTED / "google/api/field_behavior.proto"),
    ]
)
if _failed:
    raise ImportError(f"protoc cannot compile the contracts in {PROTO}")
sys.path.insert(0, _folder.name)

from generation.v1 import (  # noqa: E402
    feature_pb2,
    feature_pb2_grpc,
    job_pb2,
    job_pb2_grpc,
    media_service_pb2,
    media_service_pb2_grpc,
    request_pb2,
    request_pb2_grpc,
)

__all__ = [
    "feature_pb2",
    "feature_pb2_grpc",
    "job_pb2",
    "job_pb2_grpc",
    "media_service_pb2",
    "media_service_pb2_grpc",
    "request_pb2",
    "request_pb2_grpc",
]
