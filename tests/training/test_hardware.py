import pytest

from myxtts.config import ConfigError
from myxtts.config.stages import HardwareConfig, StageTraining
from myxtts.training.hardware import GB, Machine, detect, split_batch, suggest


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


def test_less_memory_means_smaller_micro_batches_and_says_why():
    stage = StageTraining(effective_batch_size=96)
    sizes = []
    for memory in (6, 12, 24, 80):
        found = suggest(stage, HardwareConfig(), Machine(1, memory, 12, 64), 1 * GB, 300_000_000)
        assert found.batch_size * found.grad_accum == 96
        assert found.predicted_gb <= memory
        assert any(f"{memory:.1f} GB" in reason for reason in found.reasons)
        sizes.append(found.batch_size)
    assert sizes == sorted(sizes)
    assert sizes[0] < sizes[-1]
    assert found.num_workers == 10


def test_given_batch_size_wins_but_must_divide():
    machine = Machine(0, 8, 2, 16)
    assert suggest(StageTraining(effective_batch_size=32, batch_size=8), HardwareConfig(), machine, 1, 1).grad_accum == 4
    with pytest.raises(ConfigError, match="batch_size 10 does not divide effective_batch_size 32"):
        suggest(StageTraining(effective_batch_size=32, batch_size=10), HardwareConfig(), machine, 1, 1)


def test_detect_reads_this_machine_and_takes_the_override():
    assert detect(HardwareConfig()).cpus >= 1
    assert detect(HardwareConfig(memory_gb=3.5)).memory_gb == 3.5
