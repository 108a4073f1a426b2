"""The cache: what was kept is found again, and only that; damage, deletion and age cost work, never a wrong result."""

import os
import sqlite3
import time

import pytest

from myxtts.config import DataError
from myxtts.data import cache as module
from myxtts.data.cache import Cache, fingerprint, hand_out

KEY = fingerprint("a key")


@pytest.fixture
def cache(tmp_path):
    with Cache(tmp_path / "cache", "clips") as found:
        yield found


def age(path, seconds: float = 10) -> None:
    """As if it had been written a while ago."""
    os.utime(path, (time.time() - seconds, time.time() - seconds))


def test_what_was_kept_is_found_again_also_by_another_process_opening_it(cache, tmp_path):
    assert cache.find(KEY) is None
    cache.keep(KEY, {"seconds": 1.5, "text": "سلام"}, b"sound")
    cache.keep(fingerprint(2), {"reason": "silent"}, None)
    cache.commit()
    with Cache(tmp_path / "cache", "clips") as again, Cache(tmp_path / "cache", "mels") as other:
        assert again.find(KEY).facts == {"seconds": 1.5, "text": "سلام"} and again.find(KEY).file.read_bytes() == b"sound"
        assert again.find(fingerprint(2)).file is None
        assert other.find(KEY) is None  # another kind


@pytest.mark.parametrize("damage", ["changed", "removed"])
def test_a_file_that_is_not_what_was_kept_does_not_count(cache, damage):
    file = cache.keep(KEY, {}, b"sound").file
    age(file)
    if damage == "removed":
        file.unlink()
    else:
        file.write_bytes(b"noise")  # of the same size
    assert cache.find(KEY) is None
    cache.keep(KEY, {}, b"sound")
    assert cache.find(KEY).file.read_bytes() == b"sound"


def test_a_link_is_handed_out_and_a_copy_where_links_cannot_be(cache, tmp_path, monkeypatch):
    file = cache.keep(KEY, {}, b"sound").file
    hand_out(file, tmp_path / "out" / "a.wav")
    hand_out(file, tmp_path / "out" / "a.wav")  # there already
    assert (tmp_path / "out" / "a.wav").samefile(file)

    def refuse(*_):
        raise OSError("no links here")

    monkeypatch.setattr(module.os, "link", refuse)
    hand_out(file, tmp_path / "out" / "b.wav")
    assert (tmp_path / "out" / "b.wav").read_bytes() == b"sound" and not (tmp_path / "out" / "b.wav").samefile(file)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a.wav", "b.wav"]


def test_a_content_is_read_once(cache, tmp_path, monkeypatch):
    file = tmp_path / "a.wav"
    file.write_bytes(b"one")
    age(file)
    first = cache.digest(file)
    monkeypatch.setattr(module.hashlib, "file_digest", lambda *_: pytest.fail("read again"))
    assert cache.digest(file) == first
    monkeypatch.undo()
    file.write_bytes(b"two")
    assert cache.digest(file) != first
    file.write_bytes(b"six")  # at once, and of the same size: the clock may not show it
    assert cache.digest(file) == module.hashlib.sha256(b"six").hexdigest()


def test_what_nobody_asked_for_in_a_month_goes(cache, tmp_path, monkeypatch):
    old, used = cache.keep(KEY, {}, b"old").file, cache.keep(fingerprint(2), {}, b"used").file
    cache.commit()
    month = time.time() + (module.KEEP_DAYS + 2) * 86400
    monkeypatch.setattr(module.time, "time", lambda: month)
    with Cache(tmp_path / "cache", "clips") as later:
        assert later.find(fingerprint(2))
        assert later.prune() == 1
        assert later.find(KEY) is None and not old.exists() and used.exists()


def test_two_processes_may_write(cache, tmp_path):
    with Cache(tmp_path / "cache", "clips") as other:
        cache.keep(KEY, {"by": 1}, b"sound")
        cache.commit()
        other.keep(KEY, {"by": 1}, b"sound")
        other.commit()
        assert cache.find(KEY) and other.find(KEY)


def test_a_folder_that_cannot_be_used_is_named(tmp_path):
    (tmp_path / "cache").write_text("a file")
    with pytest.raises(DataError, match=r"cannot use the cache .*cache: .*delete it"):
        Cache(tmp_path / "cache", "clips")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "index.sqlite").write_bytes(b"no database" * 99)
    with pytest.raises(DataError, match="cannot use the cache"):
        Cache(tmp_path / "other", "clips")


def test_a_run_that_works_does_not_keep_another_from_writing(cache, tmp_path, monkeypatch):
    """What is kept waits in memory: the index is not locked while clips are worked on."""
    monkeypatch.setattr(module, "_WAIT", 0.2)
    with Cache(tmp_path / "cache", "clips") as other:
        for number in range(20):
            cache.keep(fingerprint("one", number), {}, b"sound")
            other.keep(fingerprint("two", number), {}, b"sound")
            other.find(fingerprint("one", number))
            if number % 5 == 4:
                other.commit()
        cache.commit()
        assert all(other.find(fingerprint("one", number)) for number in range(20))
        assert all(cache.find(fingerprint("two", number)) for number in range(20))


def test_an_index_that_another_run_holds_is_not_called_a_full_disk(cache, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_WAIT", 0.1)
    with Cache(tmp_path / "cache", "clips") as waiting:
        waiting.keep(KEY, {}, b"sound")
        cache._base.execute("BEGIN IMMEDIATE")
        with pytest.raises(DataError, match="another run has held it"):
            waiting.commit()
        cache._base.execute("ROLLBACK")
        waiting.commit()
        assert cache.find(KEY)


def test_a_file_put_in_the_place_of_another_with_its_time_is_read(cache, tmp_path):
    file, other = tmp_path / "a.wav", tmp_path / "b.wav"
    file.write_bytes(b"one")
    age(file)
    first = cache.digest(file)
    other.write_bytes(b"two")
    stamp = file.stat().st_mtime_ns
    os.utime(other, ns=(stamp, stamp))
    other.rename(file)  # as rsync -t does
    assert cache.digest(file) != first


def test_a_full_disk_is_named(cache, monkeypatch):
    class Full:
        def execute(self, statement, *_):
            if statement.startswith("BEGIN"):
                raise sqlite3.OperationalError("database or disk is full")

        def close(self): ...

    cache.keep(KEY, {}, b"sound")
    monkeypatch.setattr(cache, "_base", Full())
    with pytest.raises(DataError, match="disk is full; free space"):
        cache.commit()
