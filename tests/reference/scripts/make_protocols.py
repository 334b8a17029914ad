"""Make `tests/reference/protocols.json`: what the code that defines each protocol says.

    python tests/reference/scripts/make_protocols.py --thumos14 FOLDER --charades FILE --super-events FOLDER \
        --activitynet FOLDER --actionformer FOLDER

- THUMOS14: folder of the evaluation kit of 2015-09-30 with ``TH14evalDet.m`` and ``intervaloverlapvalseconds.m``;
- Charades: ``Charades_v1_localize.m``;
- super-events: checkout of piergiaj/super-events-cvpr18, whose per-frame score MultiTHUMOS papers use;
- ActivityNet: folder ``Evaluation`` of its repository;
- ActionFormer: folder ``libs/utils``.

The Matlab code runs in GNU Octave (``octave-cli``) as it is. Python code is run as it is, but for what
Python 3, numpy 2, pandas and PyTorch no longer know, for single precision, which is made double, and for
sorts, which are made stable, so that results of equal scores are the same everywhere. Nothing of theirs is
kept. Needs pandas, joblib and PyTorch.

The cases are made here from seeds: one without equal scores, and one of whole numbers with many.
"""

from __future__ import annotations

import argparse
import contextlib
import csv
import hashlib
import io
import json
import re
import subprocess
import sys
import tempfile
import types
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import torch
from activitynet_average_precision import actionformer_ap, activitynet_ap, make_case, python_3

OUT = Path(__file__).parent.parent / "protocols.json"
TIOU = (0.1, 0.3, 0.5, 0.7)
PROPOSAL_TIOU = (0.5, 0.6, 0.7, 0.8, 0.9)
FRAMES_PER_SECOND = 2.5

Case = dict[str, Any]


def tied_case(seed: int) -> Case:
    """Return segments of whole seconds on a short line, with few scores: ties of all kinds."""
    rng = np.random.default_rng(seed)
    videos, classes = [f"v_{number:03d}" for number in range(5)], [f"class {number}" for number in range(3)]

    def segment() -> tuple[float, float]:
        start = int(rng.integers(0, 30))
        return float(start), float(start + rng.integers(1, 9))

    truth = [[videos[rng.integers(4)], *segment(), classes[rng.integers(3)]] for _ in range(60)]
    found = [
        [videos[rng.integers(5)], *segment(), classes[rng.integers(3)], float(rng.choice([0.25, 0.5, 0.75, 1.0]))]
        for _ in range(500)
    ]
    return {"truth": truth + truth[:6], "predictions": found}


def complete(case: Case, seed: int) -> Case:
    """Sort a case, add ignored stretches, durations and numbers of frames, and scores of whole videos."""
    rng = np.random.default_rng(seed)
    videos = sorted({row[0] for row in case["truth"] + case["predictions"]})
    classes = sorted({row[3] for row in case["truth"]})
    ignored = []
    for _ in range(6):
        start = float(rng.integers(0, 28))
        ignored.append([videos[rng.integers(len(videos))], start, start + float(rng.integers(1, 5))])
    last = {video: max(row[2] for row in case["truth"] + case["predictions"] if row[0] == video) for video in videos}
    return {
        "truth": sorted(case["truth"]),
        "predictions": sorted(row for row in case["predictions"] if row[3] in classes),
        "ignored": sorted(ignored),
        "durations": {video: float(np.ceil(end)) + 0.5 for video, end in last.items()},
        "frames": {video: int(np.ceil(end) * FRAMES_PER_SECOND) for video, end in last.items()},
        "classes": classes,
        "video_scores": {video: rng.uniform(0, 1, len(classes)).tolist() for video in videos},
    }


def run_octave(folder: Path, command: str) -> None:
    """Run Matlab code in a folder."""
    (folder / "textread.m").write_text(TEXTREAD)
    run = subprocess.run(
        ["octave-cli", "--no-gui", "--quiet", "--eval", f"warning('off','all'); {command}"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    if run.returncode:
        raise SystemExit(f"octave: {run.stdout[-2000:]}{run.stderr[-2000:]}")


# Octave has lost this reader of Matlab's; %[^\n] is the rest of the line
TEXTREAD = r"""
function varargout = textread(name, format)
  [~, ~, ~, kinds] = regexp(format, '%(\[\^\\n\]|[sfd])');
  file = fopen(name); rows = textscan(file, '%s', 'Delimiter', '\n', 'Whitespace', ''); fclose(file);
  rows = rows{1}; count = numel(kinds);
  for k = 1:count
    if any(kinds{k}(2) == 'fd'); varargout{k} = zeros(numel(rows), 1); else varargout{k} = cell(numel(rows), 1); end
  end
  for r = 1:numel(rows)
    rest = rows{r};
    for k = 1:count
      if kinds{k}(2) == '['; word = strtrim(rest); else [word, rest] = strtok(rest); end
      if any(kinds{k}(2) == 'fd'); varargout{k}(r) = str2double(word); else varargout{k}{r} = word; end
    end
  end
end
"""


def thumos14(kit: Path, case: Case) -> list[list[float]]:
    """Return AP (threshold, class) by the official Matlab code."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for file in ("TH14evalDet.m", "intervaloverlapvalseconds.m"):
            (folder / file).write_bytes((kit / file).read_bytes())
        words = {label: f"C{number}" for number, label in enumerate(case["classes"])}
        (folder / "detclasslist.txt").write_text("".join(f"{n + 1} {word}\n" for n, word in enumerate(words.values())))
        for label, word in words.items():
            rows = [row for row in case["truth"] if row[3] == label]
            (folder / f"{word}_test.txt").write_text("".join(f"{row[0]} {row[1]!r} {row[2]!r}\n" for row in rows))
        (folder / "Ambiguous_test.txt").write_text("".join(f"{v} {s!r} {e!r}\n" for v, s, e in case["ignored"]))
        (folder / "found.txt").write_text(
            "".join(f"{v} {s!r} {e!r} {case['classes'].index(c) + 1} {p!r}\n" for v, s, e, c, p in case["predictions"])
        )
        run_octave(
            folder,
            "out=cell(1,nargout('TH14evalDet'));"  # some copies do not return the curves: AP is the last but one
            f"all_ap=[]; for t={list(TIOU)}; [out{{:}}]=TH14evalDet('found.txt','.','test',t);"
            "all_ap=[all_ap; out{end-1}]; end;"
            "f=fopen('ap.txt','w'); fprintf(f,[repmat('%.17g ',1,columns(all_ap)) '\\n'],all_ap'); fclose(f);",
        )
        return [[float(word) for word in line.split()] for line in (folder / "ap.txt").read_text().splitlines()]


def frame_scores(case: Case, video: str, times: list[float], *, closed: bool) -> list[list[float]]:
    """Return at each time the highest score of the detections of each class there, -inf without one."""
    result = []
    for time in times:
        row = [-np.inf] * len(case["classes"])
        for name, start, end, label, score in case["predictions"]:
            if name == video and (start <= time <= end if closed else start < time < end):
                number = case["classes"].index(label)
                row[number] = max(row[number], score)
        result.append(row)
    return result


def charades(code: Path, case: Case) -> dict[str, Any]:
    """Return AP by class, mAP and weighted mAP by the official Matlab code."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        source = re.sub(r"nclasses = 157", f"nclasses = {len(case['classes'])}", code.read_text())
        source = source.replace("[rec_all,prec_all,ap_all,map]=", "[rec_all,prec_all,ap_all,map,wap]=")
        (folder / "Charades_v1_localize.m").write_text(source)
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(["id", "actions", "length"])
        lines = []
        for video, duration in case["durations"].items():
            actions = ";".join(
                f"c{case['classes'].index(label):03d} {start!r} {end!r}"
                for name, start, end, label in case["truth"]
                if name == video
            )
            writer.writerow([video, actions, repr(duration)])
            times = [frame / 25 * duration for frame in range(25)]
            for number, scores in enumerate(frame_scores(case, video, times, closed=True)):
                lines.append(
                    " ".join([video, str(number + 1), *(str(score) for score in scores)]).replace("inf", "Inf")
                )
        (folder / "truth.csv").write_text(text.getvalue())
        (folder / "found.txt").write_text("\n".join(lines) + "\n")
        run_octave(
            folder,
            "[~,~,ap,map,wap]=Charades_v1_localize('found.txt','truth.csv');"
            "f=fopen('ap.txt','w'); fprintf(f,'%.17g ',[ap map wap]); fclose(f);",
        )
        *ap, mean, weighted = map(float, (folder / "ap.txt").read_text().split())
    return {"ap": ap, "mAP": mean, "weighted": weighted}


def load_text(name: str, source: str) -> types.ModuleType:
    """Run source text as the module `name`."""
    module = types.ModuleType(name)
    sys.modules[name] = module
    exec(compile(source, name, "exec"), module.__dict__)
    return module


def multithumos(checkout: Path, case: Case) -> dict[str, Any]:
    """Return AP by class and mAP over frames by super-events' reader of labels and its meter."""
    load_text("meter", (checkout / "meter.py").read_text())
    meter = (checkout / "apmeter.py").read_text()
    for old, new in (
        ("torch.FloatTensor(torch.FloatStorage())", "torch.zeros(0, dtype=torch.float64)"),
        ("torch.LongTensor(torch.LongStorage())", "torch.zeros(0, dtype=torch.int64)"),
        (".float()", ".double()"),
        ("torch.zeros(self.scores.size(1))", "torch.zeros(self.scores.size(1), dtype=torch.float64)"),
        ("torch.range(1, self.scores.size(0))", "torch.arange(1, self.scores.size(0) + 1)"),
        ("torch.sort(scores, 0, True)", "torch.sort(scores, dim=0, descending=True, stable=True)"),
        (".byte()", ".bool()"),
        ("self.scores.storage()", "self.scores.untyped_storage()"),
    ):
        meter = meter.replace(old, new)
    # growing of storage is PyTorch's own business today
    meter = re.sub(
        r"(?ms)^        # make sure storage is of sufficient size.*?(?=^        # store scores and targets)", "", meter
    )
    reader = load_text(
        "reader",
        re.sub(
            r"(?m)^import h5py$|^from torch.*$|^import torch.*$",
            "",
            (checkout / "multithumos_i3d_per_video.py").read_text().split("class MultiThumos")[0],
        ),
    )
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        entries = {}
        for video, duration in case["durations"].items():
            np.save(folder / f"{video}.npy", np.zeros((case["frames"][video], 1)))
            actions = [
                [case["classes"].index(label) + 1, start, end] for v, start, end, label in case["truth"] if v == video
            ]
            entries[video] = {"subset": "testing", "duration": duration, "actions": actions}
        (folder / "split.json").write_text(json.dumps(entries))
        dataset = reader.make_dataset(str(folder / "split.json"), "testing", str(folder), len(case["classes"]))
    found = load_text("apmeter", meter).APMeter()
    for video, labels, duration in dataset:
        rate = len(labels) / duration
        scores = frame_scores(case, video, [frame / rate for frame in range(len(labels))], closed=False)
        found.add(torch.tensor(scores, dtype=torch.float64), torch.from_numpy(labels).long())
    return {"ap": found.value().tolist(), "mAP": float(found.value().mean())}


def proposals(folder: Path, case: Case) -> dict[str, Any]:
    """Return recall at AN 1 to 100 and the area under AR@AN by the official script."""
    source = python_3((folder / "eval_proposal.py").read_text()).replace("np.trapz", "np.trapezoid")
    source = re.sub(r"\bnp\.int\b", "int", source).replace(
        "['score'].argsort()", "['score'].values.argsort(kind='stable')"
    )
    code = load_text("eval_proposal", source)
    database: Case = {}
    results: Case = {}
    for video, start, end, label in case["truth"]:
        entry = database.setdefault(video, {"subset": "validation", "annotations": []})
        entry["annotations"].append({"segment": [start, end], "label": label})
    by_time = sorted(case["predictions"], key=lambda row: (row[0], row[1], row[2]))
    for video, start, end, _, score in reversed(by_time):  # a reversed stable sort puts equal scores in order of time
        results.setdefault(video, []).append({"segment": [start, end], "score": score})
    with tempfile.TemporaryDirectory() as name:
        truth, found = Path(name, "truth.json"), Path(name, "found.json")
        truth.write_text(json.dumps({"database": database, "taxonomy": [], "version": ""}))
        found.write_text(json.dumps({"results": results, "version": "", "external_data": {}}))
        tool = code.ANETproposal(
            str(truth),
            str(found),
            tiou_thresholds=np.array(PROPOSAL_TIOU),
            max_avg_nr_proposals=100,
            check_status=False,
        )
    tool.evaluate()
    area = float(np.trapezoid(tool.avg_recall, tool.proposals_per_video) / tool.proposals_per_video[-1])
    return {"recall": tool.recall.tolist(), "numbers": tool.proposals_per_video.tolist(), "area": area}


def fused(
    postprocessing: types.ModuleType, metrics: types.ModuleType, case: Case, top_k: int
) -> dict[str, list[float]]:
    """Return AP of each class after ActionFormer has given detections the classes of their video."""
    video, start, end, label, score = zip(*case["predictions"], strict=True)
    results = {
        "video-id": list(video),
        "t-start": np.array(start),
        "t-end": np.array(end),
        "label": np.array([case["classes"].index(name) for name in label]),
        "score": np.array(score),
    }
    with tempfile.TemporaryDirectory() as name:
        file = Path(name, "scores.json")
        file.write_text(json.dumps({"results": case["video_scores"]}))
        named = postprocessing.postprocess_results(results, str(file), topk=top_k)
    columns = (named["t-start"], named["t-end"], named["label"], named["score"])
    rows = [
        [video_id, s, e, case["classes"][int(c)], p]
        for video_id, s, e, c, p in zip(named["video-id"], *(column.tolist() for column in columns), strict=True)
    ]
    return actionformer_ap(metrics, {"truth": case["truth"], "predictions": rows}, np.array(TIOU))


def main() -> None:
    parser = argparse.ArgumentParser()
    for name in ("thumos14", "charades", "super-events", "activitynet", "actionformer"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    arguments = parser.parse_args()
    stable = {".argsort()[::-1]": ".argsort(kind='stable')[::-1]"}

    def load(name: str, path: Path) -> types.ModuleType:
        source = python_3(path.read_text()).replace("from .metrics", "from metrics")
        for old, new in stable.items():
            source = source.replace(old, new)
        return load_text(name, source)

    load("utils", arguments.activitynet / "utils.py")
    detection = load("eval_detection", arguments.activitynet / "eval_detection.py")
    metrics = load("metrics", arguments.actionformer / "metrics.py")
    postprocessing = load("postprocessing", arguments.actionformer / "postprocessing.py")

    cases = {}
    for name, case in (
        ("random", complete(make_case(seed=11, videos=6, classes=4, truth=70, predictions=900), 1)),
        ("tied", complete(tied_case(12), 2)),
    ):
        reverse = {**case, "predictions": case["predictions"][::-1]}  # for sorts that are stable and then reversed
        with contextlib.redirect_stdout(io.StringIO()), joblib.parallel_config(backend="sequential"):
            expected = {
                "thumos14": thumos14(arguments.thumos14, case),
                "charades": charades(arguments.charades, case),
                "multithumos": multithumos(arguments.super_events, case),
                "proposals": proposals(arguments.activitynet, case),
                "activitynet": activitynet_ap(detection, reverse, np.array(TIOU)),
                "actionformer": actionformer_ap(metrics, reverse, np.array(TIOU)),
            }
            if name == "random":  # equal scores of one video are left to an unstable sort and cut at 200
                expected["fused"] = {str(k): fused(postprocessing, metrics, case, k) for k in (1, 2)}
        cases[name] = {**case, "expected": expected}
    files = [
        arguments.thumos14 / "TH14evalDet.m",
        arguments.thumos14 / "intervaloverlapvalseconds.m",
        arguments.charades,
        arguments.super_events / "apmeter.py",
        arguments.super_events / "multithumos_i3d_per_video.py",
        *(arguments.activitynet / file for file in ("utils.py", "eval_detection.py", "eval_proposal.py")),
        *(arguments.actionformer / file for file in ("metrics.py", "postprocessing.py")),
    ]
    document = {
        "sources_sha256": {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files},
        "tiou": TIOU,
        "proposal_tiou": PROPOSAL_TIOU,
        "cases": cases,
    }
    OUT.write_text(json.dumps(document, separators=(",", ":")) + "\n")
    print(f"wrote {OUT}")


if __name__ == "__main__":
    main()
