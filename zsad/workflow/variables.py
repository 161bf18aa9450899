"""Environment variables by which the process that reads the workflow passes facts to its jobs.

Several modules of one host workflow, which all use this module, set them in one process.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping, MutableMapping
from pathlib import Path

from zsad.errors import ConfigError
from zsad.files.json_values import canonical_json
from zsad.sharing.options import Sharing

LEFT_OUT = "ZSAD_METHODS_LEFT_OUT"


def check_library(root: Path) -> None:
    """Check that this process runs the library of the workflow in ``root``, and not that of another copy.

    Raises:
        ConfigError: one workflow uses two copies.
    """
    running = Path(__file__).resolve().parents[2]
    if running != root.resolve():
        raise ConfigError(
            f"two copies of this workflow cannot be modules of one workflow: the library of {running} is already in "
            f"use; use the Snakefile of the same folder for all modules, not {root / 'Snakefile'}"
        )


def check_section(config: object) -> None:
    """Check that another workflow gives this one keys and values as its configuration.

    Raises:
        ConfigError: it gives something else.
    """
    if not isinstance(config, Mapping):
        raise ConfigError(
            f'its configuration is not a section with keys but {config!r}; give it `config: config["..."]`, a section '
            "with keys of config.yaml, or remove the line"
        )


def set_left_out(module: str, left_out: Mapping[str, str], environment: MutableMapping[str, str] = os.environ) -> None:
    """Pass the methods that cannot run to jobs, which list no images and must agree with this process.

    Args:
        module: the name under which another workflow uses this one; empty if none does.
        left_out: see `zsad.workflow.settings.Settings`.
    """
    told = json.loads(environment.get(LEFT_OUT) or "{}")
    environment[LEFT_OUT] = canonical_json({**told, module: dict(left_out)})


def read_left_out(module: str, environment: Mapping[str, str] = os.environ) -> dict[str, str] | None:
    """Read the value of `set_left_out`; None if it is not set."""
    told: dict[str, dict[str, str]] = json.loads(environment.get(LEFT_OUT) or "{}")
    return told.get(module)


def set_shared_folder(
    module: str,
    sharing: Sharing,
    roots: MutableMapping[str, str],
    environment: MutableMapping[str, str] = os.environ,
) -> None:
    """Set the folders of weights and shared files for this process's jobs and for the hub's client.

    Args:
        roots: the shared folders of the modules of one workflow; this one is added.

    Raises:
        ConfigError: another module shares another folder, but all jobs have the same environment.
    """
    roots[module] = str(sharing.root or "")
    for other, root in roots.items():
        if root != roots[module]:
            raise ConfigError(
                f"sharing.root is {root or 'not set'} for the module '{other}', and {roots[module] or 'not set'} for "
                "this one, but all modules of a workflow share one folder; set the same for all"
            )
    environment.update(sharing.variables())


def check_no_twin(module: str, rules: Mapping[str, Iterable[str]], folders: Mapping[str, Mapping[str, Path]]) -> None:
    """Check that no other module of the workflow makes the same results.

    Args:
        rules: by module, the names of its rules in use.
        folders: by module, the folders of the results of its data sets, by section of the configuration.

    Raises:
        ConfigError: another module does.
    """
    for other in folders:
        if other == module or not set(rules[other]) & set(rules[module]):
            continue
        for section, folder in folders[module].items():
            if folder in folders[other].values():
                raise ConfigError(
                    f"its results go to {folder}, as do those of the module '{other}'; give one of them another "
                    f"{section}.name, or a prefix"
                )
