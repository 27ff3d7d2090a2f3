"""The metrics of a part: name, type, unit, labels, meaning and buckets, from the registry that it serves.

Knows: prometheus-client's registries and metric families.
Does not know: a metric's meaning beyond its help text, which a scrape returns too.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from prometheus_client import REGISTRY, CollectorRegistry, Metric
from prometheus_client.metrics import Histogram, MetricWrapperBase
from voxfleet_gateway import telemetry as gateway
from voxfleet_gateway.dns import telemetry as dns
from voxfleet_inference.telemetry.metrics import Metrics as InferenceMetrics
from voxfleet_operator.telemetry import Metrics as OperatorMetrics

from reference.schema_words import table

_UNITS: Final = ("seconds", "bytes", "ratio")


@dataclass(frozen=True, slots=True)
class _Family:
    """What a scrape returns of a metric, without its values."""

    name: str
    type: str
    labels: tuple[str, ...]
    meaning: str
    buckets: tuple[float, ...] = ()

    @property
    def unit(self) -> str:
        """The unit that the name ends in."""
        return next((unit for unit in _UNITS if self.name.removesuffix("_total").endswith(f"_{unit}")), "")


def operator_metrics() -> list[str]:
    """Return the operator's."""
    metrics = OperatorMetrics()
    metrics.observe(list, float, float)
    return _tables(metrics.registry, "voxfleet_operator_")


def gateway_metrics() -> list[str]:
    """Return the gateway's."""
    return _tables(REGISTRY, gateway.PREFIX)


def dns_metrics() -> list[str]:
    """Return those of the DNS engine."""
    return _tables(dns.REGISTRY, dns.PREFIX)


def inference_metrics() -> list[str]:
    """Return the speech server's."""
    return _tables(InferenceMetrics().registry, "voxfleet_inference_")


def _tables(registry: CollectorRegistry, prefix: str) -> list[str]:
    """Return a table of a registry's metrics, and one of their buckets."""
    found = [each for each in _families(registry) if each.name.startswith(prefix)]
    rows = [(_facts(each), each.meaning) for each in found]
    buckets = [(f"`{each.name}`", ", ".join(f"{bound:g}" for bound in each.buckets)) for each in found if each.buckets]
    return [
        *table(("metric, type, unit, labels", "meaning"), rows),
        "",
        *table(("histogram", "upper bounds of its buckets, beside infinity"), buckets),
    ]


def _facts(family: _Family) -> str:
    """Return what a query needs in one cell, a line each: a table of five columns has no room for meanings."""
    labels = ", ".join(f"`{label}`" for label in family.labels)
    kind = ", ".join(filter(None, (family.type, family.unit)))
    return "<br>".join(filter(None, (f"`{family.name}`", kind, f"by {labels}" if labels else "")))


def _families(registry: CollectorRegistry) -> Iterator[_Family]:
    # The client has no public way to the labels of a metric without values.
    for collector in registry._collector_to_names:  # noqa: SLF001
        if isinstance(collector, MetricWrapperBase):
            bounds = collector._upper_bounds[:-1] if isinstance(collector, Histogram) else ()  # noqa: SLF001
            [family] = collector.describe()
            yield _family(family, tuple(collector._labelnames), tuple(bounds))  # noqa: SLF001
        else:
            yield from (_family(each, tuple(getattr(each, "_labelnames", ()))) for each in collector.collect())


def _family(family: Metric, labels: tuple[str, ...], buckets: tuple[float, ...] = ()) -> _Family:
    name = f"{family.name}_total" if family.type == "counter" else family.name
    meaning = family.documentation if family.documentation.endswith(".") else f"{family.documentation}."
    return _Family(name, family.type, labels, meaning, buckets)
