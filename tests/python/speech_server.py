"""Speaks OpenAI's `audio/speech` with hibari, on a free port that it prints: a real voice behind the protocol."""

import io
import json
import wave
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from hibari import Hibari

speak = Hibari()


class Speech(BaseHTTPRequestHandler):
    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
        samples = speak(asked["input"])
        file = io.BytesIO()
        with wave.open(file, "wb") as sound:
            sound.setnchannels(1)
            sound.setsampwidth(2)
            sound.setframerate(24_000)
            sound.writeframes((samples.clip(-1, 1) * 32_767).astype("<i2").tobytes())
        self.send_response(200)
        self.send_header("content-length", str(file.tell()))
        self.end_headers()
        self.wfile.write(file.getvalue())


server = ThreadingHTTPServer(("127.0.0.1", 0), Speech)
print(f"http://127.0.0.1:{server.server_port}/v1", flush=True)
server.serve_forever()
