"""Score a file as most would: `python batch_pandas.py model.joblib in.csv|in.parquet out.parquet`."""

import sys

import joblib
import pandas as pd

pipeline = joblib.load(sys.argv[1])
read = pd.read_parquet if sys.argv[2].endswith(".parquet") else pd.read_csv
frame = read(sys.argv[2])
probabilities = pipeline.predict_proba(frame)
scored = pd.DataFrame(probabilities, columns=[f"probability_{name}" for name in pipeline.classes_])
scored.insert(0, "prediction", pipeline.classes_[probabilities.argmax(axis=1)].astype(str))
scored.to_parquet(sys.argv[3])
