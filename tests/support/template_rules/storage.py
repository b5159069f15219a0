"""What is kept: closed to strangers, encrypted, reached over TLS alone, and of a lifetime that somebody chose."""

from __future__ import annotations

from tests.support.template_rules.evaluation import Deployment, as_list
from tests.support.template_rules.findings import Rule, Told
from tests.support.template_rules.policies import statements

BLOCKS = ("BlockPublicAcls", "BlockPublicPolicy", "IgnorePublicAcls", "RestrictPublicBuckets")
ENCRYPTED = {
    "AWS::S3::Bucket": "BucketEncryption",
    "AWS::SQS::Queue": "SqsManagedSseEnabled",
    "AWS::SNS::Topic": "KmsMasterKeyId",
    "AWS::ECR::Repository": "EncryptionConfiguration",
    "AWS::EFS::FileSystem": "Encrypted",
    "AWS::RDS::DBInstance": "StorageEncrypted",
}
KEEPS = {*ENCRYPTED, "AWS::Logs::LogGroup", "AWS::KMS::Key"} - {"AWS::SNS::Topic"}
RETAINED = {"AWS::KMS::Key", "AWS::EFS::FileSystem", "AWS::RDS::DBInstance"}


def public_buckets(deployed: Deployment) -> Told:
    for one in deployed.resources("AWS::S3::Bucket"):
        block = one.properties.get("PublicAccessBlockConfiguration", {})
        if open_ := [name for name in BLOCKS if block.get(name) is not True]:
            yield one, ", ".join(open_)


def ownership(deployed: Deployment) -> Told:
    for one in deployed.resources("AWS::S3::Bucket"):
        rules = one.properties.get("OwnershipControls", {}).get("Rules")
        if rules != [{"ObjectOwnership": "BucketOwnerEnforced"}]:
            yield one, "access lists of objects count"


def tls_only(deployed: Deployment) -> Told:
    denied = {
        place
        for one in statements(deployed)
        if not one.allows and one.said.get("Condition") == {"Bool": {"aws:SecureTransport": "false"}}
        for place in one.resources
    }
    for one in deployed.resources("AWS::S3::Bucket"):
        names = (f"${{{one.name}.Arn}}", f"arn:${{AWS::Partition}}:s3:::{one.properties.get('BucketName')}")
        for what, places in (("itself", names), ("its objects", [f"{name}/*" for name in names])):
            if not denied.intersection(places):
                yield one, f"{what} without TLS"


def encryption(deployed: Deployment) -> Told:
    for one in deployed.resources(*ENCRYPTED):
        if not one.properties.get(ENCRYPTED[one.kind]):
            yield one, f"no {ENCRYPTED[one.kind]}"
    for one in deployed.resources("AWS::EC2::Instance", "AWS::EC2::LaunchTemplate"):
        data = one.properties.get("LaunchTemplateData", one.properties)
        disks = [each["Ebs"] for each in as_list(data.get("BlockDeviceMappings", [])) if "Ebs" in each]
        if not disks or not all(disk.get("Encrypted") is True for disk in disks):
            yield one, "a disk that is not said to be encrypted"


def lifetimes(deployed: Deployment) -> Told:
    """What holds something says what becomes of it; what cannot be had again stays."""
    for one in deployed.resources(*KEEPS):
        said = {name: one.declared.get(name) for name in ("DeletionPolicy", "UpdateReplacePolicy")}
        if None in said.values():
            yield one, f"no {', '.join(name for name, value in said.items() if value is None)}"
        versioned = one.properties.get("VersioningConfiguration", {}).get("Status") == "Enabled"
        if (versioned or one.kind in RETAINED) and set(said.values()) != {"Retain"}:
            yield one, "goes with its stack"


RULES: dict[str, Rule] = {
    "public bucket": public_buckets,
    "ownership": ownership,
    "encryption": encryption,
    "lifetime": lifetimes,
}
BY_DEFAULT: dict[str, Rule] = {"transport": tls_only}
"""What holds as parameters are by default: for an emulator, one of them lets buckets do without TLS."""
