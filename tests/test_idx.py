"""Rows C1 to C14 and C21 of the fault table, and properties of the codec: what is not exactly one array is refused.

What else a file of images or labels must be (C10 and C11 by meaning, C15 to C20) is checked where they meet, in
pipeline.datasets.raw.
"""

import contextlib
import gzip
import struct
import tracemalloc
import zlib
from collections import deque

import hypothesis.extra.numpy as numpy_strategies
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.base.errors import PipelineError
from pipeline.datasets.idx import TYPES, decode_idx, encode_idx, inflate, read_idx, read_rows, write_idx

LABELS = np.array([7, 2, 1, 0, 4], np.uint8)
IMAGES = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
GOOD = encode_idx(IMAGES)
PACKED = gzip.compress(GOOD, mtime=0)

arrays = numpy_strategies.arrays(
    st.sampled_from(list(TYPES.values())).flatmap(
        lambda name: st.sampled_from([np.dtype(name).newbyteorder(order) for order in "<>"])
    ),
    numpy_strategies.array_shapes(min_dims=0, max_dims=5, min_side=0, max_side=4),
)


def header(code, *sizes, dimensions=None):
    dimensions = len(sizes) if dimensions is None else dimensions
    return bytes([0, 0, code, dimensions]) + b"".join(struct.pack(">I", size) for size in sizes)


def refusal(data, match="expected"):
    with pytest.raises(PipelineError, match=match) as refused:
        decode_idx(data, "a.idx")
    message = str(refused.value)
    assert message.startswith("a.idx: expected ")
    assert "found" in message
    assert "fetch it again" in message
    return message


def file_refusal(path, content, match):
    path.write_bytes(content)
    with pytest.raises(PipelineError, match=match) as refused:
        read_idx(path)
    assert str(path) in str(refused.value)
    assert "\n" not in str(refused.value)


def inflated(path):
    with path.open("rb") as file:
        return b"".join(inflate(file, str(path)))


# the layout itself


def test_the_layout_is_the_published_one():
    assert encode_idx(LABELS) == bytes.fromhex("00000801 00000005 07 02 01 00 04")
    assert encode_idx(np.array([[1, -2]], "<i4")) == bytes.fromhex("00000c02 00000001 00000002 00000001 fffffffe")


@given(arrays)
def test_every_type_and_shape_comes_back_the_same(array):
    decoded = decode_idx(encode_idx(array), "")
    assert decoded.dtype == array.dtype.newbyteorder("=")
    assert decoded.dtype.isnative
    assert decoded.shape == array.shape
    assert decoded.tobytes() == array.astype(decoded.dtype).tobytes()


@pytest.mark.parametrize("code", TYPES)
def test_C21_elements_are_big_endian_in_the_file_and_native_in_the_array(code):
    dtype = np.dtype(TYPES[code])
    values = np.array([1, 2, 100], dtype)
    assert encode_idx(values)[8:] == values.astype(dtype.newbyteorder(">")).tobytes()
    decoded = decode_idx(encode_idx(values), "")
    assert decoded.dtype == dtype
    assert decoded.dtype.isnative
    assert decoded.tolist() == [1, 2, 100]


def test_what_is_not_contiguous_is_written_in_c_order():
    assert encode_idx(np.asfortranarray(IMAGES)) == GOOD
    assert (decode_idx(encode_idx(IMAGES[:, ::-1, ::2]), "") == IMAGES[:, ::-1, ::2]).all()


@pytest.mark.parametrize("array", [np.array([1], np.uint16), np.array([True]), np.array(["7"]), np.array([1j])])
def test_a_type_that_idx_lacks_is_not_written(array):
    with pytest.raises(ValueError, match="IDX has no room for"):
        encode_idx(array)


def test_a_size_of_more_than_32_bits_is_not_written():
    with pytest.raises(ValueError, match="IDX has no room for"):
        encode_idx(np.lib.stride_tricks.as_strided(np.zeros(1, np.uint8), (1 << 32,), (0,)))


# headers


def test_C1_nothing_at_all():
    refusal(b"", "expected an IDX header of at least 4 bytes, found 0 bytes")


@pytest.mark.parametrize("length", range(len(GOOD)))
def test_C14_every_truncation_is_refused(length):
    refusal(GOOD[:length])


@pytest.mark.parametrize("byte", range(16))
def test_every_bit_flipped_in_the_header_is_refused(byte):
    for bit in range(8):
        if (byte, bit) == (2, 0):
            continue  # the type becomes int8, which is also sound
        refusal(GOOD[:byte] + bytes([GOOD[byte] ^ 1 << bit]) + GOOD[byte + 1 :])


@given(st.binary(max_size=300))
def test_any_bytes_are_an_array_or_refused(data):
    with contextlib.suppress(PipelineError):
        assert encode_idx(decode_idx(data, "")) == data


@given(st.sampled_from(list(TYPES)), st.lists(st.integers(0, 2**32 - 1), max_size=255), st.binary(max_size=40))
def test_any_sizes_are_an_array_or_refused(code, sizes, body):
    with contextlib.suppress(PipelineError):
        decode_idx(header(code, *sizes) + body, "")


@pytest.mark.parametrize(
    ("start", "hint"),
    [
        (b"\x00\x01\x08\x01", "found 00 01;"),
        (b"\x01\x00\x08\x01", "found 01 00;"),
        (b"\x01\x08\x00\x00", "little-endian"),
        (b"\x1f\x8b\x08\x00", "which is gzip: its name should end in .gz"),
        (b"<!DOCTYPE", "which is HTML"),
        (b"\n <html>", "which is HTML"),
        (b"\x93NUMPY", "found 93 4e"),
    ],
)
def test_C8_C9_two_zero_bytes_come_first(start, hint):
    assert hint in refusal(start + GOOD, "expected two zero bytes at byte 0")


@pytest.mark.parametrize("code", sorted(set(range(256)) - set(TYPES)))
def test_C10_a_type_code_that_nobody_knows(code):
    refusal(header(code, 0), f"type code at byte 2 .*found {code:#04x}")


@pytest.mark.parametrize(("dimensions", "length"), [(0, 5), (1, 8 + 0x1C), (64, 260)])
def test_C11_any_number_of_dimensions_that_numpy_has(dimensions, length):
    assert decode_idx(header(8, *[1] * dimensions) + b"\x09", "").shape == (1,) * dimensions


@pytest.mark.parametrize("dimensions", [65, 255])
def test_C11_more_dimensions_than_numpy_has(dimensions):
    refusal(header(8, *[1] * dimensions) + b"\x09", f"expected at most 64 dimensions at byte 3, found {dimensions}")


def test_C11_three_dimensions_promised_and_one_given_or_the_other_way_round():
    refusal(header(8, 5, dimensions=3) + LABELS.tobytes(), "3 sizes in a header of 16 bytes, found only 13")
    refusal(header(8, 2, 3, 4, dimensions=1) + IMAGES.tobytes(), r"10 bytes for uint8 of shape \(2,\), found 40")


@pytest.mark.parametrize("shape", [(0,), (0, 28, 28), (5, 0), (2**32 - 1, 0)])
def test_C12_no_elements_is_an_empty_array(shape):
    assert decode_idx(header(8, *shape), "").shape == shape


@pytest.mark.parametrize(
    "sizes",
    [(2**16, 2**16), (2**32 - 1,) * 2, (2**32 - 1,) * 3, (2**31, 2**31, 4), (2**32 - 1,) * 64],
    ids=["32-bits", "64-bits", "96-bits", "to-0-in-64-bits", "2048-bits"],
)
@pytest.mark.parametrize("code", [0x08, 0x0E])
def test_C13_sizes_whose_product_overflows(sizes, code):
    refusal(header(code, *sizes) + bytes(100), "found only")


@pytest.mark.parametrize("sizes", [(0, 2**32 - 1, 2**32 - 1), (2**32 - 1, 2**32 - 1, 2**32 - 1, 0)])
def test_C13_sizes_that_overflow_beside_a_zero(sizes):
    refusal(header(8, *sizes), "a shape that NumPy can hold")


@pytest.mark.parametrize(("body", "found"), [(GOOD[:-1], "only 39"), (GOOD + b"\0", "41")])
def test_C14_a_byte_too_few_or_too_many(body, found):
    refusal(body, rf"expected 40 bytes for uint8 of shape \(2, 3, 4\), found {found};")


# files


@pytest.mark.parametrize("name", ["images", "images.gz"])
def test_a_file_comes_back_the_same_and_twice_the_same_bytes(name, tmp_path):
    path = tmp_path / name
    write_idx(path, IMAGES)
    first = path.read_bytes()
    assert (read_idx(path) == IMAGES).all()
    write_idx(path, IMAGES)
    assert path.read_bytes() == first


def test_a_compressed_file_holds_neither_its_name_nor_the_time(tmp_path):
    write_idx(tmp_path / "images.gz", IMAGES)
    assert (tmp_path / "images.gz").read_bytes()[:10] == bytes.fromhex("1f8b 08 00 00000000 02 ff")
    assert inflated(tmp_path / "images.gz") == GOOD


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(array=arrays)
def test_every_file_comes_back_the_same(tmp_path, array):
    for name in ("a", "a.gz"):
        write_idx(tmp_path / name, array)
        decoded = read_idx(tmp_path / name)
        assert decoded.shape == array.shape
        assert decoded.tobytes() == array.astype(decoded.dtype).tobytes()
        if array.ndim:
            rows = read_rows(tmp_path / name)
            assert (rows.shape, rows.dtype) == (array.shape, decoded.dtype)
            assert rows.dtype.isnative
            assert rows.whole().tobytes() == decoded.tobytes()


@pytest.mark.parametrize("block", [50, 100, 1 << 18])
@pytest.mark.parametrize("name", ["images", "images.gz"])
def test_rows_come_in_blocks_of_whole_rows(name, block, tmp_path, monkeypatch):
    monkeypatch.setattr("pipeline.datasets.idx.BLOCK", block)
    images = np.arange(300, dtype=np.int16).reshape(50, 3, 2)
    write_idx(tmp_path / name, images)
    blocks = list(read_rows(tmp_path / name))
    assert np.array_equal(np.concatenate(blocks), images)
    assert max(part.nbytes for part in blocks) <= block
    assert all(part.flags.writeable for part in blocks)


@pytest.mark.parametrize(("cut", "found"), [(-1, "only 39"), (None, "more")])
def test_C14_rows_that_are_fewer_or_more_than_promised_are_refused_at_their_end(cut, found, tmp_path):
    (tmp_path / "a").write_bytes((GOOD + b"\0" * (cut is None))[:cut])
    with pytest.raises(PipelineError, match=f"expected 40 bytes.* found {found}"):
        deque(read_rows(tmp_path / "a"), 0)


def test_rows_of_no_dimension_are_refused(tmp_path):
    write_idx(tmp_path / "a", np.array(7, np.uint8))
    with pytest.raises(PipelineError, match="expected at least one dimension at byte 3, found 0"):
        read_rows(tmp_path / "a")


@pytest.mark.parametrize("name", ["images", "images.gz"])
def test_C1_a_missing_file_says_how_to_get_it(name, tmp_path):
    with pytest.raises(PipelineError, match=rf"{name} does not exist; fetch it again: python -m pipeline.download"):
        read_idx(tmp_path / name)


def test_C1_an_empty_file(tmp_path):
    file_refusal(tmp_path / "images", b"", "found 0 bytes")
    file_refusal(tmp_path / "images.gz", b"", "found its end after 0 bytes")


@pytest.mark.parametrize("length", range(len(PACKED)))
def test_C2_every_truncation_of_a_gzip_file_is_refused(length, tmp_path):
    file_refusal(tmp_path / "images.gz", PACKED[:length], f"end after {length} bytes|header")
    with pytest.raises(PipelineError, match="expected a whole gzip file"):
        inflated(tmp_path / "images.gz")


@pytest.mark.parametrize("byte", range(-8, -4), ids="C3-{}".format)
def test_a_bad_crc(byte, tmp_path):
    bad = bytearray(PACKED)
    bad[byte] ^= 1
    file_refusal(tmp_path / "images.gz", bad, "incorrect data check")


@pytest.mark.parametrize("byte", range(-4, 0), ids="C4-{}".format)
def test_a_bad_length(byte, tmp_path):
    bad = bytearray(PACKED)
    bad[byte] ^= 1
    file_refusal(tmp_path / "images.gz", bad, "incorrect length check")


@pytest.mark.parametrize(
    "tail", [b"\0", bytes(512), b"garbage", b"\x1f"], ids=["zero", "zeros", "text", "half-a-magic"]
)
def test_C5_bytes_behind_the_member(tail, tmp_path):
    file_refusal(tmp_path / "images.gz", PACKED + tail, "expected the end of the gzip member, found more after it")


@pytest.mark.parametrize("block", [1, 7, len(PACKED)])
def test_C5_wherever_the_blocks_end_the_member_must_end_with_the_file(block, tmp_path, monkeypatch):
    monkeypatch.setattr("pipeline.datasets.idx.BLOCK", block)
    file_refusal(tmp_path / "images.gz", PACKED + b"\0", "expected the end of the gzip member|header of")
    with pytest.raises(PipelineError, match="expected the end of the gzip member, found more after it"):
        inflated(tmp_path / "images.gz")
    (tmp_path / "images.gz").write_bytes(PACKED)
    assert inflated(tmp_path / "images.gz") == GOOD


def test_C6_a_second_member(tmp_path):
    file_refusal(tmp_path / "images.gz", PACKED * 2, "found more after it, starting with 1f 8b")
    file_refusal(tmp_path / "images.gz", gzip.compress(GOOD[:20]) + gzip.compress(GOOD[20:]), "found more after it")


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (b"<html></html>" * 9, "3c 68, which is HTML;"),
        (b"\xef\xbb\xbf\r\n<html>", "ef bb, which is HTML;"),
        (zlib.compress(GOOD), "78 9c;"),
        (GOOD, "00 00, which is IDX: its name should not end in .gz;"),
        (b"PK\x03\x04" * 9, "50 4b;"),
        (b"\x00", "00;"),
    ],
)
def test_C2_what_is_no_gzip_at_all(content, found, tmp_path):
    file_refusal(tmp_path / "images.gz", content, f"expected gzip, 1f 8b at byte 0, found {found}")


def test_C2_C3_damage_is_located_to_the_block(tmp_path, monkeypatch):
    monkeypatch.setattr("pipeline.datasets.idx.BLOCK", 16)
    (tmp_path / "images.gz").write_bytes(PACKED[:-8] + bytes(8))
    with pytest.raises(PipelineError, match=f"incorrect data check after byte {(len(PACKED) - 5) // 16 * 16};"):
        inflated(tmp_path / "images.gz")


def test_every_bit_flipped_in_a_gzip_file_is_refused_or_harmless(tmp_path):
    """Time and operating system in the gzip header may be anything, and also the bits that fill the last byte."""
    path = tmp_path / "images.gz"
    for byte in range(len(PACKED)):
        for bit in range(8):
            path.write_bytes(PACKED[:byte] + bytes([PACKED[byte] ^ 1 << bit]) + PACKED[byte + 1 :])
            with contextlib.suppress(PipelineError):
                assert (read_idx(path) == IMAGES).all()
                assert byte in (*range(3, 10), len(PACKED) - 9)


@pytest.mark.parametrize("read", [read_idx, lambda path: deque(read_rows(path), 0)], ids=["whole", "rows"])
@pytest.mark.parametrize("promised", [24, 1 << 20])
def test_C7_a_bomb_costs_no_more_than_its_header_promises(promised, read, tmp_path):
    path = tmp_path / "images.gz"
    path.write_bytes(gzip.compress(header(8, promised) + bytes(1 << 26), 1))
    tracemalloc.start()
    with pytest.raises(PipelineError, match=f"expected {promised + 8} bytes"):
        read(path)
    assert tracemalloc.get_traced_memory()[1] < 12 << 20
    tracemalloc.stop()


def test_C7_a_bomb_that_keeps_its_promise_costs_no_memory_by_rows(tmp_path):
    path = tmp_path / "images.gz"
    path.write_bytes(gzip.compress(header(8, 1 << 14, 1 << 12) + bytes(1 << 26), 1))
    tracemalloc.start()
    assert sum(len(block) for block in read_rows(path)) == 1 << 14
    assert tracemalloc.get_traced_memory()[1] < 3 << 20
    tracemalloc.stop()


@pytest.mark.parametrize("name", ["images", "images.gz"])
def test_C7_a_header_that_promises_too_much_is_refused_before_the_body_is_read(name, tmp_path):
    """A gzip file may promise no more than deflate can make of its bytes; any other file is read to its end."""
    content = header(8, 1 << 31) + bytes(100)
    if name.endswith(".gz"):
        packed = gzip.compress(content, mtime=0)
        file_refusal(tmp_path / name, packed, f"a header that promises at most {1032 * len(packed)} bytes")
    else:
        file_refusal(tmp_path / name, content, "found only 108")


def test_several_blocks_are_read(tmp_path):
    noise = np.random.default_rng(1).integers(0, 256, (3, 1 << 20), np.uint8)
    write_idx(tmp_path / "a", noise)
    write_idx(tmp_path / "a.gz", noise)
    assert (read_idx(tmp_path / "a") == noise).all()
    assert (read_idx(tmp_path / "a.gz") == noise).all()
