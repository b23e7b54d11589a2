"""Serve a folder over HTTP to this machine alone: the first line printed is the URL; serves until it is killed."""

import functools
import sys
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer


def main(folder: str) -> None:
    handler = functools.partial(SimpleHTTPRequestHandler, directory=folder)
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        print(f"http://127.0.0.1:{server.server_port}/", flush=True)
        server.serve_forever()


if __name__ == "__main__":
    main(*sys.argv[1:])
