"""One typed choice of a FAISS index, with defaults that follow the size of the gallery."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields, replace
from typing import Literal

from reid.errors import UserError

Kind = Literal["flat", "hnsw", "ivf_flat", "ivf_pq", "sq8", "fp16"]

# The options each kind understands.
KINDS: dict[str, tuple[str, ...]] = {
    "flat": (),
    "hnsw": ("M", "ef_construction", "ef_search"),
    "ivf_flat": ("nlist", "nprobe", "seed"),
    "ivf_pq": ("nlist", "nprobe", "pq_m", "pq_bits", "seed"),
    "sq8": (),
    "fp16": (),
}


@dataclass(frozen=True)
class IndexOptions:
    """Which FAISS index to build. Only the options of its kind may be given; those left out are set by ``resolved``.

    Attributes:
        kind: "flat" (every float32 row compared), "fp16" and "sq8" (every row compared, in 16 or 8 bits a value),
            "hnsw" (a graph over float32 rows: Malkov and Yashunin, TPAMI 2020), "ivf_flat" (float32 rows in the cells
            of k-means, the nearest cells searched: Sivic and Zisserman, ICCV 2003), "ivf_pq" (the same cells with
            product-quantised residuals: Jegou et al., Product Quantization for Nearest Neighbor Search, TPAMI 2011).
        M: hnsw: links of a node; 32.
        ef_construction: hnsw: candidates kept while a node is linked; 128.
        ef_search: hnsw: candidates kept during a search; 128. More finds more and takes longer.
        nlist: ivf: number of cells; about 4 sqrt(images).
        nprobe: ivf: cells searched; an eighth of them, at least 8. More finds more and takes longer.
        pq_m: ivf_pq: bytes a vector at 8 bits; the largest divisor of the dimensions up to a quarter of them.
        pq_bits: ivf_pq: bits of each of the pq_m codes, 4 to 12; 8.
        seed: ivf: of k-means and the images it sees; 0.

    Raises:
        UserError: the kind is unknown, an option belongs to another kind, or a value is out of range.

    >>> print(IndexOptions("hnsw", ef_search=64).resolved(20_000, 512))
    hnsw M=32 ef_construction=128 ef_search=64
    >>> print(IndexOptions("ivf_pq").resolved(1_000_000, 512))
    ivf_pq nlist=4000 nprobe=500 pq_m=128 pq_bits=8 seed=0
    """

    kind: Kind = "flat"
    M: int | None = None
    ef_construction: int | None = None
    ef_search: int | None = None
    nlist: int | None = None
    nprobe: int | None = None
    pq_m: int | None = None
    pq_bits: int | None = None
    seed: int | None = None

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise UserError(f"index kind {self.kind!r} is unknown; choose one of {', '.join(KINDS)}")
        for name, value in self.given().items():
            if name not in KINDS[self.kind]:
                owners = " and ".join(kind for kind, known in KINDS.items() if name in known)
                raise UserError(f"{name}={value} means nothing to a {self.kind} index; it belongs to {owners}")
            low, high = {"pq_bits": (4, 12), "seed": (0, 2**31 - 1), "M": (2, 512)}.get(name, (1, 2**31 - 1))
            if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
                raise UserError(f"{name}={value!r} of a {self.kind} index must be a whole number from {low} to {high}")

    def given(self) -> dict[str, int]:
        """The options that have a value, in order."""
        values = {field.name: getattr(self, field.name) for field in fields(self) if field.name != "kind"}
        return {name: value for name, value in values.items() if value is not None}

    def resolved(self, images: int, dimensions: int) -> IndexOptions:
        """Every option of the kind filled in for a gallery of this size.

        Raises:
            UserError: ``pq_m`` does not divide the dimensions, or there are more cells than images to train them.
        """
        nlist = self.nlist or max(1, min(round(4 * math.sqrt(images)), images // 39))  # 39: as FAISS advises
        defaults = {
            "M": 32,
            "ef_construction": 128,
            "ef_search": 128,
            "nlist": nlist,
            "nprobe": min(nlist, max(8, nlist // 8)),
            "pq_m": next(m for m in range(max(1, dimensions // 4), 0, -1) if dimensions % m == 0),
            "pq_bits": 8,
            "seed": 0,
        }
        full = IndexOptions(self.kind, **({name: defaults[name] for name in KINDS[self.kind]} | self.given()))
        if full.pq_m and dimensions % full.pq_m:
            raise UserError(f"pq_m={full.pq_m} does not divide the {dimensions} dimensions; choose one of its divisors")
        if full.nlist and full.nlist > images:
            raise UserError(
                f"a {self.kind} index of {full.nlist} cells trains on at least as many images and got {images}; "
                "give a smaller nlist, or choose flat or hnsw, which need no training"
            )
        return full

    def builds_as(self, other: IndexOptions) -> bool:
        """Whether the two differ at most in what a search may change (``ef_search``, ``nprobe``)."""
        return replace(self, ef_search=None, nprobe=None) == replace(other, ef_search=None, nprobe=None)

    def __str__(self) -> str:
        return " ".join([self.kind, *(f"{name}={value}" for name, value in self.given().items())])


def as_options(options: str | IndexOptions) -> IndexOptions:
    """A kind's name, or options as they are.

    >>> as_options("sq8")
    IndexOptions(kind='sq8', M=None, ef_construction=None, ef_search=None, nlist=None, nprobe=None, pq_m=None, \
pq_bits=None, seed=None)
    """
    return options if isinstance(options, IndexOptions) else IndexOptions(options)  # type: ignore[arg-type]
