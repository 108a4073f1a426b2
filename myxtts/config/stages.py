"""Configuration of the stages after the data: training, synthesis, evaluation, bundle, tracking."""

from pathlib import PurePosixPath
from typing import Literal

from pydantic import Field, field_validator, model_validator

from myxtts.config.base import Section

SCRATCH = "data/scratch"
TRAINED_STAGES = ("dvae", "gpt", "decoder")  # in the order in which one needs the other
# kinds of audio that an evaluation measures: its metrics are named <kind>/<metric>
KINDS = {
    "ground_truth": "the recording, as prepared for training",
    "ground_truth_unseen_speaker": "the recordings of speech_unseen_speaker: its ceiling",
    "ground_truth_cross_lingual": "the recordings of speech_cross_lingual: its ceiling",
    "copy": "the recording through the audio tokenizer: wave, codes, mel, Griffin-Lim; the most that any speech of these codes can reach",
    "decoder_copy": "the recording's codes through GPT (teacher-forced) and decoder",
    "speech": "the text, spoken by the whole model with another recording of the same speaker as reference",
    "speech_unseen_speaker": "the same of speakers that were never trained on (set eval_unseen_speaker), where some are held out",
    "speech_cross_lingual": "a held-out sentence, with a recording of the same speaker in another language as reference",
    "speech_short": "one to three words, which no recording has",
    "speech_long": "several sentences at once, which no recording has",
    "speech_numbers": "numbers, dates and times, which no recording has",
}
EVALUATION_SETS = ("cross_lingual", "short", "long", "numbers")  # besides the held-out sentences
EVALUATION_TEXTS = "data/evaluation"  # folder of the texts of those that nobody recorded
REMATERIALISE = ("none", "selective", "blocks")  # least memory last


class StartConfig(Section):
    """Which weights training starts from. Networks that are not frozen are trained on from those of the model."""

    model: str = Field(
        SCRATCH, min_length=1, description=f"bundle folder to start from, relative to the project; {SCRATCH} = random weights"
    )
    frozen: tuple[Literal[*TRAINED_STAGES], ...] = Field(
        (), description="stages whose networks are taken over unchanged; `decoder` holds the speaker encoder too"
    )
    retrain_dvae_under_frozen_gpt: bool = Field(
        False, description="let `frozen` name gpt without dvae, though the codes then come to mean what this gpt never learnt"
    )

    @field_validator("model")
    @classmethod
    def _posix(cls, value: str) -> str:
        return str(PurePosixPath(value))

    @field_validator("frozen")
    @classmethod
    def _each_once(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(value)) < len(value):
            raise ValueError(f"frozen names a stage twice: {', '.join(value)}")
        return value

    @property
    def from_scratch(self) -> bool:
        return self.model == SCRATCH

    @model_validator(mode="after")
    def _nothing_frozen_at_random(self):
        if self.frozen and self.from_scratch:
            raise ValueError(
                f"frozen: {', '.join(self.frozen)} would stay random; set start.model to the bundle folder of a model that speaks, "
                "or freeze nothing"
            )
        return self

    @model_validator(mode="after")
    def _codes_stay_as_the_gpt_knows_them(self):
        if "gpt" in self.frozen and "dvae" not in self.frozen and not self.retrain_dvae_under_frozen_gpt:
            raise ValueError(
                "frozen names gpt but not dvae: training would change the dvae's code space, and a frozen gpt goes on saying the codes "
                "of the old one; freeze dvae too, or train gpt as well (start.retrain_dvae_under_frozen_gpt: true if it must be)"
            )
        return self


class ScheduleConfig(Section):
    """Learning rate over the steps."""

    kind: Literal["constant", "cosine", "inverse_sqrt", "plateau"] = Field(
        "constant", description="inverse_sqrt falls with the square root of the steps after warm-up; plateau see `factor`"
    )
    warmup_steps: int = Field(0, ge=0)
    min_lr_ratio: float = Field(0.05, ge=0, le=1, description="lowest rate, as a share of learning_rate")
    factor: float = Field(0.5, gt=0, lt=1, description="plateau: the rate is multiplied by this")
    patience: int = Field(3, ge=1, description="plateau: validations without improvement before that")


class StageTraining(Section):
    """Training of one network. Steps count optimizer updates."""

    epochs: int = Field(1000, ge=1, description="stop after this many passes over the data ...")
    max_steps: int | None = Field(None, ge=1, description="... or after this many steps, whichever comes first")
    effective_batch_size: int = Field(32, ge=1, description="clips per optimizer update; decides the mathematics")
    batch_size: int | None = Field(None, ge=1, description="clips per micro-batch; empty = suggested for this machine")
    optimizer: Literal["adamw", "muon"] = Field(
        "adamw",
        description="muon: weight matrices between embeddings and heads move in all directions alike, at twice the learning_rate "
        "(Jordan et al. 2024), the rest as by adamw; fewer, dearer steps",
    )
    learning_rate: float = Field(1e-4, gt=0, le=1)
    schedule: ScheduleConfig = ScheduleConfig()
    betas: tuple[float, float] = (0.9, 0.96)
    weight_decay: float = Field(0.01, ge=0, description="AdamW, on weight matrices only")
    grad_clip_norm: float | None = Field(1.0, gt=0, description="clip the global gradient norm; empty = never")
    val_step: int = Field(1000, ge=1, description="validate every so many steps")
    precision: Literal["auto", "float32", "bfloat16", "float16"] = Field(
        "auto",
        description="what the network computes in; weights, norms and losses stay float32, float16 scales its loss. "
        "auto: bfloat16 on a GPU or CPU that has instructions for it, float32 elsewhere",
    )
    ema_decay: float | None = Field(
        None, gt=0, lt=1, description="keep a moving average of the weights with this decay, validate with it and export it"
    )
    frozen: tuple[str, ...] = Field(
        (),
        description="patterns (block_0/*, speaker_encoder/*) of the names of weights that stay as they are, without or with their "
        "network's name",
    )
    learning_rate_factors: dict[str, float] = Field(
        {}, description="pattern of names -> factor on learning_rate for these weights; the first that fits counts"
    )
    max_nonfinite: int = Field(
        10, ge=1, description="stop after so many steps in a row whose loss or gradient is not finite; each of them is skipped"
    )

    @model_validator(mode="after")
    def _betas_are_decays(self):
        if not all(0 <= beta < 1 for beta in self.betas):
            raise ValueError(f"betas {self.betas} must lie in [0, 1)")
        return self


class LoopConfig(Section):
    """What the loop does beside training. Changes no result, so no stage runs again for it."""

    log_step: int = Field(50, ge=1, description="metrics are read and logged every so many steps")
    save_step: int = Field(5000, ge=1, description="write a checkpoint every so many steps")
    keep_checkpoints: int = Field(2, ge=1, description="newest checkpoints kept; the best one is kept besides")
    keep_every: int | None = Field(None, ge=1, description="keep the checkpoints of the multiples of this step for good")


class LoRAConfig(Section):
    """Low-rank adapters on the GPT's attention (Hu et al. 2021), for small data: only they are trained, and merged at the end."""

    rank: int = Field(8, ge=1)
    alpha: float = Field(16.0, gt=0, description="the adapters' share is scaled by alpha / rank")
    also_train: tuple[str, ...] = Field((), description="patterns of the names of weights that are trained besides: *text_embedding*")


class DVAETraining(StageTraining):
    crop_seconds: float = Field(0.75, gt=0.1, description="random crop of a clip that a step sees")


class GPTTraining(StageTraining):
    num_buckets: int = Field(4, ge=1, le=16, description="length buckets; a step is traced once for each")
    effective_batch_size: int = Field(96, ge=1, description="clips per optimizer update; decides the mathematics")
    lora: LoRAConfig | None = Field(None, description="train low-rank adapters instead of the whole network; empty = the whole network")
    text_loss_weight: float = Field(0.01, ge=0)
    mel_loss_weight: float = Field(1.0, gt=0)
    alignment_weight: float = Field(
        0.0,
        ge=0,
        description="of guidance: the first heads of the middle layers are taught to look at the token that is spoken (encode.align), or "
        "without that to read the text evenly. A small corpus learns to read sooner by it; a large one does without",
    )
    codebook_start: bool = Field(
        False,
        description="from scratch: embeddings and output weights of codes start as projections of the audio tokenizer's codebook, not at "
        "random. A small corpus is learnt in half the steps",
    )
    reading_start: bool = Field(
        False,
        description="from scratch: two heads of each of the first three layers start by reading the text at the corpus' mean pace, two "
        "others by looking back at what was just said. For a small corpus",
    )
    fragments: int = Field(
        0,
        ge=0,
        description="runs of words, of any length, out of each training clip that are trained on besides the whole clip; needs "
        "encode.align. From short texts a small corpus learns to read sooner",
    )
    text_dropout: float = Field(
        0.0,
        ge=0,
        lt=1,
        description="share of clips and fragments that come without their text: what synthesis.guidance_scale needs",
    )
    coqui_compatible: bool = Field(
        False, description="targets and masks of the reference implementation, its faults included: for comparison, not for training"
    )

    @model_validator(mode="after")
    def _texts_of_the_reference(self):
        if self.coqui_compatible and self.text_dropout:
            raise ValueError("coqui_compatible has no clips without a text, as the reference: set text_dropout: 0")
        return self


class DecoderTraining(StageTraining):
    segment_codes: int = Field(8, ge=2, description="codes of a random segment that a step vocodes")
    mel_weight: float = Field(45.0, ge=0)
    stft_weight: float = Field(
        10.0,
        ge=0,
        description="of the distance of spectra at three resolutions, down to 0 Hz, which a mel does not see: without it the wave learns a "
        "constant offset. 0 = not computed",
    )
    feature_weight: float = Field(2.0, ge=0)
    adversarial_weight: float = Field(1.0, ge=0, description="0, and feature_weight too = without critics, by spectra alone")
    speaker_weight: float = Field(1.0, ge=0, description="of the speaker encoder's classification loss")
    consistency_weight: float = Field(
        9.0,
        ge=0,
        description="of 1 - cosine of the speaker encoder's embeddings of the generated and the true segment; the encoder is not trained "
        "by it. 0 = not computed",
    )

    @property
    def has_critics(self) -> bool:
        return bool(self.adversarial_weight or self.feature_weight)


class TrainingConfig(Section):
    dvae: DVAETraining = DVAETraining()
    gpt: GPTTraining = GPTTraining()
    decoder: DecoderTraining = DecoderTraining()


class HardwareConfig(Section):
    """What the machine is, where it should not be asked. Never changes the mathematics."""

    memory_gb: float | None = Field(None, gt=0, description="memory for training; empty = ask the machine")
    rematerialise: Literal["auto", *REMATERIALISE] = Field(
        "auto",
        description="activations of the GPT that are computed a second time instead of kept: selective = attention weights and insides of "
        "GELU, blocks = everything inside its blocks; changes no number. auto: as little as lets the wanted batch fit",
    )
    workers: int = Field(1, ge=1, description="processes that train a network together; their batches add up to the effective batch")
    cluster: Literal["local", "ray"] = Field("local", description="where they run: on this machine, or wherever Ray has room")
    all_devices: bool = Field(True, description="train over all GPUs of the machine; false = the first one")
    trial_step: bool = Field(True, description="prove the suggested batch with one real step before training, and back off if it fails")
    deterministic: bool | None = Field(None, description="same bits in every run, slower on a GPU; empty = on a CPU alone")
    num_workers: int | None = Field(
        None, ge=1, description="processes of prepare, parallel calls of the data path; empty = from the core count"
    )


class GuardsConfig(Section):
    """What keeps a model from babbling. Each intervention is reported in the result; empty or false = this guard is off."""

    duration_factor: float | None = Field(
        3.0, gt=0, description="a sentence is cut at so many times what it takes at an ordinary pace, and two seconds more"
    )
    repetition_seconds: float | None = Field(
        2.0, gt=0, description="a sentence is cut where its codes have repeated themselves, at least three times, for so long"
    )
    tail_seconds: float | None = Field(
        1.0, ge=0, description="a sentence is cut so long after its codes have looked at the end of the text, or where they start it anew"
    )
    trim_noise: bool = Field(True, description="what follows the last speech of a sentence is cut, if it is long, by the voice detector")


class SynthesisConfig(Section):
    """How a model speaks. Every setting but these first three may differ from one call to the next without a new start."""

    engine: Literal["auto", "tensorflow", "onnxruntime"] = Field(
        "auto", description="what generates the codes and vocodes; auto: ONNX Runtime on a CPU, where it is faster, TensorFlow on a GPU"
    )
    weights: Literal["float32", "bfloat16", "int8"] = Field(
        "float32",
        description="of the GPT while it generates: bfloat16 takes half the memory (TensorFlow), int8 a quarter and a third of the time "
        "(ONNX Runtime); audio differs slightly",
    )
    decoder_precision: Literal["float32", "bfloat16"] = Field(
        "float32",
        description="what the decoder computes in: bfloat16 takes a third of the time on a processor with instructions for it (`myxtts "
        "doctor` says so), with noise some 40 dB below the speech",
    )
    temperature: float = Field(0.75, ge=0, le=2, description="0 = greedy")
    top_k: int = Field(50, ge=0, description="0 = all")
    top_p: float = Field(0.85, gt=0, le=1)
    repetition_penalty: float = Field(2.0, ge=1, description="on generated codes only")
    guidance_scale: float = Field(
        1.0,
        ge=1,
        le=20,
        description="classifier-free guidance: how much likelier its text makes a code than no text would counts so many times, in "
        "logarithms, at two rows' work for one. 1 = off; for models trained with training.gpt.text_dropout",
    )
    griffin_lim_iterations: int = Field(32, ge=1)
    vocoder: Literal["griffin_lim", "decoder"] = "griffin_lim"
    coqui_compatible: bool = Field(
        False, description="as the reference samples: code 1 and [START] count as generated from the first step, [START] may be drawn"
    )
    reference_seconds: float | None = Field(
        None,
        gt=0.33,
        description="recordings of a voice are joined and so many seconds cut into pieces of encode.prompt_seconds, whose latents are "
        "averaged; empty = the first encode.prompt_seconds of each recording",
    )

    speed: float = Field(1.0, ge=0.25, le=4, description="2 = twice as fast, at the same pitch")
    pause_seconds: float = Field(0.25, ge=0, le=10, description="silence between two sentences")
    paragraph_pause_seconds: float = Field(0.6, ge=0, le=10, description="silence after a line of the text")
    batch_size: int = Field(8, ge=1, description="sentences that are spoken at once")
    candidates: int = Field(
        1, ge=1, le=16, description="so many versions of each sentence are spoken, with seeds of their own, and the best by score is kept"
    )
    short_words: int = Field(
        3,
        ge=0,
        description="a sentence of so many words or fewer is said twice in one breath and the second is kept, where the head that follows "
        "the text is known (ONNX Runtime); 0 = never",
    )
    guards: GuardsConfig = GuardsConfig()

    @model_validator(mode="after")
    def _settings_go_together(self):
        if self.coqui_compatible and self.guidance_scale != 1:
            raise ValueError(f"coqui_compatible has no guidance, as the reference: set guidance_scale: 1, got {self.guidance_scale:g}")
        only = {"bfloat16": "tensorflow", "int8": "onnxruntime"}.get(self.weights, self.engine)
        if self.engine not in ("auto", only):
            raise ValueError(f"weights: {self.weights} needs engine: {only}, got {self.engine}; set engine: auto, or other weights")
        return self


class EvaluateConfig(Section):
    num_sentences: int = Field(12, ge=1, description="held-out sentences that are spoken and recognised")
    num_logged: int = Field(4, ge=1, description="of each set, how many are kept as audio and picture")
    sets: tuple[Literal[EVALUATION_SETS], ...] = Field(
        (),
        description="what else is spoken, besides the held-out sentences: each language's texts in data/evaluation, by its voices; and, "
        "cross_lingual, held-out sentences by voices heard in another language",
    )
    sentences_per_set: int = Field(12, ge=1, description="sentences of each of these sets")
    num_opinions: int = Field(
        12,
        ge=0,
        description="of each set, how many are judged by networks that predict the opinion of listeners, at two seconds of a core a sound",
    )
    whisper: Literal["where_needed", "always", "never"] = Field(
        "where_needed",
        description="what Whisper hears, where it is installed, at a second or more a clip: where_needed = the languages that the phone "
        "recogniser does not know",
    )


class BundleConfig(Section):
    name: str = Field("myxtts", min_length=1, pattern=r"^[A-Za-z0-9._-]+$", description="registered model and folder name")
    decoder_gate: bool = Field(
        True,
        description="no bundle that speaks by its decoder (synthesis.vocoder) unless decoder_copy is no worse than copy, the Griffin-Lim "
        "path, by every metric that both have",
    )


class GateConfig(Section):
    """What a metric must reach. Which of two values is better: `max` says less, `min` says more, else the metric's name does."""

    max: float | None = Field(None, allow_inf_nan=False, description="no more than this")
    min: float | None = Field(None, allow_inf_nan=False, description="no less than this")
    worse_by: float | None = Field(
        None,
        ge=0,
        allow_inf_nan=False,
        description="by how much it may be worse than the champion's on the same evaluation set; empty = not compared",
    )

    @model_validator(mode="before")
    @classmethod
    def _is_a_section(cls, value):
        if isinstance(value, int | float):
            raise ValueError(f"a gate says which way: write {{max: {value}}} or {{min: {value}}}")
        return value

    @model_validator(mode="after")
    def _asks_for_something(self):
        if self.max is None and self.min is None and self.worse_by is None:
            raise ValueError("a gate needs max, min or worse_by; remove it, or set one of them")
        if self.max is not None and self.min is not None and self.min > self.max:
            raise ValueError(f"min {self.min} is above max {self.max}: nothing could pass")
        return self


class PromotionConfig(Section):
    """What a registered version must reach before `myxtts promote` gives it an alias."""

    gates: dict[str, GateConfig] = Field({}, description="metric of reports/evaluate.json -> gate; a metric that was not measured fails it")


class TrackingConfig(Section):
    experiment: str = Field("myxtts", min_length=1)
    flush_seconds: float = Field(10.0, gt=0, description="metrics are sent in batches this often")
    system_seconds: float | None = Field(10.0, gt=0, description="load of processor, memory and GPUs is sampled this often; empty = never")
