"""How a command starts TensorFlow: without its notes, and without what Keras imports and nothing here needs."""

import contextlib
import os
import sys
import tempfile
from collections.abc import Iterator


def import_tensorflow() -> None:
    """Imports TensorFlow without its start-up notes (no CUDA, oneDNN is on): they are printed before any log level counts.

    They go to a file, which is shown if the import fails.
    """
    with tempfile.TemporaryFile() as notes:
        kept = os.dup(2)
        os.dup2(notes.fileno(), 2)
        try:
            with _hidden("sklearn", "matplotlib", "pandas"):
                import keras  # noqa: F401
        except BaseException:
            notes.seek(0)
            os.write(kept, notes.read())
            raise
        finally:
            os.dup2(kept, 2)
            os.close(kept)


@contextlib.contextmanager
def _hidden(*names: str) -> Iterator[None]:
    """A block in which these packages seem not to be installed, as far as they are not imported yet.

    Keras imports them where they are, for interfaces that nothing here uses: a third of its time.
    """
    hidden = [name for name in names if name not in sys.modules]
    sys.modules.update(dict.fromkeys(hidden))
    try:
        yield
    finally:
        for name in hidden:
            del sys.modules[name]
