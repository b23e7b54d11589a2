"""The site that `make docs` builds with Sphinx: the pages of the project and the API from its docstrings.

The sources are the Markdown files in their places, so that the repository and the site have one text.
"""

import re
from typing import Any

from sphinx.application import Sphinx

project = "The reproducible MNIST pipeline"
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.apidoc"]
root_doc = "README"
# without the next two lines, Sphinx would read every file of .venv
exclude_patterns = [".*", "build", "data", "examples/digits/data", "pipeline", "tests", "tools"]
include_patterns = ["*.md", "docs/*.md", "docs/api/*.rst", "examples/digits/README.md"]
html_theme = "furo"
html_title = project
myst_heading_anchors = 3
default_role = "code"
apidoc_modules = [
    {"path": "../pipeline", "destination": "docs/api", "separate_modules": False, "automodule_options": {"members"}}
]
autodoc_member_order = "bysource"
autodoc_typehints = "none"  # Array would become numpy.ndarray[typing.Any, numpy.dtype[typing.Any]]
autodoc_preserve_defaults = True

CONTENTS = """

```{toctree}
:hidden:
:glob:
docs/*
examples/digits/README
CONTRIBUTING
SECURITY
CHANGELOG
API <docs/api/modules>
```
"""


def with_contents(app: Sphinx, page: str, source: list[str]) -> None:
    """Add the list of pages, which only the site needs, to the README."""
    if page == root_doc:
        source[0] += CONTENTS


def escaped(app: Sphinx, kind: str, name: str, found: Any, options: Any, lines: list[str]) -> None:
    """Docstrings are plain text with `code`: escape what reStructuredText takes for markup, and keep indented lines."""
    lines[:] = [re.sub(r"([*|_\\])(?=(?:[^`]*`[^`]*`)*[^`]*$)", r"\\\1", line) for line in lines]
    for i, line in enumerate(lines):
        if line.startswith(" ") or "   " in line:
            lines[i] = f"| {line}"


def left_out(app: Sphinx, kind: str, name: str, found: Any, skip: bool, options: Any) -> bool | None:
    """Leave out the fields of named tuples, whose docstrings say only their number."""
    return True if "Alias for field number" in (getattr(found, "__doc__", None) or "") else None


def setup(app: Sphinx) -> None:
    """Register the three functions above."""
    app.connect("source-read", with_contents)
    app.connect("autodoc-process-docstring", escaped)
    app.connect("autodoc-skip-member", left_out)
