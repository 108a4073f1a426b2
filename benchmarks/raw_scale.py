"""Rows a second and peak memory of the raw stage: `python benchmarks/raw_scale.py --rows 5000 5000000 --layout metadata`.

Every row of the synthetic corpus points to one audio file. Each size runs in a process of its own.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

FILES = {  # layout: name of its file, header, row
    "metadata": (
        "metadata.csv",
        "id|audio_file|text|normalized|speaker|language",
        "row{0:08d}|wavs/a.wav|Row {0:08d}.|row {0:08d}.|speaker{1}|en",
    ),
    "coqui": ("metadata.csv", "audio_file|id|text|speaker_name", "wavs/a.wav|row{0:08d}|The row of number {0:08d}.|speaker{1}"),
    "csv": ("metadata.csv", "id,audio_file,text,speaker", 'row{0:08d},wavs/a.wav,"Row {0:08d}, one of many.",speaker{1}'),
    "jsonl": ("metadata.jsonl", "", '{{"id": "row{0:08d}", "audio": "wavs/a.wav", "text": "Row {0:08d}.", "speaker": "speaker{1}"}}'),
}


def write_corpus(folder: Path, layout: str, rows: int) -> None:
    """Rows with ids of their own and one audio file."""
    (folder / "wavs").mkdir(parents=True)
    (folder / "wavs" / "a.wav").touch()
    name, header, line = FILES[layout]
    with (folder / name).open("w", encoding="utf-8") as file:
        file.write(f"{header}\n" if header else "")
        for row in range(rows):
            file.write(f"{line.format(row, row % 1000)}\n")


def measure(layout: str, rows: int, max_clips: int | None) -> dict[str, float]:
    """Runs the raw stage on a corpus of so many rows."""
    from myxtts.config import XTTSConfig
    from myxtts.data.raw import make_raw

    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        write_corpus(root / "corpus", layout, rows)
        config = XTTSConfig.from_dict({"data": {"source": {"layout": layout, "path": "corpus", "max_clips": max_clips}}})
        start, busy = time.perf_counter(), time.process_time()
        counts = make_raw(config, root, root / "raw")
        seconds, busy = time.perf_counter() - start, time.process_time() - busy
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"rows": rows, "clips": counts["clips"], "seconds": seconds, "cpu": busy, "rows_per_second": rows / seconds, "peak_mb": peak}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, nargs="+", default=[5_000, 5_000_000])
    parser.add_argument("--layout", choices=FILES, default="metadata")
    parser.add_argument("--max-clips", type=int)
    parser.add_argument("--one", action="store_true", help="measure here, as JSON")
    options = parser.parse_args()
    if options.one:
        print(json.dumps(measure(options.layout, options.rows[0], options.max_clips)))
        return
    print("| layout | rows | clips | s (cpu) | rows/s | peak memory, MB |\n|---|---:|---:|---:|---:|---:|")
    for rows in options.rows:
        limit = ["--max-clips", str(options.max_clips)] if options.max_clips else []
        command = [sys.executable, __file__, "--one", "--layout", options.layout, "--rows", str(rows), *limit]
        said = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        seconds = f"{said['seconds']:.1f} ({said['cpu']:.1f})"
        print(
            f"| {options.layout} | {said['rows']} | {said['clips']} | {seconds} | {said['rows_per_second']:.0f} | {said['peak_mb']:.0f} |"
        )


if __name__ == "__main__":
    main()
