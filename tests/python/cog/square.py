"""A model for a real cog server: draws a square in a colour of the seed, after a while, and counts its runs."""

import struct
import tempfile
import time
import zlib
from pathlib import Path as File

from cog import BaseRunner, Input, Path


def chunk(kind, data):
    body = kind + data
    return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))


class Square(BaseRunner):
    def run(
        self,
        prompt: str = Input(description="What to draw"),
        seed: int = Input(default=0),
        width: int = Input(default=64),
        height: int = Input(default=64),
        seconds: float = Input(default=0.0),
        runs: str = Input(default=""),
    ) -> Path:
        if runs:
            with File(runs).open("a") as file:
                file.write(f"{prompt}\n")
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            time.sleep(0.05)
        if prompt == "fail":
            raise ValueError("there is no such thing")
        colour = bytes([seed % 256, 80, 160])
        rows = (b"\0" + colour * width) * height
        picture = File(tempfile.mkdtemp()) / "square.png"
        header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
        picture.write_bytes(
            b"\x89PNG\r\n\x1a\n"
            + chunk(b"IHDR", header)
            + chunk(b"IDAT", zlib.compress(rows))
            + chunk(b"IEND", b"")
        )
        return Path(picture)
