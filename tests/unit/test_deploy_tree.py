from __future__ import annotations

import importlib.util
import sys
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from perennial.deploy import tree
from perennial.deploy.package import Package, input_digest, zip_package
from perennial.deploy.recipes import API, SCORE
from perennial.errors import DeployError


def write(root: Path, **files: str) -> Path:
    for name, text in files.items():
        path = root / name.replace("__", "/").replace("_py", ".py")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def test_strip_keeps_what_runs(tmp_path: Path) -> None:
    kept = ["numpy/core.py", "numpy/core.so", "plugin-1.dist-info/METADATA", "plugin-1.dist-info/entry_points.txt"]
    gone = [
        "numpy/tests/test_core.py", "numpy/core.pyi", "bin/tool", "numpy/include/a.h", "plain-1.dist-info/METADATA",
        "onnxruntime/transformers/big.py", "onnxruntime/capi/libonnxruntime.so.1.31.1", "plugin-1.dist-info/RECORD",
    ]  # fmt: skip
    for name in [*kept, *gone, "command-1.dist-info/entry_points.txt"]:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("")
    (tmp_path / "plugin-1.dist-info/entry_points.txt").write_text("[console_scripts]\na=b\n[pydantic]\nx=y\n")
    (tmp_path / "command-1.dist-info/entry_points.txt").write_text("[console_scripts]\na=b\n")
    tree.strip(tmp_path, API)
    assert sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()) == sorted(kept)


@pytest.mark.parametrize("name", ["pandas", "boto3", "sklearn"])
def test_a_heavy_package_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / name).mkdir()
    with pytest.raises(DeployError, match=f"holds {name}, which must not ship"):
        tree.check(tmp_path, API)


@pytest.mark.parametrize(
    "code", ["import pickle", "def f():\n    from joblib import load", "if True:\n    import boto3.session"]
)
def test_our_code_may_not_reach_what_must_not_ship(tmp_path: Path, code: str) -> None:
    write(tmp_path, perennial__serving__load_py=code)
    with pytest.raises(DeployError, match=r"perennial/serving/load\.py: imports \w+, which must not ship"):
        tree.check(tmp_path, API)


def test_an_import_that_expects_absence_is_no_need(tmp_path: Path) -> None:
    write(
        tmp_path,
        perennial__store_py="try:\n    import botocore\nexcept ImportError:\n    import json\nelse:\n    import re",
    )
    assert tree.imported(tmp_path / "perennial/store.py") == {"json", "re"}
    assert tree.check(tmp_path, API) < 1


def test_a_package_that_is_too_large_is_refused(tmp_path: Path) -> None:
    (tmp_path / "model.bin").write_bytes(bytes(2_000))
    assert tree.check(tmp_path, replace(API, megabytes=0.01)) == 0.002
    with pytest.raises(DeployError, match="above the limit"):
        tree.check(tmp_path, replace(API, megabytes=0.001))


def test_the_scoring_has_arrow_and_boto3_without_what_it_never_loads(tmp_path: Path) -> None:
    kept = [
        "pyarrow/csv.py", "pyarrow/_csv.cpython-313-aarch64-linux-gnu.so", "pyarrow/libarrow.so.2600",
        "pyarrow/libarrow_python.so.2600", "pyarrow/libarrow_substrait.so.2600", "pyarrow/parquet/core.py",
        "botocore/data/s3/2006-03-01/service-2.json.gz", "botocore/data/endpoints.json", "botocore/session.py",
    ]  # fmt: skip
    gone = [
        "pyarrow/include/arrow/api.h", "pyarrow/libarrow_flight.so.2600", "pyarrow/libarrow_python.so.2600.1.0",
        "pyarrow/libarrow_python.so", "pyarrow/libarrow_s3.so.2600", "pyarrow/_dataset.cpython-313-aarch64.so",
        "pyarrow/flight.py", "pyarrow/lib.pyx", "pyarrow/tests/test_csv.py", "botocore/data/s3control/a.json",
        "botocore/data/ec2/2016-11-15/service-2.json.gz", "boto3/examples/s3.rst",
    ]  # fmt: skip
    for name in [*kept, *gone]:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("")
    tree.strip(tmp_path, SCORE)
    assert sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()) == sorted(kept)
    assert tree.check(tmp_path, SCORE) == 0


def test_the_scoring_loads_boto3_when_it_is_needed_and_never_pandas(tmp_path: Path) -> None:
    recipe = replace(SCORE, modules=("json",))
    write(
        tmp_path, lambdas__score__handler_py="import boto3\nhandler = print", boto3__client_py="", boto3____init___py=""
    )
    with pytest.raises(DeployError, match="loads boto3"):
        tree.prove(tmp_path, Path(sys.executable), recipe)
    write(tmp_path, perennial__scoring__files_py="import pandas")
    with pytest.raises(DeployError, match="imports pandas"):
        tree.check(tmp_path, SCORE)


def test_slimming_leaves_an_installer_s_cache_alone(tmp_path: Path) -> None:
    """Installers link the files of their caches, and of all other environments, into what they install."""
    whole = Path(next(path for path in sys.path if path.endswith("site-packages")), "obstore/_obstore.abi3.so")
    cached, linked = tmp_path / "cached.so", tmp_path / "tree/linked.so"
    linked.parent.mkdir()
    cached.write_bytes(whole.read_bytes())
    linked.hardlink_to(cached)
    tree.slim(linked.parent)
    assert cached.read_bytes() == whole.read_bytes()
    assert linked.stat().st_size < cached.stat().st_size


def test_compiled_modules_are_trusted_whatever_their_times(tmp_path: Path) -> None:
    write(tmp_path, perennial__a_py="VALUE = 1")
    tree.compile_tree(tmp_path, Path(sys.executable), API)
    (compiled,) = tmp_path.rglob("*.pyc")
    header = compiled.read_bytes()[:8]
    assert header[:4] == importlib.util.MAGIC_NUMBER
    assert int.from_bytes(header[4:], "little") == 0b01  # a hash, and not checked against the source


def test_a_module_that_does_not_compile_is_named(tmp_path: Path) -> None:
    write(tmp_path, perennial__a_py="def")
    with pytest.raises(DeployError, match="does not compile"):
        tree.compile_tree(tmp_path, Path(sys.executable), API)


def test_the_proof_runs_with_nothing_but_the_tree(tmp_path: Path) -> None:
    """NumPy is installed here, and yet is missing: it is not in the tree."""
    write(tmp_path, lambdas__api__handler_py="import numpy\nhandler = print")
    with pytest.raises(DeployError, match="No module named 'numpy'"):
        tree.prove(tmp_path, Path(sys.executable), API)


def test_a_zip_is_the_same_bytes_for_the_same_content(tmp_path: Path) -> None:
    folder = write(tmp_path / "built", a__b_py="1", c_py="2")
    (folder / "c.py").chmod(0o755)
    package = Package(folder, "digest", 0.0, True)
    first = zip_package(package, tmp_path / "1.zip").read_bytes()
    (folder / "a/b.py").touch()
    assert zip_package(package, tmp_path / "2.zip").read_bytes() == first
    (folder / "a/b.py").write_text("3")
    assert zip_package(package, tmp_path / "3.zip").read_bytes() != first


def test_a_zip_may_be_deflated(tmp_path: Path) -> None:
    package = Package(write(tmp_path / "built", a_py="1" * 10_000), "digest", 0.0, True)
    stored, deflated = (zip_package(package, tmp_path / f"{kind}.zip", deflated=kind) for kind in (False, True))
    assert deflated.stat().st_size < stored.stat().st_size / 10
    with zipfile.ZipFile(deflated) as archive:
        assert archive.read("a.py") == b"1" * 10_000


def test_a_source_that_only_moves_is_built_anew(tmp_path: Path) -> None:
    """Names of files alone would be the same, and the package of before would ship."""
    write(tmp_path, requirements__serve_txt="", src__perennial__jobs__a_py="x", lambdas__b_py="y")
    recipe = replace(API, sources=("src/perennial", "lambdas"), lock=Path("requirements/serve_txt"))
    before = input_digest(recipe, tmp_path, "cloud", None)
    assert input_digest(recipe, tmp_path, "cloud", None) == before
    (tmp_path / "src/perennial/jobs").rename(tmp_path / "src/perennial/works")
    assert input_digest(recipe, tmp_path, "cloud", None) != before
