"""One DAG for each SQL source of each model spec: it pulls new rows into the model's landing folder.

Wiring only. The database is asked by Airflow's own operator, over the connection that the source names; what to ask,
and which rows of the answer are new, are steps of ``perennial.jobs``. Every task may be cleared and repeated.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from airflow.sdk import DAG, Context, dag, task
from airflow.sdk.exceptions import AirflowFailException
from perennial_wiring import ERROR, POLICY, Result, report_failures, runs, specs, steps_of

from perennial.jobs import SpecFile
from perennial.spec import ModelSpec, SqlSource

DOC = """### New rows of `{source}` for `{name}`

Asks connection `{connection}` for the rows whose `{watermark}` is newest, or up to {late} behind the newest one seen,
and lands those that are not there yet as a file under `{name}/landing/sql/{source}/`. Spec: `{path}`.

- **A row** comes once. One that is changed comes again, if its `{watermark}` is newer then.
- **Retry**: what was pulled is read from the landed files, so clearing any task neither loses nor doubles a row.
"""
REMEDY = "Give the source a query, in place of a table, that names the columns the model needs."


def pull_dag(file: SpecFile, spec: ModelSpec, name: str, source: SqlSource) -> DAG:
    """The DAG ``pull_<model>_<source>``."""
    step, on = steps_of(file), runs(spec)

    @dag(
        dag_id=f"pull_{spec.name}_{name}",
        schedule=source.schedule,
        tags=["perennial", "source", spec.name],
        doc_md=DOC.format(
            name=spec.name, source=name, connection=source.connection, watermark=source.watermark, late=source.late,
            path=file.path.name,
        ),
        **POLICY,
    )  # fmt: skip
    def pull() -> None:
        @task
        def query() -> Result:
            """Says what to ask: all rows at first, then those since the newest one seen."""
            return step("pull-query", source=name)

        @task
        def land() -> Result:
            """Lands the rows that are not there yet."""
            return step("pull-land", source=name)

        asked: Any = on(query)()
        ask = operator()(
            task_id="ask",
            doc_md="Asks the database, and stages its answer as Parquet.",
            sql_conn_id=source.connection,
            query=asked["sql"],
            parameters=asked["parameters"],
            s3_bucket=asked["bucket"],
            s3_key=asked["key"],
            aws_conn_id=None,  # the credentials that the steps use too
            file_format="parquet",
            read_kwargs={"dtype_backend": "pyarrow"},  # or whole numbers beside NULL lose digits, and NULL becomes text
            df_kwargs={"index": False},
            replace=True,
        )
        ask >> on(land)()

    made = pull()
    report_failures(made, step)
    return made


@cache
def operator() -> Any:
    """The provider's operator, taking the parameters of the query from the task before, and saying what it cannot."""
    from airflow.providers.amazon.aws.transfers.sql_to_s3 import SqlToS3Operator  # brings boto3: only where it is used

    class AskToS3(SqlToS3Operator):
        template_fields = (*SqlToS3Operator.template_fields, "parameters")

        def execute(self, context: Context) -> None:
            try:
                super().execute(context)
            except ValueError as error:  # of Arrow and of text too: bytes, or two columns of one name
                said = f"The answer for {self.dag_id} is no table of plain values ({error}). {REMEDY}"
                context["ti"].xcom_push(key=ERROR, value=said)
                raise AirflowFailException(said) from error

    return AskToS3


for each in specs():
    if each.spec:  # a spec that cannot be read is shown once, beside the training DAGs
        for name, source in each.spec.sources.items():
            made = pull_dag(each, each.spec, name, source)
            globals()[made.dag_id] = made
