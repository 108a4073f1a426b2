import numpy as np
import pytest

from myxtts.config import DataError
from myxtts.data.records import Array, RecordFile, latent_schema, mel_schema, read_records, serialize, token_schema, write_records

VALUES = {"text_ids": [3, 1, 4], "codes": [9, 8], "shifted": [], "places": [], "row": 7}


def test_both_directions(tmp_path):
    schema = token_schema()
    assert write_records(tmp_path / "t.tfrecord", schema, [VALUES, VALUES | {"codes": []}]) == 2
    first, second = read_records(tmp_path / "t.tfrecord", schema)
    np.testing.assert_array_equal(first["text_ids"], [3, 1, 4])
    assert first["row"] == 7
    assert second["codes"].shape == (0,)


def test_records_are_read_in_any_order(tmp_path):
    write_records(tmp_path / "m", mel_schema(5), ({"mel": np.full((n, 5), n)} for n in (3, 1, 7)))
    records = RecordFile(tmp_path / "m", mel_schema(5))
    assert [len(records[number]["mel"]) for number in (2, 0, 1)] == [7, 3, 1]
    assert len(records) == 3
    assert records[2]["mel"].dtype == np.float16
    assert (records[2]["mel"] == 7).all()


def test_a_record_has_the_same_bytes_in_every_process():
    """In the order of the names: that of a map of protobuf differs from process to process."""
    schema = {name: Array("int32", ()) for name in "dhbkaljcgief"}
    record = serialize(schema, dict.fromkeys(schema, 1))
    places = [record.index(b"\x01" + name.encode() + b"\x12") for name in sorted(schema)]
    assert places == sorted(places)


def test_a_damaged_record_is_named(tmp_path):
    path = tmp_path / "m"
    write_records(path, mel_schema(5), [{"mel": np.ones((3, 5))}])
    content = bytearray(path.read_bytes())
    content[12:20] = b"\xff" * 8
    path.write_bytes(content)
    with pytest.raises(DataError, match="a record is damaged"):
        RecordFile(path, mel_schema(5))[0]


def test_paths_keep_their_letters(tmp_path):
    schema = latent_schema(3)
    write_records(tmp_path / "l", schema, [{"latents": np.zeros((2, 3)), "row": 0, "path": "/داده/é.wav"}])
    assert next(read_records(tmp_path / "l", schema))["path"] == "/داده/é.wav"


def test_wrong_shape_or_names_are_refused():
    with pytest.raises(DataError, match=r"expected an array of shape \(None, 5\), got \(2, 4\)"):
        serialize(mel_schema(5), {"mel": np.zeros((2, 4))})
    with pytest.raises(DataError, match="must hold"):
        serialize(mel_schema(5), {"mels": np.zeros((2, 5))})


def test_missing_and_cut_files_say_what_to_do(tmp_path):
    with pytest.raises(DataError, match="run the stage"):
        next(read_records(tmp_path / "none", token_schema()))
    path = tmp_path / "t"
    write_records(path, token_schema(), [VALUES] * 3)
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(DataError, match="damaged"):
        list(read_records(path, token_schema()))


def test_a_failed_write_leaves_nothing(tmp_path):
    def rows():
        yield VALUES
        raise OSError("no space left")

    with pytest.raises(OSError, match="no space left"):
        write_records(tmp_path / "t", token_schema(), rows())
    assert list(tmp_path.iterdir()) == []


def test_tensorflow_reads_and_writes_the_same(tmp_path):
    """Its checksums too: it refuses a file where one is wrong."""
    import tensorflow as tf

    path, schema = tmp_path / "t", token_schema()
    write_records(path, schema, [VALUES, VALUES | {"text_ids": range(1000)}])
    ours = [record.numpy() for record in tf.data.TFRecordDataset(str(path))]
    assert [
        len(schema["text_ids"].decode(tf.train.Example.FromString(record).features.feature["text_ids"].bytes_list.value[0]))
        for record in ours
    ] == [3, 1000]
    with tf.io.TFRecordWriter(str(tmp_path / "theirs")) as writer:
        for record in ours:
            writer.write(tf.train.Example.FromString(record).SerializeToString())
    assert (tmp_path / "theirs").stat().st_size == path.stat().st_size
    assert [list(record["text_ids"]) for record in read_records(tmp_path / "theirs", schema)] == [[3, 1, 4], list(range(1000))]
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(tf.errors.DataLossError):
        list(tf.data.TFRecordDataset(str(path)))
