"""What is wrong with a kubeconfig that the client library refused, and the way out.

Knows: the form of a kubeconfig's files. Does not know: clusters. The library's own errors name neither a missing file
nor the contexts that there are.
"""

import os
from pathlib import Path

import yaml
from kubernetes.config.config_exception import ConfigException

# What the client library raises for a kubeconfig that can't be read, is no YAML, or has another form.
UNUSABLE = (
    *(ConfigException, OSError, yaml.YAMLError, ValueError),
    *(AttributeError, IndexError, KeyError, TypeError, RecursionError),
)
NAME_ANOTHER = "name another by --kubeconfig FILE or KUBECONFIG"


def fault_in(paths: str, context: str | None, error: Exception) -> str:
    """Return what is wrong with the kubeconfig of these paths, which raised an error, and the way out."""
    files = [file for each in paths.split(os.pathsep) if (file := Path(each).expanduser()).is_file()]
    if not files:
        return "there is no such file; name one by --kubeconfig FILE or KUBECONFIG"
    try:
        found = [yaml.safe_load(file.read_text(encoding="utf-8")) for file in files]
        names = [str(each["name"]) for content in found for each in content.get("contexts") or ()]
        current = next((each["current-context"] for each in found if each.get("current-context")), None)
    except UNUSABLE as unusable:
        is_known = isinstance(unusable, OSError | yaml.YAMLError)
        return f"{fault_of(unusable) if is_known else 'it is no kubeconfig'}; {NAME_ANOTHER}"
    if not names:
        return f"it has no contexts; {NAME_ANOTHER}"
    listed = ", ".join(names)
    if context is not None and context not in names:
        return f"it has no context {context}; --context names one of: {listed}"
    if context is None and current not in names:
        missing = f"its current-context {current} is not there" if current else "it has no current-context"
        return f"{missing}; --context names one of: {listed}"
    return f"{fault_of(error)}; {NAME_ANOTHER}, or another of its contexts by --context: {listed}"


def fault_of(error: Exception) -> str:
    """Return what is wrong with a kubeconfig, in one line; of YAML the place alone: its errors quote the file."""
    if isinstance(error, yaml.YAMLError):
        mark = getattr(error, "problem_mark", None)
        return f"it is no YAML from line {mark.line + 1}, column {mark.column + 1} on" if mark else "it is no YAML"
    return " ".join((str(error) or type(error).__name__).split())
