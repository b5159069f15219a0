"""Reading model.yaml: scalars as they are written, errors where they are."""

from __future__ import annotations

from pathlib import Path

import pytest

from perennial.errors import SpecError
from perennial.spec import CategoryFeature, ModelSpec, load_spec
from perennial.spec_source import parse_spec

TEXT = """\
name: people
task: binary
target: {column: ill}
id: id@home
features:
  age: {type: number, min: 0}
  "a.b":
    type: category
    values: [x, y]
candidates:
  linear:
    estimator: sklearn.linear_model.LogisticRegression
    search: {C: [1]}
"""


def change(old: str, new: str) -> str:
    assert old in TEXT
    return TEXT.replace(old, new)


def test_a_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "model.yaml"
    path.write_text(TEXT)
    assert load_spec(path) == parse_spec(TEXT)
    assert list(load_spec(path).features) == ["age", "a.b"]


@pytest.mark.parametrize(
    ("written", "means"),
    [
        ("yes, no, on, y", ("yes", "no", "on", "y")),
        ("0123, 12:30, 1_000, 2026-11-21", ("0123", "12:30", "1_000", "2026-11-21")),
        ("1, 2.0, -3", ("1", "2", "-3")),
        ("True, False", ("True", "False")),
        ("true, false", ("true", "false")),
        ("'null', \"~\", 'a b'", ("null", "~", "a b")),
        ("=, <<, 0x1F, 0o7", ("=", "<<", "0x1F", "0o7")),
    ],
)
def test_categories_are_what_is_written(written: str, means: tuple[str, ...]) -> None:
    feature = parse_spec(change("[x, y]", f"[{written}]")).features["a.b"]
    assert isinstance(feature, CategoryFeature)
    assert feature.values == means


def test_numbers_in_scientific_notation_are_numbers() -> None:
    spec = parse_spec(change("[1]", "[1e-3, 2.5E+2, .5, 10, -1.]"))
    assert spec.candidates["linear"].search["C"] == [0.001, 250.0, 0.5, 10, -1.0]


@pytest.mark.parametrize("key", ["1", "yes", "null", "2026-11-21", "1e3", "<<"])
def test_a_key_is_always_a_name(key: str) -> None:
    assert list(parse_spec(change("  age:", f"  {key}:")).features) == [key, "a.b"]


@pytest.mark.parametrize(
    ("text", "line", "key", "says"),
    [
        (change("min: 0", "min: x"), 6, "features.age.min", "valid number"),
        (change("{type: number, min: 0}", "{type: number, mni: 0}"), 6, "features.age.mni", "correct its spelling"),
        (change("type: number", "type: numeric"), 6, "features.age", "Give `type: number`"),
        (change("{type: number, min: 0}", "{min: 0}"), 6, "features.age", "Give `type: number`"),
        (change("min: 0", "min: 3, max: 1"), 6, "features.age", "swap them"),
        (change("[x, y]", "[x, x]"), 7, "features.a.b", "more than once"),
        (change("[x, y]", "[x, null]"), 9, "features.a.b.values.1", "Put it in quotes"),
        (change("column: ill", "column: 1"), 3, "target.column", "Put it in quotes"),
        (change("column: ill", "positive: 1"), 3, "target.column", "Add `column:`"),
        (change("column: ill", "column: age"), 6, "features.age", "take it out"),
        (change("  age:", "  id@home:"), 6, "features.id@home", "is the id column; take it out of features"),
        (change("column: ill", "column: a.b"), 7, "features.a.b", "take it out"),
        (change("task: binary", "task: [binary]"), 2, "task", "binary"),
        (change("task: binary\n", ""), 1, "task", "Add `task:`"),
        (change("C: [1]", "C: [.nan]"), 13, "candidates.linear.search", "JSON"),
        (TEXT + "name: again\n", 14, "name", "is given twice, first on line 1"),
        (TEXT + "gate: {minimum: {auc: 1}}\n", 14, "gate.minimum.auc", "roc_auc"),
    ],
)
def test_an_error_names_line_key_and_remedy(text: str, line: int, key: str, says: str) -> None:
    with pytest.raises(SpecError) as caught:
        parse_spec(text, "my.yaml")
    error = caught.value
    assert (error.line, error.key) == (line, key)
    assert str(error).startswith(f"my.yaml:{line} '{key}': ")
    assert says in str(error)
    assert "\n" not in str(error)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "not a mapping"),
        ("- 1", "not a mapping"),
        ("name: [", "Mend the YAML"),
        ("a: &x 1\nb: *x", "alias"),
        ("a: &x [*x]", "alias"),
        ("x: " + "[" * 5000, "nested too deeply"),
        ("x: !!python/object/apply:os.system [ls]", "could not determine a constructor"),
        ("? [a, b]\n: 1", "unhashable"),
        ("name: \x00", "Mend the YAML"),
        ("name: a\n---\nname: b\n", "another document"),
    ],
)
def test_what_is_no_spec_at_all_is_an_error_too(text: str, says: str) -> None:
    with pytest.raises(SpecError, match=says):
        parse_spec(text)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    for name, data, says in (
        ("gone.yaml", None, "cannot be read"),
        ("latin.yaml", "name: caf\xe9".encode("latin-1"), "UTF-8"),
        ("large.yaml", b"#" * 2_000_001, "larger than"),
    ):
        path = tmp_path / name
        if data is not None:
            path.write_bytes(data)
        with pytest.raises(SpecError, match=says) as caught:
            load_spec(path)
        assert name in str(caught.value)


def test_a_spec_is_frozen() -> None:
    spec: ModelSpec = parse_spec(TEXT)
    with pytest.raises(ValueError, match="frozen"):
        spec.name = "other"  # type: ignore[misc]
