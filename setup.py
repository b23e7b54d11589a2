"""What pyproject.toml cannot say: a wheel also has the digits and both params.yaml, which lie beside the package."""

from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

EXAMPLES = ["params.yaml", "examples/digits/params.yaml", *Path("examples/digits/published").glob("*.gz")]


class WithExamples(build_py):
    """Builds pipeline/bundled, which base/paths.py looks for."""

    def run(self) -> None:
        """Copy, unless the package is used where it lies."""
        super().run()
        for name in () if self.editable_mode else EXAMPLES:
            target = Path(self.build_lib, "pipeline/bundled", name)
            self.mkpath(str(target.parent))
            self.copy_file(str(name), str(target))


setup(cmdclass={"build_py": WithExamples})
