"""What an MLflow server has, by MLflow's own client; run by the Python of MLflow's environment: `read_back.py URI EXPERIMENT`."""

import json
import sys
import tempfile
from pathlib import Path

from mlflow import MlflowClient

uri, experiment = sys.argv[1:]
client = MlflowClient(tracking_uri=uri)
found = client.get_experiment_by_name(experiment)
told = []
for run in client.search_runs([found.experiment_id], order_by=["attributes.start_time"]):
    run_id = run.info.run_id
    with tempfile.TemporaryDirectory() as folder:
        files = {
            one.path: Path(client.download_artifacts(run_id, one.path, folder)).read_text("utf-8")
            for one in client.list_artifacts(run_id)
        }
    told.append(
        {
            "id": run_id,
            "name": run.info.run_name,
            "status": run.info.status,
            "ended": run.info.end_time,
            "params": run.data.params,
            "tags": run.data.tags,
            "metrics": {
                name: [
                    [one.step, one.value, one.timestamp] for one in client.get_metric_history(run_id, name)
                ]
                for name in run.data.metrics
            },
            "files": files,
        }
    )
print(json.dumps(told))
