"""What the demo shows must hold. Where it does not, the demo says so and fails."""

from __future__ import annotations

from docs.demo.facts import Audited, Leak
from docs.demo.replay import Comparison


class PromiseBroken(Exception):
    """The demo found what must not be: a training row that is not what was served."""


def require_equal(comparison: Comparison) -> None:
    if comparison.differing:
        found = ", ".join(f"{name}: {count:,}" for name, count in comparison.differing)
        raise PromiseBroken(
            f"{comparison.differences:,} of {comparison.cells:,} looked-up cells differ from the training set: {found}"
        )


def require_honest(leak: Leak) -> None:
    if leak.honest_offline != leak.honest_served:
        raise PromiseBroken(
            f"the model trained point-in-time has an AUC of {leak.honest_offline} offline and "
            f"{leak.honest_served} as served; the two must be the same"
        )


def require_audited(audited: Audited) -> None:
    if audited.differences:
        raise PromiseBroken(f"the audit found {audited.differences:,} differences among {audited.values:,} values")
