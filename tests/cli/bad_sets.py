"""Slips in ``dataset.sets`` and ``eval.targets``, for ``test_bad_input``."""

from dataclasses import replace

from cli.case import Case, judge, train
from cli.spoil import cut, gallery_without_queried_people

from reid.data.readers import market1501
from reid.data.records import Split

TOY = "{{name:toy,root:{toy},train_identities:8,test_identities:4}}"
SPOILT = "{{dataset:market1501,name:mine,root:{set}}}"


def train_only(root: str) -> Split:
    """A user's own reader of a set without a test part."""
    return replace(market1501.read(root, name=""), query=(), gallery=())


def test_only(root: str) -> Split:
    """A user's own reader of a set with nothing to train on."""
    return replace(market1501.read(root, name=""), train=())


def own(reader: str) -> str:
    return f"{{{{dataset:lpw,_target_:cli.bad_sets.{reader},name:mine,root:{{toy}}}}}}"


def union(name: str, sets: str, *more: str, says: list[str]) -> Case:
    return train(name, "dataset=union", f"dataset.sets={sets}", *more, says=says)


def targets(name: str, given: str, *more: str, says: list[str], **options: object) -> Case:
    return train(name, f"eval.targets={given}", *more, says=says, **options)


CASES = [
    train("union without sets", "dataset=union", says=["dataset.sets is missing", "dataset.sets=[market1501,msmt17]"]),
    union("union of an unknown set", "[toy,markt1501]",
          says=["dataset.sets=markt1501 is unknown", "did you mean market1501"]),
    union("union in words", "toy", says=["dataset.sets=toy must be a list", "dataset.sets=[toy,market1501]"]),
    union("union of nothing", "[]", says=["dataset.sets=[] must be a list of data sets"]),
    union("union of a number", "[toy,3]", says=["dataset.sets: 3 is no data set", "{{name:market1501,root:FOLDER}}"]),
    union("union of a mapping without a name", "[{{root:x}}]", says=["dataset.sets: ", "is no data set", "its name"]),
    union("union of a union", "[toy,union]", says=["dataset.sets cannot hold union"]),
    union("set twice", "[toy,toy]", says=["dataset.sets names toy twice", "{{dataset:toy,name:other,root:FOLDER}}"]),
    union("images twice", f"[{TOY},{{{{dataset:market1501,name:other,root:{{toy}}}}}}]",
          says=["dataset.sets: toy and other hold the same image {toy}/bounding_box_train/", "leave one"]),
    union("unknown key of a set", "[{{name:toy,rooot:x}}]",
          says=["dataset.sets, toy: unknown key 'rooot'", "did you mean root?", "train_identities"]),
    union("share held out of one set", "[{{name:toy,val_fraction:0.1}}]", says=["unknown key 'val_fraction'"]),
    union("wrong value of a set", "[{{name:toy,train_identities:many}}]",
          says=["dataset.sets, toy: dataset.train_identities=many must be a whole number"]),
    union("wrong limit of a set", "[{{name:toy,limit_identities:0}}]",
          says=["dataset.sets, toy: dataset.limit_identities=0 must be at least 1"]),
    union("set that is not there", f"[{TOY},{{{{name:market1501,root:{{work}}/none}}}}]",
          says=["dataset.sets, market1501: dataset.root={work}/none is not a folder"]),
    union("set with nothing to train on", f"[{TOY},{own('test_only')}]",
          says=["dataset.sets: mine has nothing to train on", "eval.targets"]),
    union("unknown key of the union", f"[{TOY}]", "+dataset.root=x", says=["unknown config key 'dataset.root'"]),
    union("set not as published", f"[{TOY},{{{{name:market1501,root:{{toy}}}}}}]", "dataset.strict=true",
          says=["dataset.sets, market1501: market1501 in {toy} is not the published set"]),
    union("cameras of a union", f"[{TOY}]", "backbone=timm", "backbone.name=test_vit", "backbone.cameras=auto",
          says=["backbone.cameras: such a net knows the cameras it is trained on", "toy", "no union, no eval.targets"]),
    train("nowhere to judge", "dataset=lpw", "dataset._target_=cli.bad_sets.train_only", "dataset.root={toy}",
          says=["dataset=lpw has no test part", "eval.targets=[market1501]"]),
    union("union without a test part", f"[{own('train_only')}]",
          says=["dataset=union (mine) has no test part", "eval.targets=[market1501]"]),
    targets("targets in words", "toy", says=["eval.targets=toy must be a list"]),
    targets("unknown target", "[tay]", says=["eval.targets=tay is unknown", "did you mean toy"]),
    targets("target twice", "[toy,toy]", says=["eval.targets names toy twice"]),
    targets("share held out of a target", "[{{name:toy,limit_identities:3}}]", says=["unknown key 'limit_identities'"]),
    targets("target without a query", f"[{TOY},{own('train_only')}]",
            says=["eval.targets, mine: it has no queries to judge on", "leave it out"]),
    targets("target without a match", f"[{TOY},{SPOILT}]", prepare=gallery_without_queried_people,
            says=["eval.targets, mine: none of the 12 queries has a true match"]),
    targets("target with a damaged image", f"[{TOY},{SPOILT}]", prepare=cut("set/query/*.jpg"),
            says=["{set}/query/", "not a readable image", "data.skip_unreadable=true"]),
    targets("target not as published", "[{{name:market1501,root:{toy},strict:true}}]",
            says=["eval.targets, market1501: market1501 in {toy} is not the published set"]),
    targets("all targets as published", "[{{name:market1501,root:{toy}}}]", "dataset.strict=true",
            says=["eval.targets, market1501: market1501 in {toy} is not the published set"]),
    targets("pool of a target", f"[{TOY}]", "eval.pool=track", says=["eval.targets, toy: eval.pool=track"]),
    targets("protocol of a target", "[{{name:toy,root:{toy},train_identities:8,test_identities:4,protocol:foo}}]",
            says=["eval.targets, toy: protocol='foo' is unknown"]),
    targets("cameras of other targets", f"[{SPOILT}]", "backbone=timm", "backbone.name=test_vit",
            "backbone.cameras=auto", says=["backbone.cameras: such a net knows the cameras it is trained on", "mine"]),
    judge("data set and targets", "run={run}", "dataset=toy", "eval.targets=[toy]", says=["give one of the two"]),
    judge("two runs on two targets", "eval.compare=[{run},{run}]", "eval.targets=[toy,market1501]",
          says=["eval.compare goes with one target"]),
    judge("checkpoint on an unknown target", "checkpoint={run}/checkpoints/last.ckpt", "eval.targets=[tay]",
          says=["eval.targets=tay is unknown", "did you mean toy"]),
]  # fmt: skip
