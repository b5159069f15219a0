"""Train the handwritten service's model: `python handwritten_train.py data.json model.joblib [boosted]`."""

import json
import sys
from pathlib import Path

import joblib
import pandas as pd
from sklearn.compose import make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler

data = json.loads(Path(sys.argv[1]).read_text())
frame = pd.DataFrame(data["records"])
numbers = [name for name in frame if name.startswith("number")]
categories = [name for name in frame if name.startswith("category")]
if sys.argv[3:] == ["boosted"]:
    codes = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1)
    pipeline = make_pipeline(
        make_column_transformer((codes, categories), remainder="passthrough"),
        HistGradientBoostingClassifier(categorical_features=list(range(len(categories))), random_state=0),
    )
else:
    pipeline = make_pipeline(
        make_column_transformer((StandardScaler(), numbers), (OneHotEncoder(handle_unknown="ignore"), categories)),
        LogisticRegression(max_iter=1000),
    )
pipeline.fit(frame, data["classes"])
joblib.dump(pipeline, sys.argv[2])
