"""The package that ships: wheels for Lambda's processor and Python exist, and nothing else is in it."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from perennial.deploy.package import CAPTURE_PARTS, Package, build_package, build_packages, zip_package
from perennial.deploy.recipes import API, RECIPES, SCORE, Recipe

AARCH64 = 183  # e_machine in an ELF header
PYTHON_313_MAGIC = 3571


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Package]:
    return build_packages("cloud", tmp_path_factory.mktemp("cloud"), python=Path(sys.executable))


@pytest.fixture(params=RECIPES, ids=lambda recipe: recipe.name)
def recipe(request: pytest.FixtureRequest) -> Recipe:
    found: Recipe = request.param
    return found


@pytest.fixture
def package(packages: dict[str, Package], recipe: Recipe) -> Package:
    return packages[recipe.name]


def test_it_is_small(package: Package, recipe: Recipe) -> None:
    """Lambda takes 250 MiB unzipped."""
    assert 50 < package.megabytes <= recipe.megabytes <= 240


def test_all_native_code_is_for_arm64_and_python_3_13(package: Package) -> None:
    libraries = [path for path in package.folder.rglob("*.so*") if path.is_file()]
    assert len(libraries) > 10
    for path in libraries:
        header = path.read_bytes()[:20]
        assert header[:4] == b"\x7fELF"
        assert int.from_bytes(header[18:20], "little") == AARCH64, path.name
        if "cpython-" in path.name:
            assert ".cpython-313-aarch64" in path.name


def test_nothing_in_it_is_heavy_or_unpickles(package: Package, recipe: Recipe) -> None:
    top = {path.name.split("-")[0].split(".")[0] for path in package.folder.iterdir()}
    assert not top & recipe.never
    assert {"pandas", "sklearn", "scipy", "joblib"} <= recipe.never
    assert not list(package.folder.rglob("tests"))


def test_the_api_holds_the_serving_part_only(packages: dict[str, Package]) -> None:
    package = packages[API.name]
    assert {"boto3", "pyarrow"} <= API.never
    ours = {path.name for path in (package.folder / "perennial").iterdir()}
    assert {"registry", "serving", "store.py", "spec.py"} <= ours
    assert not ours & {"training", "export", "datasets", "jobs", "cli", "deploy", "demo.py", "spec_source.py"}
    assert (package.folder / "lambdas/api/handler.py").is_file()
    assert (package.folder / "lambdas/capture/handler.py").is_file()


def test_the_scoring_holds_the_scoring_part_only(packages: dict[str, Package]) -> None:
    package = packages[SCORE.name]
    ours = {path.name for path in (package.folder / "perennial").iterdir()}
    assert {"registry", "serving", "datasets", "scoring", "store.py", "spec.py"} <= ours
    assert not ours & {"training", "export", "monitoring", "jobs", "cli", "deploy", "demo.py", "spec_source.py"}
    assert {path.name for path in (package.folder / "lambdas").iterdir()} <= {"score", "__pycache__"}
    assert {path.name for path in (package.folder / "botocore/data").iterdir()} == set(SCORE.only["botocore/data"])
    assert not list((package.folder / "pyarrow").glob("libarrow_flight*"))


def test_the_capture_gets_its_part_alone(packages: dict[str, Package], tmp_path: Path) -> None:
    """That it is enough shows at each start of a local stack, which calls the capture."""
    package = packages[API.name]
    archive = zip_package(package, tmp_path / "capture.zip", CAPTURE_PARTS)
    with zipfile.ZipFile(archive) as found:
        top = {name.split("/")[0] for name in found.namelist()}
    assert top | {"__pycache__"} == CAPTURE_PARTS
    assert archive.stat().st_size / 1e6 < package.megabytes / 3


def test_bytecode_fits_lambda_s_python_or_is_absent(package: Package) -> None:
    compiled = list(package.folder.rglob("*.pyc"))
    assert bool(compiled) == package.compiled
    for path in compiled:
        assert ".cpython-313.pyc" in path.name
        header = path.read_bytes()[:8]
        assert int.from_bytes(header[:2], "little") == PYTHON_313_MAGIC
        assert int.from_bytes(header[4:], "little") == 0b01


def test_the_same_inputs_are_built_once(package: Package, recipe: Recipe) -> None:
    marker = package.folder / "marker"
    marker.touch()
    again = build_package(recipe, "cloud", package.folder, python=Path(sys.executable))
    assert (again, marker.exists()) == (package, True)
    marker.unlink()


def test_no_path_of_this_machine_ships(package: Package) -> None:
    """Bytecode names its source as it will lie in Lambda."""
    here = str(package.folder.parent).encode()
    found = [path for path in package.folder.rglob("*.pyc") if here in path.read_bytes()]
    assert found == []
    assert subprocess.run(["grep", "-rqF", str(package.folder), str(package.folder)], check=False).returncode == 1
