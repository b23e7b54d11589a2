"""Rows D10 to D52 of the fault table: any reply of a mirror gives the right bytes, or none and the next mirror."""

import datetime
import gc
import gzip
import hashlib
import itertools
import threading
from email.utils import format_datetime

import pytest
from fault_server import ENDLESS, HANG, RESET, chunk, head, redirect, reply
from fetching import FILE, FLIPPED, GOOD, HALF, HTML, LENGTH, names, refusal

from pipeline.datasets.fetch import PATIENCE, Patience, fetch

OTHER = gzip.compress(bytes(len(GOOD) - 23), compresslevel=0, mtime=0)  # of the size expected: 23 bytes hold the rest

# id: what the mirror plays, how often it is asked before the next one, and the message about it
AGAIN = PATIENCE.tries
REPLIES = {
    "D10-403": (reply(HTML, 403), 1, "HTTP 403 Forbidden"),
    "D11-404": (reply(HTML, 404), 1, "HTTP 404 Not Found"),
    "D12-410": (reply(HTML, 410), 1, "HTTP 410 Gone"),
    "D13-416": (reply(HTML, 416), 1, "HTTP 416"),
    "D14-429": (reply(HTML, 429), AGAIN, "HTTP 429 Too Many Requests"),
    "D14-408": (reply(HTML, 408), AGAIN, "HTTP 408 Request Timeout"),
    "D14-425": (reply(HTML, 425), AGAIN, "HTTP 425 Too Early"),
    "D15-451": (reply(HTML, 451), 1, "HTTP 451"),
    "D16-500": (reply(HTML, 500), AGAIN, "HTTP 500 Internal Server Error"),
    "D17-502": (reply(HTML, 502), AGAIN, "HTTP 502 Bad Gateway"),
    "D18-503": (reply(HTML, 503), AGAIN, "HTTP 503 Service Unavailable"),
    "D19-504": (reply(HTML, 504), AGAIN, "HTTP 504 Gateway Timeout"),
    "D20-without-a-location": (reply(HTML, 301), 1, "HTTP 301"),
    "D22-html-with-status-200": (reply(HTML, 200, "Content-Type: text/html"), 1, "got text/html"),
    "D23-to-file": (redirect("file:///etc/passwd"), 1, "redirects to file:///etc/passwd, which is refused"),
    "D23-to-ftp": (redirect("ftp://127.0.0.1/x"), 1, "redirects to ftp://127.0.0.1/x, which is refused"),
    "D23-to-nonsense": (redirect("http://["), 1, "not a URL of the form"),
    "D24-empty": (reply(b""), AGAIN, "sent 0 bytes"),
    "D25-204": ([head(204)], 1, "HTTP 204 No Content"),
    "D26-206-unasked": (reply(GOOD, 206, f"Content-Range: bytes 0-{len(GOOD) - 1}/{len(GOOD)}"), 1, "HTTP 206"),
    "D27-299": (reply(GOOD, 299), 1, "HTTP 299 which is no known status"),
    "D28-endless": ([head(), ENDLESS], 1, f"sent more than {len(GOOD)} bytes"),
    "D28-one-byte-more": (reply(GOOD + b"!"), 1, f"sent more than {len(GOOD)} bytes"),
    "D29-70-kB-header": ([head(200, LENGTH, "X: " + "x" * 70_000), GOOD], AGAIN, "header line"),
    "D29-garbage": ([b"\x00\x1b[2J\x80 garbage\r\n\r\n"], AGAIN, "\\x1b[2J"),
    "D30-truncated": ([head(200, LENGTH), GOOD[:HALF]], AGAIN, "IncompleteRead"),
    "D31-truncated-without-length": ([head(), GOOD[:HALF]], AGAIN, f"sent {HALF} bytes"),
    "D32-chunked-cut": ([head(200, "Transfer-Encoding: chunked"), chunk(GOOD[:HALF])], AGAIN, "ended prematurely"),
    "D32-chunk-cut": ([head(200, "Transfer-Encoding: chunked"), chunk(GOOD)[:HALF]], AGAIN, "IncompleteRead"),
    "D33-length-too-small": ([head(200, f"Content-Length: {HALF}"), GOOD], AGAIN, f"sent {HALF} bytes"),
    "D34-length-too-big": ([head(200, f"Content-Length: {len(GOOD) + 9}"), GOOD], AGAIN, "IncompleteRead"),
    "D35-two-lengths": ([head(200, LENGTH, f"Content-Length: {HALF}"), GOOD], 1, "Content-Length"),
    "D36-flipped-bit": (reply(FLIPPED), 1, hashlib.sha256(FLIPPED).hexdigest()),
    "D37-right-size-wrong-file": (reply(bytes(len(GOOD))), 1, hashlib.sha256(bytes(len(GOOD))).hexdigest()),
    "D38-sound-gzip-of-other-data": (reply(OTHER), 1, hashlib.sha256(OTHER).hexdigest()),
    "D40-double-compression-unsaid": (reply(gzip.compress(GOOD)), 1, f"sent more than {len(GOOD)} bytes"),
    "D41-lying-gzip": (reply(FLIPPED, 200, "Content-Encoding: gzip"), 1, hashlib.sha256(FLIPPED).hexdigest()),
    "D42-header-hang": ([HANG], AGAIN, "timed out"),
    "D42-half-a-header": ([head(200, LENGTH)[:20], HANG], AGAIN, "timed out"),
    "D43-stall": ([head(200, LENGTH), GOOD[:HALF], HANG], AGAIN, "timed out"),
    "D44-slow-body": ([head(200, LENGTH), *itertools.chain(*((b"x", 0.05) for _ in GOOD))], 1, "out of time"),
    "D44-slow-header": ([*itertools.chain(*((b"H", 0.05) for _ in range(99)))], 1, "out of time, 0 bytes in"),
    "D45-reset-at-once": ([RESET], AGAIN, "reset"),
    "D45-reset-before-the-body": ([head(200, LENGTH), RESET], AGAIN, ""),
    "D45-reset-in-the-middle": ([head(200, LENGTH), GOOD[:HALF], 0.01, RESET], AGAIN, ""),
    "D45-reset-before-the-last-byte": ([head(200, LENGTH), GOOD[:-1], 0.01, RESET], AGAIN, ""),
    "D46-206-right": (reply(GOOD, 206, f"Content-Range: bytes 0-{len(GOOD) - 1}/{len(GOOD)}"), 1, "HTTP 206"),
    "D47-206-wrong-offset": (reply(GOOD[HALF:], 206, f"Content-Range: bytes 7-{HALF}/{len(GOOD)}"), 1, "HTTP 206"),
    "D48-206-wrong-total": (reply(GOOD[HALF:], 206, "Content-Range: bytes 0-9/10"), 1, "HTTP 206"),
    "D50-416-with-the-length": (reply(b"", 416, f"Content-Range: bytes */{len(GOOD)}"), 1, "HTTP 416"),
    "D51-416-with-another-length": (reply(b"", 416, "Content-Range: bytes */1"), 1, "HTTP 416"),
}


# replies that nobody waits for long, by their message
LIMITS = {"timed out": {"read": 0.5, "tries": 2}, "out of time": {"start": 0.5}}


@pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")  # urllib3 leaves one to the collector in D35
@pytest.mark.parametrize(("script", "asked", "reason"), REPLIES.values(), ids=REPLIES)
def test_a_bad_reply_is_refused_and_the_next_mirror_asked(script, asked, reason, server, folder, patience, waits):
    bad, good = server.mirror(script), server.mirror(reply(GOOD))
    patience = patience._replace(**LIMITS.get(reason.partition(",")[0], {}))
    asked = min(asked, patience.tries)

    message = refusal(folder, [bad], patience)
    assert f"{bad}/{FILE.name}: " in message
    assert reason in message
    assert server.asked(bad) == asked
    assert waits == [0.5, 1.0, 2.0][: asked - 1]

    assert fetch(FILE, folder, [bad, good], patience._replace(tries=1)) == f"{good}/{FILE.name}"
    assert (folder / FILE.name).read_bytes() == GOOD
    assert names(folder) == [FILE.name]
    gc.collect()  # so that the ignored warning comes in this test


@pytest.mark.parametrize(
    "status",
    [
        pytest.param(code, id=f"D{row}-{code}")
        for row, code in [(14, 408), (14, 429), (16, 500), (17, 502), (18, 503), (19, 504)]
    ],
)
def test_a_passing_fault_is_waited_out_at_the_same_mirror(status, server, folder, patience, waits):
    mirror = server.mirror(reply(HTML, status), reply(HTML, status), reply(GOOD))
    assert fetch(FILE, folder, [mirror], patience) == f"{mirror}/{FILE.name}"
    assert waits == [0.5, 1.0]


# what a Retry-After header says: the seconds waited before the second try
RETRY_AFTER = {
    "D14-seconds": ("7", 7),
    "D14-less-than-our-own": ("0", 0.5),
    "D14-huge": ("9" * 400, PATIENCE.longest_wait),
    "D14-garbage": ("soon", 0.5),
    "D14-negative": ("-5", 0.5),
    "D14-superscript": ("\xb2", 0.5),
    "D14-past-date": ("Wed, 21 Oct 2015 07:28:00 GMT", 0.5),
    "D14-far-date": ("Fri, 31 Dec 9999 23:59:59 GMT", PATIENCE.longest_wait),
    "D14-impossible-date": ("Fri, 99 Dec 2026 23:59:59 GMT", 0.5),
}


@pytest.mark.parametrize(("header", "wait"), RETRY_AFTER.values(), ids=RETRY_AFTER)
def test_retry_after_is_heeded_within_reason(header, wait, server, folder, patience, waits):
    mirror = server.mirror(reply(b"", 429, f"Retry-After: {header}"), reply(GOOD))
    fetch(FILE, folder, [mirror], patience)
    assert waits == [wait]


def test_D14_retry_after_a_date(server, folder, patience, waits):
    soon = datetime.datetime.now(datetime.UTC) + datetime.timedelta(hours=2)
    mirror = server.mirror(reply(b"", 503, f"Retry-After: {format_datetime(soon, usegmt=True)}"), reply(GOOD))
    fetch(FILE, folder, [mirror], patience._replace(longest_wait=9999, total=9999))
    assert waits == [pytest.approx(7200, abs=100)]


def test_D16_waits_double_with_jitter_up_to_a_longest(server, folder, waits):
    for dice, factor in ((0.0, 0.5), (1.0, 1.5)):
        waits.clear()
        patience = Patience(tries=9, sleep=waits.append, dice=lambda dice=dice: dice)
        refusal(folder, [server.mirror(reply(b"", 500))], patience)
        assert waits == [min(0.5 * 2**i * factor, 30) for i in range(8)]


def test_D16_no_try_begins_after_the_total_time(server, folder, waits):
    now = itertools.count(0, 10)  # every look at the clock costs ten seconds
    mirrors = [server.mirror(reply(b"", 500)) for _ in range(3)]
    patience = Patience(total=100, clock=lambda: next(now), sleep=waits.append)
    message = refusal(folder, mirrors, patience)
    assert f"{mirrors[-1]}/{FILE.name}: not asked, 100 s are over" in message
    assert server.asked(mirrors[-1]) == 0


SICK = {  # mirrors that are down or slow
    "refuses": [RESET],
    "is-busy": reply(b"", 503),
    "says-nothing": [HANG],
    "never-ends": [head(200, LENGTH), *itertools.chain(*((b"x", 0.05) for _ in GOOD))],
}


@pytest.mark.parametrize("script", SICK.values(), ids=SICK)
def test_D42_D44_a_mirror_that_is_down_or_slow_is_asked_last_for_the_next_file(script, server, folder, patience):
    mirrors = [sick, good] = [server.mirror(script), server.mirror(reply(GOOD))]
    fetch(FILE, folder, mirrors, patience._replace(tries=1, read=0.5, start=1))
    assert mirrors == [good, sick]


def test_a_mirror_that_lacks_one_file_is_still_asked_first(server, folder, patience):
    mirrors = [partial, good] = [server.mirror(reply(b"", 404)), server.mirror(reply(GOOD))]
    fetch(FILE, folder, mirrors, patience)
    assert mirrors == [partial, good]


def test_D42_what_is_waited_for_is_said_after_a_while(server, folder, patience, capsys, monkeypatch):
    monkeypatch.setattr(threading.Timer, "start", lambda self: self.interval == 5 and self.function(*self.args))
    silent = server.mirror([HANG])
    refusal(folder, [silent], patience._replace(tries=2, read=0.1))
    lines = [f"waiting for {silent}/{FILE.name} (try {number} of 2)\n" for number in (1, 2)]
    assert capsys.readouterr().err == "".join(lines)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308], ids="D20-{}".format)
def test_a_redirect_is_followed(status, server, folder, patience):
    good = server.mirror(reply(GOOD))
    mirror = server.mirror(redirect(f"{good}/{FILE.name}", status))
    assert fetch(FILE, folder, [mirror], patience) == f"{mirror}/{FILE.name}"


def test_D20_a_relative_redirect_is_followed(server, folder, patience):
    good = server.mirror(reply(GOOD))
    fetch(FILE, folder, [server.mirror(redirect(good.removeprefix(server.root) + "/x"))], patience)
    assert names(folder) == [FILE.name]


@pytest.mark.parametrize(("hops", "arrives"), [(5, True), (6, False)])
def test_D21_five_redirects_are_followed_and_no_more(hops, arrives, server, folder, patience):
    mirror = server.mirror(reply(GOOD))
    for _ in range(hops):
        mirror = server.mirror(redirect(f"{mirror}/x"))
    if arrives:
        fetch(FILE, folder, [mirror], patience)
    else:
        assert "more than 5 redirects" in refusal(folder, [mirror], patience)


def test_D21_a_redirect_loop_ends(server, folder, patience):
    mirror = server.mirror(redirect("x"))
    assert "more than 5 redirects" in refusal(folder, [mirror], patience)
    assert server.asked(mirror) == 6


def test_D22_a_redirect_to_html_is_refused_with_a_hint(server, folder, patience):
    portal = server.mirror(reply(HTML, 200, "Content-Type: Text/HTML; charset=utf-8"))
    message = refusal(folder, [server.mirror(redirect(f"{portal}/login"))], patience)
    assert "got text/html" in message


def test_D23_a_redirect_to_a_file_reads_nothing(server, folder, patience, tmp_path):
    (tmp_path / FILE.name).write_bytes(GOOD)
    refusal(folder, [server.mirror(redirect((tmp_path / FILE.name).as_uri()))], patience)


@pytest.mark.parametrize("status", [102, 103])
def test_D27_a_provisional_reply_first_gives_the_right_bytes_or_the_next_mirror(status, server, folder, patience):
    early = server.mirror([head(status), *reply(GOOD)])
    fetch(FILE, folder, [early, server.mirror(reply(GOOD))], patience)
    assert (folder / FILE.name).read_bytes() == GOOD


def test_D28_an_endless_reply_is_left_after_little_more_than_the_file(server, folder, patience, monkeypatch):
    received = []
    monkeypatch.setattr("tqdm.tqdm.update", lambda _, count: received.append(count))
    refusal(folder, [server.mirror([head(), ENDLESS])], patience)
    assert sum(received) < len(GOOD) + 20_000


def test_D31_a_body_cut_short_is_asked_for_again(server, folder, patience, waits):
    mirror = server.mirror([head(), GOOD[:HALF]], reply(GOOD))
    fetch(FILE, folder, [mirror], patience)
    assert waits == [0.5]


def test_D36_a_flipped_bit_names_what_was_expected_and_what_was_sent(server, folder, patience):
    message = refusal(folder, [server.mirror(reply(FLIPPED))], patience)
    assert f"expected {len(GOOD)} bytes with SHA-256 {FILE.sha256}" in message
    assert f"sent {len(FLIPPED)} bytes with SHA-256 {hashlib.sha256(FLIPPED).hexdigest()}" in message


# what a mirror does to the encoding and still sends the file
ENCODINGS = {
    "D39-says-gzip-and-means-the-file": reply(GOOD, 200, "Content-Encoding: gzip"),
    "D39-chunked-as-well": [
        head(200, "Content-Encoding: gzip", "Transfer-Encoding: chunked"),
        chunk(GOOD[:9]),
        chunk(GOOD[9:]),
        chunk(b""),
    ],
    "D40-compressed-on-the-way": reply(gzip.compress(GOOD), 200, "Content-Encoding: gzip"),
    "D40-in-capitals": reply(gzip.compress(GOOD), 200, "Content-Encoding: X-GZIP"),
    "D41-lying-deflate": reply(GOOD, 200, "Content-Encoding: deflate"),
}


@pytest.mark.parametrize("script", ENCODINGS.values(), ids=ENCODINGS)
def test_an_encoding_on_the_way_gives_the_right_bytes(script, server, folder, patience):
    fetch(FILE, folder, [server.mirror(script)], patience)
    assert (folder / FILE.name).read_bytes() == GOOD


def test_D39_nothing_but_the_file_as_it_is_is_asked_for(server, folder, patience):
    fetch(FILE, folder, [server.mirror(reply(GOOD))], patience)
    assert "Accept-Encoding: identity\r\n" in server.requests[0]


def test_D40_a_bomb_under_gzip_encoding_is_not_inflated(server, folder, patience):
    bomb = gzip.compress(bytes(1 << 20))
    message = refusal(folder, [server.mirror(reply(bomb, 200, "Content-Encoding: gzip"))], patience)
    assert f"sent {len(bomb)} bytes" in message


def test_D46_to_D52_nothing_is_resumed(server, folder, patience):
    folder.mkdir()
    (folder / FILE.name).write_bytes(GOOD[:HALF])
    other_tag = reply(GOOD, 200, 'ETag: "2"', "Last-Modified: Wed, 21 Oct 2015 07:28:00 GMT")
    fetch(FILE, folder, [server.mirror([head(200, LENGTH, 'ETag: "1"'), GOOD[:HALF]], other_tag)], patience)
    assert (folder / FILE.name).read_bytes() == GOOD
    assert all("range" not in request.lower() for request in server.requests)
