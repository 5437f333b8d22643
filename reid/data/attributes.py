"""What is known of people beside who they are, from a file: backpack, hat, age."""

import csv
import re
from collections.abc import Mapping
from pathlib import Path

from reid.data.readers.shared import optional
from reid.errors import UserError

Attributes = Mapping[str, Mapping[str, frozenset[int]]]  # attribute -> value -> identities

_WHOLE = re.compile(r"-?[0-9]{1,18}")
_NO_YES = ("no", "yes")
_MEANINGS = {  # of 1, 2, ... in the .mat files, where they are not no and yes
    "gender": ("male", "female"),
    "hair": ("short", "long"),
    "up": ("long sleeves", "short sleeves"),
    "down": ("long", "short"),
    "clothes": ("dress", "pants"),
    "age": ("young", "teenager", "adult", "old"),
    "top": ("short", "long"),
    "shoes": ("dark", "light"),
}


def read_attributes(file: str | Path) -> Attributes:
    """Read which identities have which value of each attribute.

    A .csv file, in UTF-8 and with commas, has a line for each person and a column ``pid``, the identity as the data set
    numbers it. Every other column is an attribute, with any texts as its values; an empty one is not known.

    A .mat file is one of those that Lin, Zheng, Zheng, Wu, Hu, Yan and Yang made for Improving Person Re-identification
    by Attribute and Identity Learning, Pattern Recognition 2019, and is read by scipy: ``market_attribute.mat`` with 27
    attributes or ``duke_attribute.mat`` with 23. Of these the people to test on are taken.

    Raises:
        UserError: the file is missing or not as told above, or scipy is.
    """
    file = Path(file).expanduser()
    kinds = {".csv": _of_csv, ".mat": _of_mat}
    if file.suffix.lower() not in kinds:
        raise UserError(f"eval.attributes={file} must be a .csv or .mat file")
    if not file.is_file():
        raise UserError(f"eval.attributes={file}: no such file")
    return kinds[file.suffix.lower()](file)


def _of_csv(file: Path) -> Attributes:
    with file.open(newline="", encoding="utf-8-sig") as text:
        reader = csv.reader(text, skipinitialspace=True, strict=True)
        try:
            header, *rows = [(reader.line_num, [cell.strip() for cell in row]) for row in reader if row] or [(1, [])]
        except UnicodeDecodeError as error:
            raise UserError(f"eval.attributes={file} is not text in UTF-8 ({error.reason}): save it as such") from error
        except csv.Error as error:
            raise UserError(f"{file}, line {reader.line_num}: {error}") from error
    names = header[1]
    if "pid" not in names:
        raise UserError(f"eval.attributes={file} has no column pid")
    people: dict[int, list[str]] = {}
    for line, cells in rows:
        if len(cells) != len(names):
            raise UserError(f"{file}, line {line}: {len(cells)} values, but the first line names {len(names)}")
        person = cells[names.index("pid")]
        if not _WHOLE.fullmatch(person):
            raise UserError(f"{file}, line {line}: pid={person} must be a whole number, as the set numbers its people")
        pid = int(person)
        if pid in people:
            raise UserError(f"{file}, line {line}: pid {pid} has a line already")
        people[pid] = cells
    return {
        name: {
            value: frozenset(pid for pid, cells in people.items() if cells[i] == value)
            for value in sorted({cells[i] for cells in people.values()} - {""})
        }
        for i, name in enumerate(names)
        if name != "pid"
    }


def _of_mat(file: Path) -> Attributes:
    matlab = optional("scipy.io", "scipy", str(file))
    try:
        content = matlab.loadmat(file, simplify_cells=True)
        (tables,) = [value for key, value in content.items() if not key.startswith("__")]
        test = {name: [int(value) for value in column] for name, column in tables["test"].items()}
        pids = test.pop("image_index")
        return {
            name: {
                value: frozenset(pid for pid, code in zip(pids, codes, strict=True) if code == number)
                for number, value in enumerate(_MEANINGS.get(name, _NO_YES), start=1)
            }
            for name, codes in test.items()
        }
    except Exception as error:  # scipy has many for what is no .mat file
        raise UserError(f"{file} is not a .mat file of attributes like market_attribute.mat: {error}") from error
