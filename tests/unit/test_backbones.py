"""Foreign extractors: normalised to one form, run within bounds before anyone trusts them, and named for good."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from typer.testing import CliRunner

from perennial import keys
from perennial.cli import app
from perennial.errors import AlreadyExistsError, ExportError, IntegrityError, NotFoundError
from perennial.export.backbones import Backbone, add_backbone, backbone_extractor, find_backbone, list_backbones
from perennial.export.normalise import normalised, read_graph
from perennial.export.preparation import Preparation
from perennial.export.runtime import session
from perennial.export.trial import tried
from perennial.spec import Frame
from perennial.store import memory_store
from tests.support.backbones import SIZE, WIDTH, expected, model_of, network

FIRST = Preparation(layout="NCHW", size=SIZE, range=(-1, 1))
PICTURE = np.random.default_rng(7).integers(0, 256, (SIZE, SIZE, 3), np.uint8)


@cache
def plain() -> bytes:
    """The small network, normalised."""
    return tried(network(), FIRST).onnx


def features(graph: bytes, picture: np.ndarray = PICTURE) -> np.ndarray:
    return np.asarray(session(graph).run(None, {"x": picture[np.newaxis]})[0][0])


@pytest.mark.parametrize(
    ("source", "how"),
    [
        pytest.param(network(), FIRST, id="channels first"),
        pytest.param(network(layout="NHWC"), FIRST.model_copy(update={"layout": "NHWC"}), id="channels last"),
        pytest.param(network(), FIRST.model_copy(update={"color": "BGR"}), id="blue first"),
        pytest.param(
            network(), FIRST.model_copy(update={"range": (0, 1), "mean": (0.5, 0.4, 0.3), "std": (0.2, 0.3, 0.4),
                                                "color": "BGR"}), id="mean and deviation"),
        pytest.param(network(), FIRST.model_copy(update={"range": (0, 255)}), id="bytes"),
        pytest.param(network(opset=7, listed=True), FIRST, id="old exporter"),
        pytest.param(network(size="side"), FIRST, id="any size"),
        pytest.param(network(batch=1), FIRST, id="one picture only"),
        pytest.param(network(entry="x", output="features"), FIRST, id="our own names"),
        pytest.param(network(entry="prepared", output="flat"), FIRST, id="our inner names"),
        pytest.param(network(), FIRST.model_copy(update={"output": "pooled"}), id="named output"),
    ],
)  # fmt: skip
def test_a_graph_takes_bytes_of_pictures_in_whatever_form_it_came(source: bytes, how: Preparation) -> None:
    found = tried(source, how)
    wanted = expected(PICTURE, how.factor, how.offset, bgr=how.color == "BGR")
    np.testing.assert_allclose(features(found.onnx), wanted, rtol=1e-4, atol=1e-4)
    model = onnx.load_model_from_string(found.onnx)
    onnx.checker.check_model(model, full_check=True)
    assert {(each.domain, each.version) for each in model.opset_import} == {("", 21)}
    assert [each.name for each in model.graph.input] == ["x"]
    dims = model.graph.output[0].type.tensor_type.shape.dim
    assert (found.width, [dim.dim_value for dim in dims]) == (WIDTH, [1, WIDTH])


def test_an_image_scaler_becomes_what_it_meant() -> None:
    scaler = helper.make_node("ImageScaler", ["data"], ["scaled"], scale=0.5, bias=[1.0, 2.0, 3.0])
    source = network(opset=7, before=[scaler], source="scaled")
    found = tried(source, FIRST)
    assert "ImageScaler" not in {node.op_type for node in onnx.load_model_from_string(found.onnx).graph.node}
    factor = [0.5 * each for each in FIRST.factor]
    offset = [0.5 * each + bias for each, bias in zip(FIRST.offset, (1, 2, 3), strict=True)]
    wanted = expected(PICTURE, factor, offset)
    np.testing.assert_allclose(features(found.onnx), wanted, rtol=1e-4, atol=1e-4)


def test_a_value_within_can_be_the_features_and_what_comes_after_is_left_out() -> None:
    head = [helper.make_node("Flatten", ["pooled"], ["flat"]), helper.make_node("MatMul", ["flat", "k"], ["scores"])]
    kernel = numpy_helper.from_array(np.ones((WIDTH, 1000), np.float32), "k")
    source = network(after=head, more=[kernel], result="scores")
    whole, within = tried(source, FIRST), tried(source, FIRST.model_copy(update={"output": "pooled"}))
    assert (whole.width, within.width) == (1000, WIDTH)
    assert len(within.onnx) < len(whole.onnx) / 5
    np.testing.assert_allclose(features(within.onnx), features(plain()))


def test_branches_keep_seeing_what_stands_outside_them() -> None:
    def branch(kind: str) -> onnx.GraphProto:
        out = helper.make_tensor_value_info("x", TensorProto.FLOAT, None)
        return helper.make_graph([helper.make_node(kind, ["pooled", "half"], ["x"])], kind, [], [out])

    choice = helper.make_node("If", ["yes"], ["chosen"], then_branch=branch("Mul"), else_branch=branch("Add"))
    more = [
        numpy_helper.from_array(np.array(True), "yes"),
        numpy_helper.from_array(np.array([0.5], np.float32), "half"),
    ]
    found = tried(network(after=[choice], more=more, result="chosen"), FIRST)
    np.testing.assert_allclose(features(found.onnx), features(plain()) * 0.5, rtol=1e-5)


def external() -> bytes:
    model = onnx.load_model_from_string(network())
    tensor = model.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="/etc/passwd")
    return bytes(model.SerializeToString())


def external_in_a_branch() -> bytes:
    tensor = TensorProto(name="far", data_type=TensorProto.FLOAT, dims=[1], data_location=TensorProto.EXTERNAL)
    tensor.external_data.add(key="location", value="weights.bin")
    out = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    branch = helper.make_graph([helper.make_node("Constant", [], ["y"], value=tensor)], "far", [], [out])
    choice = helper.make_node("If", ["yes"], ["chosen"], then_branch=branch, else_branch=branch)
    return network(after=[choice], more=[numpy_helper.from_array(np.array(True), "yes")], result="chosen")


def foreign_in_a_branch() -> bytes:
    out = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    gelu = helper.make_node("Gelu", ["pooled"], ["y"], domain="com.microsoft")
    branch = helper.make_graph([gelu], "foreign", [], [out])
    choice = helper.make_node("If", ["yes"], ["chosen"], then_branch=branch, else_branch=branch)
    return network(after=[choice], more=[numpy_helper.from_array(np.array(True), "yes")], result="chosen")


def endless() -> bytes:
    """A loop of 2 ** 62 rounds."""
    body = helper.make_graph(
        [helper.make_node("Identity", ["go"], ["on"]), helper.make_node("Add", ["sum", "sum"], ["more"])],
        "body",
        [
            helper.make_tensor_value_info("round", TensorProto.INT64, []),
            helper.make_tensor_value_info("go", TensorProto.BOOL, []),
            helper.make_tensor_value_info("sum", TensorProto.FLOAT, None),
        ],
        [
            helper.make_tensor_value_info("on", TensorProto.BOOL, []),
            helper.make_tensor_value_info("more", TensorProto.FLOAT, None),
        ],
    )
    loop = helper.make_node("Loop", ["rounds", "yes", "pooled"], ["last"], body=body)
    more = [numpy_helper.from_array(np.array(2**62), "rounds"), numpy_helper.from_array(np.array(True), "yes")]
    return network(after=[loop], more=more, result="last")


def bomb() -> bytes:
    """A few bytes that ask for 64 GB."""
    shape = numpy_helper.from_array(np.array([2**34], np.int64), "shape")
    nodes = [
        helper.make_node("ConstantOfShape", ["shape"], ["huge"]),
        helper.make_node("ReduceMax", ["huge"], ["most"], keepdims=0),
        helper.make_node("Add", ["pooled", "most"], ["sum"]),
    ]
    return network(after=nodes, more=[shape], result="sum")


def two_inputs() -> bytes:
    inputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 3, SIZE, SIZE]) for name in ("a", "b")]
    out = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    return model_of([helper.make_node("Add", ["a", "b"], ["y"])], inputs, [out], [])


def behind(*nodes: onnx.NodeProto, result: str, more: tuple[onnx.TensorProto, ...] = ()) -> bytes:
    return network(after=nodes, more=more, result=result)


@pytest.mark.parametrize(
    ("source", "how", "reason"),
    [
        pytest.param(external(), FIRST, "stands in another file", id="external data"),
        pytest.param(external_in_a_branch(), FIRST, "stands in another file", id="external data in a branch"),
        pytest.param(foreign_in_a_branch(), FIRST, "Gelu of the domain 'com.microsoft'", id="foreign domain"),
        pytest.param(b"\xff\xd8\xff not a graph", FIRST, "is no ONNX file", id="a picture"),
        pytest.param(b"", FIRST, "is no ONNX file", id="nothing"),
        pytest.param(network(opset=6), FIRST, "opset 6", id="too old"),
        pytest.param(network(size=32), FIRST, "Its input is ? x 3 x 32 x 32", id="another size"),
        pytest.param(network(layout="NHWC"), FIRST, "Its input is ? x 16 x 16 x 3", id="another layout"),
        pytest.param(two_inputs(), FIRST, "2 inputs (a, b)", id="two inputs"),
        pytest.param(network(), FIRST.model_copy(update={"output": "deep"}), "no value 'deep'", id="no such output"),
    ],
)
def test_a_graph_that_is_no_extractor_is_refused_before_it_runs(source: bytes, how: Preparation, reason: str) -> None:
    with pytest.raises(ExportError) as error:
        normalised(read_graph(source), how)
    assert reason in str(error.value)
    assert error.value.remedy


@pytest.mark.parametrize(
    ("source", "how", "reason"),
    [
        pytest.param(external(), FIRST, "stands in another file", id="external data"),
        pytest.param(network(size=64), FIRST.model_copy(update={"size": 64, "output": "bent"}), "of at most 1 x 12,288",
                     id="a whole map"),
        pytest.param(
            behind(helper.make_node("Neg", ["pooled"], ["less"]), helper.make_node("Log", ["less"], ["bad"]),
                   result="bad"), FIRST, "not finite", id="not finite"),
        pytest.param(
            behind(helper.make_node("RandomUniformLike", ["pooled"], ["noise"]), result="noise"), FIRST,
            "other features at a second look", id="random"),
        pytest.param(
            behind(helper.make_node("Sub", ["pooled", "pooled"], ["none"]), result="none"), FIRST,
            "same features for any picture", id="blind"),
        pytest.param(bomb(), FIRST, "It cannot be run", id="memory"),
    ],
)  # fmt: skip
def test_a_graph_that_does_not_stand_its_first_run_is_refused(source: bytes, how: Preparation, reason: str) -> None:
    with pytest.raises(ExportError) as error:
        tried(source, how)
    assert reason in str(error.value)
    assert error.value.remedy


def test_a_graph_that_never_ends_is_ended() -> None:
    with pytest.raises(ExportError, match=r"(longer than|code -?\d+)"):
        tried(endless(), FIRST, seconds=6)


def test_too_large_a_file_is_not_even_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("perennial.export.trial.LARGEST", 100)
    with pytest.raises(ExportError, match="of at most 100"):
        tried(network(), FIRST)


def test_a_name_stands_for_one_graph_and_one_preparation() -> None:
    store = memory_store()
    first, again = (add_backbone(store, "tiny", network(), FIRST) for _ in range(2))
    assert (first.new, again.new) == (True, False)
    assert first.backbone == again.backbone == find_backbone(store, "tiny")
    with pytest.raises(AlreadyExistsError, match="stands for another file"):
        add_backbone(store, "tiny", network(seed=1), FIRST)
    with pytest.raises(AlreadyExistsError, match="prepared otherwise"):
        add_backbone(store, "tiny", network(), FIRST.model_copy(update={"color": "BGR"}))
    other = add_backbone(store, "a-copy", network(), FIRST)
    assert other.backbone.digest == first.backbone.digest
    assert [each.name for each in list_backbones(store)] == ["a-copy", "tiny"]


@pytest.mark.parametrize("name", ["", "Tiny", "../x", "a/b", "x" * 61, "tiny\n"])
def test_a_name_that_is_none_is_refused(name: str) -> None:
    with pytest.raises(ExportError, match="is no name of a backbone"):
        add_backbone(memory_store(), name, network(), FIRST)


def test_an_extractor_is_read_by_its_digest() -> None:
    store = memory_store()
    with pytest.raises(NotFoundError, match="perennial backbone add tiny FILE"):
        backbone_extractor(store, "tiny", Frame(size=64))
    found = add_backbone(store, "tiny", network(), FIRST).backbone
    extractor = backbone_extractor(store, "tiny", Frame(size=64, fit="crop"))
    assert (extractor.frame, extractor.width) == (Frame(size=SIZE, fit="crop"), WIDTH)
    forged = Backbone.from_bytes(store.get(keys.backbone("tiny")).data, "").model_copy(
        update={"name": "forged", "digest": "0" * 64}
    )
    store.put_new(keys.backbone("forged"), forged.to_bytes())
    with pytest.raises(IntegrityError, match="is gone"):
        backbone_extractor(store, "forged", Frame())
    store.put_new(keys.backbone_blob("0" * 64), store.get(keys.backbone_blob(found.digest)).data)
    with pytest.raises(IntegrityError, match="does not match its name"):
        backbone_extractor(store, "forged", Frame())


def test_a_model_of_grey_pictures_shows_them_in_all_three_channels() -> None:
    store = memory_store()
    add_backbone(store, "tiny", network(), FIRST)
    grey = backbone_extractor(store, "tiny", Frame(color="grey"))
    color = backbone_extractor(store, "tiny", Frame())
    one = PICTURE[:, :, :1]
    np.testing.assert_array_equal(features(grey.onnx, one), features(color.onnx, np.repeat(one, 3, axis=2)))


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> None:
    store = memory_store()
    monkeypatch.setenv("PERENNIAL_BUCKET", "the-bucket")
    monkeypatch.setattr("perennial.cli.backbone.open_store", lambda settings: store)


@pytest.mark.usefixtures("bucket")
def test_the_command_adds_and_lists(tmp_path: Path) -> None:
    file = tmp_path / "tiny.onnx"
    file.write_bytes(network())
    command = ["backbone", "add", "tiny", str(file), "--layout", "NCHW", "--size", str(SIZE), "--range", "-1:1"]
    first = CliRunner().invoke(app, command)
    assert first.exit_code == 0, first.output
    assert first.stdout.startswith("added: tiny, 6 features of 16 x 16 pixels")
    again = CliRunner().invoke(app, [*command, "--json"])
    assert json.loads(again.stdout)["new"] is False
    listed = CliRunner().invoke(app, ["backbone", "list", "--json"])
    assert [(row["name"], row["features"]) for row in json.loads(listed.stdout)] == [("tiny", WIDTH)]


@pytest.mark.usefixtures("bucket")
@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--range", "1:-1"], "black must become less than white"),
        (["--range", "wide"], "--range: 'wide' is not 2 numbers"),
        (["--range", "nan:1"], "--range: Input should be a finite number"),
        (["--mean", "1,2"], "--mean: '1,2' is not 3 numbers"),
        (["--std", "0,1,1"], "every number must be above 0"),
        (["--color", "GRB"], "--color"),
    ],
)
def test_the_command_says_which_option_is_wrong(tmp_path: Path, options: list[str], said: str) -> None:
    file = tmp_path / "tiny.onnx"
    file.write_bytes(network())
    command = ["backbone", "add", "tiny", str(file), "--layout", "nchw", "--size", str(SIZE), *options]
    result = CliRunner().invoke(app, command)
    assert result.exit_code != 0
    assert said in str(result.exception)
