"""How many examples a property is tried on: the same ones each time, unless the environment asks for more.

`KNOWNAT_PROPERTY_EXAMPLES=20 pytest tests/property` tries twenty times as many, and other ones each time.
"""

from __future__ import annotations

import os

from hypothesis import HealthCheck, Phase, settings

TIMES = int(os.environ.get("KNOWNAT_PROPERTY_EXAMPLES", "1"))
IS_DEEP = TIMES > 1

# Shrinking an example of a second or so takes minutes: only on request (KNOWNAT_PROPERTY_SHRINK=1).
_PHASES = [Phase.explicit, Phase.generate, *([Phase.shrink] if os.environ.get("KNOWNAT_PROPERTY_SHRINK") else [])]


def examples(count: int) -> settings:
    return settings(
        max_examples=count * TIMES,
        derandomize=TIMES == 1,
        deadline=None,
        database=None,
        phases=_PHASES,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )


def few_examples(count: int) -> settings:
    """For what takes long: a deep run tries fewer more."""
    return settings(examples(count), max_examples=count * max(1, TIMES // 4))
