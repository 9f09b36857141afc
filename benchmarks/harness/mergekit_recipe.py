"""What mergekit is asked to do for an edit."""

import json
from pathlib import Path

from .edits import Edit


def write_recipe(edit: Edit, path: Path) -> None:
    """Base and adapter as one model; or, for a dense change, base plus task vector."""
    dtype = json.loads((edit.base / "config.json").read_text())["dtype"]
    recipe: dict[str, object]
    if edit.case == "d":
        recipe = {
            "merge_method": "task_arithmetic",
            "base_model": str(edit.base),
            "models": [{"model": str(edit.edited), "parameters": {"weight": 1.0}}],
        }
    else:
        model = f"{edit.base}+{edit.adapter}"
        recipe = {
            "merge_method": "linear",
            "models": [{"model": model, "parameters": {"weight": 1.0}}],
        }
    path.write_text(json.dumps({**recipe, "dtype": dtype}))
