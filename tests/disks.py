"""Files that do not do what they should."""

import os


class Behind:
    """Stands before a file and does the same as the file, except where a subclass differs."""

    def __init__(self, file):
        self.file = file

    def __getattr__(self, name):
        return getattr(self.file, name)

    def __enter__(self):
        return self

    def __exit__(self, *_error):
        self.close()

    @classmethod
    def every(cls, monkeypatch):
        """Put such an object before each file that os.fdopen makes."""
        fdopen = os.fdopen
        monkeypatch.setattr(os, "fdopen", lambda *args: cls(fdopen(*args)))


def raising(error):
    def call(*_args, **_kwargs):
        raise error

    return call
