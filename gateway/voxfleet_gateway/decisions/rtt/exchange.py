"""Learned round trips as gateways exchange them. Pure.

Knows: the JSON form, and its bounds; that of two figures for the same group and region the one with more weight is
kept, so that what is sent twice, or comes back, counts once.
Does not know: HTTP, clocks; a figure's time travels as its age.
"""

import math
from collections.abc import Collection, Iterator
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from voxfleet_gateway.decisions.rtt.cells import HALF_LIFE_SECONDS, MAX_WEIGHT, Cell
from voxfleet_gateway.decisions.rtt.rtt_model import LEVELS, MAX_SECONDS, MIN_SECONDS, GroupKey, Level, RttModel

MAX_ROWS = 10_000  # 800 KB of JSON, 40 ms of a processor to read
MAX_KEY_PARTS, MAX_NAME_CHARACTERS = 4, 63
LARGEST_MEAN = math.log(MAX_SECONDS / MIN_SECONDS)
MIN_WEIGHT = 0.05  # older figures say nothing any more


class ExchangedCell(BaseModel):
    """One learned figure."""

    model_config = ConfigDict(extra="ignore", frozen=True, allow_inf_nan=False)

    level: Level
    key: tuple[str | int | None, ...] = Field(min_length=1, max_length=MAX_KEY_PARTS)
    region: str = Field(min_length=1, max_length=MAX_NAME_CHARACTERS)
    mean: float = Field(ge=-LARGEST_MEAN, le=LARGEST_MEAN)
    weight: float = Field(gt=0, le=MAX_WEIGHT)
    age_seconds: float = Field(ge=0, le=100 * HALF_LIFE_SECONDS)


class ExchangedCells(BaseModel):
    """What one gateway sends another."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    cells: tuple[ExchangedCell, ...] = Field(max_length=MAX_ROWS)


def export(
    model: RttModel,
    now_seconds: float,
    max_age_seconds: float = math.inf,
    *,
    region: str = "",
    max_rows: int = MAX_ROWS,
) -> dict[str, Any]:
    """Return the newest figures, the coarse levels first: they are few, and say something about every client.

    Empty region: about every region.
    """
    rows: list[dict[str, Any]] = []
    for level in reversed(LEVELS):
        found = _rows(model, level, now_seconds, max_age_seconds, region)
        rows += sorted(found, key=lambda row: row["age_seconds"])[: max_rows - len(rows)]
    return {"cells": rows}


def merge(model: RttModel, received: ExchangedCells, regions: Collection[str], now_seconds: float) -> int:
    """Take over what weighs more than what is known, of known regions; return how many figures."""
    taken = 0
    for row in received.cells:
        if row.region not in regions or any(
            isinstance(part, str) and len(part) > MAX_NAME_CHARACTERS for part in row.key
        ):
            continue
        at_seconds = now_seconds - row.age_seconds
        given = Cell(row.mean, row.weight, at_seconds)
        own = model.levels[row.level].cell(row.key, row.region)
        if given.weight_at(now_seconds) > own.weight_at(now_seconds):
            own.mean, own.weight, own.at_seconds = given.mean, given.weight, given.at_seconds
            taken += 1
    return taken


def _rows(
    model: RttModel, level: Level, now_seconds: float, max_age_seconds: float, only: str
) -> Iterator[dict[str, Any]]:
    for key, cells in model.levels[level].cells.items():
        for region, cell in cells.items():
            if only and region != only:
                continue
            age_seconds = max(0.0, now_seconds - cell.at_seconds)
            if age_seconds <= max_age_seconds and cell.weight_at(now_seconds) > MIN_WEIGHT:
                yield _row(level, key, region, cell, age_seconds)


def _row(level: Level, key: GroupKey, region: str, cell: Cell, age_seconds: float) -> dict[str, Any]:
    return {
        "level": level,
        "key": key,
        "region": region,
        "mean": round(cell.mean, 4),
        "weight": round(cell.weight, 3),
        "age_seconds": round(age_seconds, 1),
    }
