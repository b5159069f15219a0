"""Score a file with polars: `python batch_polars_sklearn.py model.joblib in.csv|in.parquet out.parquet`.

The pipeline takes the frame as it is: its columns are chosen by name, and reach the encoders without pandas.
"""

import sys

import joblib
import polars as pl

pipeline = joblib.load(sys.argv[1])
read = pl.read_parquet if sys.argv[2].endswith(".parquet") else pl.read_csv
frame = read(sys.argv[2])
probabilities = pipeline.predict_proba(frame)
scored = pl.DataFrame(probabilities, schema=[f"probability_{name}" for name in pipeline.classes_])
prediction = pl.Series("prediction", pipeline.classes_[probabilities.argmax(axis=1)].astype(str))
scored.insert_column(0, prediction).write_parquet(sys.argv[3])
