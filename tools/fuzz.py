"""Feed every reader of files a million damaged ones: each must be read, or refused with a PipelineError.

python tools/fuzz.py                   a million inputs; half an hour
python tools/fuzz.py --inputs 10000    a sample
python tools/fuzz.py --record docs/fuzz.json     keep the figures for docs/faults.md

Coverage guides the search: Atheris (libFuzzer) keeps each input that reaches new code, here or in a library, and
damages it further. A reader may raise no other exception or warning, and take at most a second of processor time and
256 MB more memory. An input that breaks this is saved in tests/corpus; a test feeds these files again.
"""

import argparse
import gc
import gzip
import hashlib
import json
import math
import multiprocessing
import os
import random
import re
import resource
import signal
import sys
import tempfile
import time
import warnings
import zipfile
from collections.abc import Callable, Sequence
from functools import partial
from io import BytesIO
from pathlib import Path
from types import FunctionType
from typing import Any, NamedTuple, NoReturn

import numpy as np
from described import described, trained

try:
    import atheris
except ImportError:  # the tests feed the corpus without it
    atheris = None

from pipeline.base.errors import PipelineError
from pipeline.base.npz import read_npz, write_npz
from pipeline.base.schema import Downloaded
from pipeline.datasets.arrays import Split, describe_dataset, load_splits, save_dataset
from pipeline.datasets.idx import decode_idx, encode_idx, read_idx, write_idx
from pipeline.datasets.raw import load_raw
from pipeline.model import load_model, save_model
from pipeline.nn.net import build, size
from pipeline.params import load_params
from pipeline.training.checkpoints import Checkpoints, sound
from pipeline.training.settings import Train
from pipeline.training.trainer import Trainer

ROOT = Path(__file__).parents[1]
CORPUS = ROOT / "tests/corpus"
LED_BY = ("pipeline", "gzip", "zipfile", "json", "ruamel", "numpy.lib")  # inputs that reach new code here are kept
CHECKPOINT = {"iteration": np.array(3), "weights": np.arange(4.0), "losses": np.arange(3.0)}
TRAINING = load_params(ROOT / "params.yaml", (), Train).model_dump() | {
    "layers": ["affine 3", "tanh", "affine"],
    "batch_size": 2,
}
SECONDS = 1.0  # of processor time per call
MEMORY = 256 << 20  # bytes more than at the start

Change = Callable[[random.Random, bytes], bytes]


class Target(NamedTuple):
    """A reader of files and what to feed it."""

    share: int  # of the inputs
    seeds: Sequence[bytes]
    changes: Sequence[Change]
    read: Callable[[Path], object]  # given a file of that content, in a folder of its own


class Result(NamedTuple):
    """The counts of one target; the last one should be 0."""

    target: str
    inputs: int
    refused: int
    kept: int  # inputs that reached new code
    slowest: float  # seconds of processor time
    found: int  # calls that broke the rules


# changes to the bytes of a file


def flip(dice: random.Random, data: bytes) -> bytes:
    at = dice.randrange(len(data))
    return data[:at] + bytes([data[at] ^ 1 << dice.randrange(8)]) + data[at + 1 :]


def cut(dice: random.Random, data: bytes) -> bytes:
    return data[: dice.randrange(len(data))]


def remove(dice: random.Random, data: bytes) -> bytes:
    first = dice.randrange(len(data))
    return data[:first] + data[first + dice.randrange(1, 20) :]


def repeat(dice: random.Random, data: bytes) -> bytes:
    first = dice.randrange(len(data))
    last = first + dice.randrange(1, 60)
    return data[:last] + data[first:last] * dice.randrange(1, 4) + data[last:]


def append(dice: random.Random, data: bytes) -> bytes:
    return data + dice.choice([b"\0", b"\n", data, dice.randbytes(dice.randrange(1, 40))])


def exchange(dice: random.Random, data: bytes) -> bytes:
    """Copy bytes from one place over the bytes of another place."""
    source, target, count = dice.randrange(len(data)), dice.randrange(len(data)), dice.randrange(1, 20)
    moved = data[source : source + count]
    return data[:target] + moved + data[target + len(moved) :]


def length(dice: random.Random, data: bytes) -> bytes:
    """Change a number that may be a length, a size or an offset."""
    width = dice.choice([1, 2, 4, 8])
    number = dice.choice([0, 1, 2, 255, 2**15, 2**16 - 1, 2**31 - 1, 2**31, 2**32 - 1, 2**63, len(data)]) % 256**width
    at = dice.randrange(len(data))
    return data[:at] + number.to_bytes(width, dice.choice(["big", "little"])) + data[at + width :]


def damage(dice: random.Random, data: bytes, *more: Change) -> bytes:
    """One or several of the changes above."""
    for _ in range(dice.choice([1, 1, 1, 2, 5])):
        data = (
            dice.choice([flip, flip, cut, remove, repeat, append, exchange, length, length, *more])(dice, data) or b"\0"
        )
    return data


# changes to the contents after which all checksums are right


def inside_gzip(dice: random.Random, data: bytes) -> bytes:
    return gzip.compress(damage(dice, gzip.decompress(data)), 1, mtime=0)


def inside_zip(dice: random.Random, data: bytes) -> bytes:
    """A member changed, dropped, doubled or renamed."""
    with zipfile.ZipFile(BytesIO(data)) as archive:
        members = [(member.filename, archive.read(member)) for member in archive.infolist()]
    at = dice.randrange(len(members))
    name, content = members[at]
    match dice.randrange(8):
        case 0:
            del members[at]
        case 1:
            members.append((name + "x", content))
        case 2:
            members[at] = damage(dice, name.encode()).decode("latin-1") or "x", content
        case _:
            members[at] = name, dice.choice([damage, header, header])(dice, content)
    file = BytesIO()
    with warnings.catch_warnings(action="ignore"), zipfile.ZipFile(file, "w") as archive:  # about names that come twice
        for name, content in members:
            archive.writestr(zipfile.ZipInfo(name.replace("\0", "0")), content)  # without a date
    return file.getvalue()


def header(dice: random.Random, data: bytes) -> bytes:
    """The text of an .npy header: another type, often as wide, or another shape, often as large."""
    sizes = [int(size) for size in re.findall(rb"[0-9]+", (re.findall(rb"\(([0-9, ]*)\)", data[:200]) or [b""])[0])]
    count = math.prod(sizes)
    shapes = [[count], [1, count], [count, 1], sizes[::-1], [*sizes, 1], [], [0, *sizes], [2**31, 2**33], [10**30]]
    shape = dice.choice(shapes)
    text = b"(" + b", ".join(b"%d" % size for size in shape) + b"," * (len(shape) == 1) + b")"
    kind = dice.choice([b"f", b"i", b"u", b"c", b"U", b"S", b"O", b"M", b"V", b"b"])
    old, new = dice.choice(
        [
            (rb"'[<|>][a-zA-Z]", b"'<" + kind),
            (rb"'[<|>][a-zA-Z]", b"'>" + kind),
            (rb"'[<|>][a-zA-Z][0-9]+'", b"'|%s%d'" % (kind, dice.choice([0, 1, 2, 4, 8, 999999999]))),
            (rb"False", b"True "),
            (rb"\([0-9, ]*\)", text),
            (rb"\([0-9, ]*\)", text),
        ]
    )
    changed = re.sub(old, new, data[:200], count=1) + data[200:]
    if changed[:6] == b"\x93NUMPY" and (end := changed.find(b"\n")) > 10:  # the length of the text comes first
        changed = changed[:8] + ((end - 9) % 65536).to_bytes(2, "little") + changed[10:]
    return changed


ODD = [None, True, 0, -1, 1.5, 1e400, 2**63, 10**30, "", "x", "relu", "\ud800", [], [1], {}, {"a": 1}, "9" * 5000]


def inside_json(dice: random.Random, data: bytes) -> bytes:
    """Any value is changed or removed; or the text is damaged."""
    try:
        tree = json.loads(data)
    except ValueError:
        tree = None
    if not isinstance(tree, dict | list) or dice.random() < 0.2:
        return damage(dice, data)
    places: list[tuple[Any, Any]] = []

    def walk(branch: Any) -> None:
        for key, value in list(branch.items() if isinstance(branch, dict) else enumerate(branch)):
            places.append((branch, key))
            if isinstance(value, dict | list):
                walk(value)

    walk(tree)
    if places:
        branch, key = dice.choice(places)
        if dice.random() < 0.3:
            del branch[key]
        else:
            branch[key] = dice.choice(ODD)
    return json.dumps(tree).encode()


def inside_about(dice: random.Random, data: bytes) -> bytes:
    """The description in an .npz."""
    with np.load(BytesIO(data)) as archive:
        arrays = dict(archive)
    text = inside_json(dice, str(arrays["about"]).encode()).decode("utf-8", "replace")
    file = BytesIO()
    np.savez(file, **arrays | {"about": np.array(text)})
    return file.getvalue()


def lines(dice: random.Random, data: bytes) -> bytes:
    """A line of text doubled, dropped, indented or given another value."""
    rows = data.split(b"\n")
    at = dice.randrange(len(rows))
    key = rows[at].partition(b":")[0]
    values = [b"9" * 5000, b"[" * 300, b"? " * 300, b"!!int x", b"!!python/object:a {}", b"&a [*a]", b"\t"]
    values += b"2001-13-45 *a ' { [[[ - .nan 1e999 0x10 | >".split()
    rows[at : at + 1] = dice.choice(
        [[rows[at]] * 2, [], [b"  " + rows[at]], [rows[at].strip()], [key + b": " + dice.choice(values)], [b"- " * 60]]
    )
    return b"\n".join(rows)


# the readers


def read_array(path: Path) -> None:
    data = path.read_bytes()
    if encode_idx(decode_idx(data, str(path))) != data:
        raise AssertionError("another array than was written")


def read_gzip(path: Path) -> None:
    read_idx(path.rename(path.with_suffix(".gz")))


def read_description(path: Path) -> None:
    """Read a description of the four files beside it."""
    load_raw(path.rename(path.with_name("dataset.json")).parent)


def read_checkpoint(path: Path) -> None:
    state = sound(path)
    if state is None:
        raise PipelineError("passed over")
    if state.keys() != CHECKPOINT.keys() or not all(map(np.array_equal, state.values(), CHECKPOINT.values())):
        raise AssertionError("another state than was saved")


def read_dataset(path: Path) -> None:
    """Read a data set, and give it to a net."""
    data = describe_dataset(path)
    splits = load_splits(path, data, ["train", data["held_out"]])
    with np.errstate(all="ignore"):  # about NaN; training stops at it
        Trainer(TRAINING, (1, *data["feature_shape"]), *splits, len(data["class_names"])).measure()


def read_net(path: Path) -> None:
    net = load_model(path)
    net.require_data(net.about["data"])
    net.logits(np.zeros((2, 6), np.float32), 2)


def read_params(path: Path) -> None:
    load_params(path, (), Train)


def targets(folder: Path) -> dict[str, Target]:
    """Every reader with small sound files, for which `folder` is needed."""
    arrays = [np.arange(24, dtype=np.uint8).reshape(2, 3, 4), np.arange(5, dtype=np.int16), np.zeros((0, 3))]
    idx = [encode_idx(array) for array in arrays]
    write_npz(folder / "a", {"a": np.arange(3.0), "b": np.ones((2, 2), np.float32), "about": np.array("{}")})
    Checkpoints(folder, {}, 0).save(3, {name: CHECKPOINT[name] for name in ("weights", "losses")})
    (checkpoint,) = folder.glob("*.npz")
    weights = small_net(folder / "weights")
    splits = {name: Split(np.ones((4, 6), np.float32), np.arange(4) % 2) for name in ("train", "test")}
    save_dataset(folder / "dataset", splits, described((2, 3), "01"))
    params = re.sub(r" *#.*", "", (ROOT / "params.yaml").read_text()).encode()
    inside = [damage, inside_zip]
    return {
        "idx": Target(27, idx, [damage], read_array),
        "gzip": Target(20, [gzip.compress(each, mtime=0) for each in idx], [damage, inside_gzip], read_gzip),
        "npz": Target(20, [(folder / "a").read_bytes()], inside, read_npz),
        "checkpoint": Target(8, [checkpoint.read_bytes()], inside, read_checkpoint),
        "dataset": Target(8, [(folder / "dataset").read_bytes()], [*inside, inside_about], read_dataset),
        "weights": Target(8, [weights], [*inside, inside_about], read_net),
        "description": Target(4, [description(folder)], [inside_json], read_description),
        "params": Target(5, [params], [damage, lines, lines], read_params),
    }


def small_net(path: Path) -> bytes:
    about = trained((2, 3), "01")
    shapes = build(about["net"]["layers"], (1, 2, 3), 2).shapes
    save_model(path, np.ones(size(shapes)), shapes, about)
    return path.read_bytes()


def description(folder: Path) -> bytes:
    """Also writes the four files."""
    files = {}
    for split in ("train", "test"):
        for part, array in (("images", np.arange(24).reshape(2, 3, 4)), ("labels", np.arange(2))):
            path = folder / f"{split}-{part}"
            write_idx(path, array.astype(np.uint8))
            digest = hashlib.sha256(path.read_bytes()).hexdigest()
            files[f"{split}_{part}"] = {"name": path.name, "bytes": path.stat().st_size, "sha256": digest}
    about = {key: value for key, value in described((3, 4), "xo").items() if key in Downloaded.model_fields}
    return json.dumps(about | {"files": files, "framed": True}).encode()


# the loop


class TooLong(Exception):
    """A call that took longer than its second."""


def too_long(*_: object) -> None:
    raise TooLong


def verdict(target: Target, data: bytes, folder: Path) -> str:
    """'read', 'refused', or what is wrong."""
    path = folder / "file"
    path.write_bytes(data)
    signal.signal(signal.SIGPROF, too_long)
    signal.setitimer(signal.ITIMER_PROF, SECONDS)
    try:
        target.read(path)
    except PipelineError:
        return "refused"
    except OSError as error:
        return "refused" if error.errno else f"{type(error).__name__}: {error}"  # reported as one line, too
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
    return "read"


def fuzz(name: str, target: Target, inputs: int, seed: int, folder: Path) -> NoReturn:
    """Write a Result to `folder`, and end this process, as libFuzzer does."""
    corpus = folder / f"{name} corpus"
    corpus.mkdir()
    for i, data in enumerate(target.seeds):
        (corpus / f"seed-{i}").write_bytes(data)
    fed, refused, slowest, found = 0, 0, 0.0, set()

    def feed(data: bytes) -> None:
        nonlocal fed, refused, slowest
        start = time.process_time()
        said = verdict(target, data, folder)
        fed, slowest, refused = fed + 1, max(slowest, time.process_time() - start), refused + (said == "refused")
        if said not in ("read", "refused") and said not in found:
            found.add(said)
            save(name, data, said)
        if fed == inputs:
            kept = len(list(corpus.iterdir())) - len(target.seeds)
            result = Result(name, fed, refused, kept, round(slowest, 3), len(found))
            (folder / f"{name}.json").write_text(json.dumps(result))
            os._exit(0)

    with (folder / f"{name}.log").open("wb") as log:  # for the output of libFuzzer
        os.dup2(log.fileno(), sys.stderr.fileno())
    options = [f"-seed={seed + 1}", "-max_len=65536", "-mutate_depth=2", "-rss_limit_mb=0"]
    atheris.Setup([name, *options, str(corpus)], feed, custom_mutator=partial(mutate, target))
    confine()
    atheris.Fuzz()
    raise AssertionError("libFuzzer came back")


def mutate(target: Target, data: bytes, most: int, seed: int) -> bytes:
    """One of the target's changes to an input that was kept, or to a sound file; at most `most` bytes."""
    dice = random.Random(seed)
    data = dice.choice([data, dice.choice(target.seeds)]) or b"\0"
    try:
        changed = dice.choice(target.changes)(dice, data)
    except Exception:  # the contents can only be changed while the file is sound
        changed = damage(dice, data)
    return changed[:most] or b"\0"


def save(name: str, data: bytes, said: str) -> None:
    CORPUS.mkdir(exist_ok=True)
    path = CORPUS / f"{name}-{hashlib.sha256(data).hexdigest()[:8]}"
    path.write_bytes(data)
    print(f"{path}: {said[:300]}", flush=True)


def confine() -> None:
    """Bound the memory of this process; warnings are errors."""
    warnings.simplefilter("error")
    now = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (now + MEMORY, resource.RLIM_INFINITY))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--inputs", type=int, default=1_000_000, help="how many, of all kinds together")
    parser.add_argument("--seed", type=int, default=0, help="of the damage")
    parser.add_argument("--only", help="one target")
    parser.add_argument("--record", type=Path, help="a JSON file for the figures")
    asked = parser.parse_args()
    if atheris is None:
        sys.exit("error: Atheris is not installed; make extras installs it, on Linux on x86-64.")
    results = []
    watch_coverage()
    print("  ".join(f"{field:>12}" for field in Result._fields))
    shm = "/dev/shm" if Path("/dev/shm").is_dir() else None
    with tempfile.TemporaryDirectory(dir=shm) as scratch:
        for name, target in targets(Path(scratch)).items():
            if asked.only in (None, name):
                count = asked.inputs * target.share // 100
                results.append(in_own_process(name, target, count, asked.seed, Path(scratch)))
                print("  ".join(f"{cell:>12}" for cell in results[-1]), flush=True)
    if asked.record:
        asked.record.write_text(json.dumps([result._asdict() for result in results], indent=2) + "\n")
    sys.exit(any(result.found for result in results))


def watch_coverage() -> None:
    """Watch the coverage of all imported modules in LED_BY."""
    for thing in gc.get_objects():
        if isinstance(thing, FunctionType) and thing.__module__ and thing.__module__.startswith(LED_BY):
            atheris.instrument_func(thing)


def in_own_process(name: str, target: Target, inputs: int, seed: int, folder: Path) -> Result:
    """What `fuzz` reports."""
    report, log = folder / f"{name}.json", folder / f"{name}.log"
    child = multiprocessing.get_context("fork").Process(target=fuzz, args=(name, target, inputs, seed, folder))
    child.start()
    child.join()
    if child.exitcode:
        sys.exit(f"the fuzzer of {name} ended with {child.exitcode}:\n{log.read_text()}")
    return Result(*json.loads(report.read_text()))


if __name__ == "__main__":
    main()
