"""`heinit-sim audit`: checkpoints of each framework's layout, what is required, the config."""

import csv
import json
import math
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from heinit_sim import load_config, run_sweep
from heinit_sim.numerics import FloatArray
from heinit_sim.numerics.p_values import welch
from tests.checkpoints import bfloat16, write_safetensors
from tests.commands import heinit_sim

Arrays = Mapping[str, NDArray[Any]]


def he_chain(widths: list[int], *, out_in: bool, seed: int = 1) -> dict[str, NDArray[Any]]:
    """A dense network of He's, with biases, as PyTorch or Keras names and stores it."""
    rng, word = np.random.default_rng(seed), "weight" if out_in else "kernel"
    arrays = {}
    for k, (n_in, n_out) in enumerate(pairwise(widths)):
        matrix = rng.standard_normal((n_out, n_in)).astype(np.float32) * math.sqrt(2 / n_in)
        arrays[f"layers.{k}.{word}"] = matrix if out_in else matrix.T
        arrays[f"layers.{k}.bias"] = np.zeros(n_out, np.float32)
    return arrays


def he_kernel(c_in: int, c_out: int, *, out_in: bool) -> NDArray[np.float32]:
    kernel = np.random.default_rng(3).standard_normal((c_out, c_in, 3, 3))
    kernel *= math.sqrt(2 / (9 * c_in))
    return (kernel if out_in else kernel.transpose(2, 3, 1, 0)).astype(np.float32)


def document(*arguments: object) -> Any:
    ran = heinit_sim("audit", *arguments, "--json")
    assert ran.returncode == 0, ran.stderr
    found = json.loads(ran.stdout)
    assert found["schema_version"] == 1
    return found


def test_each_layout_has_the_same_fans_and_schemes(tmp_path: Path) -> None:
    widths = [60, 200, 80, 30]
    seen = {}
    for format_, out_in in (("pt", True), ("flax", False)):
        arrays = he_chain(widths, out_in=out_in)
        name = "conv.weight" if out_in else "conv.kernel"
        arrays[name] = he_kernel(16, 32, out_in=out_in)
        path = write_safetensors(tmp_path / f"{format_}.safetensors", arrays, {"format": format_})
        np.savez(tmp_path / f"{format_}.npz", **arrays)  # type: ignore[arg-type]  # its flag is none
        for file in (path, path.with_suffix(".npz")):
            rows = document(file)["tensors"]
            weights = [row for row in rows if row["role"] == "weights"]
            keys = ("fan_in", "fan_out", "law", "nearest", "agrees")
            seen[file.name] = sorted([row[key] for key in keys] for row in weights)
            assert {row["layout"] for row in weights} == {"out_in" if out_in else "in_out"}
            assert {row["role"] for row in rows} == {"weights", "vector"}
    fans = [(60, 200), (80, 30), (144, 288), (200, 80)]
    expected = [[*pair, "normal", "he_normal", True] for pair in fans]
    assert all(found == expected for found in seen.values()), seen


def test_a_document_says_what_layers_do(tmp_path: Path) -> None:
    arrays = he_chain([50, 100, 100, 20], out_in=True)
    path = write_safetensors(tmp_path / "a.safetensors", arrays, {"format": "pt"})
    found = document(path, "--activation", "leaky_relu", "--alpha", 0.01)
    assert (found["checkpoint"], found["framework"]) == (str(path), "pt")
    assert (found["activation"], found["n_weights"], found["n_others"]) == ("leaky_relu", 3, 3)
    assert found["level"] == 0.01
    assert found["level_of_each_test"] == pytest.approx(0.01 / 9, rel=1e-12)
    rows = {row["name"]: row for row in found["tensors"]}
    slope = (1 + 0.01**2) / 2
    for name, matrix in arrays.items():
        row = rows[name]
        assert row["mean"] == pytest.approx(float(matrix.mean()), abs=1e-6)
        assert row["std"] == pytest.approx(float(matrix.std()), rel=1e-5)
        if matrix.ndim == 2:
            square = float(np.mean(matrix.astype(float) ** 2))
            assert row["forward"] == pytest.approx(slope * matrix.shape[1] * square, rel=1e-6)
            assert row["backward"] == pytest.approx(slope * matrix.shape[0] * square, rel=1e-6)
            assert row["gain"] == pytest.approx(math.sqrt(square * matrix.shape[1] / 2), rel=1e-6)
            assert row["gain"] == pytest.approx(1, abs=4 * row["gain_error"])
    chain = found["chain"]
    assert chain["names"] == [f"layers.{k}.weight" for k in range(3)]
    logs = [math.log10(rows[name]["forward"]) for name in chain["names"]]
    assert chain["forward_log10"] == pytest.approx(sum(logs), rel=1e-9)


def test_tables_and_csv_have_a_row_for_each_tensor(tmp_path: Path) -> None:
    arrays = he_chain([50, 100, 20], out_in=True)
    bits: dict[str, Any] = {**arrays, "half.weight": bfloat16(arrays["layers.0.weight"])}
    bits["n"] = np.array(3, np.int64)
    path = write_safetensors(tmp_path / "a.safetensors", bits, {"format": "pt"})
    shown = heinit_sim("audit", path, COLUMNS="170").stdout
    assert "3 weight tensors, 3 others (not judged)" in shown
    (row,) = (line for line in shown.splitlines() if "half.weight" in line)
    assert {"100×50", "bfloat16", "50", "100", "normal", "he_normal"} <= set(row.split())
    rows = list(csv.DictReader(heinit_sim("audit", path, "--format", "csv").stdout.splitlines()))
    assert [row["name"] for row in rows] == [
        "half.weight",
        *sorted(arrays, key=lambda n: (n[7], n[9:])),
        "n",
    ]
    assert "| tensor |" in heinit_sim("audit", path, "--format", "markdown").stdout


def test_require_names_the_weights_that_are_not_of_the_scheme(tmp_path: Path) -> None:
    arrays = he_chain([50, 100, 100, 20], out_in=True)
    path = write_safetensors(tmp_path / "a.safetensors", arrays, {"format": "pt"})
    assert heinit_sim("audit", path, "--require", "kaiming_normal").returncode == 0
    ran = heinit_sim("audit", path, "--require", "he_uniform")
    assert ran.returncode == 3
    assert "audit: 3 of 3 weight tensors are not of he_uniform: layers.0.weight, " in ran.stderr
    arrays["layers.1.weight"] = arrays["layers.1.weight"] * np.float32(1.1)
    write_safetensors(path, arrays, {"format": "pt"})
    ran = heinit_sim("audit", path, "--require", "he_normal", "--json")
    assert ran.returncode == 3
    assert ran.stderr == "audit: 1 of 3 weight tensors are not of he_normal: layers.1.weight\n"
    assert json.loads(ran.stdout)["not_of_required"] == ["layers.1.weight"]
    assert heinit_sim("audit", path, "--require", "he_normal", "--only", "*.0.*").returncode == 0
    ran = heinit_sim("audit", path, "--require", "he_normal", "--only", "*bias")
    assert (ran.returncode, ran.stderr) == (3, "audit: no weights that could be of he_normal\n")


def test_numbers_that_are_not_finite_are_said_and_are_of_no_scheme(tmp_path: Path) -> None:
    arrays = he_chain([50, 100, 20], out_in=True)
    arrays["layers.0.weight"][3, 4] = np.nan
    path = write_safetensors(tmp_path / "a.safetensors", arrays)
    ran = heinit_sim("audit", path, "--json")
    assert (ran.returncode, ran.stderr) == (
        0,
        f"{path}: layers.0.weight: 1 of 5000 numbers not finite\n",
    )
    assert json.loads(ran.stdout)["tensors"][1]["mean"] is None
    ran = heinit_sim("audit", path, "--require", "he_normal")
    assert ran.returncode == 3
    assert "not of he_normal: layers.0.weight" in ran.stderr
    assert "layers.1.weight" not in ran.stderr


def test_numbers_without_a_spread_or_without_squares_are_told(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    arrays = {"all": np.full((3, 4), 0.1), "huge": np.full((2, 2), 1e308)}
    np.savez(path, **arrays)  # type: ignore[arg-type]  # its flag is none
    all_, huge = document(path)["tensors"]
    assert (all_["law"], all_["gain_error"]) == ("constant", 0.0)
    assert (huge["law"], huge["gain"], huge["std"]) == (None, None, None)
    ran = heinit_sim("audit", path)
    assert (ran.returncode, ran.stderr) == (0, "")


def test_mistakes_are_one_line_each(tmp_path: Path) -> None:
    path = write_safetensors(tmp_path / "a.safetensors", he_chain([5, 9], out_in=True))
    (tmp_path / "there.yaml").write_text("mine")
    for arguments, problem in (
        ((tmp_path / "none.npz",), "No such file"),
        ((tmp_path,), "must be a .safetensors or .npz file"),
        ((path, "--require", "he_norml"), "did you mean 'he_normal'?"),
        ((path, "--activation", "rulu"), "--activation: error: unknown activation ('rulu')"),
        ((path, "--only", "x*"), "no tensor has such a name (x*)"),
        ((path, "--force"), "--force: error: there is nothing to replace"),
        ((path, "--write-config", tmp_path / "there.yaml"), "exists; give --force to replace it"),
        ((path, "--write-config", path, "--force"), "a.safetensors is the checkpoint itself"),
        ((path, "--write-config", tmp_path / "c.yaml"), "no two weight tensors follow one another"),
    ):
        ran = heinit_sim("audit", *arguments)
        assert ran.returncode == 2, arguments
        assert ran.stdout == ""
        assert problem in ran.stderr
        assert ran.stderr.count("\n") == 1
    assert (tmp_path / "there.yaml").read_text() == "mine"


# The config of a checkpoint

WIDTHS = [20, 30, 40, 30, 10]


def mixed_chain() -> dict[str, NDArray[Any]]:
    """Dense layers of four laws, one with random biases and one with constant ones."""
    rng = np.random.default_rng(5)
    q = np.linalg.qr(rng.standard_normal((40, 30)))[0]
    return {
        "a.0.weight": rng.standard_normal((30, 20)) * math.sqrt(2 / 20),
        "a.0.bias": 0.3 * rng.standard_normal(30),
        "a.1.weight": 1.4 * q,
        "a.1.bias": np.full(40, 0.1),
        "a.2.weight": rng.uniform(-0.5, 0.5, (30, 40)),
        "a.10.weight": 0.2 * rng.standard_normal((10, 30)),
        "other.weight": rng.standard_normal((7, 9)),
        "norm.weight": np.ones(30),
    }


def log_second_moments(arrays: Arrays, n_networks: int, factor: float = 1.0) -> FloatArray:
    """ln E[h_k²], k = 1, 2, 3, of networks drawn plainly with the variances of these tensors.

    The factor is of the variance of the second weights, which are orthogonal.
    """
    rng, logs = np.random.default_rng(7), np.empty((n_networks, 3))
    for network in range(n_networks):
        h = rng.standard_normal(20)
        for k in range(3):
            weights = arrays[f"a.{k}.weight"]
            bias = arrays.get(f"a.{k}.bias", np.zeros(1))
            std = math.sqrt(np.mean(weights**2) * (factor if k == 1 else 1.0))
            drawn = std * rng.standard_normal(weights.shape)
            if k == 1:
                u, _, v = np.linalg.svd(rng.standard_normal((40, 30)), full_matrices=False)
                drawn = std * math.sqrt(40) * u @ v  # Haar, as QR alone is not
            f = drawn @ h
            f += (
                bias[0]
                if np.ptp(bias) == 0
                else np.sqrt(np.mean(bias**2)) * rng.standard_normal(30)
            )
            h = np.maximum(f, 0)
            logs[network, k] = math.log(np.mean(h**2))
    return logs


def test_the_config_runs_as_networks_with_these_variances_do(tmp_path: Path) -> None:
    arrays = mixed_chain()
    path = write_safetensors(tmp_path / "my model.safetensors", arrays, {"format": "pt"})
    target = tmp_path / "c.yaml"
    ran = heinit_sim("audit", path, "--write-config", target)
    assert ran.returncode == 0, ran.stderr
    assert f"Wrote {target}: 4 layers; now: heinit-sim run {target}" in ran.stderr
    assert "left out, as they do not follow: 1 of 5 weight tensors: other.weight" in ran.stderr
    assert "norms and whatever else has these is not in it: norm.weight\n" in ran.stderr
    assert "other.weight" in target.read_text("utf-8")
    assert heinit_sim("validate", target).returncode == 0
    config = load_config(target, {"trials": 600, "inputs.count": 1})
    assert config.name == "my_model"
    network: Any = config.document["network"]
    assert [network["input_dim"], *network["width"], network["output_dim"]] == WIDTHS
    networks = run_sweep(config).conditions[0].networks["activation", "second_moment"]
    simulated = networks[:, 1:4] * math.log(10)
    difference, errors, _ = welch(log_second_moments(arrays, 600), simulated)
    assert np.abs(errors).max() < 4, difference
    _, errors, _ = welch(log_second_moments(arrays, 600, factor=1.25), simulated)
    assert np.abs(errors[1:]).max() > 4


def test_a_config_of_convolutions_has_their_kernels_and_an_image(tmp_path: Path) -> None:
    arrays = {
        "conv1.kernel": he_kernel(3, 8, out_in=False),
        "conv2.kernel": np.random.default_rng(1).standard_normal((5, 5, 8, 16)),
        "dense.kernel": np.random.default_rng(2).standard_normal((16 * 36, 10)),
    }
    path = tmp_path / "net.npz"
    np.savez(path, **arrays)  # type: ignore[arg-type]  # its flag is none of them
    target = tmp_path / "c.yaml"
    assert heinit_sim("audit", path, "--write-config", target).returncode == 0
    network: Any = load_config(target).document["network"]
    assert (network["kind"], network["image"], network["channels"]) == ("cnn", [6, 6], [8, 16])
    assert (network["input_channels"], network["output_dim"]) == (3, 10)
    assert run_sweep(load_config(target, {"trials": 2, "inputs.count": 2})).conditions
    del arrays["dense.kernel"]
    np.savez(path, **arrays)  # type: ignore[arg-type]  # as above
    assert heinit_sim("audit", path, "--write-config", target, "-f").returncode == 0
    assert "an output layer, which the file does not have" in target.read_text("utf-8")
    assert "not told by the weights" in target.read_text("utf-8")


def test_order_and_choice_of_the_layers_are_those_of_only(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    arrays = {"a": rng.standard_normal((3, 8)), "b": rng.standard_normal((8, 5))}
    path = tmp_path / "net.npz"
    np.savez(path, **arrays)  # type: ignore[arg-type]  # its flag is none of them
    target = tmp_path / "c.yaml"
    options = ("--layout", "out_in", "--write-config", target)
    assert document(path, *options, "--only", "b", "--only", "a")["chain"]["names"] == ["b", "a"]
    network: Any = load_config(target).document["network"]
    assert (network["input_dim"], network["width"], network["output_dim"]) == (5, [8], 3)


def test_what_no_config_can_have_is_refused(tmp_path: Path) -> None:
    zeros = np.zeros((1, 70_000), np.float32)
    path = tmp_path / "net.npz"
    np.savez(path, a=zeros.T, b=zeros)
    ran = heinit_sim("audit", path, "--layout", "out_in", "--write-config", tmp_path / "c.yaml")
    assert ran.returncode == 2
    assert "no config can have these weights: network.width" in ran.stderr
    assert not (tmp_path / "c.yaml").exists()


@pytest.mark.parametrize("name", ["a\nb: c", "a # b", "{x: 1}", "\x1b[31m", "ℓ.weight"])
def test_names_of_tensors_are_only_text(tmp_path: Path, name: str) -> None:
    rng = np.random.default_rng(1)
    arrays = {name: rng.standard_normal((8, 8)), f"{name}2": rng.standard_normal((8, 8))}
    path = write_safetensors(
        tmp_path / "a.safetensors", {**arrays, "z": rng.standard_normal((3, 2))}
    )
    target = tmp_path / "c.yaml"
    ran = heinit_sim("audit", path, "--write-config", target)
    assert ran.returncode == 0
    assert "\x1b" not in ran.stdout + ran.stderr + target.read_text("utf-8")
    assert load_config(target).conditions[0].depth == 1


def test_a_table_of_80_columns_leaves_columns_out_and_folds_no_name(tmp_path: Path) -> None:
    path = tmp_path / "m.npz"
    np.savez(path, **he_chain([60, 200, 30], out_in=True))  # type: ignore[arg-type]  # as above
    narrow, wide = (
        heinit_sim("audit", path, **given).stdout for given in ({"COLUMNS": "80"}, dict[str, str]())
    )
    assert max(map(len, narrow.splitlines())) <= 80
    for shown in (narrow, wide):
        assert "layers.1.weight" in shown
        assert "he_normal" in shown
    assert "kurtosis  " not in narrow
    assert "kurtosis  " in wide
