"""Train the handwritten service's model: `python handwritten_train.py data.json model.joblib`."""

import json
import sys
from pathlib import Path

import joblib
import pandas as pd
from sklearn.compose import make_column_transformer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

data = json.loads(Path(sys.argv[1]).read_text())
frame = pd.DataFrame(data["records"])
numbers = [name for name in frame if name.startswith("number")]
categories = [name for name in frame if name.startswith("category")]
pipeline = make_pipeline(
    make_column_transformer((StandardScaler(), numbers), (OneHotEncoder(handle_unknown="ignore"), categories)),
    LogisticRegression(max_iter=1000),
)
pipeline.fit(frame, data["classes"])
joblib.dump(pipeline, sys.argv[2])
