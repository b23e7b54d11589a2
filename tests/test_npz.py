"""The .npz container: NumPy reads what is written; any other file is refused before it can do harm."""

import io
import struct
import sys
import tracemalloc
import zipfile
from pathlib import Path

import hypothesis.extra.numpy as numpy_strategies
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.base.arrays import Rows
from pipeline.base.errors import PipelineError
from pipeline.base.npz import read_npz, write_npz

ARRAYS = {
    "images": np.arange(24, dtype=np.uint8).reshape(2, 3, 4),
    "weights": np.linspace(-1, 1, 7, dtype=np.float32),
    "about": np.array('{"title": "é"}'),
    "none": np.empty((0, 5), np.int64),
}

arrays = numpy_strategies.arrays(
    st.one_of(
        numpy_strategies.boolean_dtypes(),
        numpy_strategies.integer_dtypes(endianness="?"),
        numpy_strategies.unsigned_integer_dtypes(endianness="?"),
        numpy_strategies.floating_dtypes(endianness="?", sizes=(16, 32, 64)),
        numpy_strategies.complex_number_dtypes(endianness="?", sizes=(64, 128)),
        numpy_strategies.unicode_string_dtypes(endianness="<", min_len=1),
    ),
    numpy_strategies.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4),
)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "arrays.npz"


def npy(array, **fields):
    """`array` as .npy, with another header if `fields` are given."""
    described = np.lib.format.header_data_from_array_1_0(array) | fields
    stream = io.BytesIO()
    np.lib.format.write_array_header_1_0(stream, described)
    return stream.getvalue() + array.tobytes()


def with_header(text, body=b""):
    """A .npy with any header at all."""
    text = text.encode("latin-1") + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text + body


def archive(path, *members, compression=zipfile.ZIP_STORED):
    with zipfile.ZipFile(path, "w", compression) as file:
        for name, content in members:
            file.writestr(name, content)


def refusal(path, match):
    for mapped in (False, True):
        with pytest.raises(PipelineError, match=match) as refused:
            read_npz(path, remake="make it again: make all", mapped=mapped)
        message = str(refused.value)
        assert str(path) in message
        assert message.endswith("; make it again: make all.")
        assert "\n" not in message


def test_numpy_reads_what_is_written(path):
    write_npz(path, ARRAYS)
    with np.load(path, allow_pickle=False) as loaded:
        assert loaded.files == list(ARRAYS)
        for name, array in ARRAYS.items():
            assert loaded[name].dtype == array.dtype
            np.testing.assert_array_equal(loaded[name], array)


def test_what_numpy_writes_is_read(path):
    np.savez(path, **ARRAYS)
    for name, array in read_npz(path).items():
        np.testing.assert_array_equal(array, ARRAYS[name])


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(array=arrays, mapped=st.booleans())
def test_every_array_comes_back_little_endian(path, array, mapped):
    write_npz(path, {"a": array})
    found = read_npz(path, mapped=mapped)["a"]
    assert found.shape == array.shape
    assert found.dtype == array.dtype.newbyteorder("<")
    assert found.tobytes() == array.astype(found.dtype).tobytes()
    assert not found.flags.writeable


def test_two_writes_give_the_same_bytes(path, tmp_path):
    write_npz(path, ARRAYS)
    write_npz(tmp_path / "again.npz", ARRAYS)
    assert path.read_bytes() == (tmp_path / "again.npz").read_bytes()


def test_the_bytes_are_the_same_on_windows(path, tmp_path, monkeypatch):
    write_npz(path, ARRAYS)
    monkeypatch.setattr(sys, "platform", "win32")
    write_npz(tmp_path / "windows.npz", ARRAYS)
    assert path.read_bytes() == (tmp_path / "windows.npz").read_bytes()


def test_the_bytes_are_the_same_however_the_array_lies_in_memory(path, tmp_path):
    array = np.arange(12, dtype=">f4").reshape(3, 4)
    write_npz(path, {"a": array.astype("<f4")})
    for other in (array, np.asfortranarray(array), np.repeat(array, 2, axis=1)[:, ::2]):
        write_npz(tmp_path / "other.npz", {"a": other})
        assert (tmp_path / "other.npz").read_bytes() == path.read_bytes()


def test_more_than_a_block_is_written_whole(path, monkeypatch):
    monkeypatch.setattr("pipeline.base.npz.BLOCK", 10)
    write_npz(path, ARRAYS)
    np.testing.assert_array_equal(read_npz(path)["images"], ARRAYS["images"])


def test_rows_make_the_bytes_of_the_array(path, tmp_path):
    array = np.arange(300, dtype=">i4").reshape(50, 3, 2)
    write_npz(path, {"a": array})
    write_npz(tmp_path / "rows.npz", {"a": Rows.of(array, 7)})
    assert (tmp_path / "rows.npz").read_bytes() == path.read_bytes()


def test_a_mapped_array_costs_no_memory_and_outlives_its_file(path):
    write_npz(path, {"a": np.full(1 << 22, 3, np.uint8)})
    tracemalloc.start()
    found = read_npz(path, mapped=True)["a"]
    assert tracemalloc.get_traced_memory()[1] < 1 << 20
    tracemalloc.stop()
    write_npz(path, {"a": np.zeros(1 << 22, np.uint8)})
    assert (found == 3).all()


def test_more_than_4_gib_have_the_sizes_of_a_zip64_and_come_back(path, monkeypatch):
    """The limit is lowered, so that a small file is written as a large one is."""
    monkeypatch.setattr(zipfile, "ZIP64_LIMIT", 100)
    array = np.arange(1000)
    write_npz(path, {"a": array, "b": array + 1})
    for mapped in (False, True):
        found = read_npz(path, mapped=mapped)
        assert [np.array_equal(found[name], ARRAY) for name, ARRAY in (("a", array), ("b", array + 1))] == [True, True]


def test_only_the_named_arrays_are_read(path):
    write_npz(path, ARRAYS)
    assert list(read_npz(path, ["weights"])) == ["weights"]
    with pytest.raises(PipelineError, match=r"no array 'bias', only images, weights, about, none; make it again"):
        read_npz(path, ["weights", "bias"])


def test_an_array_of_objects_is_not_written(path):
    with pytest.raises(TypeError):
        write_npz(path, {"a": np.array([None])})
    assert not path.exists()


def test_a_missing_file_says_how_to_make_it(path):
    refusal(path, "does not exist")


@pytest.mark.parametrize(
    "content", [b"", b"PK", b"<html>" * 9, npy(np.zeros(3))], ids=["empty", "short", "html", "npy"]
)
def test_what_is_no_zip_is_refused(content, path):
    path.write_bytes(content)
    refusal(path, "is not a sound .npz file")


def test_every_truncation_is_refused(path):
    write_npz(path, {"a": np.arange(3)})
    content = path.read_bytes()
    for length in range(len(content)):
        path.write_bytes(content[:length])
        refusal(path, "not a sound")


@pytest.mark.parametrize("mapped", [False, True])
def test_every_flipped_bit_is_refused_or_harmless(path, mapped):
    array = np.arange(3)
    write_npz(path, {"a": array})
    content = path.read_bytes()
    for byte in range(len(content)):
        for bit in (0, 3, 7):
            path.write_bytes(content[:byte] + bytes([content[byte] ^ 1 << bit]) + content[byte + 1 :])
            try:
                found = read_npz(path, mapped=mapped)
            except PipelineError:
                continue
            assert all((values == array).all() for values in found.values())


def test_trailing_bytes_are_refused(path):
    write_npz(path, ARRAYS)
    path.write_bytes(path.read_bytes() + b"\0")
    refusal(path, "something follows its end")


def test_a_comment_is_refused(path):
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("a.npy", npy(np.zeros(3)))
        file.comment = b"psst"
    refusal(path, "something follows its end")


def test_bytes_behind_an_array_are_refused(path):
    archive(path, ("a.npy", npy(np.zeros(3)) + b"\0"))
    refusal(path, "which is not what it holds")


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_name_that_comes_twice_is_refused(path):
    archive(path, ("a.npy", npy(np.zeros(3))), ("a.npy", npy(np.ones(3))))
    refusal(path, "unexpected member 'a.npy'")


@pytest.mark.parametrize("name", ["../a.npy", "/etc/a.npy", "b/a.npy", "b\\a.npy", "a.txt", "a", "b/"])
def test_a_name_that_is_no_array_is_refused(name, path):
    archive(path, (name, npy(np.zeros(3))))
    refusal(path, "unexpected member")


@pytest.mark.parametrize("compression", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_compressed_member_is_refused(compression, path):
    archive(path, ("a.npy", npy(np.zeros(3))), compression=compression)
    refusal(path, "a.npy is compressed")


def test_a_bomb_is_not_inflated(path):
    archive(path, ("a.npy", npy(np.zeros(1 << 26, np.uint8))), compression=zipfile.ZIP_DEFLATED)
    tracemalloc.start()
    refusal(path, "a.npy is compressed")
    assert tracemalloc.get_traced_memory()[1] < 1 << 20
    tracemalloc.stop()


def test_a_directory_that_claims_more_than_the_file_costs_nothing(path):
    write_npz(path, {"a": np.zeros(3)})
    content = path.read_bytes()
    entry = content.rindex(b"PK\1\2")
    claims = struct.pack("<II", 1 << 31, 1 << 31)
    path.write_bytes(content[: entry + 20] + claims + content[entry + 28 :])
    tracemalloc.start()
    refusal(path, "a.npy claims 2147483648 bytes from byte 0 on, in a file of")
    assert tracemalloc.get_traced_memory()[1] < 1 << 20
    tracemalloc.stop()


def test_a_header_that_claims_931_gib_costs_nothing(path):
    archive(path, ("a.npy", npy(np.zeros(3), shape=(10**12,))))
    tracemalloc.start()
    refusal(path, r"claims \(1000000000000,\) of float64, which is not what it holds")
    assert tracemalloc.get_traced_memory()[1] < 1 << 20
    tracemalloc.stop()


HEADERS = {
    "object": "{'descr': '|O', 'fortran_order': False, 'shape': (1,), }",
    "fortran": "{'descr': '<f8', 'fortran_order': True, 'shape': (1,), }",
    "big-endian": "{'descr': '>f8', 'fortran_order': False, 'shape': (1,), }",
    "structured": "{'descr': [('x', '<f8')], 'fortran_order': False, 'shape': (1,), }",
    "unknown-type": "{'descr': '<f3', 'fortran_order': False, 'shape': (1,), }",
    "huge-type": "{'descr': '<U999999999', 'fortran_order': False, 'shape': (1,), }",
    "no-type": "{'descr': '<U0', 'fortran_order': False, 'shape': (1,), }",
    "negative": "{'descr': '<f8', 'fortran_order': False, 'shape': (-1,), }",
    "overflowing": "{'descr': '<f8', 'fortran_order': False, 'shape': (4294967296, 4294967296), }",
    "overflowing-to-one": "{'descr': '<f8', 'fortran_order': False, 'shape': (18446744073709551617,), }",
    "overflowing-beside-0": "{'descr': '|S1', 'fortran_order': False, 'shape': (0, 9999999999, 9999999999), }",
    "endless-number": "{'descr': '<f8', 'fortran_order': False, 'shape': (" + "9" * 5000 + ",), }",
    "code": "__import__('os').system('true')",
    "unclosed": "{'descr': '''",
    "nested": "(" * 9000,
    "empty": "",
}


@pytest.mark.parametrize("text", HEADERS.values(), ids=HEADERS)
def test_a_header_that_is_not_a_plain_array_s_is_refused(text, path):
    archive(path, ("a.npy", with_header(text, bytes(8))))
    refusal(path, "is not a sound .npz file")


def test_a_pickle_is_refused(path):
    with zipfile.ZipFile(path, "w") as file, file.open("a.npy", "w") as member:
        np.lib.format.write_array(member, np.array([{}]), allow_pickle=True)
    refusal(path, "does not start like a plain array")


def test_a_newer_npy_version_is_refused(path):
    stream = io.BytesIO()
    np.lib.format.write_array(stream, np.zeros(3), version=(3, 0))
    archive(path, ("a.npy", stream.getvalue()))
    refusal(path, "does not start like a plain array")


def test_an_encrypted_member_is_refused(path):
    write_npz(path, {"a": np.zeros(3)})
    content = bytearray(path.read_bytes())
    content[6] |= 1
    content[content.rindex(b"PK\1\2") + 8] |= 1
    path.write_bytes(content)
    refusal(path, "encrypted")


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(header=st.binary(max_size=200), body=st.binary(max_size=20))
def test_any_member_is_an_array_or_refused(path, header, body):
    archive(path, ("a.npy", b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + body))
    with pytest.raises(PipelineError):
        read_npz(path)


@pytest.mark.parametrize("path", ["/dev/zero", "/dev/null", "/"])
def test_what_is_no_regular_file_is_not_read(path):
    with pytest.raises(PipelineError, match="is not a regular file; make it again"):
        read_npz(Path(path))
