"""Descriptions that fit the schema, for files that tests and the fuzzer make."""

from typing import Any


def described(shape: tuple[int, int], class_names: str = "0123456789") -> dict[str, Any]:
    """The description in a dataset.npz."""
    side = max(shape)
    roles = [f"{split}_{part}" for split in ("train", "test") for part in ("images", "labels")]
    return {
        "name": "digits",
        "title": "Test digits",
        "homepage": "https://example.org",
        "licence": "none",
        "class_names": list(class_names),
        "image_shape": list(shape),
        "files": {role: {"name": f"{role}.gz", "bytes": 1, "sha256": "2" * 64} for role in roles},
        "feature_shape": list(shape),
        "features": "pixels",
        "normalize": True,
        "one_hot": True,
        "layout": "flat",
        "validation": 0,
        "held_out": "test",
        "framing": {
            "side": 0.7 * side,
            "row": shape[0] / 2 + 0.3,
            "column": shape[1] / 2 + 0.3,
            "stroke": 0.09 * side,
            "least_slant": 0.0,
            "most_slant": 0.2,
        },
    }


def trained(shape: tuple[int, int], class_names: str = "0123456789") -> dict[str, Any]:
    """The description in a weights.npz."""
    layers = {"layers": ["affine 5", "sigmoid", "affine"], "arithmetic": "exact", "loss": "cross_entropy"}
    return {
        "net": layers | {"input_shape": [1, *shape], "classes": len(class_names), "batch_size": 100},
        "params": layers | {"seed": 1},
        "data": described(shape, class_names) | {"sha256": "0" * 64},
        "sha256": "1" * 64,
    }
