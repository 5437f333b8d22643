"""Occluded-DukeMTMC, in the layout of Market-1501."""

from pathlib import Path

from reid.data.readers import market1501
from reid.data.readers.shared import warn_of_counts
from reid.data.records import Split

PUBLISHED = {"train": (702, 15_618), "query": (519, 2_210), "gallery": (1_110, 17_661)}


def read(root: str | Path, name: str = "occluded_duke") -> Split:
    """Read Occluded-DukeMTMC: DukeMTMC-reID with queries of people who are partly hidden.

    Reference: Miao, Wu, Liu, Ding and Yang, Pose-Guided Feature Alignment for Occluded Person Re-Identification, ICCV
    2019. The pictures are those of DukeMTMC-reID, which was withdrawn by its authors; see dukemtmcreid. 8 cameras:
    15,618 training images of 702 people, 2,210 queries of 519 others, and 17,661 gallery images of 1,110.

    Layout: ``bounding_box_train/``, ``query/`` and ``bounding_box_test/`` with files named ``0001_c2_f0046182.jpg``:
    person 1, camera 2, frame 46182. The authors offer lists of names, and a script that sorts DukeMTMC-reID by them.

    1,870 of the queries stand in the gallery too. None finds itself, since the protocol leaves out what the query's own
    camera saw of the person; under no_camera each would.

    Protocol: market1501.

    Raises:
        UserError: a folder is missing, or holds no image with such a name.
    """
    split = market1501.read(root, name=name)
    warn_of_counts(split, PUBLISHED)
    return split
