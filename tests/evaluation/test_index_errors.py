"""What a gallery index refuses, in one line that names the way out."""

import zipfile
from pathlib import Path

import numpy as np
import pytest

from reid.errors import UserError
from reid.evaluation.search import GalleryIndex, IndexOptions


@pytest.fixture
def index() -> GalleryIndex:
    return GalleryIndex.build(np.eye(4), [1, 2, 3, 4])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kind": "faiss"}, "'faiss' is unknown; choose one of flat, hnsw, ivf_flat, ivf_pq, sq8, fp16"),
        ({"kind": "flat", "nprobe": 3}, "nprobe=3 means nothing to a flat index; it belongs to ivf_flat and ivf_pq"),
        ({"kind": "hnsw", "ef_search": 0}, "ef_search=0 of a hnsw index must be a whole number from 1"),
        ({"kind": "hnsw", "M": 1}, "M=1 of a hnsw index must be a whole number from 2 to 512"),
        ({"kind": "ivf_pq", "pq_bits": 8.0}, "pq_bits=8.0 of a ivf_pq index must be a whole number from 4 to 12"),
    ],
)
def test_wrong_options(options: dict, message: str) -> None:
    with pytest.raises(UserError, match=message):
        IndexOptions(**options)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"options": "ivf"}, "'ivf' is unknown; choose one of flat"),
        ({"options": IndexOptions("ivf_flat", nlist=9)}, "9 cells trains on at least as many images and got 4"),
        ({"options": IndexOptions("ivf_pq", pq_m=3)}, "pq_m=3 does not divide the 4 dimensions"),
        ({"distance": "l2"}, "distance='l2' is unknown; choose one of cosine, euclidean"),
        ({"features": np.ones(4)}, r"features must be numbers of shape \[images, dimensions\]"),
        ({"features": np.diag([1, 1, np.inf, 1])}, "features: row 2 is NaN or infinite"),
        ({"features": np.eye(4) * 1e30, "distance": "euclidean"}, "row 0 is too long for euclidean scores"),
        ({"pids": [1, 2, 3]}, r"pids has shape \[3\] for 4 images; give one label an image"),
        ({"pids": [1.0, 2, 3, 4]}, "pids must be integers, not float64"),
        ({"camids": [[1], [1], [2], [2]]}, r"camids has shape \[4, 1\] for 4 images"),
        ({"names": ["a.jpg"]}, "names has 1 values for 4 images"),
        ({"names": "abcd"}, "give one an image, in a list"),
        ({"features": np.empty((0, 4)), "pids": [], "options": "sq8"}, "sq8 index trains on features and got none"),
    ],
)
def test_wrong_galleries(arguments: dict, message: str) -> None:
    with pytest.raises(UserError, match=message):
        GalleryIndex.build(**{"features": np.eye(4), "pids": [1, 2, 3, 4]} | arguments)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda index: index.search(np.eye(3)), "query_features have 3 dimensions and the index 4"),
        (lambda index: index.search(np.eye(4), k=0), "k=0 asks for an empty list; give 1 or more"),
        (lambda index: index.search([[np.nan] * 4]), "query_features: row 0 is NaN or infinite"),
        (lambda index: index.add(np.eye(3), [1, 2, 3]), "features have 3 dimensions and the index 4"),
        (lambda index: index.add(np.eye(4), [1, 2, 3]), r"pids has shape \[3\]"),
        (lambda index: index.add(np.eye(4), [5] * 4, [1] * 4), "camids: the gallery was built without them; leave"),
        (lambda index: index.remove([2, 77, 78]), r"2 identities are not in the gallery \(first: 77, 78\); nothing"),
        (lambda index: index.tune(ef_search=9), "ef_search=9 means nothing to a flat index; it belongs to hnsw"),
        (lambda index: index.labels([9]), "rows must be row numbers of this gallery, -1 to 3"),
    ],
)
def test_a_refused_call_changes_nothing(index: GalleryIndex, call, message: str) -> None:
    with pytest.raises(UserError, match=message):
        call(index)
    assert len(index) == 4
    assert index.search(np.eye(4), k=1)[1].tolist() == [[0], [1], [2], [3]]


def test_a_gallery_with_names_wants_names(index: GalleryIndex) -> None:
    named = GalleryIndex.build(np.eye(4), [1, 2, 3, 4], names=list("abcd"))
    with pytest.raises(UserError, match="names: the gallery was built with them; give them here too"):
        named.add(np.eye(4), [5, 6, 7, 8])


def test_a_damaged_file_is_refused_whichever_byte_is_wrong(tmp_path: Path) -> None:
    """A few bytes of a ZIP say nothing of importance (a date); with these wrong, the content still is right."""
    path = tmp_path / "gallery.reid"
    index = GalleryIndex.build(np.eye(4), [1, 2, 3, 4], [5, 5, 6, 6], list("abcd"))
    index.save(path)
    expected, whole = said_by(index), path.read_bytes()
    refused = 0
    for place in range(0, len(whole), 5):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 255]) + whole[place + 1 :])
        message = message_of_loading(path)
        if message is None:
            assert said_by(GalleryIndex.load(path)) == expected
        else:
            assert "is damaged, or not what GalleryIndex.save wrote" in message
            assert "\n" not in message
            refused += 1
    assert refused > 0.7 * len(range(0, len(whole), 5))


@pytest.mark.parametrize("content", [b"", b"not an index", "half"])
def test_a_file_cut_short_or_of_another_kind_is_refused(index: GalleryIndex, tmp_path: Path, content) -> None:
    path = tmp_path / "gallery.reid"
    index.save(path)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2] if content == "half" else content)
    with pytest.raises(UserError, match=r"gallery.reid is damaged.*; restore a copy or build the index again"):
        GalleryIndex.load(path)


def said_by(index: GalleryIndex) -> str:
    scores, rows = index.search(np.eye(4), k=4)
    return (
        f"{index} {scores.tolist()} {rows.tolist()} {[None if x is None else x.tolist() for x in index.labels(rows)]}"
    )


def message_of_loading(path: Path) -> str | None:
    try:
        GalleryIndex.load(path)
    except UserError as error:
        return str(error)
    return None


def test_a_zip_of_something_else_and_a_missing_file(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "other.zip", "w") as archive:
        archive.writestr("readme.txt", "hello")
    with pytest.raises(UserError, match="other.zip is damaged, or not what GalleryIndex.save wrote"):
        GalleryIndex.load(tmp_path / "other.zip")
    with pytest.raises(UserError, match=r"cannot read .*none.reid \(No such file or directory\)"):
        GalleryIndex.load(tmp_path / "none.reid")


def test_a_full_disk_keeps_the_earlier_file(index: GalleryIndex, tmp_path: Path, monkeypatch) -> None:
    path = tmp_path / "gallery.reid"
    index.save(path)
    before = path.read_bytes()
    write = zipfile._ZipWriteFile.write

    def full(self, data):
        if self._zinfo.filename == "index.faiss":
            raise OSError(28, "No space left on device")
        return write(self, data)

    monkeypatch.setattr(zipfile._ZipWriteFile, "write", full)
    with pytest.raises(UserError, match="cannot write .*No space left on device.*the earlier one is kept"):
        index.save(path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]
