"""The one type that every room passes around."""

from typing import Any

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]
