"""The bytes behind one URL: http, https and file. The only module that imports requests.

Only a reply with status 200 counts, after at most five redirects; a redirect leads neither from https to http nor to a
file. The body is taken as it was sent. The caller sets the deadline and checks the bytes.
"""

import email.utils
import http.client
import os
import re
import time
from collections.abc import Generator
from http import HTTPStatus
from importlib.util import find_spec
from typing import Any, NamedTuple
from urllib.parse import urljoin, urlsplit
from urllib.request import url2pathname

from pipeline.base.errors import printable

PIECE = 1 << 14  # bytes
MOST_REDIRECTS = 5
BUSY = {408, 425, 429}  # and all from 500: the same URL may answer later
LONGEST = 300  # letters of a URL or of a reason
HOST = r"(?:[^\s/?#@:%=&;\[\]\\]+|\[[0-9a-fA-F:.]+\])(?::[0-9]{1,5})?"
WEB = re.compile(rf"(?i:https?|socks[45][ah]?)://(?:[^\s/?#@]*@)?{HOST}(?:[/?#]\S*)?")
FOLDER = re.compile(r"(?i:file):(?://([^/]*))?(.*)", re.DOTALL)
NO_URL = "not a URL of the form https://host/folder/ (write / ? # @ in a password as %2F %3F %23 %40, a space as %20)"
SCHEME = re.compile(r"\A((?:(?i:https?|file|ftp|socks[45][ah]?):)?/*)")
CUT = r"[?#=&;]|%(?i:3[df]|2[36])"  # characters that may come before a token; %3D is =


class Failure(Exception):
    """Why one try at one URL failed, and whether to try again after at least `wait` seconds."""

    def __init__(self, reason: str, again: bool = False, wait: float = 0.0) -> None:
        super().__init__(printable(reason)[:LONGEST])
        self.again = again
        self.wait = wait


class Head(NamedTuple):
    """What a reply claims to be: Content-Type and Content-Encoding in small letters, or ""."""

    kind: str = ""
    encoding: str = ""


Reply = Generator[Head | bytes, None, None]


def shown(url: str) -> str:
    """`url` for a message: *** stands for what may be a password or a token, however wrongly the URL is written.

    It hides all before the last @ and all after the first of ? # = & ;. It hides the whole URL where user and password
    cannot be told apart from host and port. A folder of this machine is shown whole, unless @ or = is in its path.
    """
    _, scheme, place = SCHEME.split(url, maxsplit=1)
    if re.fullmatch("(?i:file):/(//+)?", scheme) and not re.search("[@=]", place):
        return printable(url)[:LONGEST]
    before, at, after = place.rpartition("@")
    sound = re.match(rf"(?:{HOST})?(?:/.*?)?(?=({CUT})|\Z)", after, re.DOTALL)
    if not sound or re.search(CUT, before):
        return f"{scheme}***"
    return printable(f"{scheme}{at and '***@'}{sound[0]}{'?***' if sound[1] else ''}")[:LONGEST]


def split_urls(text: str) -> list[str]:
    """The URLs in `text`. Spaces separate them only where http:, https: or file: follows: folders have spaces, too."""
    return list(filter(None, re.split(r"\s+(?=(?i:https?|file):)", text.strip())))


def open_url(url: str, connect: float, read: float) -> Reply:
    """The head of the reply at `url`, then its body in pieces; `connect` and `read` are seconds to wait for these.

    Raises Failure.
    """
    scheme = url.partition(":")[0].lower()
    if scheme in ("http", "https"):
        return _from_web(url, (connect, read))
    if scheme == "file":
        return _from_disk(url)
    raise Failure("not a URL with https:, http: or file: (a folder is file:///its/path/)")


def _from_disk(url: str) -> Reply:
    """A path is taken as it is written, with every space, # and %; if nothing is there, %20 is a space."""
    host, path = FOLDER.findall(url)[0]
    if host not in ("", "localhost"):
        raise Failure("names a host; a folder of this machine is file:///its/path/")
    try:
        with open(path if os.path.exists(path) else url2pathname(path), "rb") as file:
            yield Head()
            yield from iter(lambda: file.read(PIECE), b"")
    except (OSError, ValueError) as error:  # ValueError: a null byte
        raise Failure(_reason(error)) from error


def _from_web(url: str, timeout: tuple[float, float]) -> Reply:
    import requests  # not at the top: urllib3 opens a socket when it is imported, to see whether there is IPv6

    if not WEB.fullmatch(url):  # before a library refuses it with a message that quotes the password
        raise Failure(NO_URL)
    with requests.Session() as session:
        session.trust_env = False  # else it would send the passwords of ~/.netrc
        session.headers["Accept-Encoding"] = "identity"
        for _ in range(MOST_REDIRECTS + 1):
            url = yield from _ask(session, url, timeout)
            if not url:
                return
        raise Failure(f"more than {MOST_REDIRECTS} redirects")


def _ask(session: Any, url: str, timeout: tuple[float, float]) -> Generator[Head | bytes, None, str]:
    """The reply at `url`, or only the URL that it redirects to."""
    import urllib3

    proxy = ""
    try:
        proxy = _proxy(url)
        with session.get(
            url,
            stream=True,
            allow_redirects=False,
            timeout=timeout,
            proxies={"all": proxy} if proxy else {},
            verify=os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("CURL_CA_BUNDLE") or True,
        ) as response:
            if target := session.get_redirect_target(response):
                return _followed(url, target)
            _check_status(response.status_code, response.headers.get("Retry-After", ""))
            yield Head(*(response.headers.get(f"Content-{of}", "").lower() for of in ("Type", "Encoding")))
            yield from response.raw.stream(PIECE, decode_content=False)
            return ""
    except (Failure, OSError, ValueError, urllib3.exceptions.HTTPError, http.client.HTTPException) as error:
        raise _failure(error, proxy) from error


def _proxy(url: str) -> str:
    """The proxy for `url` that the environment names, or ""."""
    import requests

    proxy = requests.utils.select_proxy(url, requests.utils.get_environ_proxies(url))
    if not proxy:
        return ""
    proxy = proxy if "://" in proxy else f"http://{proxy}"
    if not WEB.fullmatch(proxy):
        raise Failure(f"the proxy {shown(proxy)} is not of the form http://host:port; correct http_proxy, https_proxy")
    if proxy.lower().startswith("socks") and find_spec("socks") is None:
        raise Failure(f"the proxy {shown(proxy)} speaks SOCKS, which needs one more package: pip install pysocks")
    return proxy


def _failure(error: Exception, proxy: str) -> Failure:
    """What an error on the web means. A missing connection or a cut reply may pass; a bad certificate does not."""
    import requests
    from urllib3 import exceptions as lower

    through = f", through the proxy {shown(proxy)}" if proxy else ""
    if isinstance(error, Failure):
        return Failure(f"{error}{through}", error.again, error.wait)
    if isinstance(error, ValueError) and not isinstance(error, requests.exceptions.InvalidHeader):
        return Failure(f"{NO_URL}{through}")  # not what `error` says, which quotes the URL, with the password
    passing = requests.ConnectionError | requests.Timeout | lower.ProtocolError | lower.TimeoutError
    again = isinstance(error, passing) and not isinstance(error, requests.exceptions.SSLError)
    return Failure(f"{_reason(error)}{through}", again)


def _followed(url: str, target: str) -> str:
    """Where `url` redirects to."""
    new = urljoin(url, target).replace(" ", "%20")
    if not WEB.fullmatch(new) or not urlsplit(new).scheme.startswith(urlsplit(url).scheme):
        raise Failure(f"redirects to {shown(new)}, which is refused")
    return new


def _check_status(status: int, retry_after: str) -> None:
    if status != HTTPStatus.OK:
        phrase = HTTPStatus(status).phrase if status in set(HTTPStatus) else "which is no known status"
        again = status in BUSY or status >= 500
        raise Failure(f"HTTP {status} {phrase}", again, _seconds(retry_after))


def _seconds(retry_after: str) -> float:
    """The seconds that a Retry-After header asks for, as a number or a date; 0 if it is neither."""
    if re.fullmatch("[0-9]+", retry_after):
        return float(retry_after)
    try:
        return email.utils.parsedate_to_datetime(retry_after).timestamp() - time.time()
    except (ValueError, OverflowError):
        return 0.0


def _reason(error: BaseException) -> str:
    """The message of the innermost error: requests wraps an error of urllib3, which wraps one of the socket."""
    inner = [getattr(error, "reason", None), *error.args, error.__cause__]
    for candidate in inner:
        if isinstance(candidate, BaseException):
            return _reason(candidate)
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
