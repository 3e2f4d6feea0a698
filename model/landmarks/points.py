"""The 68-landmark scheme and the size of the crops in which landmarks are found.

Nothing here imports torch, so that the estimator in ONNX Runtime needs none.
"""

SIZE = 128
"""Side in px of the crops that the aligner and the estimator read."""
POINTS = 68
"""Number of landmarks, in the order of the iBUG 300-W scheme, which dlib and OpenFace share."""
MESH_POINTS = 478
"""Number of landmarks of MediaPipe's face mesh with irises (468-477)."""
IRISES = 468, 473
"""Landmarks of the mesh that are the middle of an iris, of the person's right eye and of the left
one; the four that follow lie on its edge."""
RIGID = (*range(1, 5), *range(12, 16), *range(27, 37), 39, 40, 41, 42, 45, 46, 47)
"""Indices of the landmarks that expressions hardly move: the sides of the jaw, the nose, the inner
corners and lower lids of the eyes. Position, scale and rotation are estimated from these."""
MIRRORED = (
    *range(16, -1, -1),
    *range(26, 16, -1),
    *(27, 28, 29, 30, 35, 34, 33, 32, 31),
    *(45, 44, 43, 42, 47, 46, 39, 38, 37, 36, 41, 40),
    *(54, 53, 52, 51, 50, 49, 48, 59, 58, 57, 56, 55, 64, 63, 62, 61, 60, 67, 66, 65),
)
"""For each landmark, the index of its counterpart in the mirrored face: jaw, brows, nose, eyes,
mouth."""
