"""Drawing the holdout: of the right share, blind to order, whole in its groups."""

from __future__ import annotations

import hashlib
from collections import Counter

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from perennial.datasets.manifest import Split
from perennial.datasets.split import draw_by_rank, draw_by_time

rows = st.lists(st.tuples(st.integers(0, 60), st.sampled_from("abc")), min_size=1, max_size=200)


def split(fraction: float = 0.2, seed: int = 42, time: str | None = None) -> Split:
    return Split(kind="chronological" if time else "stratified", fraction=fraction, seed=seed, target="y", time=time)


def key(person: int) -> bytes:
    return hashlib.sha256(str(person).encode()).digest()[:16]


@given(rows, st.randoms(use_true_random=False), st.floats(0.05, 0.8))
def test_groups_stay_whole_whatever_the_order(people: list[tuple[int, str]], random: object, share: float) -> None:
    mask = draw_by_rank(split(share), [key(person) for person, _ in people], [name for _, name in people])
    held = {person for (person, _), inside in zip(people, mask, strict=True) if inside}
    assert not held & {person for (person, _), inside in zip(people, mask, strict=True) if not inside}
    shuffled = people.copy()
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    again = draw_by_rank(split(share), [key(person) for person, _ in shuffled], [name for _, name in shuffled])
    assert held == {person for (person, _), inside in zip(shuffled, again, strict=True) if inside}


@given(st.lists(st.sampled_from("abc"), min_size=3, max_size=300), st.floats(0.05, 0.8))
def test_each_class_gives_its_share(names: list[str], share: float) -> None:
    mask = draw_by_rank(split(share), [key(i) for i in range(len(names))], names)
    held = Counter(name for name, inside in zip(names, mask, strict=True) if inside)
    for name, total in Counter(names).items():
        if total == 1:
            assert held[name] == 0
        else:
            assert 1 <= held[name] < total
            assert abs(held[name] - share * total) <= 1


def test_another_seed_draws_others() -> None:
    keys = [key(i) for i in range(200)]
    one, two = (draw_by_rank(split(seed=seed), keys, ["a"] * 200) for seed in (1, 2))
    assert one.sum() == two.sum() == 40
    assert (one != two).any()


@given(st.lists(st.integers(0, 30), min_size=2, max_size=200).filter(lambda times: len(set(times)) > 1),
       st.floats(0.05, 0.8))  # fmt: skip
def test_the_last_moments_are_held_out_whole(times: list[int], share: float) -> None:
    values = np.array(times, np.float64)
    mask = draw_by_time(split(share, time="when"), values)
    assert 0 < mask.sum() < len(times)
    assert values[mask].min() > values[~mask].max()
    sizes = [int((values >= cut).sum()) for cut in np.unique(values)[1:]]
    assert abs(mask.sum() - share * len(times)) == min(abs(size - share * len(times)) for size in sizes)
