"""MLflow's registry: `mlflow_versions.py URL FIRST COUNT`; a count of 0 makes the models."""

import os
import sys
from functools import partial

os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"

from gate import work
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

MODELS = 16


def main() -> None:
    url = sys.argv[1]
    first, count = map(int, sys.argv[2:])
    client = MlflowClient(tracking_uri=url, registry_uri=url)
    if count == 0:
        work(
            (partial(client.create_registered_model, f"fact-{i}") for i in range(MODELS)),
            (MlflowException,),
        )
        return
    client.get_registered_model("fact-0")
    steps = (
        partial(client.create_model_version, f"fact-{i % MODELS}", f"file:///drafts/{i}")
        for i in range(first, first + count)
    )
    work(steps, (MlflowException,))


if __name__ == "__main__":
    main()
