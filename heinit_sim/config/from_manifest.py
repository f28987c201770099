"""The config that the manifest of a run holds: the manifest alone repeats the run."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from importlib.metadata import version

from heinit_sim.config.problem import Problem
from heinit_sim.config.yaml_document import MAX_MANIFEST, Document, is_braced, mark_after, to_bytes
from heinit_sim.experiment.labels import shortened

MANIFEST_VERSION = 1
"""Version of the fields of a manifest, its `schema_version`."""
_PROGRAMS = {"heinit-sim": "heinit-sim", "numpy": "NumPy", "matplotlib": "matplotlib"}
"""Key in a manifest's `versions` of what decides about bits -> its name."""


def document_hash(document: Mapping[str, object]) -> str:
    """SHA-256 of a resolved config, whatever it expects.

    Version 1 of the streams is left out: before that key there was no other.
    """
    left_out = ("expect", document.get("expect")), ("stream_version", 1)
    hashed = {key: value for key, value in document.items() if (key, value) not in left_out}
    text = json.dumps(hashed, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def held_document(data: str | bytes) -> Document | None:
    """The config that the text of a manifest holds, or what is wrong with it; None for other texts.

    All of its values are said to be where the config begins.
    """
    raw = to_bytes(data)
    if not is_braced(raw) or len(raw) > MAX_MANIFEST:
        return None
    try:
        text = raw.decode("utf-8-sig")
        manifest = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not {"schema_version", "config_sha256"} <= manifest.keys():
        return None
    config, schema = manifest.get("config"), manifest["schema_version"]
    key = re.search(r'"config"\s*:', text)
    mark = mark_after(text[: key.start()]) if key else (1, 1)
    if schema != MANIFEST_VERSION:
        given = f"a manifest of schema version {shortened(str(schema), 40)}"
        wrong = f"{given}, must be of version {MANIFEST_VERSION}; give its config.yaml"
    elif config is None:
        wrong = "an older manifest without the config itself; give its config.yaml"
    elif not _has_hash(config, manifest["config_sha256"]):
        wrong = "changed by hand (it is not as config_sha256 says); give config.yaml, or --set"
    else:
        made_by = _other_versions(manifest.get("versions"))
        return Document(config, values={(): mark}, made_by=made_by)
    return Document(problems=[Problem(("config",) if key else (), wrong, mark=mark)])


def _has_hash(config: object, digest: object) -> bool:
    try:
        return isinstance(config, dict) and document_hash(config) == digest
    except (ValueError, RecursionError):  # lone surrogates; too deep
        return False


def _other_versions(versions: object) -> str:
    """What made a manifest, where that is not what is here, e.g. "NumPy 1.26 (here 2.4.6)"."""
    given = versions if isinstance(versions, dict) else {}
    return ", ".join(
        f"{name} {shortened(str(given[key]), 40)} (here {version(key)})"
        for key, name in _PROGRAMS.items()
        if key in given and given[key] != version(key)
    )
