"""The words that people and programs use as names of columns, by language.

`WORDS` has the columns that a word can only mean. The words of `DURATIONS` can mean two: next to the start and end of a
segment, "Dauer" may be the duration of the segment or that of its video.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from typing import Final

COLUMNS: Final = ("video", "start", "end", "label", "split", "duration", "fps", "path", "score")
"""The columns of all tables, by their own names, which count in every language."""

WORDS: Final[Mapping[str, Mapping[str, tuple[str, ...]]]] = {
    "English": {
        "video": ("video id", "video name", "filename", "file name", "file", "video file", "media file name"),
        "start": ("start time", "t start", "begin", "begin time"),
        "end": ("end time", "t end", "stop", "stop time"),
        "label": ("class", "action", "category", "behavior", "behaviour"),
        "split": ("subset",),
        "duration": ("video duration", "media duration"),
        "fps": ("FPS (frame/s)",),
        "score": ("confidence", "probability"),
    },
    "German": {
        "video": ("Datei", "Dateiname", "Videodatei", "Videoname"),
        "start": ("Beginn", "Anfang", "Startzeit", "Anfangszeit", "von"),
        "end": ("Ende", "Endzeit", "bis"),
        "label": ("Verhalten", "Verhaltensweise", "Klasse", "Kategorie", "Aktion", "Handlung", "Aktivität"),
        "split": ("Teilmenge", "Aufteilung"),
        "duration": ("Videodauer", "Gesamtdauer", "Videolänge"),
        "score": ("Konfidenz", "Wahrscheinlichkeit", "Punktzahl"),
    },
    "French": {
        "video": ("fichier", "nom du fichier", "fichier vidéo", "nom de la vidéo"),
        "start": ("début", "temps de début", "heure de début"),
        "end": ("fin", "temps de fin", "heure de fin"),
        "label": ("comportement", "classe", "catégorie", "étiquette", "activité"),
        "split": ("partition", "sous-ensemble"),
        "duration": ("durée vidéo", "durée de la vidéo", "durée totale"),
        "score": ("confiance", "probabilité"),
    },
    "Spanish": {
        "video": ("archivo", "nombre del archivo", "archivo de vídeo", "fichero"),
        "start": ("inicio", "comienzo", "tiempo de inicio", "hora de inicio", "desde"),
        "end": ("fin", "tiempo de fin", "hora de fin", "hasta"),
        "label": ("comportamiento", "conducta", "clase", "categoría", "etiqueta", "acción", "actividad"),
        "split": ("partición", "subconjunto"),
        "duration": ("duración del vídeo", "duración total"),
        "score": ("puntuación", "confianza", "probabilidad"),
    },
    "Italian": {
        "video": ("nome file", "nome del file", "filmato"),
        "start": ("inizio", "tempo di inizio", "ora di inizio"),
        "end": ("fine", "tempo di fine", "ora di fine"),
        "label": ("comportamento", "classe", "categoria", "etichetta", "azione", "attività"),
        "split": ("suddivisione", "sottoinsieme"),
        "duration": ("durata video", "durata del video", "durata totale"),
        "score": ("punteggio", "confidenza", "probabilità"),
    },
    "Portuguese": {
        "video": ("arquivo", "nome do arquivo", "ficheiro", "nome do ficheiro"),
        "start": ("início", "começo", "tempo inicial", "hora de início"),
        "end": ("fim", "término", "tempo final", "hora de fim"),
        "label": ("comportamento", "classe", "categoria", "rótulo", "etiqueta", "ação", "atividade"),
        "split": ("partição", "subconjunto"),
        "duration": ("duração do vídeo", "duração total"),
        "score": ("pontuação", "confiança", "probabilidade"),
    },
    "Chinese": {
        "video": ("视频", "文件", "文件名", "视频文件"),
        "start": ("开始", "开始时间", "起始时间"),
        "end": ("结束", "结束时间"),
        "label": ("标签", "类别", "行为", "动作"),
        "split": ("数据集划分",),
        "duration": ("视频时长", "总时长"),
        "score": ("得分", "置信度"),
    },
    "Japanese": {
        "video": ("動画", "ビデオ", "ファイル", "ファイル名"),
        "start": ("開始", "開始時間", "開始時刻"),
        "end": ("終了", "終了時間", "終了時刻"),
        "label": ("ラベル", "クラス", "行動", "動作"),
        "split": ("データ分割",),
        "duration": ("動画の長さ", "総時間"),
        "score": ("スコア", "信頼度"),
    },
}  # fmt: skip
"""Other names of columns. Case, accents, and units of seconds do not matter; spaces and hyphens are underscores.

"begin time" is ELAN's; "behavior", "media file name", "media duration" and "FPS (frame/s)" are BORIS's.
"""

DURATIONS: Final[Mapping[str, tuple[str, ...]]] = {
    "English": ("duration",),
    "German": ("Dauer",),
    "French": ("durée",),
    "Spanish": ("duración",),
    "Italian": ("durata",),
    "Portuguese": ("duração",),
    "Chinese": ("时长", "持续时间"),
    "Japanese": ("継続時間",),
}
"""Words for the duration of a video in a table of videos; of a video or of a segment in a table of segments.

`duration` alone is always that of the video; "Duration (s)", as BORIS and ELAN write it, is not.
"""

_UNIT = "s|secs?|seconds?|sek|sekunden|secondes?|segs?|segundos?|secondi|ss\\.msec|(?:hh:)?mm:ss(?:\\.m+s?)?"
_TIMED = re.compile(rf"(.+?)(?:_(?:in_)?(?:{_UNIT})|_*[(\[](?:{_UNIT})[)\]])")
_MILLISECONDS = re.compile(
    r".*(?:_|[(\[])(?:ms|msecs?|millis|milli_?se[ck]\w*|millisegundos|millisecondi|milisegundos)[)\]]?"
)
TIMES: Final = ("start", "end", "duration")
"""Columns of seconds."""


def fold_header(header: str) -> str:
    """Return a header in lower case, without accents, and with underscores for spaces and hyphens.

    Examples
    --------
    >>> fold_header("Durée - Vidéo")
    'duree_video'
    """
    letters = unicodedata.normalize("NFKD", header.strip().casefold())
    return re.sub(r"[\s_-]+", "_", "".join(letter for letter in letters if not unicodedata.combining(letter)))


_NAMES: dict[str, dict[str, None]] = {name: {} for name in COLUMNS}
for _columns in WORDS.values():
    for _name, _words in _columns.items():
        _NAMES[_name].update(dict.fromkeys(map(fold_header, _words)))
_DURATIONS = {fold_header(word) for words in DURATIONS.values() for word in words}


def means(header: str, name: str) -> bool:
    """Return whether a header is another name of a column; for times, also with a unit.

    Examples
    --------
    >>> means("Début (s)", "start"), means("Begin Time - ss.msec", "start"), means("start (frame)", "start")
    (True, True, False)
    """
    folded = fold_header(header)
    if folded in _NAMES[name] or name not in TIMES:
        return folded in _NAMES[name]
    timed = _without_unit(folded)
    return timed in _NAMES[name] or (timed == name != "duration")


def means_some_duration(header: str) -> bool:
    """Return whether a header is a word for the duration of a video or of a segment."""
    folded = fold_header(header)
    return folded in _DURATIONS or _without_unit(folded) in _DURATIONS


def is_in_milliseconds(header: str) -> bool:
    """Return whether a header states milliseconds.

    Examples
    --------
    >>> is_in_milliseconds("start_ms"), is_in_milliseconds("End Time (msec)"), is_in_milliseconds("items")
    (True, True, False)
    """
    return _MILLISECONDS.fullmatch(fold_header(header)) is not None


def _without_unit(folded: str) -> str:
    match = _TIMED.fullmatch(folded)
    return match[1] if match else folded
