"""Charts: well-formed SVG with readable text, the same bytes each time, whatever the data is called."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import numpy as np
import pytest

from perennial.serving.predictor import Scores
from perennial.training.answers import Answers
from perennial.training.charts import PAPER, draw
from perennial.training.curves import classification_charts, importance_chart, regression_charts
from perennial.training.evaluation import Chart, Importance

SVG = "{http://www.w3.org/2000/svg}"
ODD = ("no $\\frac{x}$", "<b>&yes</b>\x00\n", "日本")


def answers(classes: int, rows: int = 200) -> Answers:
    generator = np.random.default_rng(classes)
    truth = generator.integers(0, classes, rows)
    raw = generator.random((rows, classes))
    raw[np.arange(rows), truth] += 0.5
    raw /= raw.sum(axis=1, keepdims=True)
    return Answers.of(truth.astype(float), Scores(raw.argmax(axis=1), raw, None))


def every_chart() -> list[Chart]:
    truth = np.random.default_rng(0).normal(size=100)
    regression = regression_charts(Answers.of(truth, Scores(None, None, truth * 0.9)), ODD[0], seed=0)
    found = tuple(Importance(feature=name * 20, mean=1.0 - i, deviation=0.1) for i, name in enumerate(ODD))
    return [
        *classification_charts(answers(2), ODD[:2]),
        *classification_charts(answers(3), ODD),
        *regression,
        importance_chart(found, "roc_auc", 100),
    ]


@pytest.mark.parametrize("chart", every_chart(), ids=lambda chart: chart.name)
def test_a_chart_is_the_same_well_formed_svg_each_time(
    chart: Chart, recwarn: pytest.WarningsRecorder, capfd: pytest.CaptureFixture[str]
) -> None:
    svg = draw(chart)
    assert svg == draw(chart)
    root = ET.fromstring(svg)
    assert root.tag == f"{SVG}svg"
    words = {"".join(text.itertext()).strip() for text in root.iter(f"{SVG}text")}
    assert chart.title in words
    assert any(word.startswith(chart.x_label[:20].replace("\x00", " ")) for word in words)
    title = root.find(f"{SVG}title")
    assert title is not None and title.text is not None and title.text.startswith(chart.title)
    assert PAPER.encode() in svg
    # Garbage of other tests may be collected here, which tells of what they left open.
    assert not [each for each in recwarn.list if each.category is not ResourceWarning]
    assert capfd.readouterr() == ("", "")


def test_a_chart_holds_nothing_active_foreign_or_dated() -> None:
    for chart in every_chart():
        svg = draw(chart)
        root = ET.fromstring(svg)
        assert not list(root.iter(f"{SVG}script"))
        assert b"<dc:date>" not in svg
        for element in root.iter():
            for name, value in element.attrib.items():
                assert not name.startswith("on")
                if name.endswith("href"):
                    assert value.startswith(("#", "data:"))


def test_names_stay_text_and_are_not_taken_for_mathematics() -> None:
    charts = {chart.name: chart for chart in classification_charts(answers(2), ODD[:2])}
    words = {"".join(text.itertext()).strip() for text in ET.fromstring(draw(charts["confusion"])).iter(f"{SVG}text")}
    assert ODD[0] in words
    assert "<b>&yes</b>" in words


def test_lines_differ_in_more_than_colour() -> None:
    roc = classification_charts(answers(8, 800), tuple("abcdefgh"))[0]
    styles = [element.get("style", "") for element in ET.fromstring(draw(roc)).iter(f"{SVG}path")]
    lines = {style for style in styles if "stroke-width: 2" in style}
    assert len(lines) == 8
    assert len({style.split("stroke-dasharray:")[1].split(";")[0] for style in lines if "dasharray" in style}) >= 3
