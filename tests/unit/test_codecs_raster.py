"""Drawing triangles: affine maps come out affine, nearer triangles cover farther ones, edges are soft."""

import cv2
import numpy as np
import pytest

from sonimate.codecs.mesh.raster import inverse_map, polygon_mask, sample_at, window_around

TURN = np.array([[0.9, -0.2], [0.25, 1.1]])
SHIFT = np.array([3.3, -4.7])
WINDOW = (0, 0, 120, 100)


def lattice(side: int = 9) -> tuple[np.ndarray, np.ndarray]:
    """Points (side * side, 2) over most of WINDOW, irregular inside, and their triangles."""
    rng = np.random.default_rng(0)
    rows, columns = np.mgrid[0:side, 0:side]
    points = np.stack([10 + columns * 12.3, 8 + rows * 10.1], -1).astype(float)
    points[1:-1, 1:-1] += rng.uniform(-3, 3, (side - 2, side - 2, 2))
    a = (rows * side + columns)[:-1, :-1].ravel()
    triangles = [np.stack([a, a + 1, a + side], 1), np.stack([a + 1, a + side + 1, a + side], 1)]
    return points.reshape(-1, 2), np.concatenate(triangles)


@pytest.mark.parametrize("step", [1, 4])
def test_an_affine_map_is_reproduced(step):
    target, triangles = lattice()
    source = target @ TURN.T + SHIFT
    places, covered = inverse_map(source, target, np.zeros(len(target)), triangles, window=WINDOW, step=step)
    height, width = covered.shape
    middle = (step - 1) / 2
    pixels = np.stack(np.meshgrid(middle + step * np.arange(width), middle + step * np.arange(height)), -1)
    expected = pixels @ TURN.T + SHIFT
    assert np.abs(places - expected)[covered].max() < 0.05
    inside = (pixels[..., 0] > 11) & (pixels[..., 0] < 107) & (pixels[..., 1] > 9) & (pixels[..., 1] < 88)
    assert covered[inside].all()
    assert not covered[pixels[..., 0] < 10 - step].any()


def test_windows_are_parts_of_the_whole():
    target, triangles = lattice()
    source = target @ TURN.T + SHIFT
    depth = np.zeros(len(target))
    whole, _ = inverse_map(source, target, depth, triangles, window=WINDOW)
    part, covered = inverse_map(source, target, depth, triangles, window=(30, 20, 70, 60))
    np.testing.assert_allclose(part[covered], whole[20:60, 30:70][covered], atol=1e-3)


@pytest.mark.parametrize("order", [[0, 1], [1, 0]])
def test_nearer_triangles_cover_farther_ones(order):
    square = np.array([[10, 10], [90, 10], [10, 90]], float)
    target = np.concatenate([square, square])
    source = np.concatenate([square + 100, square + 500])
    depth = np.array([5.0, 5, 5, -5, -5, -5])
    triangles = np.array([[0, 1, 2], [3, 4, 5]])[order]
    places, covered = inverse_map(source, target, depth, triangles, window=WINDOW)
    rows, columns = np.nonzero(covered)
    np.testing.assert_allclose(places[covered], np.stack([columns, rows], 1) + 500.0, atol=1e-3)


def test_slivers_leave_no_wild_places():
    target = np.array([[10, 10], [90, 10], [50, 10.1], [50, 80]], float)
    source = np.array([[10, 10], [90, 10], [50, 70], [50, 80]], float)
    triangles = np.array([[0, 2, 1], [0, 1, 3]])
    places, covered = inverse_map(source, target, np.zeros(4), triangles, window=WINDOW)
    rows, columns = np.nonzero(covered)
    np.testing.assert_allclose(places[covered], np.stack([columns, rows], 1), atol=1e-3)


@pytest.mark.parametrize("sides", [3, 5, 12])
def test_polygons_cover_their_area(sides):
    angles = np.arange(sides) * 2 * np.pi / sides + 0.3
    polygon = np.array([50.3, 41.8]) + 23.7 * np.stack([np.cos(angles), np.sin(angles)], 1)
    area = sides / 2 * 23.7**2 * np.sin(2 * np.pi / sides)
    mask = polygon_mask(polygon, WINDOW)
    assert mask.sum() == pytest.approx(area, rel=0.03)
    assert mask[42, 50] == 1
    assert mask[2, 2] == 0
    assert 0 < ((mask > 0) & (mask < 1)).sum() < 10 * 23.7
    rows, columns = np.mgrid[0:100, 0:120]
    centre = [(mask * columns).sum() / mask.sum(), (mask * rows).sum() / mask.sum()]
    np.testing.assert_allclose(centre, [50.3, 41.8], atol=0.2)


@pytest.mark.parametrize("interpolation", [cv2.INTER_LINEAR, cv2.INTER_CUBIC])
@pytest.mark.parametrize(("channels", "dtype"), [(3, np.uint8), (4, np.float32)])
def test_sampling_at_whole_pixels_reads_them(interpolation, channels, dtype):
    image = np.random.default_rng(1).integers(0, 256, (40, 50, channels)).astype(dtype)
    places = np.stack(np.meshgrid(np.arange(5, 30), np.arange(7, 33)), -1).astype(np.float32)
    read = sample_at(image, places, interpolation=interpolation, border=cv2.BORDER_REPLICATE)
    np.testing.assert_array_equal(read, image[7:33, 5:30])


def test_windows_hold_the_points_and_stay_in_the_picture():
    assert window_around(np.array([[10.4, 20.6], [30.2, 25.0]]), 2, 100, 100) == (8, 18, 34, 28)
    assert window_around(np.array([[-10.0, 95.0], [5.0, 120.0]]), 1, 100, 100) == (0, 94, 7, 100)
    x0, y0, x1, y1 = window_around(np.array([[150.0, 10.0], [160.0, 20.0]]), 1, 100, 100)
    assert x0 == x1
    assert y0 < y1


def test_closed_polygons_leave_no_slit():
    line = np.array([[20, 30], [60, 40], [90, 35]], float)
    closed = np.concatenate([line, line[::-1]])
    assert polygon_mask(closed, WINDOW).max() == 0
    sums = []
    for gap in (0.1, 0.4, 3.0):
        lower = line[::-1] + np.array([0, gap])
        sums.append(polygon_mask(np.concatenate([line, lower]), WINDOW).sum())
    assert 0 < sums[0] < sums[1] < sums[2]
    np.testing.assert_allclose(sums[2], 3.0 * 70, rtol=0.15)
