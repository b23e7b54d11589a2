"""The bytes behind one URL: http, https and file. The only module that imports requests.

A reply counts with status 200 alone, after at most five redirects that leave neither https nor the web; its body is
taken as sent. How long that may take and what the bytes are worth is for others to decide.
"""

import email.utils
import http.client
import os
import re
import time
from collections.abc import Generator
from http import HTTPStatus
from typing import NamedTuple
from urllib.parse import urljoin, urlsplit
from urllib.request import url2pathname

PIECE = 1 << 14  # bytes
MOST_REDIRECTS = 5
BUSY = {408, 425, 429}  # and all from 500: the same URL may answer later


class Failure(Exception):
    """Why one try at one URL came to nothing, and whether another may do better, no sooner than in `wait` seconds."""

    def __init__(self, reason: str, again: bool = False, wait: float = 0.0) -> None:
        super().__init__(printable(reason))
        self.again = again
        self.wait = wait


class Head(NamedTuple):
    """What a reply claims to be: Content-Type and Content-Encoding in small letters, or ""."""

    kind: str = ""
    encoding: str = ""


Reply = Generator[Head | bytes, None, None]


def printable(text: str) -> str:
    """`text`, from whoever sent it, as a short piece of a line, without passwords in URLs and control characters."""
    text = re.sub(r"//[^/\s]*@", "//", text)
    return "".join(letter if letter.isprintable() else "?" for letter in text[:300])


def open_url(url: str, connect: float, read: float) -> Reply:
    """The head of the reply at `url`, then its body in pieces; seconds to connect and to wait for the next byte.

    Raises Failure.
    """
    try:
        scheme = urlsplit(url).scheme
        if scheme in ("http", "https"):
            yield from _from_web(url, (connect, read))
        elif scheme == "file":
            yield from _from_disk(url)
        else:
            raise Failure("not a URL with https:, http: or file: (a folder is file:///its/path/)")
    except (OSError, ValueError) as error:
        raise Failure(_reason(error)) from error


def _from_disk(url: str) -> Reply:
    parts = urlsplit(url)
    if parts.netloc not in ("", "localhost"):
        raise Failure(f"names a host, {parts.netloc}; a folder here is file:///its/path/")
    with open(url2pathname(parts.path), "rb") as file:
        yield Head()
        yield from iter(lambda: file.read(PIECE), b"")


def _from_web(url: str, timeout: tuple[float, float]) -> Reply:
    import requests  # here, because urllib3 opens a socket when it is imported, to see whether there is IPv6
    import urllib3.exceptions as lower

    try:
        yield from _follow(url, timeout)
    except requests.exceptions.SSLError:  # a ConnectionError that does not pass
        raise
    except (requests.ConnectionError, requests.Timeout, lower.ProtocolError, lower.TimeoutError) as error:
        raise Failure(_reason(error), again=True) from error
    except (lower.HTTPError, http.client.HTTPException) as error:
        raise Failure(_reason(error)) from error


def _follow(url: str, timeout: tuple[float, float]) -> Reply:
    import requests

    with requests.Session() as session:
        session.trust_env = False  # or it would send the passwords of ~/.netrc
        session.headers["Accept-Encoding"] = "identity"
        for _ in range(MOST_REDIRECTS + 1):
            with session.get(
                url,
                stream=True,
                allow_redirects=False,
                timeout=timeout,
                proxies=requests.utils.get_environ_proxies(url),
                verify=os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("CURL_CA_BUNDLE") or True,
            ) as response:
                target = session.get_redirect_target(response)
                if target is None:
                    _check_status(response.status_code, response.headers.get("Retry-After", ""))
                    yield Head(*(response.headers.get(f"Content-{of}", "").lower() for of in ("Type", "Encoding")))
                    yield from response.raw.stream(PIECE, decode_content=False)
                    return
            url = _followed(url, target)
        raise Failure(f"more than {MOST_REDIRECTS} redirects")


def _followed(url: str, target: str) -> str:
    """Where `url` redirects to."""
    new = urljoin(url, target)
    scheme = urlsplit(new).scheme
    if scheme not in ("http", "https") or (scheme == "http" and urlsplit(url).scheme == "https"):
        raise Failure(f"redirects to {new.partition('?')[0]}, which is refused")
    return new


def _check_status(status: int, retry_after: str) -> None:
    if status != HTTPStatus.OK:
        phrase = HTTPStatus(status).phrase if status in set(HTTPStatus) else "which is no known status"
        again = status in BUSY or status >= 500
        raise Failure(f"HTTP {status} {phrase}", again, _seconds(retry_after))


def _seconds(retry_after: str) -> float:
    """What a Retry-After header asks for: seconds, or a date; 0 for what is neither."""
    if re.fullmatch("[0-9]+", retry_after):
        return float(retry_after)
    try:
        return email.utils.parsedate_to_datetime(retry_after).timestamp() - time.time()
    except (ValueError, OverflowError):
        return 0.0


def _reason(error: BaseException) -> str:
    """What the innermost error says: requests wraps urllib3, which wraps the socket's."""
    inner = [getattr(error, "reason", None), *error.args, error.__cause__]
    for candidate in inner:
        if isinstance(candidate, BaseException):
            return _reason(candidate)
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
