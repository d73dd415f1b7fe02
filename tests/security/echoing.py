"""A store that tells in its errors all that it was asked with, and one that speaks FTP so."""

import socketserver
from collections.abc import Generator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

CONTENT = b"content"


class Echoing(BaseHTTPRequestHandler):
    """What has `denied` in its path is denied, and so is whoever wants to log in."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        if "denied" in self.path or "auth" in self.path:
            self._answer(403, self._told())
        else:
            self._answer(200, CONTENT)

    def do_PUT(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", "0")))
        self.do_GET()

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", "0")))
        self._answer(403, self._told())

    def do_HEAD(self) -> None:
        self.do_GET()

    def _told(self) -> bytes:
        said = f"who are you with {self.headers.get('Authorization')} at {self.path}?"
        return f"<Error><Code>AccessDenied</Code><Message>{said}</Message></Error>".encode()

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name in http.server
        """Nobody reads it."""


class EchoingFtp(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        self.wfile.write(b"220 ready\r\n")
        for line in self.rfile:
            word = line.strip().decode()
            self.wfile.write(
                b"331 password?\r\n" if word.startswith("USER") else f"530 no {word}\r\n".encode()
            )


class _Threading(socketserver.ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True


@contextmanager
def serving(server: socketserver.TCPServer) -> Generator[str]:
    """Its address."""
    thread = Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield f"127.0.0.1:{server.socket.getsockname()[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def web() -> ThreadingHTTPServer:
    made = ThreadingHTTPServer(("127.0.0.1", 0), Echoing)
    made.daemon_threads = True
    return made


def ftp() -> socketserver.TCPServer:
    return _Threading(("127.0.0.1", 0), EchoingFtp)
