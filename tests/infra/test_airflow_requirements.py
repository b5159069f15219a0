"""What Amazon MWAA installs fits its image, and the package of Perennial is the same bytes whenever it is built."""

from __future__ import annotations

import io
import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

from perennial.deploy.airflow_package import ON_MWAA, UV, AirflowPackage, build_airflow_package, startup_script
from perennial.errors import DeployError

ROOT = Path(__file__).parents[2]
CONSTRAINTS = ROOT / "airflow/constraints.txt"
REQUIREMENTS = ROOT / "airflow/requirements.txt"
IMAGE = {  # of images/airflow/3.3.1 of aws/amazon-mwaa-docker-images: what nobody may override
    "apache-airflow": "3.3.1", "billiard": "4.2.4", "celery": "5.6.3", "greenlet": "3.5.4", "kombu": "5.6.2",
    "sqlalchemy": "2.0.51", "statsd": "4.0.1", "vine": "5.1.0", "watchtower": "3.4.0",
}  # fmt: skip


def pins() -> dict[str, str]:
    lines = CONSTRAINTS.read_text().splitlines()
    return dict(line.split("==") for line in lines if line and not line.startswith("#"))


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> AirflowPackage:
    return build_airflow_package(tmp_path_factory.mktemp("wheel"))


def test_the_image_s_own_versions_are_kept() -> None:
    assert {name: pins().get(name) for name in IMAGE} == IMAGE


def test_constraints_say_where_they_come_from_and_name_no_machine() -> None:
    head = [line for line in CONSTRAINTS.read_text().splitlines() if line.startswith("#")]
    assert any("amazon-mwaa-docker-images" in line for line in head)
    assert not re.search(r"https?://|file:|index-url", CONSTRAINTS.read_text())
    assert all(re.fullmatch(r"[a-z0-9.-]+==[A-Za-z0-9.+-]+", f"{name}=={pin}") for name, pin in pins().items())


@pytest.mark.parametrize("processor", ["x86_64", "aarch64"])  # Amazon MWAA's, and that of infra/airflow-instance.yaml
def test_all_that_is_wanted_resolves_on_python_3_12_under_them(processor: str, tmp_path: Path) -> None:
    wanted = tmp_path / "wanted.in"
    wanted.write_text("apache-airflow[celery,statsd]==3.3.1\n")  # what the image has already
    found = tmp_path / "found.txt"
    compile_ = [
        str(UV), "pip", "compile", "--quiet", "--python-version", "3.12",
        "--python-platform", f"{processor}-manylinux_2_28", "--only-binary", ":all:", "--no-header", "--no-annotate",
        "--no-emit-index-url", "--constraint", str(CONSTRAINTS), str(wanted), str(REQUIREMENTS),
        str(ROOT / "pyproject.toml"), "--output-file", str(found),
    ]  # fmt: skip
    for asked in (["--offline"], []):  # what uv has seen of PyPI before is enough, as a rule
        result = subprocess.run([*compile_, *asked], capture_output=True, text=True, check=False, cwd=ROOT)
        if result.returncode == 0:
            break
    assert result.returncode == 0, result.stderr
    lines = [re.sub(r"\[.*?\]| ;.*", "", line) for line in found.read_text().splitlines() if "==" in line]
    assert dict(line.split("==") for line in lines).items() <= pins().items()


def test_perennial_needs_nothing_that_they_forbid() -> None:
    from packaging.requirements import Requirement

    own = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    for each in map(Requirement, own):
        assert each.specifier.contains(pins()[each.name.lower()])


def test_the_same_source_gives_the_same_package(package: AirflowPackage, tmp_path: Path) -> None:
    again = build_airflow_package(tmp_path)
    assert (again.digest, again.requirements, dict(again.files)) == (
        package.digest, package.requirements, dict(package.files)
    )  # fmt: skip


def test_the_wheel_holds_the_code_and_nothing_of_this_machine(package: AirflowPackage) -> None:
    (wheel,) = [data for place, data in package.files.items() if place.endswith(".whl")]
    with zipfile.ZipFile(io.BytesIO(wheel)) as archive:
        names = archive.namelist()
        assert {info.date_time[0] for info in archive.infolist()} == {2020}
        assert not any(str(ROOT).encode() in archive.read(name) for name in names)
    assert {
        "perennial/jobs/__main__.py",
        "perennial/costs/prices.json",
        "perennial/py.typed",
        "perennial_airflow/failures.py",
    } <= set(names)
    assert not [name for name in names if name.endswith(".pyc") or name.startswith(("tests", "lambdas"))]


def test_requirements_install_this_very_wheel_under_these_very_constraints(package: AirflowPackage) -> None:
    lines = package.requirements.splitlines()
    place = f"{ON_MWAA}/packages/{package.digest}"
    assert lines[0] == f'--constraint "{place}/constraints.txt"'
    found = re.fullmatch(r"perennial @ file://(\S+)#sha256=[0-9a-f]{64}", lines[1])
    assert found and found[1].startswith(place)
    assert found[1].removeprefix(f"{ON_MWAA}/") in package.files
    assert f"packages/{package.digest}/constraints.txt" in package.files
    assert set(REQUIREMENTS.read_text().splitlines()) <= set(lines)


def test_a_wheel_installs_by_its_hash_and_says_what_it_is(package: AirflowPackage, tmp_path: Path) -> None:
    """By pip, as on Amazon MWAA, from files where they lie there, into an empty folder."""
    text = package.requirements.replace(ON_MWAA, str(tmp_path))
    for place, data in package.files.items():
        (tmp_path / place).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / place).write_bytes(data)
    only = tmp_path / "only.txt"
    only.write_text("\n".join(text.splitlines()[:2]) + "\n")
    install = [str(UV), "pip", "install", "--quiet", "--no-deps", "--offline", "--python", sys.executable]
    target = tmp_path / "target"
    done = subprocess.run(
        [*install, "--target", str(target), "-r", str(only)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert (target / "perennial/spec.py").is_file()
    only.write_text(re.sub(r"sha256=[0-9a-f]{8}", "sha256=00000000", only.read_text()))
    other = [*install, "--target", str(tmp_path / "other"), "-r", str(only)]
    assert subprocess.run(other, capture_output=True, text=True, check=False).returncode != 0


def test_the_startup_script_sets_what_it_is_given_whatever_is_in_it(tmp_path: Path) -> None:
    values = {"PERENNIAL_BUCKET": "b", "PERENNIAL_API_URL": "https://x/'; $(touch owned) \"`", "PERENNIAL_ODD": "a b"}
    path = tmp_path / "startup.sh"
    path.write_text(startup_script(values))
    shown = subprocess.run(
        ["bash", "-c", f". {path} && env"], capture_output=True, text=True, check=True, cwd=tmp_path
    ).stdout
    assert all(f"{name}={value}\n" in shown for name, value in values.items())
    assert not (tmp_path / "owned").exists()
    with pytest.raises(DeployError, match="PERENNIAL_BUCKET"):
        startup_script({"PERENNIAL_BUCKET": "a\nb"})
