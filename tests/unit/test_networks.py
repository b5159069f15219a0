"""Networks, as far as no PyTorch is needed: their parameters, their pictures, and the process that trains them."""

from __future__ import annotations

import os
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from perennial.errors import StoreUnavailable, TrainingError
from perennial.spec import Candidate, Frame
from perennial.store import memory_store
from perennial.training import network_process, networks
from perennial.training.folds import Folds
from perennial.training.network_params import params_of
from perennial.training.network_process import interpreter, run
from perennial.training.network_weights import fetch, told
from perennial.training.networks import progress_line, split_of, train_network
from tests.support.networks import digit_work

GREY = Frame(size=32, color="grey")
HERE = Path(sys.executable)


def candidate(**changes: Any) -> Candidate:
    return Candidate.model_validate({"torch": "resnet18", **changes})


def test_what_is_not_set_follows_from_the_network() -> None:
    small = params_of("net", candidate(), GREY)
    assert (small.stem, small.head_epochs, small.rate, small.mean) == ("small", 0, 0.001, None)
    assert params_of("net", candidate(), Frame(size=64)).stem == "usual"
    assert params_of("net", candidate(torch="depthwise"), GREY).rate == 0.003


def test_class_weights_stand_in_the_order_of_the_classes_and_name_classes_only() -> None:
    def weights(**given: float) -> object:
        own = candidate(params={"class_weight": given})
        return params_of("net", own, GREY).job("net", own, GREY, ("NORMAL", "PNEUMONIA"), 1).class_weight

    assert weights(PNEUMONIA=2) == (1.0, 2.0)
    with pytest.raises(TrainingError, match=r"candidates\.net\.params\.class_weight: 'FLU' is no class"):
        weights(FLU=2)
    with pytest.raises(TrainingError, match=r"candidates\.net\.params\.class_weight"):
        weights(NORMAL=0)


def test_with_weights_its_head_learns_first_and_pictures_are_scaled_as_theirs_were() -> None:
    known = params_of("net", candidate(weights="w.safetensors"), Frame(size=32))
    assert (known.stem, known.head_epochs, known.rate) == ("usual", 2, 0.0003)
    assert known.mean == [0.485, 0.456, 0.406]
    assert params_of("net", candidate(weights="w.safetensors"), GREY).std == [0.226]
    set_by_hand = candidate(weights="w.safetensors", params={"mean": [0.5], "std": [0.25], "head_epochs": 0})
    assert params_of("net", set_by_hand, GREY).mean == [0.5]
    assert params_of("net", set_by_hand, GREY).head_epochs == 0


def test_a_single_epoch_is_not_the_head_s_alone() -> None:
    assert params_of("net", candidate(weights="w", params={"epochs": 1}), GREY).head_epochs == 0


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"params": {"epoch": 3}}, r"\.params\.epoch: a network has no such parameter\. Did you mean epochs"),
        ({"params": {"verbose": 1}}, r"params\.verbose: .* It takes epochs, head_epochs"),
        ({"params": {"epochs": 0}}, r"params\.epochs: Input should be greater than or equal to 1"),
        ({"params": {"epochs": "ten"}}, r"params\.epochs: Input should be a valid integer"),
        ({"params": {"rate": 0.0}}, r"params\.rate: "),
        ({"params": {"flip": "no"}}, r"params\.flip: "),
        ({"params": {"mean": [0.5]}}, r"mean and std belong together"),
        ({"params": {"mean": [0.5, 0.5], "std": [1.0]}}, r"params\.mean: has 2 numbers\. Give 1"),
        ({"params": {"mean": [0.5], "std": [0.0]}}, r"params\.std: "),
        ({"weights": "w", "params": {"stem": "small"}}, r"candidates\.net\.weights: "),
        ({"torch": "depthwise", "weights": "w"}, r"candidates\.net\.weights: they are those of a resnet18"),
    ],
)  # fmt: skip
def test_a_wrong_parameter_is_named_with_its_key(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(TrainingError, match=said):
        params_of("net", candidate(**changes), GREY)


def test_no_picture_is_on_two_sides() -> None:
    work = digit_work(60)
    split = split_of(work)
    first, second = work.folds.folds[:2]
    assert split.test.tolist() == first.test.tolist()
    assert split.watch.tolist() == second.test.tolist()
    assert sorted([*split.fit, *split.watch, *split.test]) == list(range(60))


def test_where_a_fold_is_too_few_none_are_watched() -> None:
    work = digit_work(60)
    alone = split_of(replace(work, folds=Folds("grouped", work.folds.folds[:1])))
    assert len(alone.watch) == 0
    assert alone.fit.tolist() == work.folds.folds[0].train.tolist()
    rare = work.y.copy()
    rare[:] = 0
    rare[work.folds.folds[1].test] = 1  # a class that only the watched ones have
    narrow = split_of(replace(work, y=rare, classes=("0", "1")))
    assert len(narrow.watch) == 0
    assert set(rare[narrow.fit]) == {0, 1}


def test_progress_has_a_bar_and_what_is_left() -> None:
    step = {"epoch": 3, "epochs": 12, "loss": 0.41234, "watched": 0.38, "accuracy": 0.9, "left": 250.0}
    assert progress_line(step) == ("epoch  3/12 [###.........] loss 0.412, watched 0.380, accuracy 0.900, 4 min left")
    assert progress_line({**step, "watched": None, "left": 30.0}).endswith("loss 0.412, 30 s left")
    assert progress_line({**step, "epoch": 12}).endswith("accuracy 0.900")
    assert progress_line({"epoch": 1, "epochs": 4, "part": 0.5}) == "epoch 1/4 [##..........] 50% of it"


def test_without_pytorch_the_remedy_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(networks, "interpreter", lambda: None)
    with pytest.raises(TrainingError, match=r"PyTorch is not installed.* `make vision`.*PERENNIAL_VISION_PYTHON"):
        train_network(digit_work(30))


def test_the_interpreter_that_is_named_is_taken() -> None:
    assert interpreter({"PERENNIAL_VISION_PYTHON": "/opt/python"}) == Path("/opt/python")


def test_one_without_pytorch_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "job.json").write_text("{}")
    with pytest.raises(TrainingError, match=r"No module named 'torch'\. Run `make vision`, or correct"):
        run(HERE, tmp_path, lambda step: None, seconds=60)


def test_one_that_is_not_there_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"/none/python cannot be run: No such file.*PERENNIAL_VISION_PYTHON"):
        run(Path("/none/python"), tmp_path, lambda step: None, seconds=60)


@pytest.fixture
def script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Stands where the script is; tests write into it what it does."""
    path = tmp_path / "script.py"
    monkeypatch.setattr(network_process, "SCRIPT", path)
    return path


def test_steps_are_passed_on(script: Path, tmp_path: Path) -> None:
    script.write_text("import sys; print('{\"epoch\": 1}'); print('{\"exporting\": true}'); sys.stderr.write('noise')")
    steps: list[Any] = []
    run(HERE, tmp_path, steps.append, seconds=60)
    assert steps == [{"epoch": 1}, {"exporting": True}]


@pytest.mark.parametrize(
    ("does", "said"),
    [
        ('print(\'{"refused": "it is too cold"}\'); sys.exit(2)', r"cannot be trained: it is too cold\."),
        ("raise RuntimeError('out of luck')", r"The process that trains failed: RuntimeError: out of luck\."),
        ("sys.exit(3)", r"failed: exit code 3"),
        ("os.kill(os.getpid(), 9)", r"was killed, .* out of memory\. Set a smaller params\.batch"),
        ("sys.stdout.write('{\"epo'); sys.stdout.flush(); os.kill(os.getpid(), 9)", r"was killed"),
        ("print('Welcome')", r"says what our script does not: 'Welcome'\. Run `make vision`"),
        ("print('[1]')", r"says what our script does not: '\[1\]'"),
        ("sys.stdout.buffer.write(b'\\xff\\n')", r"says what our script does not"),
    ],
)
def test_however_it_ends_the_reason_is_said(script: Path, tmp_path: Path, does: str, said: str) -> None:
    script.write_text(f"import os, sys\n{does}")
    with pytest.raises(TrainingError, match=said):
        run(HERE, tmp_path, lambda step: None, seconds=60)


def test_one_that_takes_too_long_is_ended(script: Path, tmp_path: Path) -> None:
    script.write_text("import time; time.sleep(600)")
    started = time.monotonic()
    with pytest.raises(TrainingError, match=r"took longer than 0\.01 minutes\. Set params\.minutes higher"):
        run(HERE, tmp_path, lambda step: None, seconds=0.6)
    assert time.monotonic() - started < 60


def test_what_ends_us_ends_it(script: Path, tmp_path: Path) -> None:
    script.write_text("import os, time; print('{\"pid\": %d}' % os.getpid(), flush=True); time.sleep(600)")
    found: list[int] = []

    def interrupted(step: Any) -> None:
        found.append(step["pid"])
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(HERE, tmp_path, interrupted, seconds=60)
    with pytest.raises(ProcessLookupError):
        os.kill(found[0], 0)


def test_nothing_is_left_on_the_disk(tmp_path: Path, script: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    script.write_text("import sys; sys.exit(5)")
    with pytest.raises(TrainingError, match="exit code 5"):
        train_network(digit_work(30), HERE)
    assert [path.name for path in tmp_path.iterdir()] == ["script.py"]


def test_a_program_that_is_none_of_ours_and_leaves_nothing_is_told_of(script: Path) -> None:
    script.write_text("")
    with pytest.raises(TrainingError, match=r"ended well and left no network\. Run `make vision`"):
        train_network(digit_work(30), HERE)


def test_too_little_room_on_the_disk_is_said_before_anything_is_written(monkeypatch: pytest.MonkeyPatch) -> None:
    usage = type("Usage", (), {"free": 1_000_000})
    monkeypatch.setattr("shutil.disk_usage", lambda folder: usage)
    with pytest.raises(TrainingError, match=r"has 1 MB left, and 200 MB are needed\. .*TMPDIR"):
        train_network(digit_work(30), HERE)


def test_weights_come_from_a_file_or_from_s3(tmp_path: Path) -> None:
    own, other = memory_store(), memory_store()
    (tmp_path / "w.bin").write_bytes(b"file")
    own.put_new("weights/w.bin", b"own")
    other.put_new("w.bin", b"other")
    buckets = {"own": own, "other": other}
    assert fetch("net", str(tmp_path / "w.bin"), own) == b"file"
    assert fetch("net", "s3://own/weights/w.bin", own, lambda name, store: buckets[name]) == b"own"
    assert fetch("net", "s3://other/w.bin", own, lambda name, store: buckets[name]) == b"other"
    assert told("s3://own/weights/w.bin", b"own", 5).startswith("started from 5 tensors of w.bin (SHA-256 ")


@pytest.mark.parametrize(
    "place", ["s3://own/none.bin", "none.bin", ".", "a\0b", "/dev/null", "s3://a b/w", "s3://own/"]
)
def test_weights_that_are_not_there_are_named_with_their_key(place: str) -> None:
    with pytest.raises(TrainingError, match=r"^candidates\.net\.weights: "):
        fetch("net", place, memory_store(), lambda name, store: store)


def test_a_bucket_that_does_not_answer_costs_the_candidate_alone() -> None:
    def unreachable(name: str, own: Any) -> Any:
        raise StoreUnavailable("S3 did not answer.")

    with pytest.raises(TrainingError, match=r"candidates\.net\.weights: S3 did not answer"):
        fetch("net", "s3://other/w.bin", memory_store(), unreachable)


def test_weights_that_are_too_large_are_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "w.bin").write_bytes(b"12345")
    monkeypatch.setattr("perennial.training.network_weights.MOST_BYTES", 4)
    with pytest.raises(TrainingError, match=r"candidates\.net\.weights: .* 5 bytes"):
        fetch("net", str(tmp_path / "w.bin"), memory_store())


def test_pictures_and_those_of_the_edge_lie_in_one_file(tmp_path: Path) -> None:
    work = digit_work(30)
    params = params_of(work.name, work.candidate, work.frame)
    edge = networks._prepare(work, params, split_of(work), b"", tmp_path)
    proof = np.load(tmp_path / "proof.npy")
    pictures = np.load(tmp_path / "pictures.npy")
    assert pictures.shape == (30, 16, 16, 1)
    assert len(proof) == len(work.holdout) + edge
    assert np.array_equal(proof[: len(work.holdout)], np.stack(list(work.holdout.framed(work.frame))))
