"""How the four files in published/ were made: the digits that scikit-learn carries, written as IDX.

Needs scikit-learn, which nothing else here does: `pip install scikit-learn`, then `python make_published.py`.
Pixels 0..16 become 0..255 by rint(p * 255 / 16). The first 1,500 images train and the last 297 test.
"""

from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits

from pipeline.datasets.idx import write_idx

PUBLISHED = Path(__file__).parent / "published"
TRAIN = 1500  # images; they come writer by writer, so those after them are by other people


def main() -> None:
    """Write the four files; the same bytes inside on every machine, and outside too where zlib is the same."""
    digits = load_digits()
    images = np.rint(digits.images * 255 / 16).astype(np.uint8)
    labels = digits.target.astype(np.uint8)
    for part, chosen in (("train", slice(TRAIN)), ("t10k", slice(TRAIN, None))):
        write_idx(PUBLISHED / f"{part}-images-idx3-ubyte.gz", images[chosen])
        write_idx(PUBLISHED / f"{part}-labels-idx1-ubyte.gz", labels[chosen])


if __name__ == "__main__":
    main()
