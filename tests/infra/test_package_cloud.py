"""The package that ships: wheels for Lambda's processor and Python exist, and nothing else is in it."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import pytest

from perennial.deploy import tree
from perennial.deploy.gate import GLIBC, check_library, check_package, overlay, python_for_lambda
from perennial.deploy.manifest import Manifest, write_manifest
from perennial.deploy.package import CAPTURE_PARTS, Package, build_package, build_packages, install, zip_package
from perennial.deploy.recipes import API, RECIPES, SCORE, Recipe
from perennial.errors import DeployError

ROOT = Path(__file__).parents[2]
PYTHON_313_MAGIC = 3571


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What is packaged, as it is now: nobody's edits during the tests are of it."""
    return copied(ROOT, tmp_path_factory.mktemp("checkout"))


@pytest.fixture(scope="module")
def packages(checkout: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Package]:
    return build_packages("cloud", tmp_path_factory.mktemp("cloud"), python=Path(sys.executable), root=checkout)


def copied(root: Path, target: Path) -> Path:
    for part in ("lambdas", "src", "requirements"):
        shutil.copytree(root / part, target / part, ignore=shutil.ignore_patterns("__pycache__"))
    return target


@pytest.fixture(params=RECIPES, ids=lambda recipe: recipe.name)
def recipe(request: pytest.FixtureRequest) -> Recipe:
    found: Recipe = request.param
    return found


@pytest.fixture
def package(packages: dict[str, Package], recipe: Recipe) -> Package:
    return packages[recipe.name]


def test_it_is_small(package: Package, recipe: Recipe) -> None:
    """Lambda takes 250 MiB unzipped; the API is to be no larger than 115."""
    assert 50 < package.megabytes <= recipe.megabytes <= 240
    assert API.megabytes <= 115 * 1.048576


def test_it_passes_the_gate(package: Package, recipe: Recipe) -> None:
    """All native code is for arm64, Python 3.13 and Lambda's C library, and the handlers import as they were built."""
    seen = check_package(package.folder, recipe, ROOT)
    assert seen.megabytes == package.megabytes
    assert seen.libraries == len([path for path in package.folder.rglob("*.so*") if path.is_file()]) > 20
    assert (2, 17) < seen.glibc <= GLIBC


def test_the_gate_refuses_what_lambda_could_not_run(packages: dict[str, Package], tmp_path: Path) -> None:
    (tmp_path / "libc.so").write_bytes((Path(sys.executable).resolve()).read_bytes())
    with pytest.raises(DeployError, match=r"libc\.so: is for another processor .*than arm64"):
        check_library(tmp_path / "libc.so")
    numpy = next((packages[API.name].folder / "numpy/_core").glob("_multiarray_umath.*.so"))
    newer = tmp_path / numpy.name
    newer.write_bytes(numpy.read_bytes().replace(b"GLIBC_2.17\0", b"GLIBC_2.39\0"))
    with pytest.raises(DeployError, match=r"asks for glibc 2\.39; Lambda has 2\.34"):
        check_library(newer)
    older = newer.rename(tmp_path / numpy.name.replace("313", "311"))
    with pytest.raises(DeployError, match=r"is for another Python than 3\.13"):
        check_library(older)


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the API locks, for this machine."""
    folder = tmp_path_factory.mktemp("installed")
    install(ROOT / API.lock, "local", folder, python_for_lambda())
    return folder


@pytest.mark.parametrize("lost", ["obstore/_obstore.abi3.so", "starlette/routing.py", "perennial/canonical.py"])
def test_the_gate_misses_what_a_handler_needs(
    packages: dict[str, Package], installed: Path, tmp_path: Path, lost: str
) -> None:
    copy = tmp_path / "api"
    shutil.copytree(packages[API.name].folder, copy, copy_function=os.link)
    (copy / lost).unlink()
    overlay(copy, installed, tmp_path / "both")
    with pytest.raises(DeployError, match=r"the handler does not import: .*(No module named|cannot import)"):
        tree.prove(tmp_path / "both", python_for_lambda(), API)


def test_two_builds_of_one_commit_are_the_same_bytes(
    packages: dict[str, Package],
    checkout: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
) -> None:
    """From another folder, at another time, with another umask and other settings of the machine."""
    root, out = copied(checkout, tmp_path / "elsewhere/checkout"), tmp_path / "a/deeper/place"
    scratch = tempfile.mkdtemp(prefix="again-")  # short: compilers at work side by side talk by sockets in it
    request.addfinalizer(lambda: shutil.rmtree(scratch))
    for name, value in (("TMPDIR", scratch), ("TZ", "Asia/Tokyo"), ("LC_ALL", "C")):
        monkeypatch.setenv(name, value)
    before = os.umask(0o077)
    try:
        again = build_package(API, "cloud", out / "api", python=Path(sys.executable), root=root)
        first, second = (write_manifest({"api": package}, place, ROOT).packages["api"]
                         for package, place in ((packages[API.name], tmp_path), (again, out)))  # fmt: skip
    finally:
        os.umask(before)
    assert first == second
    written = Manifest.model_validate_json((out / "manifest.json").read_bytes())
    assert written.packages["api"] == second and len(written.commit or "") == 40
    assert hashlib.sha256((out / second.zip.file).read_bytes()).hexdigest() == second.zip.sha256


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


def test_the_same_inputs_are_built_once(package: Package, recipe: Recipe, checkout: Path) -> None:
    marker = package.folder / "marker"
    marker.touch()
    again = build_package(recipe, "cloud", package.folder, python=Path(sys.executable), root=checkout)
    assert (again, marker.exists()) == (package, True)
    marker.unlink()


def test_no_path_of_this_machine_ships(package: Package) -> None:
    """Bytecode names its source as it will lie in Lambda."""
    here = str(package.folder.parent).encode()
    found = [path for path in package.folder.rglob("*.pyc") if here in path.read_bytes()]
    assert found == []
    assert subprocess.run(["grep", "-rqF", str(package.folder), str(package.folder)], check=False).returncode == 1
