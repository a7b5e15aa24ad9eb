"""Has Replicate's official client verify the calls of what stands in for the service, whose URL is the argument."""

import sys
from http.server import BaseHTTPRequestHandler, HTTPServer

from replicate import Client
from replicate.webhook import InvalidSignatureError, Webhooks, WebhookSigningSecret

client = Client(api_token="key-of-nobody", base_url=sys.argv[1])
secret = client.webhooks.default.secret()
another = WebhookSigningSecret(key="whsec_YW5vdGhlcg==")


class Receiver(BaseHTTPRequestHandler):
    calls = []

    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"])).decode()
        self.calls.append((dict(self.headers), body))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_):
        pass


server = HTTPServer(("127.0.0.1", 0), Receiver)
url = f"http://127.0.0.1:{server.server_port}/hook"
client.models.predictions.create("owner/painter", input={"prompt": "Xin chào"}, webhook=url)
for word in ("starting", "succeeded"):
    server.handle_request()
    headers, body = Receiver.calls[-1]
    Webhooks.validate(headers=headers, body=body, secret=secret, tolerance=60)
    assert f'"status":"{word}"' in body, body
    print(word, "is verified")
try:
    Webhooks.validate(headers=headers, body=body, secret=another)
except InvalidSignatureError:
    print("another secret is refused")
