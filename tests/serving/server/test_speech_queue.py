"""The queue before the networks: who is spoken together, who waits for whom, who is dropped."""

import asyncio
import itertools
import time

import numpy as np
import pytest
from stand_ins import Speaker, line

from myxtts.config import DataError
from myxtts.config.stages import SynthesisConfig
from myxtts.serving.server.queue import QueueClosed, QueueFull, SpeechQueue

COLD, WARM = SynthesisConfig(temperature=0.1), SynthesisConfig(temperature=0.9)


@pytest.fixture
def speaker():
    return Speaker()


@pytest.fixture
def make_queue(speaker):
    queues = []

    def make(max_waiting=50, max_batch=4, gather_seconds=0.05):
        queues.append(SpeechQueue(speaker, max_waiting, max_batch, gather_seconds))
        queues[-1].start()
        return queues[-1]

    yield make
    speaker.go.set()
    for queue in queues:
        queue.close(20)
        assert not queue.alive


async def at_work(speaker):
    """Until the thread is in a turn, in which it waits for `go`."""
    await asyncio.to_thread(speaker.at_work.wait, 20)


async def asked(queue, count):
    """Until so many wait."""
    async with asyncio.timeout(120):
        while queue.length != count:
            await asyncio.sleep(0.001)


def sizes(speaker):
    return [len(turn) for turn in speaker.turns]


def test_lines_that_come_together_are_spoken_together_and_each_gets_its_own(make_queue, speaker):
    queue = make_queue(max_batch=4)

    async def main():
        return await asyncio.gather(*(queue.speak(line("x" * length), WARM) for length in range(1, 11)))

    speeches = asyncio.run(main())
    assert [int(speech.waveform[0]) for speech in speeches] == list(range(1, 11))
    assert sizes(speaker) == [4, 4, 2]
    assert len(speaker.threads) == 1, "the networks are one thread's"
    assert "myxtts_batch_lines_count 3.0" in queue.metrics.text().decode()


def test_a_line_that_comes_a_little_later_joins_the_batch(make_queue, speaker):
    queue = make_queue(gather_seconds=2)

    async def main():
        first = asyncio.create_task(queue.speak(line("a"), WARM))
        await asyncio.sleep(0.05)
        others = [queue.speak(line(text), WARM) for text in "bcd"]
        await asyncio.gather(first, *others)

    asyncio.run(asyncio.wait_for(main(), 1.5))  # a full batch does not wait for the 2 s
    assert speaker.turns == [["a", "b", "c", "d"]]


def test_lines_with_other_settings_are_not_mixed_and_keep_their_order(make_queue, speaker):
    queue = make_queue()
    speaker.go.clear()

    async def main():
        tasks = [asyncio.create_task(queue.speak(line("first"), COLD))]
        await at_work(speaker)
        for text, settings in (("a", WARM), ("b", COLD), ("c", WARM), ("d", COLD)):
            tasks.append(asyncio.create_task(queue.speak(line(text), settings)))
        await asked(queue, 4)
        speaker.go.set()
        await asyncio.gather(*tasks)

    asyncio.run(main())
    assert speaker.turns == [["first"], ["a", "c"], ["b", "d"]]
    assert speaker.settings == [COLD, WARM, COLD]


def test_settings_that_are_equal_are_the_same(make_queue, speaker):
    queue = make_queue()

    async def main():
        await asyncio.gather(*(queue.speak(line("a"), SynthesisConfig(temperature=0.3)) for _ in range(3)))

    asyncio.run(main())
    assert sizes(speaker) == [3]


@pytest.mark.parametrize(("text", "kind"), [("bad", DataError), ("worse", ZeroDivisionError)])
def test_a_line_that_fails_spoils_no_other(make_queue, speaker, text, kind):
    queue = make_queue()

    async def main():
        texts = ["good", text, "fine"]
        return await asyncio.gather(*(queue.speak(line(text), WARM) for text in texts), return_exceptions=True)

    good, failed, fine = asyncio.run(main())
    assert (int(good.waveform[0]), int(fine.waveform[0])) == (4, 4) and isinstance(failed, kind)
    assert sizes(speaker) == [3, 1, 1, 1] and queue.alive


def test_a_full_queue_refuses_and_says_when_to_come_again(make_queue, speaker):
    queue = make_queue(max_waiting=2)
    speaker.go.clear()

    async def main():
        running = asyncio.create_task(queue.speak(line("running"), WARM))
        await at_work(speaker)
        waiting = [asyncio.create_task(queue.speak(line("waiting"), WARM)) for _ in range(2)]
        await asked(queue, 2)
        with pytest.raises(QueueFull) as full:
            await queue.speak(line("too many"), WARM)
        with pytest.raises(QueueFull):
            queue.open_stream(line("too many"), WARM)
        assert 1 <= full.value.retry_after <= 60
        speaker.go.set()
        await asyncio.gather(running, *waiting)
        await queue.speak(line("room again"), WARM)

    asyncio.run(main())
    assert sizes(speaker) == [1, 2, 1]


def test_a_cancelled_line_gives_its_place_back_and_is_not_spoken(make_queue, speaker):
    queue = make_queue(max_waiting=1)
    speaker.go.clear()

    async def main():
        running = asyncio.create_task(queue.speak(line("running"), WARM))
        await at_work(speaker)
        waiting = asyncio.create_task(queue.speak(line("waiting"), WARM))
        await asked(queue, 1)
        waiting.cancel()
        await asked(queue, 0)
        instead = asyncio.create_task(queue.speak(line("instead"), WARM))
        await asked(queue, 1)
        running.cancel()  # it is being spoken: nobody gets it
        speaker.go.set()
        await instead

    asyncio.run(main())
    assert speaker.turns == [["running"], ["instead"]]


def test_the_only_line_cancelled_while_it_waits_for_others_does_not_end_the_thread(make_queue, speaker):
    queue = make_queue(gather_seconds=0.3)

    async def main():
        alone = asyncio.create_task(queue.speak(line("alone"), WARM))
        await asked(queue, 1)
        await asyncio.sleep(0.05)
        alone.cancel()
        await asyncio.sleep(0.4)
        assert queue.alive
        await queue.speak(line("next"), WARM)

    asyncio.run(main())
    assert speaker.turns == [["next"]]


async def drain(stream):
    pieces = []
    try:
        while (piece := await stream.next()) is not None:
            pieces.append(piece)
    finally:
        stream.close()
    return pieces


def test_a_stream_comes_in_pieces(make_queue, speaker):
    queue = make_queue()

    async def main():
        return await drain(queue.open_stream(line("a"), WARM))

    pieces = asyncio.run(main())
    assert np.concatenate(pieces).tolist() == [0] * 10 + [1] * 10 + [2] * 10
    assert queue.open_streams == 0


async def spoken_beside_streams(queue, speaker, streams, batches):
    """Speaks all these; a batch lasts until every stream that has begun waits for its next piece. Returns the pieces between batches."""

    def wait_for_streams():
        deadline = time.monotonic() + 120
        while len(queue._pieces) + sum(task.call is not None for task in list(queue._waiting)) < queue.open_streams:
            assert time.monotonic() < deadline
            time.sleep(0.001)

    speaker.at_batch = wait_for_streams
    speaker.go.clear()
    tasks = [asyncio.create_task(queue.speak(line("first"), WARM))]
    await at_work(speaker)
    tasks += [asyncio.create_task(drain(queue.open_stream(line(name), WARM))) for name in streams]
    await asked(queue, len(streams))
    tasks += [asyncio.create_task(queue.speak(line(name), WARM)) for name in batches]
    await asked(queue, len(streams) + len(batches))
    speaker.go.set()
    await asyncio.gather(*tasks)
    places = [speaker.turns.index([name]) for name in batches]
    return [speaker.turns[first + 1 : last] for first, last in itertools.pairwise(places)]


@pytest.mark.parametrize("streams", [["one"], ["one", "two", "three"]])
def test_between_two_batches_every_stream_has_a_turn(make_queue, speaker, streams):
    speaker.pieces = 12
    queue = make_queue(max_batch=1, gather_seconds=0)
    between = asyncio.run(spoken_beside_streams(queue, speaker, streams, "abcd"))
    assert [sorted(name for name, _ in turns) for turns in between] == [sorted(streams)] * 3


def test_a_stream_that_is_closed_early_leaves_nothing_behind(make_queue, speaker):
    speaker.pieces = 100
    queue = make_queue(max_waiting=1)

    async def main():
        stream = queue.open_stream(line("long"), WARM)
        assert (await stream.next()) is not None
        with pytest.raises(QueueFull):
            queue.open_stream(line("other"), WARM)
        stream.close()
        stream.close()
        await queue.speak(line("other"), WARM)

    asyncio.run(main())
    assert speaker.turns == [("long", 0), ["other"]] and queue.open_streams == 0
    queue.close(20)
    assert speaker.closed == ["long"] and len(speaker.threads) == 1, "what the engine keeps for it is dropped by the thread it belongs to"


def test_closing_ends_what_waits_and_refuses_the_rest(make_queue, speaker):
    queue = make_queue(max_batch=1)
    speaker.go.clear()

    async def main():
        tasks = [asyncio.create_task(queue.speak(line(text), WARM)) for text in "abc"]
        await at_work(speaker)
        await asked(queue, 2)
        closing = asyncio.create_task(asyncio.to_thread(queue.close, 20))
        while not queue._closed:
            await asyncio.sleep(0.001)
        with pytest.raises(QueueClosed):
            await queue.speak(line("late"), WARM)
        speaker.go.set()
        await asyncio.gather(closing, *tasks)

    asyncio.run(main())
    assert speaker.turns == [["a"], ["b"], ["c"]] and not queue.alive
