"""A draft's YAML says exactly what was meant, whatever columns and categories are called."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from perennial.datasets.draft import draft_spec
from perennial.datasets.reading import read_file
from perennial.datasets.text import is_missing_mark
from perennial.datasets.validate import validate
from perennial.datasets.yaml_text import comment, flow_list, number, text
from perennial.spec import CategoryFeature, label
from perennial.spec_source import parse_spec

NASTY = ["Have you ever had suicidal thoughts ?", "Work/Study Hours", "yes", "No", "1", "1.0", "null", "~", "a: b",
         "#x", "x #y", "- x", "'5-6 hours'", '"q"', "{a}", "[a", "a, b", "*a", "&a", "!t", "%d", "@x", "`x", "a\\b",
         ">50K", "|", "=", "<<", "0x1f", "1e3", ".5", ".inf", "2026-11-21", "12:30", "é", "日本",
         "\x85x\u2028y", "\x7f",
         "😀", "\ufeffx", "on", "a:", ":a", "?", "? a", "NaN-like", "-", "---", "...", "true", "007"]  # fmt: skip
words = st.one_of(
    st.sampled_from(NASTY), st.text(st.characters(codec="utf-8", exclude_characters="\x00"), min_size=1, max_size=12)
)
names = words.map(str.strip).filter(lambda name: len(name) > 0 and "\r" not in name)


@given(words)
@example("a" * 200)
def test_a_scalar_reads_back_as_itself(value: str) -> None:
    line = text(value)
    assert "\n" not in line
    assert yaml.safe_load(f"key: {line}") == {"key": value}
    assert yaml.safe_load(f"{line}: [{line}, {{{line}: {line}}}]") == {value: [value, {value: value}]}
    assert yaml.safe_load(f"# {comment(value)}\na: 1") == {"a": 1}


@given(st.lists(words, min_size=1, max_size=40), st.integers(0, 150))
def test_a_list_reads_back_as_the_same_labels(values: list[str], start: int) -> None:
    block = flow_list(values, start)
    found = yaml.safe_load(f"a: {block}")["a"]
    assert [label(one) for one in found] == [label(one) for one in values]
    for line in block.split("\n")[1:]:
        assert len(line) <= 120 or "," not in line.rstrip(", ]")


@given(st.floats(allow_nan=False, allow_infinity=False))
@example(1e300)
@example(5e-324)
@example(-0.0)
def test_a_number_reads_back_as_itself(value: float) -> None:
    found = yaml.safe_load(number(value))
    assert isinstance(found, (int, float))
    assert float(found) == value


@st.composite
def files(draw: st.DrawFn) -> tuple[list[str], list[str], str]:
    """Column names, category values and a target's name, all of any text."""
    columns = draw(st.lists(names, min_size=3, max_size=6, unique=True))
    usable = names.filter(lambda value: not is_missing_mark(value) and "\n" not in value)
    values = draw(st.lists(usable, min_size=2, max_size=5, unique_by=label))
    return columns[1:], values, columns[0]


@given(files())
def test_a_draft_of_any_names_and_values_is_valid_and_accepts_its_own_file(
    tmp_path_factory: pytest.TempPathFactory, case: tuple[list[str], list[str], str]
) -> None:
    columns, values, target = case
    out = io.StringIO()
    writer = csv.writer(out, quoting=csv.QUOTE_ALL)
    writer.writerow([target, *columns])
    for i in range(60):
        writer.writerow([values[i % 2], *(values[(i + j) // 2 % len(values)] for j in range(len(columns)))])
    path = Path(tmp_path_factory.mktemp("draft") / "any name: #1.csv")
    path.write_bytes(out.getvalue().encode())
    draft = draft_spec(path, target=target, name="any")
    spec = parse_spec(draft.text)
    assert spec.target.column == target
    assert list(spec.features) == columns
    for feature in spec.features.values():
        if isinstance(feature, CategoryFeature):
            assert set(feature.values) == {label(value) for value in values}
    assert not validate(read_file("x", path.read_bytes()), spec).refused
