import pytest

from myxtts.config import ConfigError, XTTSConfig
from myxtts.config.stages import GPTTraining, HardwareConfig, StageTraining
from myxtts.training.hardware import Needs, go_on, split_batch, suggest
from myxtts.training.machine import Machine
from myxtts.training.memory import GB, Footprint, gpt_clip_bytes, longest_clip


@pytest.mark.parametrize(
    ("effective", "most", "replicas", "expected"),
    [(96, 60, 1, (48, 2)), (96, 1000, 1, (96, 1)), (96, 0, 1, (1, 96)), (30, 7, 1, (6, 5)), (96, 60, 4, (24, 1)), (7, 6, 1, (1, 7))],
)
def test_split_keeps_the_effective_batch(effective, most, replicas, expected):
    size, accum = split_batch(effective, most, replicas)
    assert (size, accum) == expected
    assert size * accum * replicas == effective


def test_devices_must_share_evenly():
    with pytest.raises(ConfigError, match="not divisible by 4 devices"):
        split_batch(30, 8, 4)


def needs(per_clip: int = 300_000_000, trained: int = GB // 4) -> Needs:
    """A stage whose activations halve, and halve again, with recomputation."""
    share = {"none": 1, "selective": 2, "blocks": 4}
    return Needs(trained, 0, 0, lambda each, mode: per_clip * each // 4 // share[mode], modes=("none", "selective", "blocks"))


def test_less_memory_means_smaller_micro_batches_and_says_why():
    stage = StageTraining(effective_batch_size=96)
    sizes = []
    for memory in (6, 12, 24, 80):
        found = suggest(stage, HardwareConfig(), Machine(1, memory, 12, 64), needs())
        assert found.batch_size * found.grad_accum == 96
        assert found.predicted_gb <= memory
        assert any(f"{memory:.1f} GB" in reason for reason in found.reasons)
        sizes.append(found.batch_size)
    assert sizes == sorted(sizes)
    assert sizes[0] < sizes[-1]
    assert found.num_workers == 10


def test_recomputes_as_little_as_a_busy_gpu_needs():
    stage = StageTraining(effective_batch_size=96)
    modes = [suggest(stage, HardwareConfig(), Machine(1, memory, 12, 64), needs()).rematerialise for memory in (80, 16, 10)]
    assert modes == ["none", "selective", "blocks"]
    assert suggest(stage, HardwareConfig(rematerialise="blocks"), Machine(1, 80, 12, 64), needs()).rematerialise == "blocks"
    # a CPU gains nothing from large micro-batches
    assert suggest(stage, HardwareConfig(), Machine(0, 10, 2, 16), needs()).rematerialise == "none"


@pytest.mark.parametrize(
    ("gpus", "bfloat16", "expected"), [(1, True, "bfloat16"), (1, False, "float32"), (0, True, "bfloat16"), (0, False, "float32")]
)
def test_precision_is_what_the_machine_has(gpus, bfloat16, expected):
    machine = Machine(gpus, 24, 12, 64, bfloat16)
    found = suggest(StageTraining(), HardwareConfig(), machine, needs())
    assert found.precision == expected
    assert any(f"precision {expected}" in reason for reason in found.reasons)
    assert suggest(StageTraining(precision="float16"), HardwareConfig(), machine, needs()).precision == "float16"


def test_half_precision_fits_more_clips():
    whole, half = (
        suggest(GPTTraining(precision=name), HardwareConfig(rematerialise="none"), Machine(1, 12, 4, 32), needs())
        for name in ("float32", "bfloat16")
    )
    assert half.batch_size > whole.batch_size


def test_given_batch_size_wins_but_must_divide():
    machine = Machine(0, 8, 2, 16)
    tiny = needs(per_clip=1, trained=1)
    assert suggest(StageTraining(effective_batch_size=32, batch_size=8), HardwareConfig(), machine, tiny).grad_accum == 4
    with pytest.raises(ConfigError, match="batch_size 10 does not divide effective_batch_size 32"):
        suggest(StageTraining(effective_batch_size=32, batch_size=10), HardwareConfig(), machine, tiny)


def test_backing_off_keeps_the_effective_batch_and_ends_with_a_remedy():
    found = suggest(StageTraining(effective_batch_size=6), HardwareConfig(), Machine(1, 80, 4, 64), needs())
    sizes = []
    with pytest.raises(ConfigError, match=r"not even one clip fits .*hardware.rematerialise: blocks"):
        while True:
            sizes.append((found.batch_size, found.grad_accum))
            found = found.smaller("it was full")
    assert sizes == [(6, 1), (3, 2), (2, 3), (1, 6)]
    assert "backed off to 1 x 6: it was full" in found.reasons


def test_what_the_process_holds_already_counts_on_a_cpu():
    known = Needs(1, 0, 0, lambda each, mode: 1, process=3 * GB)
    stage = StageTraining()
    assert suggest(stage, HardwareConfig(), Machine(0, 8, 2, 16), known).predicted_gb == pytest.approx(3, abs=0.01)
    assert suggest(stage, HardwareConfig(), Machine(1, 8, 2, 16), known).predicted_gb < 1


def test_accumulated_gradients_count():
    needed = Footprint(weights=4, gradients=4, optimizer=8, buffers=1, per_clip=10)
    assert needed.total(3) == 47
    assert needed.total(3, grad_accum=2) == 51
    assert Footprint(4, 4, 8, 1, 10, graph=5).total(3, grad_accum=2) == 61  # compiled twice


@pytest.mark.parametrize("preset", ["tiny", "small", "base", "xtts_v2"])
def test_recomputing_more_predicts_less(preset):
    model = XTTSConfig.from_dict({"model": {"preset": preset}}).model
    clip = longest_clip(XTTSConfig.from_dict({"model": {"preset": preset}}))
    bytes_of = [gpt_clip_bytes(model, clip, 4, mode) for mode in ("none", "selective", "blocks")]
    assert bytes_of == sorted(bytes_of, reverse=True)
    assert gpt_clip_bytes(model, clip, 2, "none") < bytes_of[0]


def state(size: int, accum: int, precision: str = "float32", mode: str = "none", **settings) -> dict:
    """Of a checkpoint."""
    split = {"batch_size": size, "grad_accum": accum, "precision": precision, "rematerialise": mode}
    return {"split": split, "settings": {"batch_size": None, "precision": "auto"} | settings}


def test_a_training_goes_on_with_its_split():
    stage, machine = GPTTraining(effective_batch_size=96), Machine(1, 24, 12, 64, bfloat16=True)
    found = suggest(stage, HardwareConfig(), machine, needs())
    before = state(8, 12, "float32", "blocks")
    assert found.split != before["split"]
    same = go_on(found, before, stage, HardwareConfig(), needs())
    assert same.split == before["split"]
    assert same.reasons[-1] == "going on with the last checkpoint's split: 8 x 12 in float32, recomputing blocks"
    assert same.predicted_gb == suggest(
        GPTTraining(effective_batch_size=96, batch_size=8, precision="float32"), HardwareConfig(rematerialise="blocks"), machine, needs()
    ).predicted_gb  # fmt: skip
    assert go_on(found, {}, stage, HardwareConfig(), needs()) == found


@pytest.mark.parametrize(
    ("stage", "hardware", "machine", "before"),
    [
        (GPTTraining(batch_size=16), HardwareConfig(), Machine(1, 24, 12, 64, True), state(8, 12)),
        (GPTTraining(precision="bfloat16"), HardwareConfig(), Machine(1, 24, 12, 64, True), state(8, 12)),
        (GPTTraining(), HardwareConfig(rematerialise="blocks"), Machine(1, 24, 12, 64, True), state(8, 12)),
        (GPTTraining(), HardwareConfig(), Machine(1, 24, 12, 64, True), state(8, 11)),  # another effective batch
        (GPTTraining(), HardwareConfig(), Machine(1, 24, 12, 64, False), state(8, 12, "bfloat16")),  # a machine without
        (GPTTraining(), HardwareConfig(), Machine(1, 8, 12, 64, True), state(96, 1)),  # does not fit any more
        (GPTTraining(), HardwareConfig(), Machine(1, 24, 12, 64, True), state(8, 12, "float16")),  # not by itself
    ],
)
def test_a_split_that_is_not_wanted_or_does_not_fit_is_not_gone_on_with(stage, hardware, machine, before):
    found = suggest(stage, hardware, machine, needs())
    assert go_on(found, before, stage, hardware, needs()).split == found.split


def test_gpus_that_are_not_used_are_told_with_the_true_reason():
    machine = Machine(2, 24, 12, 64)
    for every, why in ((True, "the model was not built in a strategy's scope"), (False, "hardware.all_devices is false")):
        assert f"1 of 2 GPUs is used: {why}" in suggest(StageTraining(), HardwareConfig(all_devices=every), machine, needs()).reasons


def test_what_was_backed_off_from_is_not_asked_for_again():
    """A batch_size that did not fit is still in the configuration when the training goes on."""
    stage, machine = GPTTraining(batch_size=16), Machine(1, 24, 12, 64, bfloat16=True)
    found = suggest(stage, HardwareConfig(), machine, needs())
    assert go_on(found, state(8, 12, batch_size=16), stage, HardwareConfig(), needs()).batch_size == 8
    assert go_on(found, state(8, 12, batch_size=32), stage, HardwareConfig(), needs()).batch_size == 16


def test_recomputation_that_a_network_does_not_know_changes_no_split():
    stage, machine = StageTraining(), Machine(1, 80, 12, 64)
    plain = Needs(1, 0, 0, lambda each, mode: 1)
    found = suggest(stage, HardwareConfig(rematerialise="blocks"), machine, plain)
    assert found.batch_size > 8
    before = state(8, stage.effective_batch_size // 8)
    assert go_on(found, before, stage, HardwareConfig(rematerialise="blocks"), plain).batch_size == 8
