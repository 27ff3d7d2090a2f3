"""Prometheus' configuration for the demo: the scrape configuration of docs/monitoring.md, and the chart's alert rules.

Knows: where the page has its configuration. Does not know: processes, or what is queried.
"""

import re
from pathlib import Path
from typing import Any

import yaml

INTERVAL_SECONDS = 2  # of scrapes and rules: the story's wakes take a few seconds


class ConfigurationError(ValueError):
    """The page has no scrape configuration."""


def documented_scrape_configs(page: str) -> list[dict[str, Any]]:
    """Return the scrape configuration that a page shows.

    Raises:
        ConfigurationError: no YAML block of the page begins with scrape_configs.
    """
    block = re.search(r"^```yaml\n(scrape_configs:.*?)^```", page, re.MULTILINE | re.DOTALL)
    if block is None:
        raise ConfigurationError("docs/monitoring.md has no YAML block that begins with `scrape_configs:`")
    configs: list[dict[str, Any]] = yaml.safe_load(block[1])["scrape_configs"]
    return configs


def configuration(page: str, kubeconfig: Path, rules: Path) -> dict[str, Any]:
    """Return the configuration of a Prometheus outside of the cluster, which finds pods with a kubeconfig."""
    configs = documented_scrape_configs(page)
    for discovery in (each for config in configs for each in config["kubernetes_sd_configs"]):
        discovery["kubeconfig_file"] = str(kubeconfig)
    interval = f"{INTERVAL_SECONDS}s"
    return {
        "global": {"scrape_interval": interval, "evaluation_interval": interval},
        "rule_files": [str(rules)],
        "scrape_configs": configs,
    }
