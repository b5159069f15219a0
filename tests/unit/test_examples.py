"""The specs under examples/ are valid, and ask no more of a machine than their READMEs say."""

from __future__ import annotations

import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from sklearn.datasets import load_digits

from perennial.images.decode import decode
from perennial.spec import load_spec

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
FOLDERS = sorted(path.parent for path in EXAMPLES.glob("*/model.yaml"))
BACKBONE = "mobilenetv2-035"


@pytest.mark.parametrize("folder", FOLDERS, ids=[folder.name for folder in FOLDERS])
def test_each_is_valid_named_as_its_folder_and_described(folder: Path) -> None:
    spec = load_spec(folder / "model.yaml")
    assert spec.name == folder.name.replace("_", "-")
    assert (folder / "README.md").read_text().startswith("# ")


@pytest.mark.parametrize("name", ["pneumonia", "dandelion_grass"])
def test_photographs_are_judged_by_a_backbone_beside_an_honest_baseline(name: str) -> None:
    spec = load_spec(EXAMPLES / name / "model.yaml")
    assert spec.input == "image"
    assert [candidate.backbone for candidate in spec.candidates.values() if candidate.backbone] == [BACKBONE]
    assert any(candidate.features == "pixels" for candidate in spec.candidates.values())
    assert f"perennial backbone add {BACKBONE} " in (EXAMPLES / name / "README.md").read_text()


def test_x_rays_of_one_patient_stay_together() -> None:
    image = load_spec(EXAMPLES / "pneumonia/model.yaml").image
    assert image is not None and image.group_pattern is not None
    names = {
        "person1000_bacteria_2931.jpeg": "person1000", "person1000_virus_1681.jpeg": "person1000",
        "IM-0001-0001.jpeg": "IM-0001", "NORMAL2-IM-0001-0001.jpeg": "NORMAL2-IM-0001",
    }  # fmt: skip
    found = {name: match[1] for name in names if (match := re.search(image.group_pattern, name))}
    assert found == names


def test_digits_need_neither_backbone_nor_network() -> None:
    spec = load_spec(EXAMPLES / "digits/model.yaml")
    assert all(candidate.features is not None for candidate in spec.candidates.values())


def test_digits_are_written_as_class_folders(tmp_path: Path) -> None:
    script = EXAMPLES / "digits/pictures.py"
    call = [sys.executable, str(script), str(tmp_path / "digits"), "--first", "10", "--count", "30"]
    said = subprocess.run(call, check=True, capture_output=True, text=True).stdout
    files = sorted((tmp_path / "digits").rglob("*.png"))
    assert said == f"30 pictures in {tmp_path / 'digits'}\n"
    assert sorted(int(file.stem) for file in files) == list(range(10, 40))
    truth = load_digits().target[10:40]
    assert Counter(file.parent.name for file in files) == Counter(map(str, truth))
    picture = decode(files[0].read_bytes())
    assert (picture.width, picture.height) == (8, 8)
    assert picture.pixels.max() >= 200 and (picture.pixels[..., 0] == picture.pixels[..., 2]).all()


def test_the_script_writes_all_digits_unless_told_otherwise(tmp_path: Path) -> None:
    subprocess.run(
        [sys.executable, str(EXAMPLES / "digits/pictures.py"), str(tmp_path)], check=True, capture_output=True
    )
    assert len(list(tmp_path.rglob("*.png"))) == 1797
