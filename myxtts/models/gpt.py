"""The autoregressive transformer: conditioning latents, text, codes -> the next code.

B batch, L conditioning latents, T text tokens, S codes, D width, V text vocabulary, A audio vocabulary (codes, START, STOP),
P = L + T prefix, H heads, d = D / H. Masks are boolean, True = keep.

Sequence: [latents][START text STOP][START codes STOP]. Causal throughout, so a latent sees the latents before it only.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

import keras
from keras import ops

from myxtts.config import GPTConfig, ModelError
from myxtts.models.conditioning import ConditioningEncoder, PerceiverResampler
from myxtts.models.layers import SeedGenerator, TransformerBlock, build_layers, causal_mask

LEAST_LOOK = 1e-4  # that its logarithm has a bound


class GPTOutput(NamedTuple):
    """text_logits (B, T, V), audio_logits (B, S, A), audio_latents (B, S, D), all float32.

    Position i predicts token i + 1. audio_latents[i] is the state whose input is audio id i, after the final norm: what the
    decoder turns into sound. astray (B, S) float32, where guidance asked for it: -log of how near to their place in the text the guided
    heads look, 0 = right there.
    """

    text_logits: Any
    audio_logits: Any
    audio_latents: Any
    astray: Any = None


class Cache(NamedTuple):
    """keys and values: for each layer (B, H, P + max_audio, d); prefix_mask (B, P) boolean, True = keep."""

    keys: tuple[Any, ...]
    values: tuple[Any, ...]
    prefix_mask: Any


class GPT(keras.Model):
    """GPT-2 (Radford et al. 2019) over conditioning latents, text and codes, as XTTS v2 arranges it (Casanova et al. 2024).

    Text and codes have their own embeddings and count their positions from 0 each, so padding between them shifts nothing;
    GPT-2's own positions over the joined sequence are left out (XTTS sets them to zero).
    rematerialise: what training computes a second time instead of keeping it, as in TransformerBlock; changes no number.
    """

    def __init__(
        self, config: GPTConfig, num_text_tokens: int, num_audio_tokens: int, num_mels: int, name: str = "gpt", blocks: bool = True
    ):
        """blocks: False = without the transformer's blocks, nine tenths of its memory: it makes voices, and another runs the rest."""
        super().__init__(name=name)
        self.config, self.num_mels = config, num_mels
        self.num_text_tokens, self.num_audio_tokens = num_text_tokens, num_audio_tokens
        # [START] and [STOP] come on top of the text; of the codes upstream keeps one more (room for a conditioning token)
        self.text_positions, self.audio_positions = config.max_text_tokens + 2, config.max_audio_tokens + 3
        self.conditioning_encoder = ConditioningEncoder(config, num_mels, name="conditioning_encoder")
        self.perceiver = PerceiverResampler(config, name="perceiver")
        self.rematerialise = "none"
        self.seeds = SeedGenerator()
        # GPT-2 shrinks what goes back into the residual stream by the number of its additions
        scale = (2 * config.num_layers) ** -0.5
        self.blocks = [
            TransformerBlock(config.dim, config.num_heads, config.dropout, scale, name=f"block_{i}")
            for i in range(config.num_layers if blocks else 0)
        ]
        # two norms in a row: GPT-2 ends with one, and XTTS adds its own before the heads
        self.blocks_norm = keras.layers.LayerNormalization(epsilon=1e-5, name="blocks_norm")
        self.final_norm = keras.layers.LayerNormalization(epsilon=1e-5, name="final_norm")
        self.text_head = keras.layers.Dense(num_text_tokens, kernel_initializer=_normal(), name="text_head")
        self.audio_head = keras.layers.Dense(num_audio_tokens, kernel_initializer=_normal(), name="audio_head")
        self.build_weights()

    def build_weights(self) -> None:
        """Creates every variable, without data. Construction has already called it."""
        if not self.built:
            self.build(None)

    def build(self, input_shape=None) -> None:
        dim = self.config.dim

        def table(name: str, rows: int) -> Any:
            # .02 and not the reference's N(0, 1): it trains on top of Tortoise's weights, we from scratch
            return self.add_weight(name=name, shape=(rows, dim), initializer=_normal())

        self.text_embedding = table("text_embedding", self.num_text_tokens)
        self.audio_embedding = table("audio_embedding", self.num_audio_tokens)
        self.text_position_embedding = table("text_position_embedding", self.text_positions)
        self.audio_position_embedding = table("audio_position_embedding", self.audio_positions)
        for layer in (self.conditioning_encoder, self.perceiver, *self.blocks):
            layer.build(None)
        build_layers((self.blocks_norm, dim), (self.final_norm, dim), (self.text_head, dim), (self.audio_head, dim))
        self.built = True

    def condition(self, prompt_mel: Any, training: bool = False) -> Any:
        """Mel of the reference voice (B, F, M), normalised -> conditioning latents (B, L, D). `training` changes no number here."""
        if prompt_mel.shape[-1] != self.num_mels:
            raise ModelError(f"this GPT is conditioned on mels of {self.num_mels} bands, channels last; it got {tuple(prompt_mel.shape)}")
        return self.perceiver(self.conditioning_encoder(prompt_mel, rematerialise=self.rematerialise if training else "none"))

    def call(
        self,
        latents: Any,
        text_ids: Any,
        text_mask: Any,
        audio_ids: Any,
        audio_mask: Any,
        training: bool = False,
        near: Any = None,
    ) -> GPTOutput:
        """Teacher-forced pass over whole sequences.

        latents (B, L, D) of `condition`; text_ids (B, T) with START and STOP, audio_ids (B, S) with START (and STOP);
        text_mask (B, T), audio_mask (B, S) boolean, True = keep: what they leave out is seen by no position. Latents are always
        visible. near (B, S, T) in [0, 1], for guidance: how near each token is to where a guided head should look; with it the output has
        `astray`. Returns GPTOutput. Raises ModelError where T or S exceeds the position tables.
        """
        prefix, prefix_mask = self._prefix(latents, text_ids, text_mask)
        audio = self._embed(audio_ids, self.audio_embedding, self.audio_position_embedding, "codes", "max_audio_tokens")
        if training and self.config.code_dropout:
            audio = self._hide(audio)
        key_mask = ops.concatenate([prefix_mask, ops.cast(audio_mask, "bool")], axis=1)  # (B, P + S)
        x = ops.concatenate([prefix, audio], axis=1)  # (B, P + S, D)
        if training and self.config.dropout:
            x = keras.random.dropout(x, self.config.dropout, seed=self.seeds)
        mask = causal_mask(x.shape[1], key_mask)
        first, end = latents.shape[1], prefix.shape[1]
        astray = []
        for number, block in enumerate(self.blocks):
            if near is not None and number in self.guided_layers:
                looks = block.first_head(x, mask, end)[:, :, first:end]  # (B, S, T)
                astray.append(-ops.log(ops.sum(looks * ops.cast(near, "float32"), axis=2) + LEAST_LOOK))
            x = block(x, mask, training=training, rematerialise=self.rematerialise if training else "none")
        x = self.final_norm(self.blocks_norm(x))
        text, audio = x[:, first:end], x[:, end:]
        outputs = (ops.cast(part, "float32") for part in (self.text_head(text), self.audio_head(audio), audio))
        return GPTOutput(*outputs, sum(astray) / len(astray) if astray else None)

    @property
    def guided_layers(self) -> range:
        """The middle third of the layers: their first head is the one that guidance teaches to follow the text."""
        layers = len(self.blocks)
        return range(layers // 3, max(layers // 3 + 1, 2 * layers // 3))

    def alignment(self, latents: Any, text_ids: Any, text_mask: Any, audio_ids: Any, audio_mask: Any) -> Any:
        """Which text token each audio position looks at: attention weights (B, S, T) float32 of one head, padding 0.

        Arguments as of `call`. Of all layers' heads each row's is the one that follows its text best: whose weights are sharp at
        every position, and not always on the same token (as those of heads that rest on [START] are).
        """
        positions = ops.maximum(ops.sum(ops.cast(audio_mask, "float32"), axis=1), 1.0)[:, None]  # (B, 1)
        best_score, best = -1.0, 0.0
        for looks in self._attention_to_text(latents, text_ids, text_mask, audio_ids, audio_mask):
            sharpness = ops.sum(ops.max(looks, axis=3), axis=2) / positions  # (B, H)
            constancy = ops.max(ops.sum(looks, axis=2), axis=2) / positions
            head = ops.argmax(sharpness - constancy, axis=1)[:, None]  # (B, 1)
            score = ops.take_along_axis(sharpness - constancy, head, axis=1)[:, :, None]  # (B, 1, 1)
            chosen = ops.take_along_axis(looks, head[:, :, None, None], axis=1)[:, 0]  # (B, S, T)
            best_score, best = ops.maximum(score, best_score), ops.where(score > best_score, chosen, best)
        return best

    def looks(self, latents: Any, text_ids: Any, text_mask: Any, audio_ids: Any, audio_mask: Any) -> Any:
        """Which text token each head looks at most, at each audio position: (layers, B, H, S) int32. Arguments as of `call`."""
        parts = self._attention_to_text(latents, text_ids, text_mask, audio_ids, audio_mask)
        return ops.stack([ops.cast(ops.argmax(part, axis=3), "int32") for part in parts])

    def _attention_to_text(self, latents: Any, text_ids: Any, text_mask: Any, audio_ids: Any, audio_mask: Any) -> Iterator[Any]:
        """Of each layer, attention weights (B, H, S, T) float32 of audio positions to text, padding 0. Arguments as of `call`."""
        prefix, prefix_mask = self._prefix(latents, text_ids, text_mask)
        audio = self._embed(audio_ids, self.audio_embedding, self.audio_position_embedding, "codes", "max_audio_tokens")
        x = ops.concatenate([prefix, audio], axis=1)  # (B, P + S, D)
        mask = causal_mask(x.shape[1], ops.concatenate([prefix_mask, ops.cast(audio_mask, "bool")], axis=1))
        first, end = latents.shape[1], prefix.shape[1]
        kept = ops.cast(ops.cast(audio_mask, "bool")[:, :, None] & ops.cast(text_mask, "bool")[:, None, :], "float32")  # (B, S, T)
        for block in self.blocks:
            yield block.attention_map(x, mask)[:, :, end:, first:end] * kept[:, None]
            x = block(x, mask)

    def prefill(self, latents: Any, text_ids: Any, text_mask: Any, max_audio: int) -> Cache:
        """Runs the prefix once. Shapes as in `call`; latents may be (1, L, D) for all rows. max_audio: audio ids to make room for.

        Returns the cache that `step` continues from. Raises ModelError where max_audio exceeds the position table.
        """
        if max_audio > self.audio_positions:
            raise ModelError(f"max_audio {max_audio} exceeds the {self.audio_positions} audio positions of this GPT (max_audio_tokens)")
        x, prefix_mask = self._prefix(latents, text_ids, text_mask)
        mask = causal_mask(x.shape[1], prefix_mask)
        keys, values = [], []
        for block in self.blocks:
            x, key, value = block.with_keys(x, mask)
            room = ((0, 0), (0, 0), (0, max_audio), (0, 0))
            keys.append(ops.pad(key, room))
            values.append(ops.pad(value, room))
        return Cache(tuple(keys), tuple(values), prefix_mask)

    def step(self, cache: Cache, ids: Any, index: Any) -> tuple[Any, Any, Cache]:
        """One audio token, in the inference mode of `call`.

        ids (B,): the token fed in, START first; index: scalar int tensor, how many audio tokens came before it. Returns logits
        (B, A) and latent (B, D) of this token's position, as `call` gives them there, and the cache. Shapes never change, so a
        compiled step traces once.
        """
        index = ops.cast(index, "int32")
        prefix_length = cache.prefix_mask.shape[1]
        max_audio = cache.keys[0].shape[2] - prefix_length
        past = ops.broadcast_to((ops.arange(max_audio) <= index)[None], (cache.prefix_mask.shape[0], max_audio))
        mask = ops.concatenate([cache.prefix_mask, past], axis=1)[:, None, None, :]  # (B, 1, 1, P + max_audio)
        x = ops.take(self.audio_embedding, ids, axis=0) + ops.take(self.audio_position_embedding, index, axis=0)[None]
        x = ops.cast(x, self.compute_dtype)  # (B, D)
        keys, values = [], []
        for block, layer_keys, layer_values in zip(self.blocks, cache.keys, cache.values, strict=True):
            x, key, value = block.step(x, layer_keys, layer_values, prefix_length + index, mask)
            keys.append(key)
            values.append(value)
        latent = self.final_norm(self.blocks_norm(x))
        logits = self.audio_head(latent)
        return ops.cast(logits, "float32"), ops.cast(latent, "float32"), Cache(tuple(keys), tuple(values), cache.prefix_mask)

    def _prefix(self, latents: Any, text_ids: Any, text_mask: Any) -> tuple[Any, Any]:
        """(B, P, D) and its mask (B, P)."""
        if not self.blocks:
            raise ModelError("this GPT was loaded without its blocks, which ONNX Runtime has: load the model whole, or engine: tensorflow")
        text = self._embed(text_ids, self.text_embedding, self.text_position_embedding, "text tokens", "max_text_tokens")
        batch, (count, dim) = text.shape[0], latents.shape[1:]
        latents = ops.cast(ops.broadcast_to(latents, (batch, count, dim)), text.dtype)
        visible = ops.ones((batch, count), dtype="bool")
        return ops.concatenate([latents, text], axis=1), ops.concatenate([visible, ops.cast(text_mask, "bool")], axis=1)

    def _hide(self, audio: Any) -> Any:
        """Embedded codes (B, S, D), of which a share `code_dropout` keeps nothing but its position (Bowman et al. 2016, section 3.1)."""
        kept = keras.random.uniform((*ops.shape(audio)[:2], 1), seed=self.seeds) >= self.config.code_dropout
        positions = ops.cast(ops.convert_to_tensor(self.audio_position_embedding)[None, : audio.shape[1]], audio.dtype)
        return ops.where(kept, audio, positions)

    def _embed(self, ids: Any, embedding: Any, positions: Any, what: str, limit: str) -> Any:
        """ids (B, T) -> (B, T, D) with their positions from 0."""
        if ids.shape[1] > positions.shape[0]:
            raise ModelError(
                f"{ids.shape[1]} {what} (START and STOP included) exceed this GPT's {positions.shape[0]} positions; "
                f"shorten the input or train with a larger model.gpt.{limit}"
            )
        x = ops.take(embedding, ids, axis=0) + ops.convert_to_tensor(positions)[None, : ids.shape[1]]
        return ops.cast(x, self.compute_dtype)


def _normal() -> keras.initializers.Initializer:
    return keras.initializers.RandomNormal(stddev=0.02)
