"""The feature map of a network and its embedding, from a module that has no such outputs."""

from collections.abc import Callable

from torch import Tensor, nn

from reid.anatomy.layers import Block
from reid.errors import UserError


class _Reached(Exception):  # noqa: N818
    """Ends a forward pass: what comes after the map is not needed."""


def last_map(blocks: tuple[Block, ...], name: str | None = None) -> Block | None:
    """The map that ``name`` gives, or else the last map before positions are pooled away; None if there is none.

    Raises:
        UserError: ``name`` is no module that gives a map.
    """
    if name is None:
        return blocks[-1] if blocks else None
    for block in blocks:
        if block.name == name:
            return block
    known = ", ".join(b.name or '""' for b in blocks if not b.is_layer or b.name == name) or "none"
    raise UserError(f"last={name!r} gives no feature map: choose a module that does, such as {known}")


def map_of(module: nn.Module, block: Block) -> Callable[[Tensor], Tensor]:
    """A function from images [B, C, ...] to the output of ``block`` [B, D, ...]; the rest of the network is not run."""
    watched = module.get_submodule(block.name)

    def run(images: Tensor) -> Tensor:
        left = block.calls

        def stop(_: nn.Module, __: tuple[Tensor, ...], output: Tensor) -> None:
            nonlocal left
            left -= 1
            if left == 0:
                raise _Reached(output)

        handle = watched.register_forward_hook(stop)
        try:
            module(images)
        except _Reached as reached:
            found: Tensor = reached.args[0]
            return found
        finally:
            handle.remove()
        raise AssertionError(f"{block.name} was never called")

    return run
