import hashlib
import hmac
import json
import os
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

TOKEN = os.environ["PARLEY_TOKEN"]
seen = set()


def is_from_parley(headers, body):
    timestamp = headers["X-Parley-Timestamp"] or ""
    key = hashlib.sha256(b"parley-webhook:" + TOKEN.encode()).digest()
    expected = "v1=" + hmac.new(key, timestamp.encode() + b"." + body, hashlib.sha256).hexdigest()
    given = headers["X-Parley-Signature"] or ""
    is_recent = timestamp.isdecimal() and abs(time.time() - int(timestamp)) < 300
    return is_recent and hmac.compare_digest(expected.encode(), given.encode())


class Receiver(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"] or 0))
        if not is_from_parley(self.headers, body):
            self.send_error(403)
            return
        reply = json.loads(body)
        if reply["id"] not in seen:  # it may come twice
            seen.add(reply["id"])
            print(reply["track_id"], reply["message"], flush=True)
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_):
        pass


ThreadingHTTPServer(("127.0.0.1", int(os.environ.get("PORT", "9000"))), Receiver).serve_forever()
