"""eSpeak NG (GPL-3), which is no part of this project: its library comes with the optional package `espeakng-loader`, called by ctypes."""

import ctypes

from myxtts.config import DataError

REMEDY = "install it with: pip install 'myxtts[sample]'"
_SYNCHRONOUS, _NO_EXIT = 2, 0x8000  # speak_lib.h


def espeak_files(needed_for: str) -> tuple[str, str]:
    """Paths of the library and of the folder of its data. needed_for: who says so, where it is not installed (DataError)."""
    try:
        import espeakng_loader
    except ImportError:
        raise DataError(f"{needed_for} expects eSpeak NG, which is not installed; {REMEDY}") from None
    return str(espeakng_loader.get_library_path()), str(espeakng_loader.get_data_path())


def open_espeak(library: str, data: str) -> tuple[ctypes.CDLL, int]:
    """The library ready to speak or to spell, and its sample rate in Hz. Its state is the process's own: one voice at a time.

    Raises DataError where it cannot be loaded or started.
    """
    try:
        espeak = ctypes.CDLL(library)
    except OSError as error:
        raise DataError(f"eSpeak NG cannot be loaded ({error}); {REMEDY}") from None
    sample_rate = espeak.espeak_Initialize(_SYNCHRONOUS, 0, data.encode(), _NO_EXIT)
    if sample_rate <= 0:
        raise DataError(f"eSpeak NG cannot be started with the data in {data}; {REMEDY}")
    return espeak, sample_rate
