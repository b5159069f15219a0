"""Log the handwritten service's pipeline with MLflow: `python mlflow_train.py model.joblib data.json FOLDER`."""

import json
import sys
from pathlib import Path

import joblib
import mlflow.sklearn
import pandas as pd
from mlflow.models import infer_signature

pipeline = joblib.load(sys.argv[1])
frame = pd.DataFrame(json.loads(Path(sys.argv[2]).read_text())["records"])
mlflow.sklearn.save_model(
    pipeline,
    sys.argv[3],
    signature=infer_signature(frame, pipeline.predict_proba(frame)),
    pyfunc_predict_fn="predict_proba",
)
