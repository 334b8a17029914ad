"""What ActionFormer and TriDet trained, imported: their logits, offsets, losses and detections.

The references are made by scripts/make_actionformer.py and scripts/make_tridet.py with their own code.
"""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from helpers.command_line import run
from numpy.typing import NDArray

from asl_kit.annotations import AnnotationSet, write_annotations
from asl_kit.checkpoint.files import load_checkpoint
from asl_kit.checkpoint.model import Checkpoint
from asl_kit.checkpoint_import import import_checkpoint
from asl_kit.detections.json_format import read_predictions
from asl_kit.model.network import Localizer
from asl_kit.model.objective import Objective
from asl_train.sequences import Batch, TrainingSequence, collate

FOLDER = Path(__file__).parent
CASES = {
    "actionformer": ("local", "global", "position", "levels", "streams", "resized", "one_class", "trained"),
    "tridet": (
        "thumos_i3d", "anet_tsp", "hacs_slowfast", "hacs_i3d", "epic_slowfast_verb", "epic_slowfast_noun", "plain",
        "trained",
    ),
}  # fmt: skip
CLASSES = [f"class {number}" for number in range(3)]
VIDEOS = range(3)  # shorter than, as long as, and longer than a training sequence
FITTING = range(2)

Arrays = dict[str, NDArray[Any]]


def write_theirs(program: str, name: str, folder: Path) -> tuple[Arrays, Path]:
    """Write a case's checkpoint, annotations and features as the program's user has them; return the references."""
    source = FOLDER / program
    with np.load(source / f"{name}.npz") as file:
        arrays = {key: file[key] for key in file.files}
    path = folder / "epoch_001.pth.tar"
    if name == "trained":
        path.write_bytes(gzip.decompress((source / "trained.pth.tar.gz").read_bytes()))
    else:
        shapes = json.loads(str(arrays["names"]))
        sizes = [int(np.prod(shape)) for shape in shapes.values()]
        parts = torch.from_numpy(arrays["weights"].astype(np.float32)).split(sizes)
        state = {f"module.{key}": part.view(shapes[key]) for key, part in zip(shapes, parts, strict=True)}
        torch.save({"epoch": 1, "state_dict": {}, "state_dict_ema": state}, path)
    configuration = yaml.safe_load((source / f"{name}.yaml").read_text(encoding="utf-8"))
    (folder / "config.yaml").write_bytes((source / f"{name}.yaml").read_bytes())
    named = {
        f"video {number}": {"annotations": [{"label": CLASSES[number], "label_id": number}]} for number in (2, 0, 1)
    }
    (folder / "annotations.json").write_text(json.dumps({"database": named}), encoding="utf-8")
    folders = configuration["dataset"]["feat_folder"]
    for stream, place in enumerate(folders if isinstance(folders, list) else [folders]):
        (folder / place).mkdir()
        for index in VIDEOS:
            np.save(folder / place / f"video_{index}.npy", arrays[f"features_{index}_{stream}"].astype(np.float32))
    return arrays, path


@pytest.fixture(
    scope="module",
    params=[(program, name) for program, names in CASES.items() for name in names],
    ids=lambda case: "-".join(case),
)
def imported(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, Arrays, Checkpoint]:
    program, name = request.param
    folder = tmp_path_factory.mktemp(program)
    arrays, path = write_theirs(program, name, folder)
    import_checkpoint(path, folder / "model.ckpt", source=program, config=folder / "config.yaml")
    return folder, arrays, load_checkpoint(folder / "model.ckpt")


def batch(arrays: Arrays, checkpoint: Checkpoint, network: Localizer, *indices: int) -> Batch:
    """Return these videos as a batch for the network."""
    sequences = []
    for index in indices:
        streams = [arrays[f"features_{index}_{stream}"] for stream in range(len(checkpoint.extraction))]
        video = torch.from_numpy(np.concatenate(streams, axis=1).astype(np.float32))
        if length := checkpoint.recipe.data.resize_length:
            video = torch.nn.functional.interpolate(video.T[None], length, mode="linear", align_corners=False)[0].T
        segments, labels = (torch.from_numpy(arrays[f"{name}_{index}"]) for name in ("segments", "labels"))
        sequences.append(TrainingSequence(video, segments.float(), labels[:, None]))
    return collate(sequences, [str(index) for index in indices], network.padded_length)


@pytest.mark.parametrize("index", VIDEOS, ids=["shorter", "as long", "longer"])
def test_outputs(imported: tuple[Path, Arrays, Checkpoint], index: int) -> None:
    _, arrays, checkpoint = imported
    one_class = checkpoint.recipe.data.one_class
    assert list(checkpoint.vocabularies.values()) == [tuple(CLASSES)]
    assert list(checkpoint.class_names) == (["action"] if one_class else CLASSES)
    network = checkpoint.build()
    with torch.no_grad():
        inputs = batch(arrays, checkpoint, network, index)
        output = network(inputs.features, inputs.mask)
    valid = output.mask[0]
    logits, offsets = (torch.from_numpy(arrays[f"{name}_{index}"]) for name in ("logits", "offsets"))
    torch.testing.assert_close(output.logits[0, valid], logits, atol=1e-4, rtol=0)
    points, classes = valid.nonzero(), torch.arange(logits.shape[1])
    points, classes = torch.broadcast_tensors(points, classes)
    found = output.reading.at(output.offsets, output.points.sizes, torch.zeros_like(points), points, classes)
    of_classes = offsets if offsets.ndim == 3 else offsets[:, None].expand_as(found)  # ActionFormer's are of no class
    torch.testing.assert_close(found, of_classes, atol=1e-4, rtol=0)


def test_losses_of_two_steps(imported: tuple[Path, Arrays, Checkpoint]) -> None:
    _, arrays, checkpoint = imported
    network = checkpoint.build().train()
    network.drop_path = network.input_noise = 0.0
    for module in network.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    objective = Objective(checkpoint.recipe, [len(checkpoint.class_names)]).train()
    indices = VIDEOS if checkpoint.recipe.data.resize_length else FITTING
    inputs = batch(arrays, checkpoint, network, *indices)
    for step in range(2):  # the moving average of positives has moved in between
        losses = objective(network(inputs.features, inputs.mask), inputs.truth)
        for ours, theirs in {"classification": "cls_loss", "localization": "reg_loss", "total": "final_loss"}.items():
            assert losses[ours].item() == pytest.approx(float(arrays[f"{theirs}_{step}"]), abs=1e-4), (ours, step)


def test_detections_from_the_command_line(
    imported: tuple[Path, Arrays, Checkpoint], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Import of checkpoint and features, and eval, as a user does; with several streams, told how these were made.

    Where one class is learned, eval takes the file of scores that ActionFormer fuses the detections with.
    """
    folder, arrays, checkpoint = imported
    monkeypatch.chdir(tmp_path)
    videos = {
        f"video_{index}": {
            "split": "test",
            "duration": float(arrays[f"duration_{index}"]),
            "fps": float(arrays[f"fps_{index}"]),
            "segments": [{"start": 0.5, "end": 1.5, "labels": {"action": "class 1"}}],
        }
        for index in VIDEOS
    }
    document = {
        "dataset": "own",
        "source": {"converter": "csv", "asl_kit": "0"},
        "vocabularies": {"action": CLASSES},
        "videos": videos,
    }
    write_annotations(AnnotationSet.model_validate(document), Path("ours.json"))
    configuration = yaml.safe_load((folder / "config.yaml").read_text(encoding="utf-8"))["dataset"]
    fps = f"--fps {configuration['default_fps']}" if configuration.get("default_fps") else ""
    folders = configuration["feat_folder"] if isinstance(configuration["feat_folder"], list) else ["features"]
    stores = ",".join(f"{place}.zarr" for place in folders)
    timing = f"--window {configuration['num_frames']} --stride {configuration['feat_stride']} {fps}"
    commands = [
        f"import-features {folder / place} -o {place}.zarr --annotations ours.json {timing} --dtype float32"
        for place in folders
    ]
    commands += [
        f"import-checkpoint {folder / 'epoch_001.pth.tar'} --from {checkpoint.provenance['imported_from']}"
        f" --config {folder / 'config.yaml'}"
        f" -o model.ckpt{f' --features {stores}' if len(folders) > 1 else ''}",
        f"eval --checkpoint model.ckpt --annotations ours.json --features {stores} --device cpu --out results",
    ]
    kind = "detected"
    if "video_scores" in arrays:
        kind = "fused"
        Path("scores.json").write_text(str(arrays["video_scores"]), encoding="utf-8")
        commands[-1] += " --video-scores scores.json"
    for command in commands:
        result = run(command)
        assert result.exit_code == 0, result.output
    found = read_predictions(Path("results/detections.json"))
    names = np.array([CLASSES.index(name) for name in found.class_names])
    for index in VIDEOS:
        mine = found.video == found.video_ids.index(f"video_{index}")
        ours = np.stack([found.start_s[mine], found.end_s[mine], found.score[mine], names[found.label[mine]]], axis=1)
        segments, scores, labels = (arrays[f"{kind}_{name}_{index}"] for name in ("segments", "scores", "labels"))
        theirs = np.concatenate([segments, scores[:, None], labels[:, None]], axis=1)
        assert len(theirs) > 20
        theirs = theirs[np.argsort(-theirs[:, 2], kind="stable")]  # fused ones are in order of their classes
        np.testing.assert_allclose(ours[:, 2], theirs[:, 2], atol=1e-4)
        # Equal scores may come in either order: compare sorted by class, then start.
        ours, theirs = (rows[np.lexsort(rows[:, [2, 0, 3]].round(2).T)] for rows in (ours, theirs))
        np.testing.assert_array_equal(ours[:, 3], theirs[:, 3])
        np.testing.assert_allclose(ours[:, :2], theirs[:, :2], atol=1e-3)
