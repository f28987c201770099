import dataclasses
import hashlib
import io
import json
import os
import re
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure

from heinit_sim.config import load_config, parse_config
from heinit_sim.errors import RunDirectoryError, WriteError
from heinit_sim.experiment.quantities import BETWEEN_INPUTS, MEASURES
from heinit_sim.experiment.results import SweepResult
from heinit_sim.experiment.sweep_config import FigureConfig, SweepConfig
from heinit_sim.figures.draw import draw
from heinit_sim.runs import directory as runs_directory
from heinit_sim.runs import figure_files
from heinit_sim.runs import manifest as runs_manifest
from heinit_sim.simulation.sweep import run_sweep
from tests.commands import files
from tests.configs import SMALL


@pytest.fixture(scope="module")
def result() -> SweepResult:
    return run_sweep(parse_config(SMALL))


@pytest.fixture(scope="module")
def figure() -> Figure:
    """One panel: what is drawn makes no difference to a directory."""
    figure = Figure(figsize=(2, 1), dpi=200)
    figure.subplots()
    return figure


@pytest.fixture
def run(result: SweepResult, tmp_path: Path) -> Path:
    """The directory that the result is written to, without a figure."""
    runs_directory.write_run(result, tmp_path / "small", figure=None, run={"first": True})
    return tmp_path / "small"


def edit(run: Path, name: str, content: bytes) -> None:
    """Write a file, and its digest into the manifest."""
    (run / name).write_bytes(content)
    manifest = json.loads((run / "manifest.json").read_text("utf-8"))
    manifest["files"][name] = hashlib.sha256(content).hexdigest()
    (run / "manifest.json").write_text(json.dumps(manifest), "utf-8")


def test_a_run_is_complete_and_its_manifest_true(
    result: SweepResult, figure: Figure, tmp_path: Path
) -> None:
    run = tmp_path / "deep" / "small"
    runs_directory.write_run(result, run, figure=figure, run={"host": "here"})
    assert set(files(run)) == set(runs_directory.run_files(result.config, plots=True))
    manifest = json.loads((run / "manifest.json").read_text("utf-8"))
    assert manifest["schema_version"] == 1
    assert manifest["seed"] == 0
    assert manifest["versions"]["blas"] == sorted(manifest["versions"]["blas"]) != []
    assert manifest["run"] == {"host": "here"}
    digests = {
        name: hashlib.sha256(content).hexdigest()
        for name, content in files(run).items()
        if name != "manifest.json"
    }
    assert manifest["files"] == digests
    assert list(tmp_path.joinpath("deep").iterdir()) == [run]  # nothing left beside it


def test_the_same_result_gives_the_same_bytes(result: SweepResult, tmp_path: Path) -> None:
    for name in "ab":
        runs_directory.write_run(result, tmp_path / name, figure=None)
    assert files(tmp_path / "a") == files(tmp_path / "b")


def test_a_run_reads_back_and_runs_again(run: Path, result: SweepResult) -> None:
    back = runs_directory.read_run(run)
    assert back.config == result.config == load_config(run / "config.yaml")
    for one, other in zip(back.conditions, result.conditions, strict=True):
        for measure in MEASURES:
            assert np.array_equal(one.networks[measure], other.networks[measure])
        assert one.exact_layers == other.exact_layers
        for measure, expected in other.theory.items():
            assert np.array_equal(one.theory[measure], expected, equal_nan=True)
    config, rows = runs_directory.read_summary(run)
    assert config == result.config
    assert [(row["condition"], row["networks"]) for row in rows] == [(0, 4)]


def test_networks_npz_has_the_documented_keys(run: Path) -> None:
    with np.load(run / "networks.npz") as arrays:
        moments = {f"condition_0.{q}.log10_{s}" for q, s in MEASURES}
        assert set(arrays) == {*moments, "condition_0.log10_loss"}
        assert arrays["condition_0.activation.log10_variance"].shape == (4, 4)


def test_a_run_is_held_where_config_version_files_and_figure_agree(
    result: SweepResult, figure: Figure, tmp_path: Path
) -> None:
    run, config = tmp_path / "small", result.config
    assert runs_directory.difference(run, config) == "no run"
    runs_directory.write_run(result, run, figure=None)
    assert runs_directory.difference(run, config) is None
    assert not runs_directory.has_figure(run, config)
    mine = run / "forward_backward.png"
    mine.write_text("mine")
    with pytest.raises(RunDirectoryError, match=r"forward_backward.png: is no run's file; move it"):
        runs_directory.update_figure(figure, run, config)
    assert mine.read_text() == "mine"
    mine.unlink()
    runs_directory.update_figure(figure, run, config)
    assert runs_directory.difference(run, config) is None
    assert runs_directory.has_figure(run, config)

    for changed, difference in (
        ("trials: 5", "of another config"),
        ("trials: 4\nexpect: {forward: stable}", "with other expectations"),
    ):
        other = parse_config(SMALL.replace("trials: 4", changed))
        assert runs_directory.difference(run, other) == difference
    manifest = (run / "manifest.json").read_text("utf-8")
    for fact, other_fact, expected in (
        ('"heinit-sim": "0.1.0', '"heinit-sim": "9.0', "by version 9.0 of heinit-sim"),
        ('"platform": "', '"platform": "Plan 9 on ', None),
        ('"openblas ', '"mkl ', None),
    ):
        assert fact in manifest
        (run / "manifest.json").write_text(manifest.replace(fact, other_fact), "utf-8")
        assert runs_directory.difference(run, config) == expected


@pytest.mark.parametrize("name", ["layers.csv", "networks.npz", "config.yaml"])
@pytest.mark.parametrize("damage", ["changed", "missing"])
def test_a_damaged_run_is_not_held_and_refused_without_force(
    run: Path, name: str, damage: str, result: SweepResult
) -> None:
    if damage == "changed":
        (run / name).write_bytes((run / name).read_bytes() + b"\n")
    else:
        (run / name).unlink()
    before = files(run)
    word = "was changed" if damage == "changed" else "is missing"
    difference = runs_directory.difference(run, result.config)
    assert difference == f"{name} {word}"
    refusal = re.escape(f"already holds results ({difference}); give --force")
    with pytest.raises(RunDirectoryError, match=refusal):
        runs_directory.check_target(run, (), force=False, difference=difference)
    assert files(run) == before


def test_a_run_goes_beside_files_of_others_and_takes_the_place_of_none(
    result: SweepResult, tmp_path: Path
) -> None:
    thesis = {"thesis.tex": b"years of work", "layers.csv": b"other numbers"}
    for name, content in thesis.items():
        (tmp_path / name).write_bytes(content)
    for force in (False, True):
        with pytest.raises(RunDirectoryError, match=r"layers\.csv: is no run's file"):
            runs_directory.write_run(result, tmp_path, figure=None, force=force)
        with pytest.raises(RunDirectoryError, match="not a directory"):
            runs_directory.write_run(result, tmp_path / "thesis.tex", figure=None, force=force)
    assert files(tmp_path) == thesis
    (tmp_path / "layers.csv").unlink()
    runs_directory.write_run(result, tmp_path, figure=None)
    written = files(tmp_path)
    assert written.pop("thesis.tex") == b"years of work"
    assert set(written) == set(runs_directory.run_files(result.config, plots=False))


def test_a_file_named_as_a_run_might_is_kept_and_not_replaced(
    run: Path, result: SweepResult, figure: Figure
) -> None:
    (run / "cosines.csv").write_text("mine")
    (run / "forward_backward.png").mkdir()
    runs_directory.write_run(result, run, figure=None, force=True)
    with_cosines = run_sweep(parse_config(SMALL + "record: {cosine: true}"))
    for other, drawn in ((with_cosines, None), (result, figure)):
        with pytest.raises(RunDirectoryError, match="is no run's file, so no run replaces it"):
            runs_directory.write_run(other, run, figure=drawn, force=True)
    assert (run / "cosines.csv").read_text() == "mine"
    assert (run / "forward_backward.png").is_dir()


def test_a_manifest_cannot_name_a_file_away(run: Path, result: SweepResult) -> None:
    (run / "thesis.tex").write_text("mine")
    edit(run, "thesis.tex", b"mine")
    runs_directory.write_run(result, run, figure=None, force=True)
    assert (run / "thesis.tex").read_text() == "mine"


@pytest.mark.parametrize("step", ["savez", "write_manifest", "link"])
def test_a_write_that_fails_leaves_the_old_run(
    run: Path, step: str, result: SweepResult, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (run / "notes.txt").write_text("mine")
    before = files(run)

    def full_disk(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    for target in {"savez": [np], "write_manifest": [runs_manifest], "link": [os]}[step]:
        monkeypatch.setattr(target, step, full_disk)
    if step == "link":  # nor will a rename do
        monkeypatch.setattr(Path, "rename", full_disk)
    with pytest.raises(WriteError, match=r"could not be written \(No space left.*was changed"):
        runs_directory.write_run(result, run, figure=None, force=True)
    assert files(run) == before
    assert list(tmp_path.iterdir()) == [run]


def test_a_cut_replacement_is_finished_by_whatever_reads_it_next(
    run: Path, result: SweepResult, figure: Figure, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = parse_config(SMALL + "figure: {quantity: std}")
    redrawn = dataclasses.replace(result, config=other)

    def cut(*_: object, **__: object) -> None:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patched:
        patched.setattr(Path, "replace", cut)
        with pytest.raises(WriteError, match="the new files are complete"):
            runs_directory.write_run(redrawn, run, figure=figure, force=True)
        with pytest.raises(RunDirectoryError, match=r"cannot be finished \(Input/output error\)"):
            runs_directory.read_run(run)
    assert runs_directory.difference(run, other) is None
    assert set(files(run)) == set(runs_directory.run_files(other, plots=True))
    with monkeypatch.context() as patched:
        patched.setattr(Path, "replace", cut)
        with pytest.raises(WriteError, match="the new files are complete"):
            runs_directory.update_figure(figure, run, other)
    digests = runs_manifest.read_manifest(run)["files"]
    assert {"layers.csv", "forward_backward.png"} < digests.keys()
    for name, digest in digests.items():
        assert hashlib.sha256((run / name).read_bytes()).hexdigest() == digest, name


def test_a_changed_or_missing_file_is_refused(run: Path, tmp_path: Path) -> None:
    (run / "summary.csv").write_text("condition\n")
    with pytest.raises(RunDirectoryError, match=r"summary\.csv: changed since the run"):
        runs_directory.read_summary(run)
    (run / "networks.npz").unlink()
    with pytest.raises(RunDirectoryError, match=r"networks\.npz: missing"):
        runs_directory.read_run(run)
    manifest = (run / "manifest.json").read_text("utf-8")
    (run / "manifest.json").write_text(manifest.replace('version": 1', 'version": 2'), "utf-8")
    with pytest.raises(RunDirectoryError, match="schema version 1"):
        runs_directory.read_summary(run)
    (run / "manifest.json").write_text("{")
    with pytest.raises(RunDirectoryError, match="not a manifest"):
        runs_directory.read_summary(run)
    with pytest.raises(RunDirectoryError, match=r"no manifest\.json"):
        runs_directory.read_summary(tmp_path)
    with pytest.raises(RunDirectoryError, match="no such directory"):
        runs_directory.read_summary(tmp_path / "none")


def test_a_summary_of_another_version_says_what_to_do(run: Path) -> None:
    text = (run / "summary.csv").read_text("utf-8")
    edit(run, "summary.csv", text.replace("backward_decades_per_layer_se", "old").encode())
    with pytest.raises(RunDirectoryError) as raised:
        runs_directory.read_summary(run)
    assert str(raised.value) == (
        f"{run / 'summary.csv'}: not the summary of its config.yaml (no column "
        "backward_decades_per_layer_se); run config.yaml of the directory again"
    )


def test_files_and_folders_of_users_survive_replacing(result: SweepResult, run: Path) -> None:
    edit(run, "forward_backward.png", b"old")
    (run / "notes").mkdir()
    (run / "notes" / "a.txt").write_text("mine")
    (run / "link").symlink_to("notes")
    runs_directory.write_run(result, run, figure=None, force=True)
    assert (run / "notes" / "a.txt").read_text() == "mine"
    assert (run / "link").is_symlink()
    assert not (run / "forward_backward.png").exists()  # the old run's, not this one's
    assert list(run.parent.iterdir()) == [run]


@pytest.mark.parametrize("full", [False, True])
def test_a_link_to_a_directory_stays_one(full: bool, result: SweepResult, tmp_path: Path) -> None:
    target, link = tmp_path / "far" / "target", tmp_path / "link"
    target.mkdir(parents=True)
    link.symlink_to(target)
    if full:
        runs_directory.write_run(result, target, figure=None, run={"first": True})
        (target / "notes.txt").write_text("mine")
    runs_directory.write_run(result, link, figure=None, force=full, run={"second": True})
    assert link.is_symlink()
    assert json.loads((target / "manifest.json").read_text("utf-8"))["run"] == {"second": True}
    assert (target / "notes.txt").exists() == full


def test_of_two_runs_to_one_place_the_second_is_refused(
    result: SweepResult, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = tmp_path / "small"
    write_results = runs_directory._write_results

    def meanwhile(of: SweepResult, directory: Path) -> None:
        monkeypatch.setattr(runs_directory, "_write_results", write_results)
        runs_directory.write_run(of, run, figure=None, run={"quicker": True})
        write_results(of, directory)

    monkeypatch.setattr(runs_directory, "_write_results", meanwhile)
    with pytest.raises(RunDirectoryError, match="already holds results"):
        runs_directory.write_run(result, run, figure=None)
    assert json.loads((run / "manifest.json").read_text("utf-8"))["run"] == {"quicker": True}


def test_figures_are_exported_but_into_a_run(run: Path, figure: Figure, tmp_path: Path) -> None:
    before = files(run)
    with pytest.raises(RunDirectoryError, match="a figure of its own"):
        figure_files.export(run, partial(figure_files.write_figure, figure, config=FigureConfig()))
    assert files(run) == before
    figure_files.export(
        tmp_path / "slides" / "new",
        partial(figure_files.write_figure, figure, config=FigureConfig()),
    )
    exported = files(tmp_path / "slides" / "new")
    assert len(exported) == 3
    header = exported["forward_backward.png"][16:24]  # width and height, at 200 dots per inch
    pixels = [int.from_bytes(header[i : i + 4], "big") for i in (0, 4)]
    assert pixels == [int(200 * inches) for inches in figure.get_size_inches()]


def asking(figure: str) -> SweepConfig:
    return parse_config(f"{SMALL}figure: {{{figure}}}\n")


def held(run: Path) -> set[str]:
    """The files of a run that hold its figure; all of them are as the manifest says."""
    saved = runs_manifest.read_manifest(run)
    for name, digest in saved["files"].items():
        assert hashlib.sha256((run / name).read_bytes()).hexdigest() == digest, name
    figures = {name for name in saved["files"] if name.startswith("forward_backward.")}
    assert figures == {path.name for path in run.glob("forward_backward.*")}
    config = load_config(run / "config.yaml")
    assert saved["config_sha256"] == runs_manifest.config_hash(config)
    assert figures == set(figure_files.figure_names(config.figure))
    return {name.rpartition(".")[2] for name in figures}


def test_latex_has_its_table_beside_it_as_long_as_it_is_asked_for(
    run: Path, result: SweepResult
) -> None:
    figure = draw(result)
    document, table = "forward_backward.tex", "forward_backward_lines.csv"
    names = runs_directory.update_figure(figure, run, asking("formats: [tex, svg]"))
    assert names[:3] == ("forward_backward.svg", document, table)
    saved = runs_manifest.read_manifest(run)["files"]
    first = {name: (run / name).read_bytes() for name in (document, table)}
    for name, content in first.items():
        assert saved[name] == hashlib.sha256(content).hexdigest()
        assert b"\r" not in content
    assert table.encode() in first[document]
    runs_directory.update_figure(figure, run, asking("formats: [tex]"))
    assert {name: (run / name).read_bytes() for name in first} == first
    runs_directory.update_figure(figure, run, asking("formats: svg"))
    assert not {document, table} & files(run).keys()


def test_another_figure_is_no_other_run_and_takes_its_place_whole(
    run: Path, figure: Figure
) -> None:
    first = asking("formats: [svg, png]")
    assert runs_directory.difference(run, first) is None
    assert runs_directory.redrawn_files(run, first) == (
        *("forward_backward.png", "forward_backward.svg"),
        *("config.yaml", "manifest.json"),
    )
    runs_directory.update_figure(figure, run, first)
    assert held(run) == {"png", "svg"}
    tables = {name: (run / name).read_bytes() for name in ("layers.csv", "networks.npz")}
    for text, formats in (
        ("formats: pdf, theme: dark", {"pdf"}),
        ("formats: pdf, kind: spread", {"pdf"}),
        ("", {"png", "svg", "pdf"}),
    ):
        config = asking(text)
        assert runs_directory.difference(run, config) is None
        assert not runs_directory.has_figure(run, config)
        runs_directory.update_figure(figure, run, config)
        assert runs_directory.has_figure(run, config)
        assert held(run) == formats
        assert runs_manifest.read_manifest(run)["config"] == config.document
        assert load_config(run / "config.yaml") == config
    assert runs_directory.redrawn_files(run, config)[-1] == "manifest.json"
    assert "config.yaml" not in runs_directory.redrawn_files(run, config)
    assert tables == {name: (run / name).read_bytes() for name in tables}


def test_a_figure_of_a_user_outlives_the_formats_of_a_run(run: Path, figure: Figure) -> None:
    runs_directory.update_figure(figure, run, asking("formats: [png, pdf]"))
    (run / "forward_backward.png").write_text("retouched")
    (run / "forward_backward.svg").write_text("mine")
    runs_directory.update_figure(figure, run, asking("formats: pdf"))
    assert (run / "forward_backward.png").read_text() == "retouched"
    assert "forward_backward.png" not in runs_manifest.read_manifest(run)["files"]
    before = files(run)
    for formats in ("svg", "png"):
        with pytest.raises(
            RunDirectoryError, match=f"forward_backward.{formats}: is no run's file"
        ):
            runs_directory.update_figure(figure, run, asking(f"formats: {formats}"))
    assert files(run) == before


def test_a_run_whose_config_is_gone_is_another(run: Path) -> None:
    (run / "config.yaml").write_text("name: mine\n")
    assert runs_directory.difference(run, asking("theme: dark")) == "of another config"


@pytest.mark.parametrize("change", ["trials: 4", "depth: 3"])
def test_numbers_that_do_not_belong_to_the_config_are_refused(run: Path, change: str) -> None:
    text = (run / "config.yaml").read_text("utf-8")
    edit(run, "config.yaml", text.replace(change, f"{change}0").encode())
    with pytest.raises(RunDirectoryError, match=r"networks\.npz: not the numbers of its config"):
        runs_directory.read_run(run)


def test_a_run_that_lacks_measures_is_read_where_that_will_do(run: Path) -> None:
    with np.load(run / "networks.npz") as arrays:
        kept = {key: arrays[key] for key in arrays if "grad_weight" not in key}
    np.savez(run / "networks.npz", allow_pickle=False, **kept)
    edit(run, "networks.npz", (run / "networks.npz").read_bytes())
    with pytest.raises(RunDirectoryError, match=r"networks\.npz: not the numbers of its config"):
        runs_directory.read_run(run)
    (of,) = runs_directory.read_run(run, complete=False).conditions
    assert [*of.networks] == [m for m in MEASURES if m[0] != "grad_weight"]


def test_a_run_of_before_variances_between_inputs_is_read_without(run: Path) -> None:
    with np.load(run / "networks.npz") as arrays:
        younger = BETWEEN_INPUTS, "log10_loss"
        kept = {key: arrays[key] for key in arrays if not key.endswith(younger)}
    np.savez(run / "networks.npz", allow_pickle=False, **kept)
    edit(run, "networks.npz", (run / "networks.npz").read_bytes())
    (of,) = runs_directory.read_run(run).conditions
    missing = [m for m in MEASURES if np.isnan(of.networks[m]).all()]
    assert missing == [m for m in MEASURES if m[1] == BETWEEN_INPUTS]
    (of,) = runs_directory.read_run(run, complete=False).conditions
    assert [*of.networks] == [m for m in MEASURES if m not in missing]


def npz(**arrays: np.ndarray) -> bytes:
    content = io.BytesIO()
    np.savez(content, allow_pickle=True, **arrays)
    return content.getvalue()


def npy(array: np.ndarray) -> bytes:
    content = io.BytesIO()
    np.save(content, array)
    return content.getvalue()


def packed(array: np.ndarray) -> bytes:
    content = io.BytesIO()
    np.savez_compressed(content, a=array)
    return content.getvalue()


KEY = "condition_0.activation.log10_variance"
CRAFTED = {
    "empty": b"",
    "text": b"not an archive",
    "plain .npy": npy(np.zeros(3)),
    "no arrays": npz(),
    "strings": npz(**{KEY: np.full((4, 4), "a")}),
    "dates": npz(**{KEY: np.zeros((4, 4), "datetime64[D]")}),
    "structured": npz(**{KEY: np.zeros((4, 4), [("a", float)])}),
    "complex": npz(**{KEY: np.zeros((4, 4), complex)}),
    "objects": npz(**{KEY: np.full((4, 4), None)}),
    "bad deflate": packed(np.arange(1000.0))[:200] + b"x" * 50 + packed(np.arange(1000.0))[250:],
    "unpacks to 80 MB": packed(np.zeros(10**7)),
}


@pytest.mark.parametrize("name", CRAFTED)
def test_a_crafted_archive_is_refused_in_one_line(run: Path, name: str) -> None:
    with np.load(run / "networks.npz") as arrays:
        others = {key: array for key, array in arrays.items() if key != KEY}
    content = CRAFTED[name]
    if KEY.encode() in content:  # all else as it should be
        with np.load(io.BytesIO(content), allow_pickle=True) as arrays:
            content = npz(**others, **arrays)
    edit(run, "networks.npz", content)
    with pytest.raises(RunDirectoryError, match=r"networks\.npz: not the numbers of") as raised:
        runs_directory.read_run(run)
    assert "\n" not in str(raised.value)


def test_a_summary_of_short_rows_is_refused(run: Path) -> None:
    lines = (run / "summary.csv").read_text("utf-8").splitlines()
    for row in (lines[1].rpartition(",")[0], lines[1] + ",more"):
        edit(run, "summary.csv", f"{lines[0]}\n{row}\n".encode())
        with pytest.raises(RunDirectoryError, match="a row of another length"):
            runs_directory.read_summary(run)


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("deep", "not a manifest of heinit-sim"),
        ("directory", "cannot be read"),
        ("device", "cannot be read: not a regular file"),
        ("pipe", "cannot be read: not a regular file"),
        ("huge", "cannot be read: too large"),
    ],
)
def test_a_manifest_that_is_no_small_file_of_json_is_refused(
    kind: str, reason: str, run: Path
) -> None:
    path = run / "manifest.json"
    path.unlink()
    if kind == "deep":
        path.write_text('{"files": ' + "[" * 100_000)
    elif kind == "huge":
        with path.open("wb") as file:
            file.truncate(2**30)
    elif kind == "directory":
        path.mkdir()
    elif not hasattr(os, "mkfifo"):
        pytest.skip("no pipes in this file system")
    elif kind == "device":
        path.symlink_to("/dev/zero")
    else:
        os.mkfifo(path)
    with pytest.raises(RunDirectoryError, match=reason):
        runs_manifest.read_manifest(run)
