"""What is changed of the templates, and of what they are given, for an emulator alone. Kept small: see decision 7."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from perennial.deploy import template as templates
from perennial.deploy.expansion import expand
from perennial.deploy.ministack import interpreter, is_ministack

if TYPE_CHECKING:
    from perennial.deploy.aws import Aws

HTTP_API, DATA_BUCKET = "HttpApi", "DataBucket"  # logical ids in the templates
CONCURRENCY = "ScoringConcurrency"  # a parameter
ACCESSES = ("PredictionAccess", "FeedbackAccess", "BatchAccess", "ReadingAccess")


def site_origin(endpoint_url: str) -> str:
    """Origin of the form on an emulator: another one than the API's, so that CORS is at work there as in the cloud."""
    return endpoint_url.replace("//127.0.0.1", "//localhost", 1).rstrip("/")


def parameters_for(endpoint_url: str) -> dict[str, str]:
    """The parameters of a stack on an emulator, where they are other than in the cloud."""
    return {
        CONCURRENCY: "2",
        "AllowedOrigin": site_origin(endpoint_url),
        "SiteHosting": "website",
        "BatchAccess": "open",
        "Transport": "any" if endpoint_url.startswith("http://") else "tls",
    }


def prepared(parsed: templates.Templates, values: Mapping[str, str], region: str) -> templates.Templates:
    """The templates as an emulator reads them right. Raises DeployError as ``expand``."""
    nested = {
        name: templates.with_empty_defaults(
            templates.with_number(templates.without_canaries(one), CONCURRENCY, values[CONCURRENCY])
        )
        for name, one in parsed.nested.items()
    }
    expanded = expand({"": parsed.root} | nested, interpreter(), region)
    return templates.Templates(expanded.pop(""), expanded)


def complete(aws: Aws, parsed: templates.Templates, values: Mapping[str, str], outputs: Mapping[str, str]) -> None:
    """Set through the services' own APIs what emulators drop of the templates, or store wrongly."""
    assert aws.endpoint_url is not None
    if is_ministack(aws.endpoint_url):
        tokens = "jwt" in {values.get(access) for access in ACCESSES}
        cors: dict[str, Any] = templates.cors_of(
            parsed.declaring(HTTP_API), HTTP_API, values["AllowedOrigin"], tokens=tokens
        )
        aws.client("apigatewayv2").update_api(ApiId=outputs["ApiId"], CorsConfiguration=cors)
        lock = {"ObjectLockEnabled": "Enabled"}
        aws.client("s3").put_object_lock_configuration(Bucket=outputs["BucketName"], ObjectLockConfiguration=lock)
    rules = templates.lifecycle_rules(parsed.properties(DATA_BUCKET, values))
    aws.client("s3").put_bucket_lifecycle_configuration(
        Bucket=outputs["BucketName"], LifecycleConfiguration={"Rules": rules}
    )
