"""The same service as most would write it: FastAPI, Mangum, joblib, scikit-learn, pandas, boto3."""

import io
import os

import boto3
import joblib
import pandas as pd
from fastapi import FastAPI
from mangum import Mangum
from pydantic import BaseModel
from record import Record


class Answer(BaseModel):
    prediction: int
    probabilities: dict[str, float]


def load_model():
    s3 = boto3.client("s3", endpoint_url=os.environ.get("AWS_ENDPOINT_URL"))
    body = s3.get_object(Bucket=os.environ["BUCKET"], Key="handwritten/model.joblib")["Body"].read()
    return joblib.load(io.BytesIO(body))


app = FastAPI()
model = load_model()


@app.post("/predict")
def predict(record: Record) -> Answer:
    frame = pd.DataFrame([record.model_dump()])
    probabilities = model.predict_proba(frame)[0]
    classes = [str(name) for name in model.classes_]
    return Answer(
        prediction=int(model.classes_[probabilities.argmax()]),
        probabilities=dict(zip(classes, probabilities.tolist(), strict=True)),
    )


handler = Mangum(app)
