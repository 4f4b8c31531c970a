"""Batches prepared ahead: the same ones in the same order, at the same time as the networks compute."""

import threading
import traceback
from dataclasses import replace

import pytest
from train_samples import CONFIG, DATA

from sonimate.prefetch import AHEAD, prefetched
from sonimate.train.compact_task import CompactTask
from sonimate.train.loop import Trainer
from sonimate.train.run_folder import RunFolder

SECONDS = 60
"""Longest wait for something that takes no time when it works."""


def threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("batches")]


def test_results_come_in_order_and_no_further_ahead_than_asked():
    started: list[int] = []
    with prefetched(lambda key: started.append(key) or key, range(20)) as results:
        for taken, value in enumerate(results):
            assert value == taken
            assert started == list(range(len(started)))
            assert len(started) <= taken + 1 + AHEAD
    assert started == list(range(20))
    with prefetched(str, []) as results:
        assert list(results) == []


def test_the_next_result_is_made_while_one_is_in_use():
    """Each use waits until the next call has begun; without overlap it would wait for ever."""
    begun = [threading.Event() for _ in range(5)]
    with prefetched(lambda key: begun[key].set(), range(5)) as results:
        for key, _ in enumerate(results):
            assert all(event.wait(SECONDS) for event in begun[: key + 2])


def test_an_exception_is_raised_where_its_result_is_asked_for_with_its_traceback():
    def half(key: int) -> float:
        return 1 / (key - 2)

    with prefetched(half, range(5)) as results:
        assert [next(results), next(results)] == [-0.5, -1.0]
        with pytest.raises(ZeroDivisionError) as error:
            next(results)
    assert "half" in [frame.name for frame in traceback.extract_tb(error.value.__traceback__)]
    assert threads() == []


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit, ValueError])
def test_nothing_is_left_when_the_consumer_stops(kind):
    calls: list[int] = []

    def consume() -> None:
        with prefetched(calls.append, range(10**9)) as results:
            next(results)
            raise kind

    with pytest.raises(kind):
        consume()
    assert threads() == []
    assert len(calls) <= 4


@pytest.mark.parametrize("accumulation", [1, 2])
def test_training_has_the_losses_of_batches_made_one_by_one(tmp_path, monkeypatch, accumulation):
    """Prepared in another thread or not, a batch and the networks' own chance are the same."""
    config = replace(CONFIG, batch_size=4, accumulation=accumulation)
    Trainer(CompactTask(config, DATA), config, tmp_path / "ahead").run()

    class OneByOne(Trainer):
        def _batches(self):
            return prefetched(lambda key: key, self._made())

        def _made(self):
            for step in range(self.config.steps):
                for part in range(self.config.accumulation):
                    yield self.task.batch(step, self._rows(part))

    OneByOne(CompactTask(config, DATA), config, tmp_path / "single").run()
    losses = RunFolder(tmp_path / "single").losses()
    assert len(losses) == config.steps
    assert RunFolder(tmp_path / "ahead").losses() == losses


def test_a_step_computes_while_the_next_batch_is_prepared(tmp_path):
    """The networks of step 0 wait until the batch of step 1 is asked for."""
    task = CompactTask(CONFIG, DATA)
    asked = threading.Event()
    make = task.batch

    def batch(step, rows):
        if step == 1:
            asked.set()
        return make(step, rows)

    task.batch = batch
    waited = []
    task.networks.register_forward_pre_hook(lambda *_: waited.append(asked.wait(SECONDS)))
    Trainer(task, replace(CONFIG, steps=2), tmp_path).run()
    assert waited[0]
    assert threads() == []
