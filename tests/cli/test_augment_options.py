"""Options of augmentation and mixing as a user types them."""

from pathlib import Path

from cli.entry import in_process, small


def test_every_operation_scales_and_a_mix_train_together(toy: Path, tmp_path: Path) -> None:
    operations = ("jitter", "grayscale", "blur", "local_grayscale", "patch", "cutout")
    given = [f"augment.{name}=0.5" for name in operations]
    outcome = in_process(
        "train.py",
        *small(toy, tmp_path, "augment=sbs", "augment.erase_with=pixel", *given, "mix=cutmix", "objective=softmax",
               "augment.scales=[[64,32],[80,40]]", "trainer.max_epochs=1"),
    ).check()  # fmt: skip
    assert "mAP" in outcome.out
    config = (outcome.run / "config.yaml").read_text()
    assert "patch: 0.5" in config
    assert "reid.data.augment.CutMix" in config
    assert "the same as in" in in_process("eval.py", f"run={outcome.run}").check().out
