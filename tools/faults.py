"""The fault table: faults that must not harm the pipeline, what it does about each, and the tests that show it.

A test belongs to a row if its name, or the id of one of its cases, has the letter and number of the row:
test_D36_..., test_C1_E1_..., test_D46_to_D52_..., test_a_bad_reply[D10-403].
"""

import re
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]

FAULTS = """
# Download
D1 | connection refused | the same mirror again, then the next; when all fail, one line with all reasons, exit code 1
D2 | the name is unknown | as D1
D3 | the name server does not answer | as D1; a look-up that hangs is not waited for
D4 | no route | as D1
D5 | TLS: self-signed certificate | next mirror at once; never down to http
D6 | TLS: expired certificate | as D5
D7 | TLS: certificate for another host | as D5
D8 | TLS: the port speaks plain http | as D5
D9 | TLS: an authority that nobody knows | as D5
D10 | HTTP 403 | next mirror at once
D11 | HTTP 404 | as D10
D12 | HTTP 410 | as D10
D13 | HTTP 416 | as D10
D14 | HTTP 429 (408, 425), with Retry-After in any form | asked again, the wait capped
D15 | HTTP 451 | as D10
D16 | HTTP 500 | asked again with capped, jittered back-off
D17 | HTTP 502 | as D16
D18 | HTTP 503 | as D16
D19 | HTTP 504 | as D16
D20 | redirect 301, 302, 303, 307, 308 | followed
D21 | redirect loop | at most five are followed
D22 | redirect to HTML with status 200 | refused by its hash, with the hint "got text/html"
D23 | redirect to file:, ftp:, or from https to http | refused
D24 | status 200 and nothing | refused by its size
D25 | HTTP 204 | next mirror
D26 | HTTP 206 that nobody asked for | next mirror
D27 | HTTP 102 or 103 first; unknown statuses | the right bytes or the next mirror
D28 | an endless body | stopped at the first byte too many
D29 | a header of 70 kB; garbage | next mirror
D30 | body cut short, with Content-Length | asked again
D31 | body cut short, without Content-Length | asked again
D32 | chunked body cut | asked again
D33 | Content-Length too small | refused by its size
D34 | Content-Length too big | asked again
D35 | two Content-Lengths | refused, next mirror
D36 | a flipped bit | refused by SHA-256; the line says expected and sent
D37 | right size, wrong file | refused by SHA-256
D38 | sound gzip of other data | refused by SHA-256
D39 | Content-Encoding: gzip on a file that is one | the file as published, still packed
D40 | compressed once more on the way | unpacked once, within bounds, or refused
D41 | a Content-Encoding that lies | right bytes or refusal
D42 | the header never comes | stopped in time; stderr says what it waits for; asked last for the next file
D43 | the body stalls | stopped in time
D44 | a byte now and then | stopped when the total time is over or the speed is too low
D45 | connection reset at any point | asked again
D46 | resume: a correct 206 | nothing is resumed: a file is fetched whole
D47 | resume: 206 from another offset | as D46
D48 | resume: 206 of another total | as D46
D49 | resume: 200 instead of 206 | as D46
D50 | resume: 416 with the whole file there | as D46
D51 | resume: 416 with too much there | as D46
D52 | resume: the file changed meanwhile | as D46
D53 | no space, at any call | one line that names the file; nothing half-written stays; no other mirror is asked
D54 | quota exceeded | as D53
D55 | I/O error | as D53
D56 | read-only file system or folder | as D53
D57 | a folder that may not be entered | as D53
D58 | a name that is too long | as D53
D59 | SIGKILL at any call | each file absent or whole; the next run heals
D60 | SIGTERM | as D59; one line, exit code 143, once Python has started
D61 | SIGINT | as D59; one line, exit code 130, once Python has started
D62 | several processes at once | each file whole at every moment
D63 | one killed while it writes | the next run removes its temporary file
D64 | a lock that somebody holds | is not waited for
D65 | locks that do nothing | nothing depends on them
D66 | temporary files of dead processes | removed; other files are not touched
D67 | target of zero bytes | fetched again
D68 | target cut short or too long | fetched again
D69 | target with a flipped bit | fetched again
D70 | a folder or a pipe as target | both are left alone and named
D71 | a symbolic or hard link as target | replaced, never written through
D72 | a proxy that is dead or not a URL, or needs PySocks | as D1; the proxy is named
D73 | NO_PROXY | respected
D74 | a bundle of authorities that is missing or is not one | next mirror
D75 | passwords and tokens in .netrc or the URL of a mirror or a proxy | sent to no other host, never printed
D76 | file: or a path as mirror | file: is read, within time and size; a path is refused with advice
D77 | offline, the files are there | no socket is opened
D78 | offline, they are not | one line
D79 | clock in the past or future | makes no difference
D80 | umask 077 or 000 | respected

# Convert
C1 | missing or empty file | refused with the command that makes it
C2 | gzip cut short, or not gzip | refused, with the place, and what it seems to be
C3 | gzip with a wrong CRC | refused
C4 | gzip with a wrong length | refused
C5 | bytes after the gzip member | refused
C6 | a second gzip member | refused
C7 | a gzip bomb | costs no more than the size expected
C8 | the first two bytes are not zero | refused
C9 | little-endian | refused, and named as such
C10 | type code unknown, or not bytes | refused
C11 | 0 or 255 dimensions; images and labels swapped | refused
C12 | a dimension of 0 | an empty array, refused as images
C13 | sizes whose product overflows | refused
C14 | a byte too few or too many | refused
C15 | a label beyond the classes | refused, with its place
C16 | more images than labels, or fewer | refused
C17 | training and test files swapped | refused
C18 | images of another size | refused
C19 | every pixel the same | refused
C20 | a class without images | refused
C21 | elements of several bytes | big-endian in the file, native in the array
C22 | killed or out of space at any call | dataset.npz is old or new, and whole; the next run heals
C23 | a disk that reads back other bytes | the old file stays
C24 | a second run | the same bytes
C25 | transposed images (EMNIST) | turned if the description says so; otherwise pixels are taken as they lie in the file

# Train
T1 | SIGKILL at any call, and at random moments | the model is old or new, and whole; the next run goes on
T2 | SIGTERM | the batch is finished, the state saved, exit code 143
T3 | SIGINT | the same, exit code 130
T4 | resumed from any checkpoint | the bits of the uninterrupted run: weights, optimizer, batches, curves
T5 | checkpoint cut, flipped, of another run or shape | ignored; the one before is used
T6 | NaN or infinity in loss, gradient, weights, input | stops; the last good model stays
T7 | divergence | stops; the last good model stays
T8 | each parameter at the ends of its range and beyond | inside: taken; outside: one line
T9 | out of memory | one line
T10 | no space for checkpoint, model or curves | one line; what was there stays; the next run heals
T11 | a signal during a long product | takes effect after the block in which it came
T12 | the dvc that started it dies | noticed; saves and stops
T13 | two trainers in one folder | the second is refused
T14 | threads, hash seed, locale, time zone, folder, umask | the same bits
T15 | dataset.npz changes during the run | the run keeps what it read; evaluate refuses the mixture
T16 | the clock jumps back | no difference
T17 | output closed, no terminal, NO_COLOR, one column | no traceback; the model is the same, or the one before
T18 | batch larger than the data or not dividing it; one epoch; none | every image counts once; none is refused

# Evaluate
E1 | model or data missing | refused with the command that makes it
E2 | shapes, types or classes that do not fit | refused
E3 | a model of other data | refused
E4 | answers that are not numbers | refused
E5 | no display, any MPLBACKEND, no writable home, no fonts but matplotlib's, a locale of ASCII | the same pictures
E6 | no space, or killed between five files | all are published, or metrics.json is missing
E7 | numbers JSON does not have | refused: metrics.json is strict
E8 | no images, one class, ties | counted or refused; ties keep the order of the images
E9 | a second run | the same bytes
E10 | the confusion matrix | sums to the images; its trace is the accuracy

# params.yaml
P1 | an unknown key | refused; the nearest key is named
P2 | a missing key | named
P3 | a wrong type | refused, not converted
P4 | NaN, infinity, -0, 1e400 | refused
P5 | out of range; pairs that contradict each other | refused
P6 | a key twice | refused
P7 | an alias bomb | refused at once
P8 | not UTF-8, BOM, CRLF, tabs, NUL, too large | refused, or harmless
P9 | YAML 1.1 or 1.2 | read as DVC reads it
P10 | tags that make objects | refused
P11 | missing, a folder, a link, unreadable | one line; a link is followed
P12 | the settings in force | written into the model, and beside the metrics
"""

# rows that no test here can show, and why
UNTESTED: dict[str, str] = {}

IN_A_NAME = re.compile(r"(?<![A-Za-z0-9])(?:test_)?([DCTEP])([0-9]+)(?:_to_\1([0-9]+))?(?![A-Za-z0-9])")


def sections() -> Iterator[tuple[str, dict[str, tuple[str, str]]]]:
    """Title and rows, each id -> (fault, answer)."""
    for part in FAULTS.split("# ")[1:]:
        title, *lines = filter(None, part.splitlines())
        cells = [line.split(" | ") for line in lines]
        yield title, {row: (fault, answer) for row, fault, answer in cells}


def rows() -> list[str]:
    return [row for _, faults in sections() for row in faults]


def rows_of(node: str) -> set[str]:
    """The rows that a test has in its name or in its id, as pytest shows them."""
    words = node.partition("::")[2].replace("_", " ").replace(" to ", "_to_")
    found = set()
    for letter, first, last in IN_A_NAME.findall(words):
        found |= {f"{letter}{number}" for number in range(int(first), int(last or first) + 1)}
    return found


def collected() -> list[str]:
    """Every test and each of its cases, even if it is skipped or deselected in this run."""
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider", str(ROOT / "tests")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        sys.exit(done.stdout + done.stderr)
    return [line for line in done.stdout.splitlines() if "::" in line]


def by_row(nodes: Iterable[str]) -> dict[str, list[str]]:
    """Row -> file::test, or file::test[row-...] where only cases of it are the row's, in the order of the files."""
    found: dict[str, dict[str, None]] = {row: {} for row in rows()}
    for node in nodes:
        name = node.partition("[")[0].removeprefix("tests/")
        for row in rows_of(node) & found.keys():
            found[row].setdefault(name if row in rows_of(name) else f"{name}[{row}-...]")
    return {row: list(tests) for row, tests in found.items()}
