"""What the chest phantom is painted with, from the skin inwards."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np

from medview.phantom import anatomy as a
from medview.phantom.anatomy import Part, blob, shell, tube
from medview.phantom.shapes import Bounds, Grid, Vector, capsule, ellipse
from medview.phantom.trees import Branch, grow

LABELS = {
    "Right lung": 1,
    "Left lung": 2,
    "Trachea and main bronchi": 3,
    "Heart": 4,
    "Aorta": 5,
    "Liver": 6,
    "Spleen": 7,
    "Right kidney": 8,
    "Left kidney": 9,
    "Spine": 10,
    "Ribs": 11,
    "Nodule": 12,
}
"""Label numbers of the truth."""

NODULES: tuple[tuple[Vector, float], ...] = (((-78.0, 8.0, 112.0), 7.5), ((74.0, 46.0, 34.0), 5.0))
"""Centre, LPS, mm, and radius, mm."""

_SEGMENTS = (
    *((0.5, -0.5, 1.0), (0.9, -0.7, 0.1), (0.8, 0.6, 0.2)),
    *((0.5, 0.5, -0.9), (0.6, -0.4, -0.8), (0.3, 0.5, 0.9)),
)
"""Where the vessels of a lung set out: to its side, to the back, to the head."""
_AIR, _LUNG, _FAT, _MUSCLE, _BLOOD, _MARROW, _CORTEX = -1000.0, -855.0, -100.0, 55.0, 150.0, 190.0, 620.0


def chest_parts(seed: int, *, arms: bool, table: bool) -> tuple[Part, ...]:
    """All structures in the order in which they are painted."""
    random = np.random.default_rng((seed, 1_000_003))
    parts = [
        *_outside(arms=arms, table=table),
        *_wall(),
        *_lungs(random),
        *_middle(),
        *_belly(),
        *_bones(),
        *_airways(),
    ]
    return (*parts, *(Part(*blob(center, (radius,) * 3), 45.0, LABELS["Nodule"]) for center, radius in NODULES))


def _outside(*, arms: bool, table: bool) -> Iterator[Part]:
    if table:
        top = Bounds((-1000.0, 90.0, -1000.0), (1000.0, 200.0, 1000.0))
        yield Part(top, lambda grid: _plate(grid, 300.0, 9.0), -920.0)
        yield Part(top, lambda grid: _plate(grid, 309.0, 1.5), -250.0)
    if arms:
        for x in (-181.0, 183.0):
            ends = ((x, 20.0, -260.0), (x * 0.97, 14.0, 175.0))
            for radius, hu in ((36.0, 0.0), (34.0, _FAT), (27.0, _MUSCLE), (11.0, _CORTEX), (7.0, _MARROW)):
                yield Part(*tube(*ends, radius=radius), hu)


def _plate(grid: Grid, radius_mm: float, half_mm: float) -> Any:
    """The curved table top, nearly as wide as the field of view."""
    return np.maximum(np.abs(ellipse(grid, 0.0, -150.0, 420.0, radius_mm)) - half_mm, np.abs(grid.x) - 187)


def _wall() -> Iterator[Part]:
    """Skin, fat, the muscles of the trunk, and the fat that fills the chest before organs are painted."""
    whole = a.everywhere()
    yield Part(whole, a.body, 10.0)
    yield Part(whole, lambda grid: a.body(grid) + 2.5, _FAT)
    yield Part(whole, _muscle, _MUSCLE)
    chest = Bounds((-160.0, -140.0, -120.0), (160.0, 140.0, 190.0))
    yield Part(chest, lambda grid: np.maximum(a.cavity(grid) + 2.5, -a.diaphragm(grid)), _FAT)
    yield Part(Bounds((-150.0, -110.0, -1000.0), (150.0, 110.0, 30.0)), a.abdomen, _FAT)


def _muscle(grid: Grid) -> Any:
    """Inside the fat, which is thicker on the belly, with a notch of fat over the spinous processes."""
    depth = 13 + 5 * np.clip((20 - grid.z) / 120, 0, 1) - 3 * np.clip(grid.y / 80, -1, 1)
    notch = ellipse(grid, 0.0, 112.0, 7.0, 12.0)
    return np.maximum(a.body(grid) + depth, -notch)


def _lungs(random: np.random.Generator) -> Iterator[Part]:
    for side, name in ((-1, "Right lung"), (1, "Left lung")):
        bounds = Bounds((-130.0, -100.0, -110.0), (1.0, 115.0, 190.0))
        if side > 0:
            bounds = Bounds((-1.0, -100.0, -110.0), (130.0, 115.0, 190.0))
        yield Part(bounds, partial(a.lung, side=side), _parenchyma, LABELS[name])
        for branch in _vessels(side, random):
            yield _tube_of(branch, 0.0, 60.0 + 25 * min(branch.start_radius, 3.0))
        for branch in _small_airways(side, random):
            yield _tube_of(branch, 0.9, -250.0)
            yield _tube_of(branch, 0.0, -985.0)


def _parenchyma(grid: Grid) -> Any:
    """Denser at the back, where a lying patient's lung carries weight."""
    return np.float32(_LUNG) + grid.y * np.float32(0.45)


def _depth(side: int) -> Callable[[Vector], float]:
    """How deep a place lies in a lung, mm."""

    def depth(point: Vector) -> float:
        return -float(a.lung(Grid.at(point), side).item())

    return depth


def _vessels(side: int, random: np.random.Generator) -> list[Branch]:
    root = a.RIGHT_HILUM if side < 0 else a.LEFT_HILUM
    branches = []
    for direction in _SEGMENTS:
        heading = (side * direction[0], direction[1], direction[2])
        start = (root[0], root[1] + 4 * direction[1], root[2] + 6 * direction[2])
        branches += grow(start, heading, 4.4, 28.0, 6, _depth(side), random)
    return branches


def _small_airways(side: int, random: np.random.Generator) -> list[Branch]:
    root = a.RIGHT_HILUM if side < 0 else a.LEFT_HILUM
    branches = []
    for direction in ((0.5, 0.1, 1.0), (1.0, -0.6, -0.1), (0.5, 0.5, -1.0)):
        branches += grow(root, (side * direction[0], direction[1], direction[2]), 3.8, 26.0, 5, _depth(side), random)
    return branches


def _tube_of(branch: Branch, wall_mm: float, hu: float) -> Part:
    start, stop, r0, r1 = branch.start, branch.stop, branch.start_radius + wall_mm, branch.stop_radius + wall_mm
    return Part(Bounds.around((start, stop), r0 + 3), lambda grid: capsule(grid, start, stop, r0, r1), hu)


def _middle() -> Iterator[Part]:
    """Heart, great vessels, oesophagus."""
    bounds = Bounds((-60.0, -90.0, -35.0), (100.0, 40.0, 90.0))
    yield Part(bounds, lambda grid: np.maximum(a.heart(grid), 1 - a.diaphragm(grid)), 105.0, LABELS["Heart"])
    for center, radii, hu in (
        ((40.0, -34.0, 22.0), (25.0, 17.0, 25.0), _BLOOD),
        ((6.0, -46.0, 26.0), (26.0, 13.0, 27.0), 165.0),
        ((12.0, -4.0, 44.0), (26.0, 14.0, 18.0), 145.0),
        ((-18.0, -20.0, 38.0), (14.0, 18.0, 24.0), 160.0),
    ):
        yield Part(*blob(center, radii, -28.0), hu)
    yield Part(*tube((14.0, -30.0, 58.0), (16.0, -34.0, 82.0), (8.0, -18.0, 92.0), radius=13.0), 170.0)
    yield Part(*tube((8.0, -2.0, 76.0), (-20.0, 2.0, 74.0), a.RIGHT_HILUM, radius=9.0), 170.0)
    yield Part(*tube((10.0, -10.0, 86.0), (28.0, 8.0, 80.0), a.LEFT_HILUM, radius=9.0), 170.0)
    yield Part(*tube((-22.0, -14.0, 50.0), (-21.0, -14.0, 125.0), (-16.0, -18.0, 175.0), radius=8.5), 175.0)
    yield Part(*tube((12.0, 38.0, 170.0), (10.0, 38.0, 90.0), (16.0, 40.0, 0.0), (30.0, 10.0, -40.0), radius=7.0), 45.0)
    yield Part(*tube((12.0, 38.0, 160.0), (10.0, 38.0, 90.0), radius=2.2), -600.0)
    arch = ((2.0, -22.0, 70.0), (-4.0, -24.0, 98.0), (2.0, -12.0, 114.0), (14.0, 10.0, 119.0), (22.0, 32.0, 108.0))
    yield Part(
        *tube(*arch, (25.0, 42.0, 85.0), (22.0, 44.0, 20.0), (8.0, 38.0, -60.0), (3.0, 36.0, -260.0), radius=12.0),
        _BLOOD,
        LABELS["Aorta"],
    )
    for x in (-14.0, 6.0, 20.0):
        yield Part(
            *tube(
                (0.6 * x + 4, -4.0 + abs(x) * 0.4, 122.0), (1.6 * x, -8.0, 178.0), (2.2 * x, -6.0, 230.0), radius=5.0
            ),
            _BLOOD,
        )


def _belly() -> Iterator[Part]:
    low = Bounds((-150.0, -110.0, -1000.0), (150.0, 110.0, 30.0))
    yield Part(*blob((48.0, -36.0, -62.0), (42.0, 30.0, 36.0), 15.0), 48.0)
    yield Part(*blob((48.0, -36.0, -62.0), (37.0, 25.0, 31.0), 15.0), 12.0)
    bubble, stomach = blob((50.0, -50.0, -52.0), (28.0, 10.0, 20.0), 15.0)
    yield Part(bubble, stomach, -970.0)
    yield Part(low, a.liver, 112.0, LABELS["Liver"])
    for start, stop, radius in (
        ((-20.0, 0.0, -70.0), (-55.0, -8.0, -48.0), 6.0),
        ((-55.0, -8.0, -48.0), (-92.0, 8.0, -34.0), 4.0),
        ((-55.0, -8.0, -48.0), (-80.0, -36.0, -52.0), 4.0),
        ((-14.0, 20.0, -20.0), (-60.0, 18.0, -22.0), 4.5),
        ((-14.0, 12.0, -18.0), (-48.0, -28.0, -20.0), 4.0),
    ):
        yield Part(*tube(start, stop, radius=radius), 165.0)
    yield Part(*tube((-18.0, 22.0, 14.0), (-17.0, 24.0, -50.0), (-16.0, 28.0, -260.0), radius=11.0), 140.0)
    yield Part(*blob((-34.0, -44.0, -96.0), (13.0, 15.0, 26.0)), 8.0)
    yield Part(low, a.spleen, 122.0, LABELS["Spleen"])
    yield Part(*tube((-30.0, -4.0, -108.0), (10.0, -16.0, -94.0), (62.0, 14.0, -72.0), radius=11.0), 95.0)
    for name, center in (("Right kidney", (-60.0, 44.0, -132.0)), ("Left kidney", (62.0, 42.0, -116.0))):
        inward = 8.0 if center[0] < 0 else -8.0
        yield Part(*blob(center, (27.0, 25.0, 53.0)), 185.0, LABELS[name])
        yield Part(*blob((center[0] + inward, center[1] - 3, center[2]), (14.0, 12.0, 38.0)), 135.0)
        yield Part(*blob((center[0] + 2 * inward, center[1] - 4, center[2]), (11.0, 8.0, 22.0)), _FAT)
    for side in (-1.0, 1.0):
        yield Part(*tube((side * 26, 56.0, -70.0), (side * 40, 50.0, -260.0), radius=17.0), _MUSCLE)
    for center, radii, gas in (
        ((-78.0, -40.0, -160.0), (24.0, 22.0, 30.0), True),
        ((-20.0, -58.0, -150.0), (44.0, 15.0, 14.0), True),
        ((60.0, -52.0, -140.0), (40.0, 16.0, 16.0), False),
        ((88.0, -10.0, -160.0), (20.0, 20.0, 34.0), True),
        ((14.0, -28.0, -172.0), (34.0, 16.0, 15.0), False),
    ):
        yield Part(*blob(center, radii), 42.0)
        if gas:
            yield Part(
                *blob(
                    (center[0], center[1] - 0.35 * radii[1], center[2]),
                    (0.7 * radii[0], 0.5 * radii[1], 0.7 * radii[2]),
                ),
                -900.0,
            )


def _bones() -> Iterator[Part]:
    back = Bounds((-36.0, 38.0, -1000.0), (36.0, 116.0, 1000.0))
    yield Part(back, lambda grid: ellipse(grid, 0.0, 58.0, 18.0, 14.0), 85.0)
    yield Part(back, a.column, _CORTEX, LABELS["Spine"])
    yield Part(back, shell(a.column, -2.2), _MARROW)
    yield Part(back, lambda grid: ellipse(grid, 0.0, 80.0, 9.5, 8.5), 28.0)
    cage = Bounds((-145.0, -110.0, -90.0), (145.0, 120.0, 190.0))
    yield Part(cage, a.ribs, _CORTEX, LABELS["Ribs"])
    yield Part(cage, shell(a.ribs, -2.0), _MARROW)
    for hu, margin in ((_CORTEX, 0.0), (_MARROW, -2.0)):
        yield Part(*blob((0.0, -86.0, 66.0), (17.0 + margin, 6.0 + margin, 74.0 + margin)), hu)
        for side in (-1.0, 1.0):
            clavicle = ((side * 14, -62.0, 150.0), (side * 62, -58.0, 166.0), (side * 130, -6.0, 172.0))
            yield Part(*tube(*clavicle, radius=6.5 + margin), hu)
            blade = (28.0 + margin, 4.5 + margin, 50.0 + margin)
            yield Part(*blob((side * 96.0, 72.0, 118.0), blade, side * -32.0), hu)


def _airways() -> Iterator[Part]:
    """Trachea and main bronchi, with their walls."""
    label = LABELS["Trachea and main bronchi"]
    trachea = ((1.0, -8.0, 230.0), (1.0, 2.0, 150.0), a.CARINA)
    tubes = ((trachea, 8.6), ((a.CARINA, a.RIGHT_HILUM), 7.0), ((a.CARINA, (22.0, 15.0, 70.0), a.LEFT_HILUM), 6.0))
    for points, radius in tubes:
        yield Part(*tube(*points, radius=radius + 1.8), 35.0)
    for points, radius in tubes:
        yield Part(*tube(*points, radius=radius), _AIR, label)
