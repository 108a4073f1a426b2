"""A Voice: a speaker as the networks know one, from recordings, from a file, or between others.

L conditioning latents, D width, E speaker embedding, N samples, F frames, M mel bands.
"""

import io
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from myxtts.audio import wave as wave_io
from myxtts.audio.mel import conditioning_mel, fit_frames, log_mel_numpy, speaker_mel
from myxtts.audio.vad import trim
from myxtts.config import DataError, XTTSConfig
from myxtts.data.encode import prompt_frames, speaker_frames

if TYPE_CHECKING:
    from myxtts.synthesis.speech import Synthesizer

MINIMUM_REFERENCE_SECONDS = 0.4
# of joined recordings, as in the reference: a shorter piece is left out; each recording is cut before it is joined or embedded
SHORTEST_PIECE_SECONDS, LONGEST_REFERENCE_SECONDS = 0.33, 30
VOICE_SUFFIX = ".voice"


@dataclass(frozen=True)
class Voice:
    """A speaker, as the networks know one. latents (1, L, D) for the GPT, embedding (1, E) for the decoder; float32.

    networks: which made it (`Synthesizer.voice_networks`), for others do not know what it says; "" = not known.
    """

    latents: np.ndarray
    embedding: np.ndarray
    networks: str = ""

    @classmethod
    def from_audio(cls, paths: str | Path | Sequence[str | Path], synthesizer: "Synthesizer") -> "Voice":
        """The mean over one or more recordings of a person, of which the first `encode.prompt_seconds` count.

        With `synthesis.reference_seconds`, so much of all recordings joined, in pieces (`joined_mels`). A recording is trimmed and
        brought to the loudness of the training clips, where `prepare` does so. Raises DataError where a file cannot be decoded or
        holds less than 0.4 s of sound.
        """
        paths = [paths] if isinstance(paths, str | Path) else list(paths)
        if not paths:
            raise DataError("a voice needs at least one recording; got none")
        config, model = synthesizer.config, synthesizer.model
        waves = [_reference_wave(Path(path), config) for path in paths]
        if config.synthesis.reference_seconds is None:
            prompts, speakers = zip(*(reference_mels(wave, config, model.mel_norm) for wave in waves), strict=True)
        else:
            prompts, speakers = joined_mels(waves, config, model.mel_norm)
        latents = [np.asarray(model.gpt.condition(prompt[None])) for prompt in prompts]
        embeddings = [np.asarray(model.speaker_encoder(speaker[None])) for speaker in speakers]
        return cls(np.mean(latents, axis=0), np.mean(embeddings, axis=0), synthesizer.voice_networks)

    @classmethod
    def mix(cls, voices: Sequence["Voice"], weights: Sequence[float] | None = None) -> "Voice":
        """A voice between others: their weighted mean (default: all alike). Raises DataError where they do not belong together."""
        weights = [1.0] * len(voices) if weights is None else list(weights)
        if not voices or len(weights) != len(voices):
            raise DataError(f"expected one weight for each voice and at least one voice; got {len(voices)} voices, {len(weights)} weights")
        if min(weights) < 0 or not 0 < sum(weights) < np.inf:
            raise DataError(f"the weights of voices are shares: not below 0, and not all 0; got {weights}")
        if len({(voice.networks, voice.latents.shape, voice.embedding.shape) for voice in voices}) > 1:
            raise DataError("the voices are of different models and cannot be mixed: make them from recordings with one model")
        shares = np.array(weights, np.float64) / sum(weights)
        latents, embedding = (
            np.tensordot(shares, np.stack(parts), axes=1).astype(np.float32)
            for parts in ([voice.latents for voice in voices], [voice.embedding for voice in voices])
        )
        return cls(latents, embedding, voices[0].networks)

    def save(self, path: str | Path) -> None:
        """Writes a file of some 100 KB (NumPy's npz), whole or not at all. Raises DataError if the path cannot be written."""
        if Path(path).suffix != VOICE_SUFFIX:
            raise DataError(f"a voice is saved as *{VOICE_SUFFIX}, by which it is told from a recording; got {path}")
        content = io.BytesIO()
        np.savez(content, latents=self.latents, embedding=self.embedding, networks=np.array(self.networks))
        wave_io.write_atomically(path, content.getvalue())

    @classmethod
    def load(cls, path: str | Path) -> "Voice":
        """What `save` wrote. Raises DataError where the file is not there or is no voice."""
        try:
            with np.load(path, allow_pickle=False) as parts:
                latents, embedding, networks = parts["latents"], parts["embedding"], str(parts["networks"])
        except FileNotFoundError:
            raise DataError(f"there is no voice {path}: make it from recordings (myxtts voice RECORDING --out {path})") from None
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
            raise DataError(f"{path} is no voice that was saved here ({error}): make it again from its recordings") from None
        if latents.ndim != 3 or embedding.ndim != 2 or not (np.isfinite(latents).all() and np.isfinite(embedding).all()):
            raise DataError(f"{path} is damaged: expected latents (1, L, D) and an embedding (1, E) of finite numbers; make it again")
        return cls(latents, embedding, networks)


def reference_mels(wave: np.ndarray, config: XTTSConfig, mel_norm: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The two mels of a reference clip, as long as in training: cut, or repeated where the clip is shorter.

    wave (N,) at output_sample_rate. Returns the prompt (F, M), divided by mel_norm, and the speaker encoder's mel (F', M').
    """
    rate, audio = config.model.audio.output_sample_rate, config.model.audio
    prompt_config, speaker_config = conditioning_mel(audio), speaker_mel(config.model.speaker_encoder)
    prompt = log_mel_numpy(wave_io.resample(wave, rate, prompt_config.sample_rate), prompt_config) / mel_norm
    speaker = log_mel_numpy(wave_io.resample(wave, rate, speaker_config.sample_rate), speaker_config)
    return fit_frames(prompt, prompt_frames(config)), fit_frames(speaker, speaker_frames(config))


def joined_mels(waves: Sequence[np.ndarray], config: XTTSConfig, mel_norm: np.ndarray) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """The mels of a voice as the reference's `get_conditioning_latents` takes them; neither cut nor repeated to one length.

    waves: (N,) each, at input_sample_rate, of which the first LONGEST_REFERENCE_SECONDS count. Returns the prompts (F, M), divided by
    mel_norm: `synthesis.reference_seconds` of all waves joined, in pieces of `encode.prompt_seconds`, a last one under 0.33 s left
    out; and of each wave its speaker mel (F', M').
    """
    rate = config.model.audio.input_sample_rate
    prompt_config, speaker_config = conditioning_mel(config.model.audio), speaker_mel(config.model.speaker_encoder)
    waves = [wave[: LONGEST_REFERENCE_SECONDS * rate] for wave in waves]
    joined = np.concatenate(waves)[: int(config.synthesis.reference_seconds * rate)]
    size = int(config.encode.prompt_seconds * rate)
    pieces = [joined[first : first + size] for first in range(0, len(joined), size)]
    shortest = min(SHORTEST_PIECE_SECONDS * rate, size)
    prompts = [log_mel_numpy(piece, prompt_config) / mel_norm for piece in pieces if len(piece) >= shortest]
    speakers = [log_mel_numpy(wave_io.resample_sinc(wave, rate, speaker_config.sample_rate), speaker_config) for wave in waves]
    return prompts, speakers


def _reference_wave(path: Path, config: XTTSConfig) -> np.ndarray:
    """Loaded, trimmed and levelled as `prepare` does with the training clips.

    At output_sample_rate; with `synthesis.reference_seconds` at input_sample_rate, resampled as the reference implementation does.
    """
    rate = config.model.audio.output_sample_rate
    if config.synthesis.reference_seconds is None:
        wave = wave_io.load(path, rate)[0]
    else:
        rate = config.model.audio.input_sample_rate
        wave = wave_io.resample_sinc(*wave_io.load(path), rate)
    prepare = config.prepare
    wave = trim(wave, rate, prepare.trim, prepare.trim_db, prepare.trim_margin)
    if len(wave) < MINIMUM_REFERENCE_SECONDS * rate:
        raise DataError(
            f"{path} holds {len(wave) / rate:.2f} s of sound; a voice needs at least {MINIMUM_REFERENCE_SECONDS} s, better "
            f"{config.encode.prompt_seconds:g} s: record more"
        )
    return wave if prepare.loudness_lufs is None else wave_io.normalize_loudness(wave, rate, prepare.loudness_lufs)
