"""After a repository was moved: MLflow keeps the places of artifacts as absolute paths, and looks for them where they were."""

import sqlite3
from contextlib import closing
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit

from myxtts.config import TrackingError
from myxtts.tracking.credentials import shown_uri
from myxtts.tracking.store import locked, main_checkout, sqlite_path, tracking_uri

STORE = "mlruns"  # the folder of artifacts beside mlflow.db
# where MLflow 3 keeps places of artifacts
COLUMNS = (
    ("experiments", "artifact_location"),
    ("runs", "artifact_uri"),
    ("logged_models", "artifact_location"),
    ("model_versions", "storage_location"),
)


def relocate(root: Path) -> int:
    """Corrects the places that lie in another folder's `mlruns` but are in this one's now; returns how many.

    A place is corrected where its files are here, or are no longer where it says. Raises TrackingError for a store that is no SQLite
    file: the artifacts of a server are the server's.
    """
    main, uri = main_checkout(root), tracking_uri(root)
    if not uri.startswith("sqlite") or not sqlite_path(uri).is_file():
        raise TrackingError(f"{shown_uri(uri)} is no SQLite file of this repository: there is nothing here whose places could be corrected")
    corrected = 0
    with locked(uri), closing(sqlite3.connect(sqlite_path(uri), timeout=20)) as database, database:
        for table, column in COLUMNS:
            places = database.execute(f"SELECT DISTINCT {column} FROM {table} WHERE {column} LIKE ?", (f"%/{STORE}/%",)).fetchall()
            for (place,) in places:
                if moved := _moved(place, main):
                    changed = database.execute(f"UPDATE {table} SET {column} = ? WHERE {column} = ?", (moved, place))
                    corrected += changed.rowcount
    return corrected


def _moved(place: str, main: Path) -> str | None:
    """The place in `main` of what `place` (a path or file: URI) meant elsewhere; None where it is right, or not ours to say."""
    is_uri = place.startswith("file:")
    if not is_uri and "://" in place:
        return None
    old = PurePosixPath(unquote(urlsplit(place).path) if is_uri else place)
    start = max(number for number, part in enumerate(old.parts) if part == STORE)
    new = main.joinpath(*old.parts[start:])
    if Path(old) == new or (Path(old).exists() and not new.exists()):
        return None
    return new.as_uri() if is_uri else str(new)
