"""A small model of lung nodules: a level that parts air from tissue, learnt from CTs, and the form of a nodule."""

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

SMALLEST, LARGEST = 5.0, 30.0
"""Diameters of nodules, in millimetres."""
_LUNG = 50_000.0
"""Cubic millimetres: less air inside a body is no lung."""
_LONGEST, _FULLEST = 2.0, 0.5
"""A vessel is longer than broad, and fills less of the ellipsoid around it than a nodule does."""


@dataclass(frozen=True)
class Nodule:
    """A nodule that was found."""

    mask: np.ndarray
    volume: float
    """Cubic millimetres."""

    @property
    def diameter(self) -> float:
        """Of the sphere of its volume, in millimetres."""
        return float((6 * self.volume / np.pi) ** (1 / 3))


def learn(volumes: list[np.ndarray]) -> float:
    """The level, in HU, that best parts the voxels of chests into two classes (Otsu)."""
    counts, edges = np.histogram(np.concatenate([each.ravel() for each in volumes]), bins=256, range=(-1100, 300))
    middles, below = (edges[:-1] + edges[1:]) / 2, np.cumsum(counts)
    sums, above = np.cumsum(counts * middles), counts.sum() - np.cumsum(counts)
    with np.errstate(divide="ignore", invalid="ignore"):
        between = below * above * (sums / below - (sums[-1] - sums) / above) ** 2
    return float(middles[np.nanargmax(between)])


def find(volume: np.ndarray, spacing: tuple[float, float, float], level: float) -> list[Nodule]:
    """The nodules in a chest of shape (slices, rows, columns), in HU; the largest first."""
    voxel = float(np.prod(spacing))
    lungs = _lungs(volume < level, voxel)
    inside = np.stack([ndimage.binary_fill_holes(each) for each in lungs]) & (volume >= level)
    labels, _ = ndimage.label(inside)
    found = []
    for number, place in enumerate(ndimage.find_objects(labels), 1):
        mask = labels == number
        size = [(each.stop - each.start) * step for each, step in zip(place, spacing, strict=True)]
        nodule = Nodule(mask, float(mask.sum()) * voxel)
        full = nodule.volume / (np.pi / 6 * np.prod(size))
        if SMALLEST <= nodule.diameter <= LARGEST and max(size) / min(size) <= _LONGEST and full >= _FULLEST:
            found.append(nodule)
    return sorted(found, key=lambda each: -each.volume)


def _lungs(air: np.ndarray, voxel: float) -> np.ndarray:
    labels, count = ndimage.label(air)
    outside = {*labels[:, 0].flat, *labels[:, -1].flat, *labels[:, :, 0].flat, *labels[:, :, -1].flat}
    sizes = ndimage.sum_labels(air, labels, range(count + 1)) * voxel
    return np.isin(labels, [each for each in range(1, count + 1) if each not in outside and sizes[each] >= _LUNG])
