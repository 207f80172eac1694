"""What surrounds a deployment: an issuer of tokens, a receiver of events, clients."""

import base64
import http.client
import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

AUDIENCE = "api://rebatch"
RSA = {"kty": "RSA", "use": "sig", "alg": "RS256", "kid": "test"}


def url_safe(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


class World:
    """A server on this machine that publishes the issuer's keys and takes events in."""

    def __init__(self):
        self.key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self.stranger = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self.received = []
        world = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                known = {"/keys": world.keys, "/.well-known/openid-configuration": world.discovery}
                self.answer(known[self.path]() if self.path in known else None)

            def do_POST(self):
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                world.received.append((dict(self.headers), json.loads(body)))
                self.answer({})

            def answer(self, value):
                self.send_response(200 if value is not None else 404)
                self.send_header("Content-Type", "application/json")
                self.end_headers()
                self.wfile.write(json.dumps(value or {}).encode())

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def discovery(self):
        return {"issuer": self.url, "jwks_uri": f"{self.url}/keys"}

    def keys(self):
        numbers = self.key.public_key().public_numbers()
        n, e = (v.to_bytes((v.bit_length() + 7) // 8, "big") for v in (numbers.n, numbers.e))
        return {"keys": [{**RSA, "n": url_safe(n), "e": url_safe(e)}]}

    def token(self, *scopes, key=None, **claims):
        """A signed token with these scopes."""
        now = int(time.time())
        claims = {"iss": self.url, "aud": AUDIENCE, "sub": "tester", "scp": " ".join(scopes), "iat": now, "exp": now + 3600, **claims}
        parts = [url_safe(json.dumps(part).encode()) for part in ({"alg": "RS256", "kid": "test", "typ": "JWT"}, claims)]
        signed = (key or self.key).sign(".".join(parts).encode(), padding.PKCS1v15(), hashes.SHA256())
        return ".".join([*parts, url_safe(signed)])


class Answer:
    def __init__(self, response, milliseconds):
        self.status, self.milliseconds, self.body = response.status, milliseconds, response.read()
        self.headers = {name.lower(): value for name, value in response.getheaders()}

    def json(self):
        return json.loads(self.body)

    def __str__(self):
        return f"{self.status} {self.body[:600].decode(errors='replace')}"


class Client:
    """Calls the API through its gateway. Paths are sent as they are."""

    def __init__(self, gateway, token=None):
        self.host, _, self.prefix = gateway.removeprefix("http://").partition("/")
        self.token = token

    def send(self, method, path, body=None, headers=None):
        headers = dict(headers or {})
        if self.token and "Authorization" not in headers:
            headers["Authorization"] = f"Bearer {self.token}"
        if isinstance(body, (dict, list)):
            body = json.dumps(body)
            headers.setdefault("Content-Type", "application/json")
        if isinstance(body, str):
            body = body.encode()
        begin = time.monotonic()
        connection = http.client.HTTPConnection(self.host, timeout=60)
        try:
            connection.request(method, f"/{self.prefix}{path}", body, headers)
            return Answer(connection.getresponse(), round((time.monotonic() - begin) * 1000))
        finally:
            connection.close()

    def with_token(self, token):
        return Client(f"http://{self.host}/{self.prefix}", token)


def until(what, holds, seconds):
    """Waits until something holds, and returns it."""
    end = time.monotonic() + seconds
    while True:
        value = holds()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"not within {seconds} seconds: {what}")
        time.sleep(0.25)
