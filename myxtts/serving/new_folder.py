"""Folders that are made whole or not at all, for models in the formats of others."""

import contextlib
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from myxtts.config import ModelError


def refuse_existing(out: Path) -> None:
    """Raises ModelError where `out` is there already, unless it is an empty folder."""
    if out.exists() and not (out.is_dir() and not any(out.iterdir())):
        raise ModelError(f"{out} exists: remove it, or name another folder")


@contextlib.contextmanager
def new_folder(out: Path) -> Iterator[Path]:
    """A folder beside `out` that becomes `out` at the end, and is gone where an error comes before.

    An OSError inside is one of writing: whatever is read there says its own. Raises ModelError for it, and as `refuse_existing` does.
    """
    refuse_existing(out)
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        part = Path(tempfile.mkdtemp(prefix=f".{out.name}.", dir=out.parent))
    except OSError as error:
        raise ModelError(f"{out} cannot be written ({error}); correct the permissions, or name another folder") from None
    try:
        yield part
        part.chmod(0o755)
        part.rename(out)
    except OSError as error:
        raise ModelError(f"{out} could not be written ({error}); free the disk or correct the permissions") from error
    finally:
        shutil.rmtree(part, ignore_errors=True)
