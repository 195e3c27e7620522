"""Pictures of nobody: volumes and images that look like what a modality makes. Pure."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

type Volume = NDArray[np.int16]
"""Slices, rows, columns."""
type Picture = NDArray[np.uint8]
"""Rows, columns, and samples where it has colours."""


def _pixels(values: Any, low: int, high: int) -> Volume:
    limited: Volume = np.clip(values, low, high).astype(np.int16)
    return limited


def _colours(values: Any) -> Picture:
    limited: Picture = np.clip(values, 0, 255).astype(np.uint8)
    return limited


def head(slices: int, size: int, lesion: float, *, seed: int = 7) -> Volume:
    """A head in Hounsfield units: skull, brain, ventricles, and a lesion of that radius (of the head's half width)."""
    z, y, x = np.mgrid[-1 : 1 : slices * 1j, -1.15 : 1.15 : size * 1j, -1.15 : 1.15 : size * 1j]
    outer = (x / 0.78) ** 2 + (y / 0.98) ** 2 + (z / 1.25) ** 2
    volume = np.full(outer.shape, -1000.0)
    volume[outer < 1.0] = 40  # skin
    volume[outer < 0.94] = 900  # bone
    volume[outer < 0.82] = 34  # grey matter
    volume[outer < 0.66] = 26  # white matter
    folds = np.sin(14 * x + 4 * z) * np.sin(13 * y)
    volume[(outer < 0.82) & (outer > 0.6) & (folds > 0.75)] = 8
    for side in (-1, 1):
        horn = ((x - side * 0.16) / 0.09) ** 2 + ((y + 0.02) / 0.34) ** 2 + (z / 0.5) ** 2
        volume[horn < 1] = 6
    volume[lesion_mask(slices, size, lesion).astype(bool)] = 66
    noise = np.random.default_rng(seed).normal(0, 4, volume.shape)
    return _pixels(volume + np.where(outer < 1, noise, 0), -1000, 3000)


def lesion_mask(slices: int, size: int, lesion: float) -> Picture:
    """1 where `head` has its lesion."""
    z, y, x = np.mgrid[-1 : 1 : slices * 1j, -1.15 : 1.15 : size * 1j, -1.15 : 1.15 : size * 1j]
    return _colours((x - 0.36) ** 2 + (y - 0.3) ** 2 + (z / 1.3) ** 2 < lesion**2)


def knee(slices: int, size: int) -> Volume:
    """A knee as magnetic resonance shows it: two bones, cartilage, muscle, fat."""
    z, y, x = np.mgrid[-1 : 1 : slices * 1j, -1 : 1 : size * 1j, -1 : 1 : size * 1j]
    leg = (x / 0.8) ** 2 + (z / 1.1) ** 2
    volume = np.zeros(leg.shape)
    volume[leg < 1] = 820  # fat
    volume[leg < 0.82] = 260  # muscle
    for middle, sign in ((-0.62, 1), (0.66, -1)):
        shaft = (x / (0.36 + 0.16 * np.exp(-(((y - sign * -0.1) / 0.25) ** 2)))) ** 2 + (z / 0.6) ** 2
        inside = (shaft < 1) & (sign * (y - middle) < 0.58) & (np.abs(y - middle) < 0.58)
        volume[inside] = 620
        volume[inside & (shaft > 0.86)] = 60
        volume[(shaft < 1.02) & (np.abs(y - middle - sign * 0.6) < 0.035)] = 940  # cartilage
    texture = np.random.default_rng(3).normal(0, 22, volume.shape)
    return _pixels(volume + np.where(leg < 1, texture, 0), 0, 4095)


def beating_heart(frames: int, rows: int, columns: int) -> Picture:
    """A loop of ultrasound: a sector with a chamber that opens and closes."""
    y, x = np.mgrid[0:rows, 0:columns]
    depth, angle = np.hypot(x - columns / 2, y + 10) / rows, np.arctan2(x - columns / 2, y + 10)
    sector = (np.abs(angle) < 0.72) & (depth < 0.98)
    speckle = np.random.default_rng(11).gamma(1.4, 26, (rows, columns))
    loop = np.zeros((frames, rows, columns, 3), np.uint8)
    for number in range(frames):
        beat = 0.5 - 0.5 * np.cos(2 * np.pi * number / frames)
        chamber = ((x - columns / 2) / (columns * (0.13 + 0.04 * beat))) ** 2
        chamber = chamber + ((y - rows * 0.52) / (rows * (0.24 + 0.05 * beat))) ** 2
        grey = np.where(chamber < 1, 0.15, np.where(chamber < 1.4, 1.7, 0.9)) * np.roll(speckle, number % 3, 0)
        grey = np.where(sector, grey * (1.1 - 0.6 * depth), 0)
        loop[number] = _colours(grey)[..., None]
    return loop


def tissue(size: int) -> Picture:
    """A stained section: cells in pink and violet on white glass."""
    random = np.random.default_rng(5)
    y, x = np.mgrid[0:size, 0:size] / size
    section = (x - 0.5) ** 2 / 0.2 + (y - 0.5) ** 2 / 0.14 + 0.04 * np.sin(19 * x) * np.sin(23 * y) < 1
    picture = np.where(section[..., None], (238, 170, 205), (245, 244, 246)).astype(float)
    picture += random.normal(0, 5, picture.shape)
    for row, column, radius in zip(
        random.integers(0, size, 900), random.integers(0, size, 900), random.integers(3, 8, 900), strict=True
    ):
        if section[row, column]:
            top, left = max(row - radius, 0), max(column - radius, 0)
            part = picture[top : row + radius, left : column + radius]
            inside = np.hypot(*(np.mgrid[: part.shape[0], : part.shape[1]] - radius)) < radius * 0.8
            part[inside] = (112, 62, 148)
    return _colours(picture)


def electrocardiogram(seconds: float, rate: int) -> Volume:
    """Twelve leads, in microvolts: samples by leads."""
    time = np.arange(int(seconds * rate)) / rate
    phase = (time % 0.83) / 0.83
    waves = ((0.18, 0.025, 120), (0.285, 0.008, -110), (0.30, 0.010, 1150), (0.32, 0.010, -240), (0.52, 0.04, 290))
    beat = sum(size * np.exp(-(((phase - at) / width) ** 2)) for at, width, size in waves)
    gains = (0.7, 1.0, 0.4, -0.8, 0.3, 0.7, -0.3, 0.5, 0.9, 1.2, 1.1, 0.9)
    noise = np.random.default_rng(2).normal(0, 6, (len(time), len(gains)))
    return (np.outer(beat, gains) + noise).astype(np.int16)
