"""A server on loopback that misbehaves as told: each of its folders plays a list of scripts, one per request.

A script is a sequence of steps: bytes are sent, a number is a pause in seconds, HANG keeps the connection open in
silence, RESET cuts it with a RST, ENDLESS sends for ever. After the last step the connection is closed.
"""

import contextlib
import socket
import ssl
import struct
import threading
from collections.abc import Iterator, Sequence
from http import HTTPStatus

HANG, RESET, ENDLESS = "hang", "reset", "endless"
Step = bytes | float | str
Script = Sequence[Step]


def head(status: int = 200, *headers: str) -> bytes:
    """A status line and headers."""
    phrase = HTTPStatus(status).phrase if status in set(HTTPStatus) else "Unheard Of"
    return "\r\n".join([f"HTTP/1.1 {status} {phrase}", "Connection: close", *headers, "", ""]).encode("latin-1")


def reply(body: bytes = b"", status: int = 200, *headers: str) -> Script:
    """A faultless reply."""
    return [head(status, f"Content-Length: {len(body)}", *headers), body]


def redirect(target: str, status: int = 302) -> Script:
    return reply(b"moved", status, f"Location: {target}")


def chunk(body: bytes) -> bytes:
    """One piece of a chunked body."""
    return b"%x\r\n%b\r\n" % (len(body), body)


class FaultServer:
    """Serves until it is closed; `requests` are the heads of all requests so far."""

    def __init__(self, context: ssl.SSLContext | None = None) -> None:
        self.context = context
        self.scripts: dict[str, list[Script]] = {}
        self.requests: list[str] = []
        self.closing = threading.Event()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.threads = [threading.Thread(target=self._accept)]
        self.threads[0].start()

    @property
    def root(self) -> str:
        scheme = "https" if self.context else "http"
        return f"{scheme}://127.0.0.1:{self.listener.getsockname()[1]}"

    def mirror(self, *scripts: Script) -> str:
        """The URL of a new folder that plays these scripts in turn, the last one again and again."""
        folder = f"/{len(self.scripts)}"
        self.scripts[folder] = list(scripts)
        return self.root + folder

    def asked(self, mirror: str) -> int:
        """How many requests a mirror has had."""
        path = mirror.removeprefix(self.root)
        return sum(request.split()[1].startswith(f"{path}/") for request in self.requests)

    def close(self) -> None:
        self.closing.set()
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        for thread in self.threads:
            thread.join()

    def _accept(self) -> None:
        while not self.closing.is_set():
            try:
                connection = self.listener.accept()[0]
            except OSError:
                return
            thread = threading.Thread(target=self._answer, args=(connection,))
            self.threads.append(thread)
            thread.start()

    def _answer(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError), connection:
            connection.settimeout(5)
            if self.context:
                connection = self.context.wrap_socket(connection, server_side=True)
            with connection:
                request = b""
                while b"\r\n\r\n" not in request:
                    received = connection.recv(65536)
                    if not received:
                        return
                    request += received
                    if request.startswith(b"\x16"):  # the greeting of TLS
                        return connection.sendall(head(400))
                self.requests.append(request.decode("latin-1"))
                self._play(connection, self._script(request.decode("latin-1").split()[1]))

    def _script(self, target: str) -> Script:
        scripts = self.scripts["/" + target.removeprefix(self.root).split("/")[1]]
        return scripts.pop(0) if len(scripts) > 1 else scripts[0]

    def _play(self, connection: socket.socket, script: Script) -> None:
        for step in script:
            if isinstance(step, bytes):
                connection.sendall(step)
            elif step == HANG:
                self.closing.wait(60)
            elif step == RESET:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            elif step == ENDLESS:
                while not self.closing.is_set():
                    connection.sendall(bytes(65536))
            else:
                self.closing.wait(step)


@contextlib.contextmanager
def serving(context: ssl.SSLContext | None = None) -> Iterator[FaultServer]:
    server = FaultServer(context)
    try:
        yield server
    finally:
        server.close()
